"""Angles, channels, types and units are those of the file, or those that were asked for."""

from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from small_stack import DEGREES, STACK

from napari_tomoalign.io import (
    load,
    read_scan,
    scan_for_alignment,
)

RNG = np.random.default_rng(11)
SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_nxtomo_fields_translations_and_units(tmp_path):
    keys = np.array([2, 1, 0, 0, 1, 0])
    level = np.array([100.0, 900.0, 300.0, 300.0, 900.0, 300.0])
    counts = level[:, None, None] + RNG.uniform(-50, 50, (6, 4, 5))
    shifts = np.array([[1.0, -2.0], [0.0, 0.0], [-3.0, 4.0]])  # of the three projections
    with h5py.File(tmp_path / "scan.nx", "w") as file:
        detector = file.create_group("/entry/instrument/detector")
        detector["data"] = counts
        detector["image_key"] = keys
        detector["x_pixel_size"] = 2.0
        detector["x_pixel_size"].attrs["units"] = "um"
        sample = file.create_group("/entry/sample")
        sample["rotation_angle"] = [0, 0, 0.0, 1.0, 0, 2.0]
        sample["rotation_angle"].attrs["units"] = "rad"
        x, y = np.full(6, 7.0), np.full(6, 1.0)
        x[keys == 0] += 2e-3 * shifts[:, 1]
        y[keys == 0] -= 2e-3 * shifts[:, 0]
        for name, values in (("x_translation", x), ("y_translation", y)):
            sample[name] = values
            sample[name].attrs["units"] = "mm"

    scan = read_scan(tmp_path / "scan.nx")

    dark, white = counts[0], counts[[1, 4]].mean(axis=0)
    transmission = (counts[keys == 0] - dark) / (white - dark)
    np.testing.assert_allclose(scan.projections, -np.log(transmission), atol=1e-4)
    np.testing.assert_array_equal(scan.angles, [0.0, 1.0, 2.0])
    assert scan.pixel_size == pytest.approx(2000.0)
    assert scan.pixel_unit == "nm"
    np.testing.assert_allclose(scan.initial_shifts, shifts, atol=1e-9)
    assert "median" in scan.source["translations"]


def test_angles_of_an_own_file_or_evenly_spread(tmp_path):
    np.save(tmp_path / "scan.npy", STACK)
    (tmp_path / "mine.csv").write_text(
        "angle,comment\n" + "\n".join(f"{a},x" for a in DEGREES), encoding="utf-8"
    )

    from_file = read_scan(tmp_path / "scan.npy", angles=tmp_path / "mine.csv")
    spread = read_scan(tmp_path / "scan.npy", first_last=(-70, 70))
    stated = read_scan(tmp_path / "scan.npy", angles=DEGREES / 20, angle_unit="degrees")

    np.testing.assert_allclose(from_file.angles, np.deg2rad(DEGREES))
    assert "recognised as degrees" in from_file.source["angles"]
    np.testing.assert_allclose(spread.angles, np.deg2rad(DEGREES))
    np.testing.assert_allclose(stated.angles, np.deg2rad(DEGREES / 20))


def test_angles_of_an_mdoc_file(tmp_path):
    with mrcfile.new(tmp_path / "scan.mrc", data=STACK):
        pass
    blocks = [
        f"[ZValue = {i}]\nTiltAngle = {a}\nMagnification = 1\n" for i, a in enumerate(DEGREES)
    ]
    (tmp_path / "scan.mrc.mdoc").write_text(
        "PixelSpacing = 1\n\n" + "\n".join(blocks), encoding="utf-8"
    )

    np.testing.assert_allclose(read_scan(tmp_path / "scan.mrc").angles, np.deg2rad(DEGREES))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 1, 2), (0, 3, 1, 2)])
def test_channels_may_lie_anywhere(tmp_path, order):
    stack = RNG.random((8, 12, 14, 3)).astype(np.float32)
    stored = stack.transpose(order)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["/exchange/data"] = stored
        file["/exchange/theta"] = DEGREES

    scan = read_scan(tmp_path / "scan.h5", lazy=True)

    assert scan.projections.shape == stack.shape
    np.testing.assert_array_equal(np.asarray(scan.projections), stack)
    np.testing.assert_array_equal(scan.projections[2:4], stack[2:4])
    assert load(scan).projections.shape == stack.shape


def test_several_files_are_channels_to_align_on(tmp_path):
    for name, factor in (("iron", 1), ("zinc", 3)):
        np.save(tmp_path / f"{name}.npy", factor * STACK)

    scan = read_scan([tmp_path / "iron.npy", tmp_path / "zinc.npy"], first_last=(-70, 70))

    assert scan.channels == ("iron", "zinc")
    np.testing.assert_array_equal(scan.projections[..., 1], 3 * STACK)
    mean = scan_for_alignment(scan)
    np.testing.assert_allclose(mean.projections, 2 * STACK, rtol=1e-6)
    np.testing.assert_array_equal(scan_for_alignment(scan, "zinc").projections, 3 * STACK)
    np.testing.assert_array_equal(scan_for_alignment(scan, 0).projections, STACK)
    with pytest.raises(ValueError, match="no channel 'lead'; the scan has 2 of them, named iron"):
        scan_for_alignment(scan, "lead")


def test_channels_of_a_stack_can_be_picked(tmp_path):
    stack = RNG.random((8, 10, 12, 3)).astype(np.float32)
    np.save(tmp_path / "scan.npy", stack)

    scan = read_scan(tmp_path / "scan.npy", first_last=(0, 1), channels=[2, 0])

    np.testing.assert_array_equal(scan.projections, stack[..., [2, 0]])


@pytest.mark.parametrize("kind", ["u1", "u2", ">u2", ">i4", "f2", ">f4", "f8", "b1"])
def test_every_real_type_is_read(tmp_path, kind):
    values = (10 * RNG.random((8, 5, 6))).astype(kind)
    values[:, 0] = 0
    np.save(tmp_path / "scan.npy", values)

    scan = read_scan(tmp_path / "scan.npy", first_last=(0, 90), background=None)

    assert scan.projections.dtype == np.float32
    np.testing.assert_array_equal(scan.projections, values.astype(np.float32))


@pytest.mark.parametrize("kind", [">u2", "<i2", "f2", ">f4"])
def test_tiff_and_mrc_of_either_byte_order(tmp_path, kind):
    values = (100 * RNG.random((8, 5, 6))).astype(kind)
    order = ">" if kind.startswith(">") else "<"
    tifffile.imwrite(
        tmp_path / "scan.tif", values, byteorder=order, photometric="minisblack", metadata=None
    )
    with mrcfile.new(tmp_path / "scan.mrc", data=values):
        pass

    for name in ("scan.tif", "scan.mrc"):
        scan = read_scan(tmp_path / name, first_last=(0, 90), background=None)
        np.testing.assert_array_equal(scan.projections, values.astype(np.float32), err_msg=name)


def test_the_needle_as_it_comes():
    if not SHARED.is_dir():
        pytest.skip(f"the real data are not at {SHARED}")
    path = SHARED / "haadf_needle.mrc"
    before = path.stat().st_mtime

    scan = read_scan(path, rotation_axis="horizontal")

    assert scan.projections.shape == (77, 256, 256)
    np.testing.assert_allclose(np.rad2deg(scan.angles), np.arange(-76, 77, 2), atol=1e-9)
    assert scan.pixel_size == pytest.approx(3.36, abs=1e-3)
    assert scan.pixel_unit == "nm"
    # the needle is bright and narrow, the background is at 0 within its noise
    assert abs(np.median(scan.projections)) < 0.002 * scan.projections.max()
    columns = scan.projections.mean(axis=(0, 1))
    assert columns[100:156].mean() > 10 * columns[:40].mean()
    assert any(line.startswith("background: -318") for line in scan.preparation)
    assert "haadf_needle.rawtlt" in scan.source["angles"]
    assert path.stat().st_mtime == before


def test_the_tooth_as_it_comes():
    if not SHARED.is_dir():
        pytest.skip(f"the real data are not at {SHARED}")
    with h5py.File(SHARED / "tooth.h5") as file:
        group = file["exchange"]
        dark, white = group["data_dark"][()].mean(axis=0), group["data_white"][()].mean(axis=0)
        expected = -np.log((group["data"][()] - dark) / (white - dark))

    scan = read_scan(SHARED / "tooth.h5")

    np.testing.assert_allclose(scan.projections, expected, atol=1e-4)
    np.testing.assert_allclose(np.rad2deg(scan.angles[[0, -1]]), [0, 179.0055], atol=1e-3)
    assert "degrees" in scan.source["angles"]
    assert scan.preparation[0] == "divided by the flat field, dark field removed"


@pytest.mark.parametrize("stated", [None, "rad"])
def test_the_unit_that_the_user_gives_goes_before_what_the_file_says(tmp_path, stated):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = np.ones((5, 8, 8), np.float32)
        file["exchange/theta"] = np.linspace(-3, 3, 5)
        if stated:
            file["exchange/theta"].attrs["units"] = stated
    scan = read_scan(tmp_path / "scan.h5", angle_unit="degrees")
    np.testing.assert_allclose(scan.angles, np.deg2rad(np.linspace(-3, 3, 5)))
