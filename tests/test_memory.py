"""How much memory there is, how it is said, and that a run takes no more."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign._memory import bytes_of, in_words
from napari_tomoalign.results import Resume
from napari_tomoalign.simulation import simulate

OPTIONS = {"backend": "builtin", "progress": False}


@pytest.fixture(scope="module")
def scan():
    return simulate(64, 40, noise=0.01, oversampling=2, seed=1)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("4 GB", 4e9), ("500MiB", 500 * 2**20), ("2e", None), (1000, 1000), (-1, None)],
)
def test_an_amount_is_read_or_refused(said, meant):
    if meant is None:
        with pytest.raises(ValueError, match="memory must be"):
            bytes_of(said)
    else:
        assert bytes_of(said) == meant


def test_an_amount_that_is_none():
    with pytest.raises(TypeError, match="such as '4 GB', got True"):
        bytes_of(True)
    assert in_words(bytes_of("1.5 GB")) == "1.5 GB"


def stored(folder, stack):
    """Return the same stack in the kinds of arrays that are read piece by piece."""
    np.save(folder / "stack.npy", stack)
    yield np.load(folder / "stack.npy", mmap_mode="r")
    with h5py.File(folder / "stack.h5", "w") as file:
        yield file.create_dataset("stack", data=stack, chunks=(5, 16, 16))
    for name in ("dask.array", "zarr"):
        try:
            module = __import__(name, fromlist=["array"])
        except ImportError:
            continue
        yield (
            module.from_array(stack, chunks=(7, 32, 64)) if name != "zarr" else module.array(stack)
        )


def test_what_is_read_in_pieces_gives_the_same_bits(scan, tmp_path):
    expected = align(scan.projections, scan.angles, **OPTIONS)
    for array in stored(tmp_path, scan.projections):
        result = align(array, scan.angles, **OPTIONS)
        np.testing.assert_array_equal(result.shifts, expected.shifts)


def test_levels_that_memory_does_not_hold_are_not_run_and_said(scan):
    small = iterate_alignment(scan.projections, scan.angles, backend="builtin", memory="2.6 MB")
    state = list(small)[-1]
    centers = (state.center, scan.center)
    assert state.binning == 2
    assert any(text.startswith("memory: levels finer than binning 2") for text in state.diagnosis)
    assert alignment_error(state.shifts, scan.shifts, scan.angles, centers=centers) < 0.03
    # what is written at full size is read from what was given
    np.testing.assert_allclose(state.measured.projections.read(slice(2, 5)), scan.projections[2:5])


def test_a_coarse_level_is_the_same_whether_finer_ones_are_held_or_not(scan):
    held = align(scan.projections, scan.angles, levels=(2,), **OPTIONS)
    alone = align(scan.projections, scan.angles, levels=(2,), memory="2.6 MB", **OPTIONS)
    np.testing.assert_allclose(alone.shifts, held.shifts, atol=1e-5)
    assert alone.preview.shape == (32, 32, 32)
    assert not isinstance(alone.reconstruction, np.ndarray)  # at full size: it is made by rows
    np.testing.assert_allclose(alone.reconstruction[33], held.reconstruction[33], atol=1e-4)
    np.testing.assert_allclose(alone.reference[5], held.reference[5], atol=1e-4)


def test_a_budget_that_holds_nothing_is_refused_with_both_numbers(scan):
    with pytest.raises(ValueError, match=r"takes .* of memory, and 10 kB may be taken: give more"):
        align(scan.projections, scan.angles, memory=10_000, **OPTIONS)


def test_a_run_that_has_gone_further_than_the_memory_holds_is_not_resumed(scan):
    ended = align(scan.projections, scan.angles, levels=(2, 1), maxiter=2, precision=0, **OPTIONS)
    reached = Resume.of(ended)
    with pytest.raises(
        ValueError, match="has gone on to binning 1, and the memory holds binning 2"
    ):
        align(scan.projections, scan.angles, resume=reached, memory="2.6 MB", **OPTIONS)


def test_values_that_cannot_be_aligned_are_refused_when_they_are_read(scan, tmp_path):
    stack = scan.projections.copy()
    stack[3, 4, 5] = np.nan
    np.save(tmp_path / "stack.npy", stack)
    run = iterate_alignment(
        np.load(tmp_path / "stack.npy", mmap_mode="r"), scan.angles, backend="builtin"
    )
    with pytest.raises(ValueError, match=r"1 values .* \(the first at \(3, 4, 5\)\): mask them"):
        next(iter(run))


def test_a_file_that_shrinks_is_named(scan, tmp_path):
    path = tmp_path / "stack.npy"
    np.save(path, scan.projections)
    run = iterate_alignment(np.load(path, mmap_mode="r"), scan.angles, backend="builtin")
    with path.open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(EOFError, match=r"stack\.npy: the file ends .* start again"):
        next(iter(run))


def test_line_integrals_travel_to_another_process(scan, tmp_path):
    np.save(tmp_path / "stack.npy", scan.projections)
    run = iterate_alignment(
        np.load(tmp_path / "stack.npy", mmap_mode="r"), scan.angles, backend="builtin"
    )
    lines = pickle.loads(pickle.dumps(run.lines))
    np.testing.assert_array_equal(lines.read(slice(3, 5), slice(1, 4)), scan.projections[3:5, 1:4])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark of Linux")
def test_the_stack_is_never_held_whole(tmp_path):
    """A fresh process; 52 MB in float32, of which 40 MB may be taken."""
    small = simulate(80, 64, n_rows=40, noise=0.0, oversampling=1, seed=1)
    rng = np.random.default_rng(0)
    shape = (64, 320, 640)
    counts = np.lib.format.open_memmap(tmp_path / "stack.npy", "w+", np.uint16, shape)
    for target, image in zip(counts, small.projections, strict=True):
        open_beam = 1000 * np.exp(-0.1 * np.kron(image, np.ones((8, 8))))
        target[:] = open_beam + rng.normal(0, 5, shape[1:])
    counts.flush()
    np.save(tmp_path / "angles.npy", small.angles)
    code = """
import resource, sys
import numpy as np
from napari_tomoalign import align
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start import survey
survey._FRAMES_AT_ONCE = 2
s = simulate(64, 24, oversampling=1)
align(s.projections, s.angles, backend="builtin", progress=False)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
stack, angles = np.load(sys.argv[1] + "/stack.npy", "r"), np.load(sys.argv[1] + "/angles.npy")
options = {"backend": "builtin", "progress": False, "transmission": True, "maxiter": 2}
result = align(stack, angles, memory="40 MB", **options)
print(peak() - before, result.binning)
"""
    call = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, binning = map(int, done.stdout.split())
    assert binning == 4
    assert grown < 40e6


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark of Linux")
def test_runs_leave_no_memory_behind():
    """Two threads; a run has left 2 MB behind, under one of numba's threading layers."""
    code = """
import resource
from napari_tomoalign import align
from napari_tomoalign.simulation import simulate
s = simulate(24, 12, oversampling=1)
for run in range(14):
    if run == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    align(s.projections, s.angles, backend="builtin", progress=False, maxiter=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    call = [sys.executable, "-W", "ignore", "-c", code]
    more = {"NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(call, capture_output=True, text=True, env={**os.environ, **more})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 5 * 2**20  # of 18
