"""Each export is applied in the target program's own way and puts the images in place."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import scipy.ndimage
from io_result import make_result, smooth_stack
from skimage import transform

from napari_tomoalign.images.applying import move
from napari_tomoalign.io import (
    EXPORT_FORMATS,
    ScanFileError,
    export_shifts,
    from_imod,
    from_mumott,
    from_tomopy,
    import_shifts,
    read_shifts,
    shifts_for,
    to_imod,
    to_mumott,
    to_nxtomo,
    to_tomopy,
    write_shifts,
)

SHAPE = (40, 46)
SUFFIX = {
    "astra": ".npy",
    "csv": ".csv",
    "imod": ".xf",
    "mumott": ".npz",
    "nxtomo": ".nxs",
    "tomopy": ".npz",
}


@pytest.fixture(scope="module")
def case():
    result, scan = make_result(shape=SHAPE)
    result = replace(result, center=(SHAPE[1] - 1) / 2)
    rng = np.random.default_rng(0)
    rng.uniform(-3, 3, (6, 2))  # the shifts, as make_result draws them
    return result, scan, smooth_stack(SHAPE, np.zeros((6, 2)), rng)


@pytest.fixture(params=["vertical", "horizontal"])
def stored(tmp_path, request):
    result, scan = make_result(rotation_axis=request.param)
    return read_shifts(write_shifts(tmp_path / "shifts.h5", result, scan)), result


def about_the_middle(result):
    """The shifts as they read with the axis in the middle of 30 columns."""
    return result.shifts + np.array([0, result.center - 14.5])


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_what_goes_out_comes_back(tmp_path, stored, format):
    found, result = stored
    path = tmp_path / f"out{SUFFIX[format]}"

    assert export_shifts(found, path, format=format) == path
    back = import_shifts(path, rotation_axis=found.rotation_axis)

    np.testing.assert_allclose(back, about_the_middle(result), atol=2e-6)


def test_the_shifts_file_itself_can_be_imported(stored):
    found, result = stored

    np.testing.assert_array_equal(import_shifts(found.path), about_the_middle(result))


def test_tomopys_own_function_aligns_with_sx_sy(case):
    pytest.importorskip("tomopy", reason="TomoPy is not installed")
    from tomopy.prep.alignment import shift_images

    result, scan, still = case
    sx, sy = to_tomopy(result.shifts)

    moved = shift_images(scan.projections.copy(), sx, sy)

    inside = np.s_[:, 5:-5, 5:-5]
    np.testing.assert_allclose(moved[inside], still[inside], atol=0.02)  # warp clips at the maximum
    np.testing.assert_array_equal(from_tomopy(sx, sy), result.shifts)


def test_align_joints_warp_aligns_with_sx_sy(case):
    result, scan, still = case
    sx, sy = to_tomopy(result.shifts)

    for m, image in enumerate(scan.projections):
        # the two lines with which align_joint moves an image
        tform = transform.SimilarityTransform(translation=(sy[m], sx[m]))
        moved = transform.warp(image.copy(), tform, order=5)
        np.testing.assert_allclose(moved[5:-5, 5:-5], still[m][5:-5, 5:-5], atol=0.02)


def test_mumotts_documented_ray_positions_see_the_model_in_place(case):
    result, scan, still = case
    j_offsets, k_offsets = to_mumott(result.shifts)

    # john_transform: pixel (j, k) is the ray at (j + j_offset, k + k_offset) of the model
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for m, image in enumerate(scan.projections):
        rays = [rows + j_offsets[m], columns + k_offsets[m]]
        projected = scipy.ndimage.map_coordinates(still[m], rays, order=3)
        np.testing.assert_allclose(projected[5:-5, 5:-5], image[5:-5, 5:-5], atol=3e-3)
    np.testing.assert_array_equal(from_mumott(j_offsets, k_offsets), result.shifts)


def test_mumotts_projector_reproduces_the_displaced_images(case):
    mumott = pytest.importorskip("mumott", reason="mumott is not installed")
    from mumott.methods.projectors import SAXSProjector

    result, scan, still = case
    j_offsets, k_offsets = to_mumott(result.shifts)
    geometry = mumott.Geometry()
    geometry.projection_shape = np.array(SHAPE)
    geometry.volume_shape = np.array([SHAPE[1], 1, SHAPE[0]])
    for m in range(len(result.shifts)):
        geometry.append(
            mumott.core.geometry.GeometryTuple(
                rotation=np.eye(3), j_offset=j_offsets[m], k_offset=k_offsets[m]
            )
        )
    geometry.j_direction_0 = np.array([0.0, 0.0, 1.0])
    geometry.k_direction_0 = np.array([1.0, 0.0, 0.0])
    geometry.p_direction_0 = np.array([0.0, 1.0, 0.0])
    # one sheet of voxels across the beam, so that its projection is the image itself
    volume = still[0].T[:, np.newaxis, :, np.newaxis].astype(np.float64)

    projected = SAXSProjector(geometry).forward(np.ascontiguousarray(volume))[..., 0]

    inside = np.s_[:, 5:-5, 5:-5]
    # its interpolation is linear
    np.testing.assert_allclose(projected[inside], scan.projections[inside], atol=0.06)


@pytest.mark.parametrize("along", ["j", "k"])
def test_a_mumott_data_container_is_imported(tmp_path, along):
    shifts = np.random.default_rng(2).normal(size=(11, 2))
    j_offsets, k_offsets = to_mumott(shifts, rows=along)
    assert np.array_equal(j_offsets if along == "j" else k_offsets, -shifts[:, 0])
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for index in range(11):  # '10' must not come before '2'
            file[f"projections/{index}/j_offset"] = j_offsets[index]
            file[f"projections/{index}/k_offset"] = [k_offsets[index]]
            if along == "j":  # else as in mumott's default geometry, whose j is x and k is z
                file[f"projections/{index}/inner_axis"] = [1.0, 0, 0]

    np.testing.assert_allclose(import_shifts(tmp_path / "data.h5"), shifts)


def newstack(image, transform_line):
    """Apply a line of an .xf file as IMOD documents it, about the centre of the image.

    X' = A11 (X - Xc) + A12 (Y - Yc) + DX + Xc, Y' = A21 (X - Xc) + A22 (Y - Yc) + DY + Yc takes a
    point of the input to its place in the output; X counts columns, Y the lines as stored.
    """
    matrix, offset = transform_line[:4].reshape(2, 2), transform_line[4:]
    n_rows, n_columns = image.shape
    centre = np.array([n_columns / 2, n_rows / 2])
    y, x = np.mgrid[:n_rows, :n_columns] + 0.5  # pixel centres
    places = np.stack([x.ravel(), y.ravel()]) - (offset + centre)[:, np.newaxis]
    sources = np.linalg.solve(matrix, places) + centre[:, np.newaxis] - 0.5
    return scipy.ndimage.map_coordinates(image, sources[::-1], order=3).reshape(image.shape)


def test_imods_documented_transform_aligns(tmp_path, case):
    result, scan, still = case
    found = read_shifts(write_shifts(tmp_path / "shifts.h5", result, scan))

    lines = np.loadtxt(export_shifts(found, tmp_path / "scan.xf"))

    assert lines.shape == (6, 6)
    for line, image, expected in zip(lines, scan.projections, still, strict=True):
        moved = newstack(image, line)
        np.testing.assert_allclose(moved[5:-5, 5:-5], expected[5:-5, 5:-5], atol=3e-3)
    np.testing.assert_allclose(from_imod(to_imod(result.shifts)), result.shifts)


@pytest.mark.parametrize("rotation_axis", ["vertical", "horizontal"])
def test_a_turn_in_imods_transforms_is_read(tmp_path, rotation_axis):
    """Truth from IMOD's own words: its transforms, applied, and ours, read from them, agree."""
    rng = np.random.default_rng(3)
    _, scan = make_result(shape=SHAPE, rotation_axis=rotation_axis)
    turns = np.deg2rad(12 + rng.uniform(-1, 1, 6))
    matrices = [np.cos(turns), -np.sin(turns), np.sin(turns), np.cos(turns)]
    lines = np.column_stack([*matrices, rng.uniform(-3, 3, (6, 2))])
    np.savetxt(tmp_path / "scan.xf", lines)

    found = shifts_for(tmp_path / "scan.xf", scan)

    assert abs(np.rad2deg(found.axis_angle)) == pytest.approx(12, abs=0.5)
    moved = move(scan.projections, found.shifts, turning=found.geometry.turning())
    if rotation_axis == "horizontal":  # as it was measured, which is what IMOD sees
        moved = moved.swapaxes(1, 2)
    for line, image, ours in zip(lines, scan.projections, moved, strict=True):
        image = image.T if rotation_axis == "horizontal" else image
        np.testing.assert_allclose(ours[9:-9, 9:-9], newstack(image, line)[9:-9, 9:-9], atol=5e-3)


def test_nxtomo_translations_say_where_the_sample_went(case):
    result, scan, still = case
    x, y = to_nxtomo(result.shifts, pixel_size=2e-6)

    # x to the right (larger column), y up (smaller row), in metres
    for m, image in enumerate(scan.projections):
        moved = scipy.ndimage.shift(still[m], (-y[m] / 2e-6, x[m] / 2e-6), order=3)
        np.testing.assert_allclose(moved[5:-5, 5:-5], image[5:-5, 5:-5], atol=3e-3)


def test_nxtomo_is_in_metres_and_degrees(tmp_path, stored):
    found, result = stored
    shifts = about_the_middle(result)
    rows, columns = shifts.T if found.rotation_axis == "vertical" else shifts[:, ::-1].T
    with h5py.File(export_shifts(found, tmp_path / "out.nxs")) as file:
        sample = file["/entry/sample"]
        np.testing.assert_allclose(sample["x_translation"][()], columns * 3.5e-9)
        np.testing.assert_allclose(sample["y_translation"][()], -rows * 3.5e-9)
        assert sample["x_translation"].attrs["units"] == "m"
        np.testing.assert_allclose(sample["rotation_angle"][()], np.rad2deg(found.angles))


def test_the_csv_explains_itself(tmp_path, stored):
    found, result = stored
    rows = about_the_middle(result)[:, 0 if found.rotation_axis == "vertical" else 1]

    lines = export_shifts(found, tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()

    assert lines[0].startswith("# how far each measured image is displaced")
    assert lines[1] == (
        "projection,angle_degrees,shift_row,shift_column,error_row,error_column,confidence"
    )
    assert float(lines[3].split(",")[2]) == pytest.approx(rows[1], abs=1e-9)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "row,column\n1,2\n", r"no column 'shift_row'; expected a header line with"),
        ("a.csv", "shift_row,shift_column\n1,x\n", "is no table of shifts"),
        ("a.csv", "shift_row,shift_column\n1\n", "is no table of shifts"),
        ("a.csv", "shift_row,shift_column\n1,nan\n", "shifts that are not finite"),
        ("a.xf", "1 0 0 1 2\n", r"no \.xf file of shifts: expected 6 numbers a line"),
        ("a.xf", "1.1 0 0 1.1 2 3\n", r"1 of 1 transforms stretch or mirror the image"),
        ("a.xf", "one two\n", r"no \.xf file of shifts"),
    ],
)
def test_a_bad_file_of_shifts(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ScanFileError, match=message):
        import_shifts(tmp_path / name)


def test_unknown_formats_and_missing_files(tmp_path, stored):
    found, _ = stored
    (tmp_path / "a.dat").write_text("1 2", encoding="utf-8")

    with pytest.raises(ValueError, match="known are astra, csv, imod, mumott, nxtomo, tomopy"):
        import_shifts(tmp_path / "a.dat")
    with pytest.raises(ValueError, match="known are astra, csv, imod, mumott, nxtomo, tomopy"):
        export_shifts(found, tmp_path / "b.dat")
    with pytest.raises(FileNotFoundError, match="there is no file of shifts at"):
        import_shifts(tmp_path / "none.csv")


def test_nxtomo_without_a_pixel_size_is_refused(tmp_path):
    result, _ = make_result()
    found = read_shifts(write_shifts(tmp_path / "shifts.h5", result))

    with pytest.raises(ValueError, match="NXtomo has translations in metres, but the pixel size"):
        export_shifts(found, tmp_path / "out.nxs")

    assert not (tmp_path / "out.nxs").exists()
