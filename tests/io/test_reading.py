"""Every format gives the same scan, and only what is used is read."""

import pickle
import re
import tracemalloc

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from small_stack import DEGREES, STACK

from napari_tomoalign.images.source import Source
from napari_tomoalign.io import (
    ScanFileError,
    can_read,
    read_scan,
    write_scan,
)
from napari_tomoalign.io.lazy import LazyProjections

RNG = np.random.default_rng(11)


def write_data_exchange(path):
    with h5py.File(path, "w") as file:
        file["/exchange/data"] = STACK
        file["/exchange/theta"] = DEGREES
        file["/exchange/theta"].attrs["units"] = "degrees"


def write_nxtomo(path):
    frames = np.concatenate([STACK[:3], np.full((1, 10, 12), 9.0), STACK[3:]]).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["/scan/definition"] = "NXtomo"
        detector = file.create_group("/scan/instrument/detector")
        detector["data"] = frames
        detector["image_key"] = [0, 0, 0, 3, 0, 0, 0, 0, 0]
        file["/scan/sample/rotation_angle"] = np.insert(DEGREES, 3, 0.0)
        file["/scan/sample/rotation_angle"].attrs["units"] = "degree"


def write_unknown_hdf5(path):
    with h5py.File(path, "w") as file:
        file["/entry/data"] = STACK
        file["/entry/theta"] = np.deg2rad(DEGREES)


def write_mrc(path):
    with mrcfile.new(path, data=STACK) as file:
        file.voxel_size = 13.5
    np.savetxt(path.with_suffix(".rawtlt"), DEGREES, fmt="%.4f")


def write_tiff(path):
    tifffile.imwrite(path, STACK, photometric="minisblack")
    np.savetxt(path.with_suffix(".tlt"), DEGREES, fmt="%.4f")


def write_compressed_tiff(path):
    tifffile.imwrite(path, STACK, photometric="minisblack", compression="zlib")
    np.savetxt(path.with_suffix(".tlt"), DEGREES, fmt="%.4f")


def write_folder(path):
    path.mkdir()
    for index, image in enumerate(STACK):
        tifffile.imwrite(path / f"image{index + 5}.tif", image)  # image5 ... image12
    np.savetxt(path / "angles.tlt", DEGREES)


def write_npy(path):
    np.save(path, STACK)
    np.savetxt(path.with_name(path.stem + "_angles.txt"), DEGREES)


def write_npz(path):
    np.savez(path, projections=STACK, theta=DEGREES)


def write_zarr(path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    group = zarr.open_group(path, mode="w")
    group.create_array("stack", shape=STACK.shape, dtype=STACK.dtype, chunks=(2, 10, 12))[:] = STACK
    group["theta"] = np.deg2rad(DEGREES)


FORMATS = {
    "data_exchange.h5": (write_data_exchange, {}),
    "scan.nxs": (write_nxtomo, {}),
    "unknown.h5": (write_unknown_hdf5, {"data": "/entry/data", "angles_path": "/entry/theta"}),
    "scan.mrc": (write_mrc, {}),
    "scan.st": (write_mrc, {}),
    "stack.tif": (write_tiff, {}),
    "compressed.tif": (write_compressed_tiff, {}),
    "folder": (write_folder, {}),
    "stack.npy": (write_npy, {}),
    "stack.npz": (write_npz, {}),
    "scan.zarr": (write_zarr, {}),
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_scan(tmp_path, name, lazy):
    path = tmp_path / name
    write, options = FORMATS[name]
    write(path)

    scan = read_scan(path, lazy=lazy, **options)

    assert can_read(path)
    np.testing.assert_array_equal(np.asarray(scan.projections), STACK)
    assert scan.projections.dtype == np.float32
    np.testing.assert_allclose(np.rad2deg(scan.angles), DEGREES, atol=1e-4)
    assert scan.weights is None
    assert "degrees" in scan.source["angles"] or "radians" in scan.source["angles"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_dataset_that_the_format_has_not_is_refused(tmp_path, name):
    path = tmp_path / name
    write, options = FORMATS[name]
    write(path)
    for kind in ("data", "angles_path", "flats", "darks", "keys"):
        with pytest.raises(ScanFileError, match=re.escape(path.name)):
            read_scan(path, **{**options, kind: "/not/there"})


@pytest.mark.parametrize("name", FORMATS)
def test_a_renamed_file_is_recognised_by_its_content(tmp_path, name):
    path = tmp_path / name
    write, options = FORMATS[name]
    write(path)
    renamed = path.rename(tmp_path / "renamed.dat")

    scan = read_scan(renamed, first_last=(0, 90), **options)

    np.testing.assert_array_equal(scan.projections, STACK)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "key", [2, -1, slice(1, 4), slice(None, None, 3), [4, 1], (slice(2, 4), 3), (..., 5)]
)
def test_a_lazy_stack_is_indexed_like_an_array(tmp_path, name, key):
    path = tmp_path / name
    write, options = FORMATS[name]
    write(path)

    projections = read_scan(path, lazy=True, **options).projections

    assert isinstance(projections, LazyProjections)
    assert projections.shape == STACK.shape
    np.testing.assert_array_equal(projections[key], STACK[key])


def test_a_lazy_scan_reads_only_the_frames_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "scan.h5"
    write_data_exchange(path)
    projections = read_scan(path, lazy=True, background=None).projections
    asked = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: asked.append(key) or original(self, key)
    )

    projections[3]

    assert asked == [(slice(3, 4), slice(0, 10), slice(None))]


@pytest.mark.parametrize("name", FORMATS)
def test_a_lazy_stack_goes_to_another_process(tmp_path, name):
    path = tmp_path / name
    write, options = FORMATS[name]
    write(path)
    projections = read_scan(path, lazy=True, **options).projections

    again = pickle.loads(pickle.dumps(projections))

    assert isinstance(again, Source)
    np.testing.assert_array_equal(again.read(slice(1, 3), slice(4, 7)), STACK[1:3, 4:7])


@pytest.mark.parametrize("rotation_axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("binning", [1, 3])
def test_rows_that_are_read_alone_are_those_of_the_whole(tmp_path, rotation_axis, binning):
    counts = RNG.integers(200, 800, (4, 80, 70)).astype(np.uint16)
    counts[RNG.random(counts.shape) < 0.2] = 65535  # saturated
    counts[1, 20:60] = counts[2, :, 20:60] = 65535
    white = np.full((1, 80, 70), 1000.0)
    white[:, 33:36] = white[:, :, 50] = 0  # rows and a column without light
    path = write_scan(tmp_path / "scan.h5", counts, np.arange(4), white=white)
    scan = read_scan(path, rotation_axis=rotation_axis, binning=binning, lazy=True)

    whole, weights = scan.projections.prepared()

    assert 0 < np.count_nonzero(weights == 0) < weights.size
    for rows in (slice(0, 4), slice(7, 8), slice(10, 14), slice(19, 23)):
        values, share = scan.projections.prepared(slice(1, 4), rows)
        np.testing.assert_array_equal(values, whole[1:4, rows])
        np.testing.assert_array_equal(share, weights[1:4, rows])


@pytest.mark.parametrize(
    ("key", "rows"),
    [((slice(None), slice(3, 5)), slice(3, 5)), ((2, slice(8, None)), slice(8, 10))],
)
def test_only_the_rows_asked_for_are_read(tmp_path, monkeypatch, key, rows):
    write_data_exchange(tmp_path / "scan.h5")
    projections = read_scan(tmp_path / "scan.h5", lazy=True, background=None).projections
    asked = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: asked.append(key) or original(self, key)
    )

    np.testing.assert_array_equal(projections[key], STACK[key])

    assert [cuts[1] for cuts in asked] == [rows]


def test_a_scan_larger_than_memory_opens_at_once(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset(
            "/exchange/data", shape=(4000, 2000, 2048), dtype="u2", chunks=(1, 2000, 2048)
        )
        data[1234, :, :] = 7
        file["/exchange/theta"] = np.linspace(0, 180, 4000)
    tracemalloc.start()

    scan = read_scan(tmp_path / "scan.h5", lazy=True, binning=2)
    frame = scan.projections[1234]

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scan.projections.shape == (4000, 1000, 1024)
    np.testing.assert_array_equal(frame, 7)
    assert peak < 120e6  # of 32 GB


def test_rows_and_binning_of_a_horizontal_axis(tmp_path):
    path = tmp_path / "scan.npy"
    write_npy(path)

    scan = read_scan(path, rotation_axis="horizontal", rows=(2, 8), binning=2)

    turned = STACK.swapaxes(1, 2)[:, 2:8].astype(np.float64)
    expected = turned.reshape(8, 3, 2, 5, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(scan.projections, expected, rtol=1e-6)
    assert scan.rotation_axis == "horizontal"
    assert any("binned by 2" in line for line in scan.preparation)


def test_flats_are_turned_and_cut_with_the_projections(tmp_path):
    white = RNG.uniform(500, 900, (4, 10, 12))
    transmission = RNG.uniform(0.2, 0.9, STACK.shape)
    path = write_scan(
        tmp_path / "scan.h5", transmission * white.mean(axis=0), np.deg2rad(DEGREES), white=white
    )

    scan = read_scan(path, rotation_axis="horizontal", rows=(3, 9))

    expected = -np.log(transmission).swapaxes(1, 2)[:, 3:9]
    np.testing.assert_allclose(scan.projections, expected, atol=1e-5)


def test_the_arrays_of_a_zarr_group_are_named_when_there_are_several(tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    group = zarr.open_group(tmp_path / "scan.zarr", mode="w")
    group.create_group("iron")["stack"] = STACK
    group["other"] = 2 * STACK
    group.attrs["angles"] = list(DEGREES)

    scan = read_scan(tmp_path / "scan.zarr", data="/iron/stack")

    np.testing.assert_array_equal(scan.projections, STACK)
    np.testing.assert_allclose(scan.angles, np.deg2rad(DEGREES))
    with pytest.raises(ScanFileError, match=r"in it are other \(8, 10, 12\), iron/stack \(8, 10"):
        read_scan(tmp_path / "scan.zarr")
