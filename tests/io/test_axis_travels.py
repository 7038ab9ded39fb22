"""What leaves the program is sharp in the target program with that program's defaults.

A scan whose axis is 3 columns off the middle is exported with its true shifts, put in place as the
target program documents it, and reconstructed by scikit-image, which has the axis in the middle.
"""

import csv
from dataclasses import replace
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import scipy.ndimage
import tifffile
from skimage.transform import iradon

from napari_tomoalign import ScanGeometry
from napari_tomoalign.io import (
    Scan,
    ShiftsFile,
    apply_shifts,
    export_shifts,
    import_shifts,
    read_scan,
    shifts_for,
    write_aligned,
)

N_ROWS, N_COLUMNS, N_ANGLES = 21, 49, 90  # odd, so that iradon's axis is (n - 1) / 2
MIDDLE = (N_COLUMNS - 1) / 2
CENTER = MIDDLE + 3.0
PIXEL = 2.5  # nm
ANGLES = np.linspace(0, np.pi, N_ANGLES, endpoint=False)
RNG = np.random.default_rng(8)
BLOBS = [(*RNG.uniform(-10, 10, 2), RNG.uniform(-4, 4), RNG.uniform(1.6, 3)) for _ in range(8)]
SHIFTS = RNG.normal(0, 1.5, (N_ANGLES, 2))


TURN = np.deg2rad(7.0)  # of an axis that is not upright, its end at larger rows to the right


def images(center, shifts, turn=0.0):
    """Line integrals of Gaussian blobs, the axis at a column, each image displaced.

    A point z below the middle, on a straight axis, and s beside it comes to z cos - s sin below and
    s cos + z sin beside it where the axis is turned.
    """
    rows, columns = np.arange(N_ROWS) - (N_ROWS - 1) / 2, np.arange(N_COLUMNS)
    stack = np.zeros((N_ANGLES, N_ROWS, N_COLUMNS))
    for x, below, z, size in BLOBS:
        beside = x * np.cos(ANGLES) - below * np.sin(ANGLES)
        at = center + beside * np.cos(turn) + z * np.sin(turn) + shifts[:, 1]
        row = z * np.cos(turn) - beside * np.sin(turn) + shifts[:, 0]
        across = (columns - at[:, None]) ** 2
        along = (rows - row[:, None]) ** 2
        stack += np.exp(-(along[:, :, None] + across[:, None]) / (2 * size**2))
    return stack


def reconstruct(stack):
    """Return the middle slices as scikit-image sees them, the axis vertical and in the middle."""
    middle = range(N_ROWS // 2 - 3, N_ROWS // 2 + 4)
    return np.stack(
        [iradon(stack[:, row].T, np.rad2deg(ANGLES), output_size=N_COLUMNS) for row in middle]
    )


@pytest.fixture(scope="module")
def still():
    return reconstruct(images(MIDDLE, np.zeros((N_ANGLES, 2))))


@pytest.fixture(params=["vertical", "horizontal"])
def case(request):
    """A scan, its images as measured, and its true shifts with the true axis."""
    stack = images(CENTER, SHIFTS).astype(np.float32)
    scan = Scan(stack, ANGLES, pixel_size=PIXEL, pixel_unit="nm", rotation_axis=request.param)
    found = replace(ShiftsFile.given(SHIFTS, scan, Path("true.csv")), center=CENTER)
    return scan, turned(stack, request.param), found


@pytest.fixture(params=["vertical", "horizontal"])
def turned_case(request):
    """The same with an axis that is turned in the images."""
    stack = images(CENTER, SHIFTS, TURN).astype(np.float32)
    scan = Scan(stack, ANGLES, pixel_size=PIXEL, pixel_unit="nm", rotation_axis=request.param)
    given = ShiftsFile.given(SHIFTS, scan, Path("true.csv"))
    found = replace(given, center=CENTER, axis_angle=TURN)
    return scan, turned(stack, request.param), found


def turned(stack, rotation_axis):
    return stack if rotation_axis == "vertical" else stack.swapaxes(1, 2)


def moved(measured, by):
    return np.stack([scipy.ndimage.shift(i, b, order=3) for i, b in zip(measured, by, strict=True)])


def by_csv(path, measured):
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return moved(measured, [[-float(r["shift_row"]), -float(r["shift_column"])] for r in table])


def by_newstack(path, measured):
    """Apply the transforms about the centre of the image, as IMOD's newstack does.

    X' = A11 (X - Xc) + A12 (Y - Yc) + DX + Xc, Y' = A21 (X - Xc) + A22 (Y - Yc) + DY + Yc takes a
    point of the input to its place in the output; X counts columns, Y the lines as stored.
    """
    centre = (np.array(measured.shape[:0:-1]) - 1) / 2
    out = []
    for image, line in zip(measured, np.loadtxt(path), strict=True):
        back = np.linalg.inv(line[:4].reshape(2, 2))
        start = centre - back @ (centre + line[4:])
        out.append(scipy.ndimage.affine_transform(image, back[::-1, ::-1], start[::-1], order=3))
    return np.stack(out)


def by_astra(path, measured):
    """Move the images until the detector's middle is where its vectors say.

    A pixel (row, column) lies at d + (column - middle) u + (row - middle) v, so the ray through the
    volume's middle meets the detector at row and column -d.v and -d.u from its middle.
    """
    vectors = np.load(path)
    d, u, v = (vectors[:, first : first + 3] for first in (3, 6, 9))
    return moved(measured, np.column_stack([np.sum(d * v, axis=1), np.sum(d * u, axis=1)]))


def by_mumott(path, measured):
    """In the default geometry the axis is along k, the second axis of an image (j, k).

    The ray of pixel (j, k) goes through (j + j_offset, k + k_offset) of the model.
    """
    images = measured if measured.shape[2] == N_ROWS else measured.swapaxes(1, 2)
    with np.load(path) as file:
        offsets = np.column_stack([file["j_offsets"], file["k_offsets"]])
    placed = moved(images, offsets)
    return placed if measured.shape[2] == N_ROWS else placed.swapaxes(1, 2)


def by_nxtomo(path, measured):
    """The sample was moved by x to larger columns and by y to smaller rows."""
    with h5py.File(path) as file:
        sample = file["entry/sample"]
        x, y = (sample[name][()] / (PIXEL * 1e-9) for name in ("x_translation", "y_translation"))
    return moved(measured, np.column_stack([y, -x]))


def by_tomopy(path, measured):
    """Pixels are fetched from (r + sx, c + sy); the axis is then where the file says."""
    with np.load(path) as file:
        placed = moved(measured, -np.column_stack([file["sx"], file["sy"]]))
        across = float(file["center"]) - MIDDLE
    by = [0, -across] if measured.shape[2] == N_COLUMNS else [-across, 0]
    return moved(placed, np.tile(by, (N_ANGLES, 1)))


EXPORTS = {
    "out.csv": ("csv", by_csv),
    "out.npy": ("astra", by_astra),
    "out.xf": ("imod", by_newstack),
    "out.nxs": ("nxtomo", by_nxtomo),
    "mumott.npz": ("mumott", by_mumott),
    "tomopy.npz": ("tomopy", by_tomopy),
}


def blur(stack, still):
    return np.linalg.norm(reconstruct(stack) - still) / np.linalg.norm(still)


def test_an_axis_that_is_forgotten_is_seen(still):
    forgotten = moved(images(CENTER, SHIFTS), -SHIFTS)

    assert blur(forgotten, still) > 0.5


@pytest.mark.parametrize("name", EXPORTS)
def test_shifts_for_another_program(tmp_path, case, still, name):
    scan, measured, found = case
    format, apply = EXPORTS[name]
    path = export_shifts(found, tmp_path / name, format=format)

    placed = turned(apply(path, measured), scan.rotation_axis)

    assert blur(placed, still) < 0.02
    back = import_shifts(path, rotation_axis=scan.rotation_axis)
    np.testing.assert_allclose(back, SHIFTS + np.array([0, CENTER - MIDDLE]), atol=1e-5)


def test_an_axis_that_is_turned_is_upright_after_newstack(tmp_path, turned_case, still):
    scan, measured, found = turned_case

    placed = by_newstack(export_shifts(found, tmp_path / "out.xf"), measured)

    assert blur(turned(placed, scan.rotation_axis), still) < 0.02
    assert blur(moved(images(CENTER, SHIFTS, TURN), -SHIFTS - [0, CENTER - MIDDLE]), still) > 0.1


@pytest.mark.parametrize("name", ["a.h5", "a.mrc"])
def test_an_axis_that_is_turned_is_upright_in_an_aligned_stack(tmp_path, turned_case, still, name):
    scan, _, found = turned_case

    aligned = read_scan(
        apply_shifts(found, scan, tmp_path / name), angles=ANGLES, rotation_axis=scan.rotation_axis
    )

    off = MIDDLE - (CENTER if name == "a.h5" else MIDDLE)
    placed = moved(np.asarray(aligned.projections), np.tile([0, off], (N_ANGLES, 1)))
    assert blur(placed, still) < 0.02


def test_rays_of_astra_meet_the_detector_where_points_are_seen(tmp_path, turned_case):
    """A ray through a point P meets the detector where P + t ray = d + a u + b v."""
    scan, _, found = turned_case
    vectors = np.load(export_shifts(found, tmp_path / "out.npy"))
    x, y, z = 5.0, -3.0, 4.0  # columns, rows of a slice, slices from the volume's middle

    ray, d, u, v = (vectors[:, first : first + 3] for first in (0, 3, 6, 9))
    a, b, _ = np.linalg.solve(
        np.stack([u, v, -ray], axis=2), (np.array([x, y, z]) - d)[:, :, None]
    )[:, :, 0].T

    beside = x * np.cos(ANGLES) - y * np.sin(ANGLES)
    column = CENTER - MIDDLE + beside * np.cos(TURN) + z * np.sin(TURN) + SHIFTS[:, 1]
    row = z * np.cos(TURN) - beside * np.sin(TURN) + SHIFTS[:, 0]
    expected = (column, row) if scan.rotation_axis == "vertical" else (row, column)
    np.testing.assert_allclose((a, b), expected, atol=1e-9)


def read_mrc(path):
    with mrcfile.open(path) as file:
        return file.data.copy()


@pytest.mark.parametrize(("suffix", "read"), [(".mrc", read_mrc), (".tif", tifffile.imread)])
def test_aligned_stacks_without_a_place_for_the_axis(tmp_path, case, still, suffix, read):
    scan, _, found = case
    path = apply_shifts(found, scan, tmp_path / f"a{suffix}")
    cropped = apply_shifts(found, scan, tmp_path / f"b{suffix}", crop=True)

    assert blur(turned(read(path), scan.rotation_axis), still) < 0.02
    part = turned(read(cropped), scan.rotation_axis)
    edge = (N_COLUMNS - part.shape[2]) // 2
    assert edge > 0
    assert part.shape[2] == N_COLUMNS - 2 * edge
    whole = turned(read(path), scan.rotation_axis)[..., edge:-edge]
    rows = [row for row in range(N_ROWS) if np.array_equal(whole[0, row], part[0, 0])]
    np.testing.assert_array_equal(whole[:, rows[0] : rows[0] + part.shape[1]], part)


def test_an_aligned_stack_that_says_where_the_axis_is(tmp_path, case, still):
    scan, _, found = case
    path = apply_shifts(found, scan, tmp_path / "aligned.h5", crop=True)

    with h5py.File(path) as file:
        stack = turned(file["exchange/data"][()], scan.rotation_axis)
        center = file["exchange/data"].attrs["rotation_center"]
    rows = np.argmax(stack.sum(axis=(0, 2))) - np.argmax(
        images(MIDDLE, 0 * SHIFTS).sum(axis=(0, 2))
    )
    columns = round(CENTER - center)
    padded = np.zeros((N_ANGLES, N_ROWS, N_COLUMNS))
    padded[:, -rows : stack.shape[1] - rows, columns : columns + stack.shape[2]] = stack
    placed = moved(padded, np.tile([0, MIDDLE - CENTER], (N_ANGLES, 1)))

    assert columns > 0
    assert blur(placed, still) < 0.02


@pytest.mark.parametrize("name", ["out.csv", "out.xf", "tomopy.npz", "mumott.npz", "out.nxs"])
def test_applying_an_export_puts_the_axis_in_the_middle(tmp_path, case, still, name):
    scan, _, found = case
    path = export_shifts(found, tmp_path / name, format=EXPORTS[name][0])

    aligned = read_scan(apply_shifts(path, scan, tmp_path / "aligned.h5"))

    assert shifts_for(path, scan).center == MIDDLE
    assert blur(np.asarray(aligned.projections), still) < 0.02


def test_a_stack_in_memory_whose_axis_cannot_be_said_is_refused(tmp_path, case):
    scan, _, _ = case
    with pytest.raises(ValueError, match=r"column 27 and not in the middle, 24.*apply_shifts"):
        write_aligned(
            tmp_path / "a.mrc", scan.projections, scan, aligned_with="mine", center=CENTER
        )


@pytest.mark.parametrize("tilt", [0.0, 0.2])
@pytest.mark.parametrize("name", ["out.npy", "mumott.npz"])
def test_a_geometry_comes_back_with_the_shifts(tmp_path, turned_case, name, tilt):
    scan, _, found = turned_case
    beside = np.linspace(-0.01, 0.01, N_ANGLES)
    path = tmp_path / name
    export_shifts(replace(found, axis_tilt=tilt, in_plane=beside), path, format=EXPORTS[name][0])

    back = shifts_for(path, scan)

    np.testing.assert_allclose(back.axis_angle + back.in_plane, TURN + beside, atol=1e-9)
    np.testing.assert_allclose(back.axis_tilt, tilt, atol=1e-9)
    np.testing.assert_allclose(back.shifts, found.centred.shifts, atol=1e-9)
    assert back.rotations is None
    with pytest.warns(UserWarning, match="take shifts_for"):
        import_shifts(path, rotation_axis=scan.rotation_axis)


def test_a_geometry_of_more_axes_comes_back_with_the_shifts(tmp_path, turned_case):
    scan, _, found = turned_case
    halves = [ScanGeometry(ANGLES[::2], 1, 1, axis_tilt=tilt) for tilt in (0, 0.3)]
    rotations = np.concatenate([half.orientations for half in halves])
    two = replace(found, axis_angle=0.0, rotations=rotations)

    back = shifts_for(export_shifts(two, tmp_path / "out.npy"), scan)

    np.testing.assert_allclose(back.rotations, rotations, atol=1e-9)
    vectors = np.load(tmp_path / "out.npy")
    vectors[:, 6:9] += 0.1 * vectors[:, 9:]
    np.save(tmp_path / "skew.npy", vectors)
    with pytest.raises(ValueError, match="rectangular"):
        shifts_for(tmp_path / "skew.npy", scan)
