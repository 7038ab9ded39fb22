"""A level that the memory does not hold is evaluated by slabs of rows that are read for it."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign.io.errors import DiskFull
from napari_tomoalign.loop.by_rows import images_by_rows
from napari_tomoalign.loop.evaluating import evaluate
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.standard_errors import standard_errors
from napari_tomoalign.loop.truncation import truncation_of
from napari_tomoalign.results import Resume
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare

MEMORY = "10 MB"  # binning 2 takes 4 of them, full size 16


@pytest.fixture(scope="module", params=[0.0, 0.1], ids=["whole", "masked"])
def scan(request):
    return simulate(
        64, 40, n_rows=160, noise=0.02, oversampling=1, masked_fraction=request.param, seed=3
    )


class Seen:
    """A source that notes how many rows of frames are read of it."""

    def __init__(self, source, read):
        self.source, self.read_rows = source, read
        self.shape, self.dtype = source.shape, source.dtype

    def read(self, frames=slice(None), rows=slice(None)):
        found = self.source.read(frames, rows)
        self.read_rows.append(found.shape[0] * found.shape[1])
        return found


def evaluated(scan, memory, few=False, off=0.0):
    """The full size at the true shifts, or off them: start, level, model and run."""
    weights = scan.weights
    run = iterate_alignment(
        scan.projections, scan.angles, weights=weights, backend="builtin", memory=memory
    )
    start = prepare(run)
    truncation = truncation_of(run, start)
    level = level_of(start, 1, truncation.grid(start.geometry, last=True))
    if few:
        bands = replace(level.bands, kept=frozenset([0, 3, 4]))
        level = replace(level, bands=bands)
    shifts = scan.shifts + np.random.default_rng(0).uniform(-off, off, scan.shifts.shape)
    poses = Poses(shifts, scan.geometry, turning=True)
    model = evaluate(run, level, truncation, poses, np.arange(40) != 7)
    return run, start, level, model


def test_slabs_that_are_read_add_up_to_the_level_that_is_held(scan):
    *_, held = evaluated(scan, "1 GB", off=0.3)
    _, start, level, model = evaluated(scan, MEMORY, few=True, off=0.3)
    assert start.binning == (2, 2)
    assert len(level.bands.rows) >= 8
    for mine, its in zip(model.sums.equations.solve(), held.sums.equations.solve(), strict=True):
        np.testing.assert_allclose(mine, its, atol=2e-5)
    np.testing.assert_allclose(model.sums.moments, held.sums.moments, rtol=1e-5, atol=1e-3)
    rows = np.concatenate([np.arange(160)[level.bands.rows[k]] for k in (0, 3, 4)])
    for name in ("measured", "reprojected"):
        mine, its = getattr(model, name), getattr(held, name)[:, rows]
        np.testing.assert_allclose(mine, its, atol=1e-4)
    height = level.bands.rows[0].stop
    assert not model.weights[:, height - 3 : height + 3].any()  # no neighbours
    assert model.weights[:, 2 * height - 3 : 2 * height + 3].any()  # neighbours


def test_images_that_the_memory_does_not_hold_are_made_by_rows(scan):
    *_, held = evaluated(scan, "1 GB", off=0.3)
    run, start, _, model = evaluated(scan, MEMORY, off=0.3)
    truncation, used = truncation_of(run, start), (np.arange(40) != 7).astype(float)
    full, read = start.full.projections, []
    start = replace(start, full=replace(start.full, projections=Seen(full, read)))
    volume, reprojected, measured = images_by_rows(run, start, truncation, model.poses, used)

    assert volume.shape == (160, 64, 64)
    assert measured.shape == reprojected.shape == (40, 160, 64)
    assert not read  # nothing is made before it is asked for
    np.testing.assert_allclose(volume[-70], held.volume[90], atol=1e-5)
    assert sum(read) < 40 * 160 / 2
    near = (slice(None, None, 3), slice(30, 38), 5)
    np.testing.assert_allclose(reprojected[near], held.reprojected[near], atol=1e-4)
    del read[:]
    np.testing.assert_allclose(measured[7, ..., ::2], held.measured[7, :, ::2], atol=1e-4)
    assert sum(read) < 3 * 160 * 2  # of that frame, in blocks of rows with those around them
    np.testing.assert_allclose(np.asarray(volume), held.volume, atol=1e-5)
    for key, words in ([1, 2], "whole numbers and slices"), (160, "out of range"):
        with pytest.raises(IndexError, match=words):
            volume[key]


def test_errors_told_from_some_slabs_are_those_of_all(scan):
    told = []
    for memory, few in (("1 GB", False), (MEMORY, True)):
        run, start, level, model = evaluated(scan, memory, few=few)
        told.append(standard_errors(run, start, level, model, start.usable.astype(float)).errors)
    ratio = np.nanmedian(told[1] / told[0], axis=0)
    assert (ratio > 0.9).all()
    assert (ratio < 1.3).all()  # gain and offset, told from fewer rows, take more of their slope


def test_a_small_memory_gives_what_a_large_one_gives(scan, tmp_path):
    options = {"weights": scan.weights, "backend": "builtin", "precision": 0, "scratch": tmp_path}
    states = [
        list(iterate_alignment(scan.projections, scan.angles, memory=memory, **options))
        for memory in ("1 GB", MEMORY)
    ]
    large, small = (one[-1] for one in states)
    assert small.record.binning == large.record.binning == 1
    assert small.binning == 2  # the images are those that the memory holds
    assert small.reconstruction.shape == (80, 32, 32)
    assert small.whole()[0].shape == (160, 64, 64)  # by rows
    assert any("run by slabs of rows" in words for words in small.diagnosis)
    told = []
    for state in (large, small):
        error = alignment_error(
            state.shifts, scan.shifts, scan.angles, centers=(state.center, scan.center)
        )
        stated = float(np.sqrt(np.mean(np.sum(state.record.standard_error**2, axis=1))))
        assert error < 1.3 * stated
        told.append(stated)
    assert told[1] < 1.2 * told[0]  # the slabs that are kept say as much as all
    apart = alignment_error(
        small.shifts, large.shifts, scan.angles, centers=(small.center, large.center)
    )
    assert apart < 0.3 * stated
    reached, ended = states[1][-2], small.shifts
    resume = Resume.of(reached)
    assert reached.record.binning == 1
    del states, large, small, state, reached
    assert not list(tmp_path.iterdir())  # what was written for it is gone
    # a run that is resumed there goes on there
    options |= {"memory": MEMORY, "progress": False, "resume": resume}
    again = align(scan.projections, scan.angles, **options)
    np.testing.assert_allclose(again.shifts, ended, atol=1e-6)


def test_a_disk_without_room_for_them_is_said_before_they_are_written(scan, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e6))
    with pytest.raises(
        DiskFull, match=r"images needs \d\.\d MB, but 1\.0 MB are free in .*make room"
    ):
        evaluated(scan, MEMORY)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark of Linux")
def test_the_memory_stays_below_what_may_be_taken(tmp_path):
    """A fresh process, in which all is compiled; full size would take 63 MB."""
    code = f"""
import resource
import numpy as np
from napari_tomoalign import align
from napari_tomoalign.simulation import simulate
options = {{"backend": "builtin", "progress": False, "precision": 0}}
s = simulate(64, 40, n_rows=160, noise=0.02, oversampling=1)
align(s.projections, s.angles, memory="{MEMORY}", **options)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
s = simulate(96, 36, n_rows=448, noise=0.02, oversampling=1)
before = peak()
found = align(s.projections, s.angles, memory="34 MB", maxiter=2, **options)
print(peak() - before, found.binning)
"""
    call = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    grown, binning = map(int, done.stdout.split())
    assert binning == 1
    assert grown < 34e6
