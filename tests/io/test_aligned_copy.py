"""Shifts are applied once, with the right sign, to channels, binnings and scans of any size."""

import io
from dataclasses import replace

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from io_result import make_result, smooth_stack

from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.applying import common_view, fourier_shift_stack, move
from napari_tomoalign.io import (
    apply_shifts,
    read_scan,
    read_shifts,
    write_aligned,
    write_result,
    write_scan,
    write_shifts,
    write_volume,
)

SHAPE = (40, 46)


@pytest.fixture(scope="module")
def case():
    """True shifts, the displaced images, and the images as they would be in place."""
    result, scan = make_result(shape=SHAPE)
    result = replace(result, center=(SHAPE[1] - 1) / 2)  # else no stack but HDF5 is `still`
    rng = np.random.default_rng(0)
    rng.uniform(-3, 3, (6, 2))  # the shifts, as make_result draws them
    still = smooth_stack(SHAPE, np.zeros((6, 2)), rng)
    return result, scan, still


@pytest.mark.parametrize("order", [3, "fourier"])
def test_moving_by_minus_the_shifts_puts_the_images_in_place(case, order):
    result, scan, still = case
    before = scan.projections.copy()

    moved = result.apply(scan.projections, order=order)

    assert np.abs(scan.projections - still).max() > 0.2
    np.testing.assert_allclose(moved, still, atol=3e-3)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(scan.projections, before)


@pytest.mark.parametrize("order", [3, "fourier"])
def test_channels_are_moved_one_by_one(case, order):
    result, scan, _ = case
    channels = np.stack([scan.projections, 2 * scan.projections], axis=-1)

    moved = result.apply(channels, order=order)

    single = result.apply(scan.projections, order=order)
    np.testing.assert_allclose(moved[..., 0], single, atol=1e-6)
    np.testing.assert_allclose(moved[..., 1], 2 * single, atol=1e-5)


def test_another_binning_is_rescaled(case):
    result, scan, still = case
    binned = scan.projections.reshape(6, 20, 2, 23, 2).mean(axis=(2, 4))
    expected = still.reshape(6, 20, 2, 23, 2).mean(axis=(2, 4))

    np.testing.assert_allclose(result.apply(binned), expected, atol=1e-2)
    with pytest.raises(ValueError, match="of 46 columns, these have 30, and no binning explains"):
        result.apply(scan.projections[:, :, :30])


@pytest.mark.parametrize("order", [3, "fourier"])
def test_edges_are_continued_and_nothing_wraps_round(order):
    ramp = np.broadcast_to(np.linspace(100.0, 200.0, 50), (2, 40, 50))
    shifts = np.array([[7.3, 12.6], [-6.4, -11.2]])

    moved = move(ramp, shifts, order=order)

    columns = np.clip(np.arange(50) + shifts[:, 1, np.newaxis], 0, 49)
    expected = 100 + columns * (100 / 49)
    inside = np.s_[:, 3:-3, 3:-3]
    np.testing.assert_allclose(
        moved[inside], np.broadcast_to(expected[:, np.newaxis], moved.shape)[inside], atol=1.5
    )
    assert moved.min() >= 99
    assert moved.max() <= 201


@pytest.mark.parametrize("shape", [(31, 44), (44, 31), (2, 40), (1, 25)])
def test_fourier_shift_of_any_size(shape):
    rng = np.random.default_rng(1)
    stack = smooth_stack((64, 64), [(0, 0)], rng)[:, 20 : 20 + shape[0], 10 : 10 + shape[1]]

    np.testing.assert_allclose(fourier_shift_stack(stack, np.zeros((1, 2))), stack, atol=1e-6)
    whole = fourier_shift_stack(stack, np.array([[0.0, 3.0]]))
    np.testing.assert_allclose(whole[:, :, 3:], stack[:, :, :-3], atol=1e-6)


def test_fourier_is_at_least_as_exact_as_the_spline(case):
    result, scan, still = case

    spline = np.abs(result.apply(scan.projections) - still).max()
    fourier = np.abs(result.apply(scan.projections, order="fourier") - still).max()

    assert fourier < max(spline, 1e-3)


def test_the_common_field_of_view(case):
    result, scan, _ = case
    shifts = result.shifts

    cropped = result.apply(scan.projections, crop=True)

    rows, columns = common_view(shifts, SHAPE)
    np.testing.assert_array_equal(cropped, result.apply(scan.projections)[:, rows, columns])
    # every pixel that is left comes from inside every image, and no more could be kept
    for axis, view in enumerate((rows, columns)):
        assert view.start + shifts[:, axis].min() >= 0
        assert view.start - 1 + shifts[:, axis].min() < 0
        assert view.stop - 1 + shifts[:, axis].max() <= SHAPE[axis] - 1
        assert view.stop + shifts[:, axis].max() > SHAPE[axis] - 1


def test_no_common_field_of_view_is_an_error():
    shifts = np.array([[0.0, 20.0], [0.0, -20.0]])

    with pytest.raises(ValueError, match="no field of view in common"):
        move(np.zeros((2, 30, 30)), shifts, crop=True)


@pytest.mark.parametrize("order", [0, 5, True, "spline"])
def test_unknown_interpolation(case, order):
    result, scan, _ = case

    with pytest.raises(ValueError, match=r"order must be 3 \(cubic spline\) or 'fourier', got"):
        result.apply(scan.projections, order=order)


def test_shapes_that_do_not_fit(case):
    result, scan, _ = case

    with pytest.raises(ValueError, match=r"shape \(5, 40, 46\) and shifts of shape \(6, 2\)"):
        result.apply(scan.projections[:5])


@pytest.mark.parametrize("suffix", [".h5", ".tif", ".mrc"])
@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("blocks", ["one", "many"])
def test_apply_to_a_file(tmp_path, monkeypatch, case, suffix, axis, blocks):
    result, scan, still = case
    if blocks == "many":
        monkeypatch.setattr("napari_tomoalign.io.lazy.blocks_of.__defaults__", (4 * 40 * 46 * 2,))
    scan = replace(scan, rotation_axis=axis)
    turn = (lambda a: a) if axis == "vertical" else (lambda a: a.swapaxes(1, 2))
    path = write_scan(tmp_path / "scan.h5", turn(scan.projections), scan.angles)
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    out = apply_shifts(shifts, path, tmp_path / f"aligned{suffix}")

    stored = raw_values(out)
    np.testing.assert_allclose(stored, turn(still), atol=3e-3)
    again = read_scan(out, rotation_axis=axis, background=None)
    np.testing.assert_allclose(again.projections, still, atol=3e-3)
    np.testing.assert_allclose(again.angles, scan.angles, atol=1e-6)
    assert "shifts.h5" in again.source["aligned"]
    assert "cubic spline" in again.source["aligned"]
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"is aligned already .* apply them to the original scan"):
        apply_shifts(shifts, out, tmp_path / "twice.h5", check=False)
    assert not (tmp_path / "twice.h5").exists()
    assert out.read_bytes() == before


def raw_values(path):
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["/exchange/data"][()]
    if path.suffix == ".tif":
        return tifffile.imread(path)
    with mrcfile.open(path) as file:
        return file.data.copy()


def test_apply_crops_and_states_the_centre(tmp_path, case):
    result, scan, still = case
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    out = apply_shifts(shifts, path, tmp_path / "aligned.h5", crop=True, order="fourier")

    rows, columns = common_view(result.shifts, SHAPE)
    np.testing.assert_allclose(raw_values(out), still[:, rows, columns], atol=3e-3)
    with h5py.File(out) as file:
        attributes = dict(file["/exchange/data"].attrs)
    assert attributes["rotation_center"] == pytest.approx(result.center - columns.start)
    assert "Fourier" in attributes["aligned_with"]


def test_apply_to_sibling_channels_in_one_file(tmp_path, case):
    result, scan, still = case
    channels = np.stack([scan.projections, 3 * scan.projections], axis=-1)
    path = write_scan(tmp_path / "scan.h5", channels, scan.angles)
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    out = apply_shifts(shifts, path, tmp_path / "aligned.h5")

    np.testing.assert_allclose(raw_values(out), np.stack([still, 3 * still], axis=-1), atol=1e-2)
    store = read_scan(apply_shifts(shifts, path, tmp_path / "aligned.zarr"))
    np.testing.assert_array_equal(store.projections, raw_values(out))
    with pytest.raises(ValueError, match=r"several channels fit into HDF5 and zarr only"):
        apply_shifts(shifts, path, tmp_path / "aligned.mrc")


def test_apply_to_a_binned_reading(tmp_path, case):
    result, scan, still = case
    path = write_scan(
        tmp_path / "scan.h5", scan.projections, scan.angles, pixel_size=3.5, pixel_unit="nm"
    )
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    out = apply_shifts(shifts, path, tmp_path / "aligned.h5", binning=2)

    expected = still.reshape(6, 20, 2, 23, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(raw_values(out), expected, atol=1e-2)
    assert read_scan(out).pixel_size == pytest.approx(7.0)


def test_the_shifts_file_notes_where_it_was_applied(tmp_path, case):
    result, scan, _ = case
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)
    assert read_shifts(shifts).applied == ""

    for name in ("one.h5", "two.tif", "one.h5"):
        apply_shifts(shifts, path, tmp_path / name, overwrite=True)

    noted = read_shifts(shifts)
    assert noted.applied == "one.h5; two.tif"
    np.testing.assert_array_equal(noted.shifts, result.shifts)
    assert len(noted.history) == len(result.history)


def test_angles_beside_the_output_are_not_overwritten(tmp_path, case):
    result, scan, _ = case
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)
    (tmp_path / "aligned.tlt").write_text("mine", encoding="utf-8")

    with pytest.raises(FileExistsError, match=r"aligned\.tlt exists already"):
        apply_shifts(shifts, scan, tmp_path / "aligned.mrc")

    assert (tmp_path / "aligned.tlt").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "aligned.mrc").exists()


def test_a_result_with_channels_has_its_stack_in_hdf5(tmp_path, case):
    result, scan, still = case
    channels = replace(scan, projections=np.stack([scan.projections] * 2, axis=-1))

    paths = write_result(tmp_path / "out", result, channels, suffix=".mrc")

    assert paths["aligned"].name == "aligned.h5"
    assert paths["reconstruction"].name == "reconstruction.mrc"
    np.testing.assert_allclose(raw_values(paths["aligned"])[..., 1], still, atol=3e-3)


def test_apply_to_another_scan_warns(tmp_path, case):
    result, scan, _ = case
    path = write_scan(tmp_path / "scan.h5", scan.projections + 1, scan.angles)
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    with pytest.warns(UserWarning, match="the scan's data are not those"):
        apply_shifts(shifts, path, tmp_path / "aligned.h5")


def test_an_unknown_suffix_is_refused(tmp_path, case):
    result, scan, _ = case
    shifts = write_shifts(tmp_path / "shifts.h5", result, scan)

    with pytest.raises(ValueError, match=r"unknown suffix '\.png'; known are \.h5"):
        apply_shifts(shifts, scan, tmp_path / "aligned.png")


@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("suffix", [".h5", ".tif", ".mrc"])
def test_write_result_writes_what_belongs_together(tmp_path, case, axis, suffix):
    result, scan, still = case
    scan = replace(scan, rotation_axis=axis)

    paths = write_result(tmp_path / "out", result, scan, suffix=suffix)

    assert sorted(path.name for path in paths.values()) == sorted(
        ["shifts.h5", "shifts.csv", f"aligned{suffix}", f"reconstruction{suffix}"]
    )
    aligned = read_scan(paths["aligned"], rotation_axis=axis, background=None)
    np.testing.assert_allclose(aligned.projections, still, atol=3e-3)
    assert aligned.source["aligned"].startswith("shifts.h5 of this folder")
    assert aligned.pixel_size == pytest.approx(3.5, rel=1e-6)
    geometry = ScanGeometry(scan.angles, *still.shape[1:], center=result.center)
    used = result.confidence >= 0.5
    volume = get_backend("builtin").reconstruct(still[used], geometry.subset(used), algorithm="fbp")
    written = volume_values(paths["reconstruction"])
    written = written if axis == "vertical" else written.swapaxes(0, 2)
    np.testing.assert_allclose(written, volume, atol=0.02 * volume.max())


def volume_values(path):
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["/reconstruction/volume"][()]
    return raw_values(path)


def test_a_stack_and_a_volume_of_their_own(tmp_path, case):
    result, scan, still = case

    stack = write_aligned(tmp_path / "a.h5", still, scan, aligned_with="shifts of mine")
    volume = write_volume(tmp_path / "v.mrc", result.reconstruction, scan, binning=2)

    assert read_scan(stack).source["aligned"] == "shifts of mine"
    with mrcfile.open(volume) as file:  # warns where header and data do not agree
        assert file.voxel_size.x == pytest.approx(70.0)
        assert file.header.dmax == result.reconstruction.max()
        assert file.header.dmean == pytest.approx(result.reconstruction.mean(), rel=1e-5)
        assert file.header.rms == pytest.approx(result.reconstruction.std(), rel=1e-4)
    assert mrcfile.validate(volume, print_file=io.StringIO())
