"""Numbers that cannot be: left out where a scan is as good without them, else refused by name."""

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile

from napari_tomoalign import align
from napari_tomoalign.cli import main
from napari_tomoalign.io import ScanFileError, read_scan, write_scan
from napari_tomoalign.simulation import simulate

STACK = np.random.default_rng(2).uniform(0.5, 1, (6, 8, 10)).astype(np.float32)
DEGREES = np.arange(6) * 30.0
SENSELESS = [np.nan, -3.0, np.inf]


def data_exchange(path, size):
    with h5py.File(path, "w") as file:
        file["exchange/data"], file["exchange/theta"] = STACK, DEGREES
        file["measurement/instrument/detector/pixel_size"] = size


def own_file(path, size):
    write_scan(path, STACK, np.deg2rad(DEGREES))
    with h5py.File(path, "a") as file:
        file["exchange/data"].attrs["pixel_size"] = size


def nexus(path, size, shifts=None):
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector["data"], detector["image_key"] = STACK, np.zeros(6, int)
        detector["x_pixel_size"] = size
        file["entry/sample/rotation_angle"] = DEGREES
        if shifts is not None:
            file["entry/sample/x_translation"] = shifts


def mrc(path, size):
    with mrcfile.new(path, data=STACK) as file:
        file.voxel_size = size


def ome(path, size):
    metadata = {"axes": "ZYX", "PhysicalSizeX": size, "PhysicalSizeXUnit": "um"}
    tifffile.imwrite(path, STACK, ome=True, metadata=metadata)


@pytest.mark.parametrize("size", SENSELESS)
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.h5", data_exchange),
        ("own.h5", own_file),
        ("a.nxs", nexus),
        ("a.mrc", mrc),
        ("a.ome.tif", ome),
    ],
)
def test_a_pixel_size_that_is_no_length_is_left_out_and_named(tmp_path, name, write, size):
    write(tmp_path / name, size)
    scan = read_scan(tmp_path / name, angles=np.deg2rad(DEGREES), lazy=True)
    assert scan.pixel_size is None
    assert "pixel_size" not in scan.source
    assert any("is no length: none is known" in line for line in scan.remarks)


@pytest.mark.parametrize(("name", "write"), [("a.h5", data_exchange), ("a.nxs", nexus)])
def test_a_pixel_size_of_0_or_a_word_is_none(tmp_path, name, write):
    for size in (0.0, "unknown"):
        write(tmp_path / name, size)
        scan = read_scan(tmp_path / name, lazy=True)
        assert scan.pixel_size is None
        assert not any("pixel size" in line for line in scan.remarks)


@pytest.mark.parametrize("size", [*SENSELESS, 0.0])
def test_no_file_is_written_with_such_a_pixel_size(tmp_path, size):
    with pytest.raises(ValueError, match="pixel_size must be a length above 0"):
        write_scan(tmp_path / "a.h5", STACK, np.deg2rad(DEGREES), pixel_size=size)
    assert list(tmp_path.iterdir()) == []


def test_translations_that_are_no_numbers_are_no_start(tmp_path):
    nexus(tmp_path / "a.nxs", 1e-6, shifts=[1e-6, np.nan, 0, 0, 0, 0])
    scan = read_scan(tmp_path / "a.nxs", lazy=True)
    assert scan.initial_shifts is None
    said = "no numbers for 1 of 6 projections, the first is 1: they are not used as a start"
    assert any(said in line for line in scan.remarks)


def test_channel_names_of_another_number(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exchange/data"], file["exchange/theta"] = np.stack([STACK] * 3, axis=-1), DEGREES
        file["exchange/elements"] = np.array([b"Fe", b"Zn"])
    scan = read_scan(tmp_path / "a.h5", lazy=True)
    assert scan.channels == ()
    assert any("names 2 channels, Fe, Zn, and has 3" in line for line in scan.remarks)


def test_complex_angles(tmp_path):
    turned = np.deg2rad(DEGREES) + 0j
    np.savez(tmp_path / "a.npz", projections=STACK, angles=turned)
    np.save(tmp_path / "angles.npy", turned)
    np.save(tmp_path / "a.npy", STACK)
    for path, angles in (("a.npz", None), ("a.npy", tmp_path / "angles.npy"), ("a.npy", turned)):
        with pytest.raises(ScanFileError, match="angles must be real numbers, got complex ones"):
            read_scan(tmp_path / path, angles=angles)
    with pytest.raises(TypeError, match="angles must be real numbers"):
        align(STACK, turned, backend="builtin", progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binning": np.nan}, "binning must be a whole number of at least 1, got nan"),
        ({"binning": np.inf}, "binning must be a whole number of at least 1, got inf"),
        ({"rows": (np.nan, 4)}, "rows must be .start, stop. with 0 <= start < stop <= 8"),
        ({"background": np.nan}, "background must be a finite number of counts, got nan"),
        ({"channels": ()}, "channels names none"),
        ({"first_last": (0.0, np.inf)}, "first_last must be two finite angles"),
    ],
)
def test_options_that_are_no_numbers(tmp_path, options, message):
    np.save(tmp_path / "a.npy", np.stack([STACK] * 2, axis=-1))
    with pytest.raises(ValueError, match=message):
        read_scan(tmp_path / "a.npy", **{"first_last": (0.0, 150.0), **options})


@pytest.mark.usefixtures("blank_picture")
def test_a_simulated_scan_of_one_row_is_aligned(tmp_path, capsys):
    scan, run = tmp_path / "row.h5", tmp_path / "run"
    words = ["--n-rows", "1", "--size", "48", "--n-angles", "40", "--jitter", "2", "--drift", "0"]
    assert main(["simulate", "-o", str(scan), *words]) == 0
    assert simulate(32, 24, n_rows=1).shifts[:, 0].tolist() == [0.0] * 24
    assert main(["align", str(scan), "-o", str(run), "--backend", "builtin", "--json"]) in (0, 3)
    assert '"error_to_truth": 0.' in capsys.readouterr().out


@pytest.mark.parametrize("word", ["inf", "nan", "-1"])
def test_the_command_names_what_cannot_be_simulated(tmp_path, capsys, word):
    assert main(["simulate", "-o", str(tmp_path / "a.h5"), "--noise", word]) == 2
    assert "noise must be at least 0 and finite" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
