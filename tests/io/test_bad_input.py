"""Bad input gets a message that says what to do, and leaves nothing half written."""

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from small_stack import ANGLES, STACK

from napari_tomoalign.io import (
    ScanFileError,
    can_read,
    read_scan,
    write_scan,
)


def shorten(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def a_file(folder, kind):
    path = folder / f"scan{kind}"
    if kind == ".h5":
        write_scan(path, STACK, ANGLES)
    elif kind == ".mrc":
        with mrcfile.new(path, data=STACK):
            pass
    elif kind == ".tif":
        tifffile.imwrite(path, STACK, photometric="minisblack")
    elif kind == ".npy":
        np.save(path, STACK)
    else:
        np.savez(path, projections=STACK)
    return path


KINDS = (".h5", ".mrc", ".tif", ".npy", ".npz")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file(tmp_path, kind):
    path = a_file(tmp_path, kind)
    shorten(path)

    with pytest.raises(ScanFileError, match=r"truncated"):
        read_scan(path, first_last=(0, 90))


@pytest.mark.parametrize("kind", KINDS)
def test_empty_file(tmp_path, kind):
    path = tmp_path / f"scan{kind}"
    path.touch()

    assert not can_read(path)
    with pytest.raises(ScanFileError, match=r"scan\.\w+ is empty \(0 bytes\); copy it again"):
        read_scan(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_what_its_name_says(tmp_path, kind):
    path = tmp_path / f"scan{kind}"
    path.write_text("a letter, not a scan " * 100, encoding="utf-8")

    assert not can_read(path)
    with pytest.raises(ScanFileError, match="of no format known here, by its content; known are"):
        read_scan(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder at"):
        read_scan(tmp_path / "nothing.h5")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ScanFileError, match="of no format known here"):
        read_scan(tmp_path)


def test_a_folder_of_scans_and_of_a_run(tmp_path):
    for name in ("one", "two"):
        a_file(tmp_path, ".h5").rename(tmp_path / f"{name}.h5")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(ScanFileError, match=r"2 of its files may be: one.h5, two.h5; give one"):
        read_scan(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    with h5py.File(run / "shifts.h5", "w") as file:
        file.attrs["format"] = "napari-tomoalign shifts"
    with pytest.raises(ScanFileError, match=r"run is the folder of a run .* give the scan"):
        read_scan(run)
    with pytest.raises(ScanFileError, match=r"is a shifts file of this program and holds no imag"):
        read_scan(run / "shifts.h5")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_angles(tmp_path, kind):
    path = a_file(tmp_path, kind)
    if kind == ".h5":
        with h5py.File(path, "a") as file:
            del file["/exchange/theta"]

    with pytest.raises(ScanFileError, match=r"has no angles.*--angles FILE.*--first-last 0 180"):
        read_scan(path)


def test_angles_in_a_file_that_are_no_numbers(tmp_path):
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["exchange/data"] = STACK
        file["exchange/theta"] = ["a"] * len(STACK)
    with pytest.raises(ScanFileError, match=r"scan\.h5: /exchange/theta: angles must be numbers"):
        read_scan(path)


@pytest.mark.parametrize("count", [7, 9])
def test_wrong_number_of_angles(tmp_path, count):
    with pytest.raises(ScanFileError, match=f"has 8 projections but {count} angles came from"):
        read_scan(a_file(tmp_path, ".npy"), angles=np.zeros(count))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no angles; expected one angle a line"),
        ("1\n2\nthree\n", r"line 3: expected an angle, got 'three'"),
        ("0\nnan\n", r"1 of 2 angles are not finite, the first at index 1"),
    ],
)
def test_a_bad_file_of_angles(tmp_path, text, message):
    (tmp_path / "angles.txt").write_text(text, encoding="utf-8")

    with pytest.raises(ScanFileError, match=message):
        read_scan(a_file(tmp_path, ".npy"), angles=tmp_path / "angles.txt")


def test_a_missing_file_of_angles(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file of angles at"):
        read_scan(a_file(tmp_path, ".npy"), angles=tmp_path / "angles.txt")


def test_angles_given_twice(tmp_path):
    with pytest.raises(ValueError, match="both angles and first_last were given"):
        read_scan(a_file(tmp_path, ".npy"), angles=ANGLES, first_last=(0, 180))


@pytest.mark.parametrize("shape", [(8,), (8, 10), (2, 8, 10, 12, 3)])
def test_a_stack_of_wrong_shape(tmp_path, shape):
    np.save(tmp_path / "scan.npy", np.zeros(shape))

    with pytest.raises(ScanFileError, match=r"expected \(n_angles, n_rows, n_columns\)"):
        read_scan(tmp_path / "scan.npy", first_last=(0, 90))


def test_complex_values_and_python_objects(tmp_path):
    np.save(tmp_path / "complex.npy", STACK.astype(complex))
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)

    with pytest.raises(ScanFileError, match="complex128, expected real numbers"):
        read_scan(tmp_path / "complex.npy", first_last=(0, 90))
    with pytest.raises(ScanFileError, match="cannot be read as a NumPy file"):
        read_scan(tmp_path / "objects.npy", first_last=(0, 90))


def test_images_of_unequal_size(tmp_path):
    for index, size in enumerate((10, 10, 11)):
        tifffile.imwrite(tmp_path / f"image{index}.tif", np.zeros((size, 12), np.uint16))
    with tifffile.TiffWriter(tmp_path / "stack.tif") as file:
        for size in (10, 11):
            file.write(np.zeros((size, 12), np.uint16))
    stack = (tmp_path / "stack.tif").rename(tmp_path.parent / f"{tmp_path.name}_stack.tif")

    with pytest.raises(ScanFileError, match=r"image2\.tif is an image of \(11, 12\).*unequal"):
        read_scan(tmp_path, first_last=(0, 90))
    with pytest.raises(ScanFileError, match="holds images of unequal size"):
        read_scan(stack, first_last=(0, 90))


def test_colour_images_and_single_images(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((4, 10, 12, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "one.tif", np.zeros((10, 12), np.uint8))

    with pytest.raises(ScanFileError, match="colour images"):
        read_scan(tmp_path / "rgb.tif")
    with pytest.raises(ScanFileError, match=r"one image of 10 x 12 pixels.*give the folder"):
        read_scan(tmp_path / "one.tif")


def test_a_damaged_image_in_a_folder(tmp_path):
    for index in range(3):
        tifffile.imwrite(tmp_path / f"image{index}.tif", np.zeros((10, 12), np.uint16))
    shorten(tmp_path / "image1.tif")

    with pytest.raises(ScanFileError, match=r"image1\.tif"):
        read_scan(tmp_path, first_last=(0, 90))


def test_hdf5_of_unknown_layout_says_what_is_in_it(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["/entry/measured"] = STACK
        file["/entry/phi"] = ANGLES

    with pytest.raises(ScanFileError) as caught:
        read_scan(tmp_path / "scan.h5")

    message = str(caught.value)
    assert "/entry/measured (8, 10, 12) float32" in message
    assert "/entry/phi (8,) float64" in message
    assert "--data /entry/measured --angles /entry/phi" in message


def test_hdf5_dataset_that_is_not_there(tmp_path):
    path = a_file(tmp_path, ".h5")

    with pytest.raises(ScanFileError, match=r"no dataset '/entry/x'; 3-D datasets in it: "):
        read_scan(path, data="/entry/x")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("Can't read data (required filter 'blosc' is not registered)", "pip install hdf5plugin"),
        ("Can't read data (inflate() failed)", "truncated or damaged, copy it again"),
    ],
)
def test_frames_that_cannot_be_decoded(tmp_path, monkeypatch, error, remedy):
    path = a_file(tmp_path, ".h5")
    scan = read_scan(path, lazy=True)

    def fail(*_):
        raise OSError(error)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)

    with pytest.raises(ScanFileError, match=rf"frames 3 to 3 cannot be read: .*{remedy}"):
        scan.projections[3]


def test_fields_of_another_shape(tmp_path):
    path = write_scan(tmp_path / "scan.h5", STACK, ANGLES, white=np.ones((2, 10, 11)))

    with pytest.raises(ScanFileError, match=r"data_white has shape \(2, 10, 11\), expected "):
        read_scan(path)


def test_channels_that_do_not_belong_together(tmp_path):
    np.save(tmp_path / "a.npy", STACK)
    np.save(tmp_path / "b.npy", STACK[:, :-1])

    with pytest.raises(ScanFileError, match=r"b\.npy has shape \(8, 9, 12\), expected \(8, 10, 12"):
        read_scan([tmp_path / "a.npy", tmp_path / "b.npy"], first_last=(0, 90))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binning": 0}, "binning must be a whole number of at least 1, got 0"),
        ({"binning": 11}, r"binning 11 leaves nothing of images of \(10, 12\) pixels"),
        ({"rows": (5, 5)}, r"rows must be \(start, stop\)"),
        ({"rotation_axis": "up"}, "rotation_axis must be 'vertical' or 'horizontal', got 'up'"),
        ({"background": "black"}, "background must be a number, 'auto' or None, got 'black'"),
        ({"channels": [0]}, "the scan has one channel only"),
    ],
)
def test_impossible_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read_scan(a_file(tmp_path, ".npy"), first_last=(0, 90), **options)


def test_zarr_without_the_package_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "scan.zarr").mkdir()
    (tmp_path / "scan.zarr" / "zarr.json").write_text("{}", encoding="utf-8")
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)

    with pytest.raises(ScanFileError, match=r"pip install 'napari-tomoalign\[zarr\]'"):
        read_scan(tmp_path / "scan.zarr")
