"""Stack and volume are made piece by piece, at full size, and are whole or not there."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import h5py
import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.moving import move_rows
from napari_tomoalign.images.shifting import (
    SplineStack,
    fetch_weights,
    places_of,
    shift_weights,
)
from napari_tomoalign.images.source import ArraySource, blocks_of
from napari_tomoalign.io import (
    DiskFull,
    Scan,
    aligned_stack,
    read_scan,
    reconstruction,
    write_result,
)
from napari_tomoalign.io.atomic import remove
from napari_tomoalign.io.finished import read_finished
from napari_tomoalign.io.reconstruction import Method, Slices, slab_height, volume_output
from napari_tomoalign.io.stacks.content import Content, Pieces, StackInfo
from napari_tomoalign.io.stacks.flat import FlatTarget
from napari_tomoalign.io.stacks.output import SUFFIXES, StackOutput, read_volume
from napari_tomoalign.simulation import simulate


@dataclass(frozen=True, eq=False)
class Watched:
    """A source that keeps account of how many rows were read at once."""

    source: ArraySource
    rows: list

    @property
    def shape(self):
        return self.source.shape

    @property
    def dtype(self):
        return self.source.dtype

    def read(self, frames=slice(None), rows=slice(None)):
        self.rows.append(len(range(self.shape[1])[rows]))
        return self.source.read(frames, rows)


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 40, n_rows=50, noise=0, seed=3)


@pytest.fixture(scope="module")
def coarse(scan):
    """A run that ends on images binned by 2."""
    return align(scan.projections, scan.angles, backend="builtin", levels=(2,), progress=False)


def slices_of(result, scan, **options):
    method = Method.of(get_backend("builtin"), ScanGeometry(scan.angles, 50, 32), **options)
    return Slices.of(result, Scan(scan.projections, scan.angles), method)


def written(path):
    with h5py.File(path) as file:
        return file["reconstruction/volume"][()]


@pytest.mark.parametrize("masked", [False, True])
def test_rows_are_moved_as_whole_images_are(masked):
    rng = np.random.default_rng(2)
    images = rng.normal(size=(5, 90, 20)).astype(np.float32)
    weights = (rng.random(images.shape) < 0.9).astype(np.float32) if masked else None
    shifts = rng.uniform(-8, 8, (5, 2))
    shifts[3] = 70.5, 3  # one that was flung away
    whole = SplineStack(images).moved(-shifts)
    left = shift_weights(weights, -shifts, images.shape)
    given = None if weights is None else ArraySource(np.ones_like(weights))
    for rows in (slice(0, 7), slice(31, 60), slice(80, 90)):
        found, known = move_rows(ArraySource(images), given, shifts, rows)
        np.testing.assert_allclose(found, whole[:, rows], atol=1e-6)
        if not masked:
            np.testing.assert_array_equal(known, left[:, rows])


def test_rows_are_turned_as_whole_images_are():
    rng = np.random.default_rng(2)
    images = rng.normal(size=(4, 90, 60)).astype(np.float32)
    shifts, turns, pivot = rng.uniform(-8, 8, (4, 2)), np.array([0.1, -0.2, 0, 0.05]), (44.0, 31.0)
    places = places_of(shifts, turns, pivot)
    whole, left = SplineStack(images).fetched(places), fetch_weights(None, places, images.shape)
    for rows in (slice(0, 7), slice(31, 60), slice(80, 90)):
        found, known = move_rows(ArraySource(images), None, shifts, rows, turning=(turns, pivot))
        np.testing.assert_allclose(found, whole[:, rows], atol=1e-5)
        assert np.mean(known != left[:, rows]) < 1e-3  # a border within rounding


def test_the_volume_is_that_of_the_object_at_full_size(scan, coarse, tmp_path):
    assert coarse.preview.shape == (25, 16, 16)
    paths = write_result(tmp_path, coarse, Scan(scan.projections, scan.angles))
    volume, truth = written(paths["reconstruction"]), scan.volume()
    assert volume.shape == truth.shape == (50, 32, 32)
    # where the object is cannot be told from projections
    places = np.fft.ifftn(np.fft.fftn(volume) * np.conj(np.fft.fftn(truth))).real
    place = np.unravel_index(places.argmax(), places.shape)
    there = np.roll(truth, place, (0, 1, 2))
    assert np.abs((np.array(place) + 16) % (50, 32, 32) - 16).max() <= 3
    assert np.corrcoef(volume.ravel(), there.ravel())[0, 1] > 0.97


def test_slabs_make_the_whole_and_never_read_more_than_they_need(scan, coarse):
    whole = slices_of(coarse, scan)
    rows = []
    watched = replace(
        whole,
        measured=replace(whole.measured, projections=Watched(ArraySource(scan.projections), rows)),
    )
    volume = whole(slice(0, 50))
    parts = np.concatenate([watched(slice(k, k + 5)) for k in range(0, 50, 5)])
    np.testing.assert_allclose(parts, volume, atol=1e-6 * np.abs(volume).max())
    reach = int(np.ceil(np.abs(coarse.shifts[:, 0]).max()))
    assert max(rows) <= 5 + 2 * (reach + 20)


def test_how_high_slabs_are_follows_from_the_memory():
    geometry = ScanGeometry(np.linspace(0, 3, 40), 50, 32)
    one = 4 * (4 * 40 * 32 + 2 * 32 * 32)
    assert slab_height(geometry, 10 * one) == 10
    assert slab_height(geometry, 10**12) == 50
    with pytest.raises(MemoryError, match=r"a slice takes .* of memory and there are .*--no-rec"):
        slab_height(geometry, one - 1)
    leaning = geometry.with_changes(axis_tilt=0.3)
    with pytest.raises(MemoryError, match="the volume, whose slices cannot be made singly, takes"):
        slab_height(leaning, 10 * one)


def test_what_was_saved_is_said_where_the_volume_does_not_fit(scan, coarse, tmp_path, monkeypatch):
    monkeypatch.setattr(reconstruction, "free_memory", lambda: 1000)
    with pytest.raises(MemoryError, match=r"Saved in .*: shifts.h5, shifts.csv, aligned.h5; not"):
        write_result(tmp_path, coarse, Scan(scan.projections, scan.angles))
    assert sorted(os.listdir(tmp_path)) == ["aligned.h5", "shifts.csv", "shifts.h5"]


def test_untrusted_projections_take_no_part_and_what_was_turned_over_is_turned_back(scan, coarse):
    slices = slices_of(coarse, scan)
    used = np.arange(40) % 5 != 2
    spoilt = scan.projections.copy()
    spoilt[~used] = 1e3
    partial = replace(
        slices, used=used, measured=replace(slices.measured, projections=ArraySource(spoilt))
    )
    assert np.abs(partial(slice(20, 24))).max() < 2 * np.abs(slices(slice(20, 24))).max()
    dark = replace(slices, measured=replace(slices.measured, sign=-1))
    np.testing.assert_array_equal(dark(slice(20, 24)), -slices(slice(20, 24)))


def test_any_algorithm_of_the_engine_makes_the_volume(scan, coarse, tmp_path):
    method = Method.of(
        get_backend("builtin"), ScanGeometry(scan.angles, 50, 32), "sirt", {"num_iter": 3}
    )
    paths = write_result(tmp_path, coarse, Scan(scan.projections, scan.angles), method=method)
    assert (
        written(paths["reconstruction"]).min() == 0
    )  # not negative, as filtered back projection is
    with h5py.File(paths["reconstruction"]) as file:
        said = file["reconstruction/volume"].attrs["reconstructed_with"]
    assert said == "builtin sirt num_iter=3"
    with pytest.raises(ValueError, match="unknown algorithm 'nonsense'"):
        slices_of(coarse, scan, algorithm="nonsense")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_what_is_missing_is_written_again(scan, coarse, tmp_path, suffix):
    own = Scan(scan.projections, scan.angles)
    options = {"suffix": suffix, "overwrite": True, "only_missing": True}
    paths = write_result(tmp_path, coarse, own, **options)
    stamps = {name: path.stat().st_mtime_ns for name, path in paths.items()}
    remove(paths["reconstruction"])
    write_result(tmp_path, coarse, own, **options)
    assert paths["aligned"].stat().st_mtime_ns == stamps["aligned"]
    assert paths["reconstruction"].exists()
    other = replace(coarse, history=(replace(coarse.history[-1], shifts=coarse.shifts + 0.1),))
    other = replace(other, shifts=coarse.shifts + 0.1)
    write_result(tmp_path, other, own, **options)
    assert paths["aligned"].stat().st_mtime_ns != stamps["aligned"]


@pytest.mark.parametrize("gone", ["aligned.tif", "aligned.tlt"])
def test_a_stack_and_its_angles_are_one_thing(scan, coarse, tmp_path, gone):
    own = Scan(scan.projections, scan.angles)
    options = {"suffix": ".tif", "overwrite": True, "only_missing": True, "reconstruction": False}
    write_result(tmp_path, coarse, own, **options)
    before = {name: (tmp_path / name).read_bytes() for name in ("aligned.tif", "aligned.tlt")}
    (tmp_path / gone).unlink()
    write_result(tmp_path, coarse, own, **options)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_an_executor_makes_the_same_bits_and_progress_is_told(scan, coarse, tmp_path):
    own = Scan(scan.projections, scan.angles)
    told = []
    here = write_result(tmp_path / "a", coarse, own, progress=lambda *what: told.append(what))
    with ThreadPoolExecutor(2) as executor:
        there = write_result(tmp_path / "b", coarse, own, executor=executor)
    np.testing.assert_array_equal(written(here["reconstruction"]), written(there["reconstruction"]))
    assert told[-1] == ("reconstruction.h5", 4 * 50 * 32 * 32, 4 * 50 * 32 * 32)


@pytest.mark.parametrize("rotation_axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same_and_is_read_again(
    scan, coarse, tmp_path, monkeypatch, suffix, rotation_axis
):
    """In several pieces, of which the last is shorter, written by whoever made them."""
    monkeypatch.setattr(reconstruction, "_HEIGHT", 17)
    monkeypatch.setattr(aligned_stack, "blocks_of", partial(blocks_of, limit=4 * 50 * 32 * 9))
    own = Scan(
        scan.projections,
        scan.angles,
        pixel_size=2.5,
        pixel_unit="um",
        rotation_axis=rotation_axis,
    )
    plain = write_result(tmp_path / "plain", coarse, own)
    with ThreadPoolExecutor(3) as executor:
        paths = write_result(tmp_path, coarse, own, suffix=suffix, executor=executor)
    volume = written(plain["reconstruction"])
    np.testing.assert_array_equal(read_volume(paths["reconstruction"]), volume)
    first, found = read_finished(tmp_path / "plain"), read_finished(tmp_path)
    np.testing.assert_array_equal(found.volume, first.volume)
    if suffix in (".h5", ".zarr"):  # in the others the axis is moved to the middle
        np.testing.assert_array_equal(found.aligned, first.aligned)
    again = read_scan(paths["aligned"])
    np.testing.assert_allclose(again.angles, scan.angles, atol=1e-7)
    assert again.pixel_size * {"um": 1, "nm": 1e-3}[again.pixel_unit] == pytest.approx(2.5)
    assert "shifts.h5 of this folder" in again.source["aligned"]
    assert suffix == ".mrc" or again.rotation_axis == rotation_axis


def test_chunks_of_a_store_suit_images_and_rows_and_no_two_pieces_share_a_file(tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    values = np.random.default_rng(0).random((70, 40, 36), np.float32)
    cuts = tuple((slice(k, min(k + 32, 70)),) for k in (0, 32, 64))
    files = []

    def make(where):
        files.append({path for path in tmp_path.rglob("c/*/*/*") if path.is_file()})
        return values[where]

    for name, angles in (("stack", np.linspace(0, 3, 70)), ("volume", None)):
        files.clear()
        content = Content(values.shape, StackInfo(angles), Pieces(cuts, make))
        path = StackOutput(tmp_path / f"{name}.zarr", content).write()
        array = zarr.open_array(path / "0", mode="r")
        np.testing.assert_array_equal(array[...], values)
        assert array.chunks == ((16, 16, 36) if angles is not None else (32, 32, 32))
        assert array.shards[0] == 32
        assert [len(now - before) for before, now in pairwise(files)] == [1, 1]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_without_room_refuses_before_anything_is_made(scan, coarse, tmp_path, suffix):
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")
    made = []
    slices = slices_of(coarse, scan)

    class Counted(Slices):
        def __call__(self, rows):
            made.append(rows)
            return super().__call__(rows)

    counted = Counted(**vars(slices))
    output = volume_output(
        tmp_path / f"v{suffix}", counted, Scan(scan.projections, scan.angles), aligned_with="x"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DiskFull, match="is full: v"):
            output.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if hasattr(os, "posix_fallocate") and suffix != ".zarr":  # whose files are one a piece
        assert made == []
    assert os.listdir(tmp_path) == []


def test_pieces_of_a_file_go_where_they_belong(tmp_path):
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    target = FlatTarget(tmp_path / "a", 7, values.shape)
    target.path.write_bytes(b"header!")
    target.reserve()
    assert target.path.stat().st_size == 7 + values.nbytes
    cuts = [(slice(1, 3),), (slice(0, 1), slice(2, 5)), (slice(0, 1), slice(0, 2)), (slice(3, 4),)]
    for cut in cuts[::-1]:
        target.write(values[cut], *cut)
    raw = target.path.read_bytes()
    assert raw[:7] == b"header!"
    np.testing.assert_array_equal(np.frombuffer(raw[7:], np.float32).reshape(4, 5, 6), values)
    target.write(values[:, :, 2:4] + 1, slice(None), slice(None), slice(2, 4))
    there = np.frombuffer(target.path.read_bytes()[7:], np.float32).reshape(4, 5, 6)
    np.testing.assert_array_equal(there[..., 2:4], values[..., 2:4] + 1)
    np.testing.assert_array_equal(there[..., :2], values[..., :2])
    with pytest.raises(ValueError, match="do not fit"):
        target.write(values, slice(0, 2))
