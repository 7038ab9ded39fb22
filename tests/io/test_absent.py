"""Data that are not all there are named; sizes are compared with the file before reading."""

import time
import zipfile

import h5py
import numpy as np
import pytest
import tifffile

from napari_tomoalign.cli import main
from napari_tomoalign.io import ScanFileError, limits, read_scan
from napari_tomoalign.io.limits import require_memory

STACK = np.random.default_rng(6).random((6, 8, 10)).astype(np.float32)
DEGREES = np.arange(6) * 30.0
ANGLES = np.deg2rad(DEGREES)


def virtual(folder, names):
    layout = h5py.VirtualLayout((len(names), 8, 10), "f4")
    for index, name in enumerate(names):
        with h5py.File(folder / name, "w") as file:
            file["image"] = STACK[index]
        layout[index] = h5py.VirtualSource(name, "image", (8, 10))
    with h5py.File(folder / "scan.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", layout)
        file["exchange/theta"] = DEGREES[: len(names)]
    return folder / "scan.h5"


def test_a_virtual_dataset_whose_files_are_there_is_read(tmp_path):
    path = virtual(tmp_path, [f"frame{index}.h5" for index in range(6)])

    np.testing.assert_array_equal(read_scan(path).projections, STACK)


def test_a_virtual_dataset_with_a_missing_file_is_refused(tmp_path):
    path = virtual(tmp_path, [f"frame{index}.h5" for index in range(6)])
    (tmp_path / "frame3.h5").unlink()

    with pytest.raises(ScanFileError, match=r"put together from frame3\.h5, and that is no file"):
        read_scan(path)


def test_external_raw_data_that_are_missing_are_named(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset(
            "exchange/data", (6, 8, 10), "f4", external=[(tmp_path / "raw.bin", 0, STACK.nbytes)]
        )
        file["exchange/theta"] = DEGREES
    with pytest.raises(ScanFileError, match=r"put together from .*raw\.bin, and that is no file"):
        read_scan(tmp_path / "scan.h5")
    (tmp_path / "raw.bin").write_bytes(STACK.tobytes())

    np.testing.assert_array_equal(read_scan(tmp_path / "scan.h5").projections, STACK)


@pytest.mark.parametrize("chunks", [(1, 8, 10), (2, 4, 10)])
def test_frames_that_were_never_written_have_no_weight(tmp_path, chunks, capsys):
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", (6, 8, 10), "f4", chunks=chunks)
        data[:2], data[4:] = STACK[:2], STACK[4:]
        file["exchange/theta"] = DEGREES

    scan = read_scan(path)

    np.testing.assert_array_equal(np.flatnonzero((scan.weights == 0).all(axis=(1, 2))), [2, 3])
    np.testing.assert_array_equal(scan.projections[[0, 1, 4, 5]], STACK[[0, 1, 4, 5]])
    assert any("2 frames never written, or not whole: 2-3" in r for r in scan.remarks)
    assert main(["info", str(path)]) == 0
    assert "2-3; weight 0" in capsys.readouterr().out


def test_a_dataset_without_any_frame_is_refused(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("exchange/data", (6, 8, 10), "f4", chunks=(1, 8, 10))
        file["exchange/theta"] = DEGREES

    with pytest.raises(ScanFileError, match="data was never written"):
        read_scan(tmp_path / "scan.h5")


def test_a_tiff_stack_that_is_cut_between_its_pages(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for image in STACK:
            writer.write(image, contiguous=False)
    np.testing.assert_array_equal(read_scan(path, angles=ANGLES).projections, STACK)
    with tifffile.TiffFile(path) as file:
        cut = file.pages[4].offset
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(ScanFileError, match=r"stack\.tif is truncated or damaged: .*page offset"):
        read_scan(path, angles=ANGLES[:4])


def zipped_zeros(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "exchange/data", data=np.zeros((40, 1024, 1024), "u2"), chunks=(40, 1024, 1024),
            compression="gzip", compression_opts=9,
        )  # fmt: skip
        file["exchange/theta"] = np.arange(40.0)


def many_flats(path):
    with h5py.File(path, "w") as file:
        file["exchange/data"], file["exchange/theta"] = STACK, DEGREES
        file.create_dataset(
            "exchange/data_white", (10**7, 8, 10), "u2", chunks=(10**5, 8, 10), compression="gzip"
        )[:10] = 1


def tiff_of_zeros(path):
    image = np.zeros((6000, 6000), "u2")
    stack = np.stack([image, image])
    tifffile.imwrite(path, stack, compression="zlib", photometric="minisblack", rowsperstrip=6000)


def npz_of_zeros(path):
    zipped = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with zipped, zipped.open("projections.npy", "w") as member:
        np.lib.format.write_array(member, np.zeros((20, 2000, 1000), "f4"))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("zeros.h5", zipped_zeros),
        ("flats.h5", many_flats),
        ("zeros.tif", tiff_of_zeros),
        ("zeros.npz", npz_of_zeros),
    ],
)
def test_what_would_swell_is_asked_about(tmp_path, name, make):
    make(tmp_path / name)
    begin = time.perf_counter()

    with pytest.raises(ScanFileError, match=rf"{name}.*inflate=True \(--inflate\)"):
        read_scan(tmp_path / name, first_last=(0, 90))

    assert time.perf_counter() - begin < 2


def test_what_was_asked_about_is_read(tmp_path):
    zipped_zeros(tmp_path / "zeros.h5")

    scan = read_scan(tmp_path / "zeros.h5", inflate=True, lazy=True)

    assert scan.projections[3, :2].max() == 0


def test_what_does_not_fit_into_memory_is_said_before_reading(tmp_path, monkeypatch):
    np.save(tmp_path / "scan.npy", STACK)
    monkeypatch.setattr(limits, "free_memory", lambda: 1000)

    with pytest.raises(ScanFileError, match=r"scan\.npy needs .* GB of memory .* --binning"):
        read_scan(tmp_path / "scan.npy", angles=ANGLES)


def test_the_memory_of_this_machine_is_known():
    free = limits.free_memory()

    assert free is None or free > 10**6
    require_memory(1, "a byte")
