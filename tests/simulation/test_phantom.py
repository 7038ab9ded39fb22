"""Simulated scans against closed forms and simple physics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_tomoalign.simulation import as_counts, axis_bound, cramer_rao_bound, simulate
from napari_tomoalign.simulation.bodies import (
    KINDS,
    Body,
    ellipsoid,
    make_bodies,
    project_bodies,
    voxelise,
)

STILL = {"jitter": 0.0, "drift": 0.0, "noise": 0.0}


def blob(position: tuple[float, float, float], width: float = 2.0, density: float = 1.0) -> Body:
    return ellipsoid(density, position, width, gaussian=True)


def center_of_mass(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


def test_sphere_has_the_chord_length_of_a_sphere() -> None:
    radius, density = 9.3, 0.7
    image = project_bodies(
        [ellipsoid(density, (0, 0, 0), radius)], [0.4], np.zeros((1, 2)), (31, 33), 16.0
    )[0]
    rows, columns = np.indices(image.shape)
    t2 = (rows - 15.0) ** 2 + (columns - 16.0) ** 2
    expected = density * 2 * np.sqrt(np.maximum(radius**2 - t2, 0))
    np.testing.assert_allclose(image, expected, atol=1e-9)


def test_turned_ellipsoid_agrees_with_summing_its_voxels() -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    body = ellipsoid(1.0, (1.5, -4.0, 3.0), (4.0, 7.0, 11.0), turn)
    volume = voxelise([body], (33, 41, 41))
    points = np.linspace(-0.4, 0.4, 5)
    along_y, along_x = project_bodies(
        [body],
        [0.0, math.pi / 2],
        np.zeros((2, 2)),
        (33, 41),
        20.0,
        row_samples=points,
        column_samples=points,
    )
    assert np.sqrt(np.mean((along_y - volume.sum(axis=1)) ** 2)) < 0.02 * along_y.max()
    # A quarter turn: the column is center - y.
    assert np.sqrt(np.mean((along_x - volume.sum(axis=2)[:, ::-1]) ** 2)) < 0.02 * along_x.max()


@pytest.mark.parametrize(("degrees", "column"), [(0, 27.0), (90, 11.5), (180, 13.0), (-90, 28.5)])
def test_sense_of_rotation(degrees: float, column: float) -> None:
    # 7 to the right, 8.5 below and 3 rows down, the axis at column 20.
    image = project_bodies(
        [blob((3.0, 8.5, 7.0))], [math.radians(degrees)], np.zeros((1, 2)), (31, 41), 20.0
    )[0]
    assert center_of_mass(image) == pytest.approx((18.0, column), abs=1e-4)


def test_center_offset_moves_the_axis() -> None:
    scan = simulate(41, 4, kind=[blob((0, 0, 0))], center_offset=3.25, **STILL)
    assert scan.center == 23.25
    for image in scan.projections:
        assert center_of_mass(image) == pytest.approx((20.0, 23.25), abs=1e-3)


def test_content_is_displaced_by_plus_the_shift() -> None:
    scan = simulate(48, 6, kind=[blob((0, 0, 0))], noise=0.0, seed=5)
    found = np.array([center_of_mass(image) for image in scan.projections])
    np.testing.assert_allclose(found - 23.5, scan.shifts, atol=1e-3)
    assert np.abs(scan.shifts).max() > 1


def test_shift_by_whole_pixels_rolls_the_image() -> None:
    bodies = make_bodies("ellipsoids", np.random.default_rng(0))
    bodies = tuple(body.scaled(12.0) for body in bodies)
    still, moved = project_bodies(bodies, [0.3, 0.3], [[0.2, 0.7], [3.2, -1.3]], (40, 40), 19.5)
    np.testing.assert_allclose(moved, np.roll(still, (3, -2), axis=(0, 1)), atol=1e-9)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_fits_and_keeps_its_mass(kind: str) -> None:
    scan = simulate(64, 12, n_rows=40, kind=kind, **STILL, oversampling=4)
    mass = scan.projections.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(mass, mass.mean(), rtol=5e-3)
    np.testing.assert_allclose(scan.volume().sum(dtype=np.float64), mass.mean(), rtol=5e-3)
    assert scan.volume().min() > -1e-6
    assert scan.projections.max() == pytest.approx(2.0)
    shadow = scan.projections.max(axis=0) > 0.02
    rows, columns = np.flatnonzero(shadow.any(axis=1)), np.flatnonzero(shadow.any(axis=0))
    assert 0.55 * 40 <= np.ptp(rows) + 1 <= 0.85 * 40
    assert 0.55 * 64 <= np.ptp(columns) + 1 <= 0.85 * 64


def test_truncated_object_is_wider_than_the_view_and_not_higher() -> None:
    scan, whole = simulate(64, 8, truncation=1.6, **STILL), simulate(64, 8, **STILL)
    assert (scan.projections[:, 32, [0, -1]] > 0.1).all()
    assert scan.projections[:, [0, -1]].max() == 0
    stretch = np.sqrt(np.diag(scan.bodies[0].shape_matrix) / np.diag(whole.bodies[0].shape_matrix))
    np.testing.assert_allclose(stretch, [1, 1.6 / 0.75, 1.6 / 0.75])


def test_angles_of_a_turn_and_of_a_wedge() -> None:
    turn = simulate(16, 8, angular_range=360.0)
    np.testing.assert_allclose(np.degrees(turn.angles), np.arange(0, 360, 45))
    wedge = simulate(16, 5, wedge=60.0)
    np.testing.assert_allclose(np.degrees(wedge.angles), [-60, -30, 0, 30, 60], atol=1e-12)


def test_jitter_and_drift_have_the_size_that_was_asked_for() -> None:
    jitter = simulate(
        16, 2000, kind=[blob((0, 0, 0))], jitter=3.0, drift=0.0, oversampling=1
    ).shifts
    assert np.abs(jitter).max() <= 3.0
    np.testing.assert_allclose(jitter.std(axis=0), 3.0 / math.sqrt(3), rtol=0.1)
    drift = simulate(16, 50, jitter=0.0, drift=6.0).shifts
    np.testing.assert_allclose(np.abs(drift[-1] - drift[0]), 6.0)
    assert np.abs(np.diff(drift, axis=0)).max() < 0.3


def test_the_same_seed_gives_the_same_scan_and_noise_leaves_the_truth_alone() -> None:
    one, same, other = simulate(24, 6, seed=1), simulate(24, 6, seed=1), simulate(24, 6, seed=2)
    np.testing.assert_array_equal(one.projections, same.projections)
    assert not np.array_equal(one.shifts, other.shifts)
    assert not np.array_equal(one.clean, other.clean)
    noisier = simulate(24, 6, seed=1, noise=0.1, masked_fraction=0.1)
    np.testing.assert_array_equal(one.clean, noisier.clean)
    np.testing.assert_array_equal(one.shifts, noisier.shifts)


def test_noise_has_the_stated_size() -> None:
    gaussian = simulate(48, 20, noise=0.05)
    difference = gaussian.projections - gaussian.clean
    assert gaussian.noise_sigma == pytest.approx(0.05 * gaussian.clean.max())
    assert difference.std() == pytest.approx(gaussian.noise_sigma, rel=0.02)
    counted = simulate(48, 20, photons=2000.0)
    difference = counted.projections - counted.clean
    assert difference.std() == pytest.approx(counted.noise_sigma, rel=0.02)
    dense, thin = counted.clean > 1.5, counted.clean < 0.1
    assert difference[dense].std() > 2 * difference[thin].std()


def test_blank_and_duplicated_frames() -> None:
    scan = simulate(32, 20, blank_frames=3, duplicate_frames=2)
    assert len(scan.blank) == 3
    assert (scan.clean[scan.blank] == 0).all()
    assert len(scan.duplicates) == 2
    np.testing.assert_array_equal(
        scan.projections[scan.duplicates], scan.projections[scan.duplicate_sources]
    )
    assert scan.sound.sum() == 15
    assert scan.sound[scan.duplicate_sources].all()


def test_masked_pixels_and_garbage() -> None:
    scan = simulate(48, 10, masked_fraction=0.2)
    assert scan.weights is not None
    assert np.mean(scan.weights == 0) == pytest.approx(0.2, abs=0.01)
    wild = np.abs(scan.projections - scan.clean) > 6 * scan.noise_sigma
    assert (scan.weights[wild] == 0).all()
    assert np.mean(wild) == pytest.approx(0.1, abs=0.01)
    assert simulate(16, 4).weights is None


def test_bound_of_a_blob_is_the_closed_form() -> None:
    # Sum of the squared derivatives of height * exp(-r^2 / 2 w^2) is pi / 2 * height^2.
    width, density, sigma = 3.0, 1.3, 0.1
    scan = simulate(48, 5, kind=[blob((0, 0, 0), width, density)], oversampling=1)
    height = density * width * math.sqrt(2 * math.pi)
    # The pixel's mean widens the blob by 1/12 of a pixel squared and lowers it.
    seen = height * width**2 / (width**2 + 1 / 12)
    expected = math.sqrt(4 * sigma**2 / (math.pi * seen**2))
    assert cramer_rao_bound(scan, sigma) == pytest.approx(expected, rel=2e-3)
    errors = cramer_rao_bound(scan, sigma, per_projection=True)
    np.testing.assert_allclose(errors, expected / math.sqrt(2), rtol=2e-3)


def test_bound_of_one_row_of_a_blob_is_the_closed_form() -> None:
    # Two rows below the middle: sums of the squared derivatives along that row alone.
    width, sigma, row = 3.0, 0.1, 2
    scan = simulate(49, 3, kind=[blob((0, 0, 0), width)], oversampling=8, **STILL)
    weights = np.zeros(scan.clean.shape)
    weights[:, 24 + row] = 1
    squared = (width * math.sqrt(2 * math.pi)) ** 2 * math.exp(-(row**2) / width**2)
    by_row = squared * row**2 / width**4 * math.sqrt(math.pi) * width
    by_column = squared * math.sqrt(math.pi) / (2 * width)
    errors = cramer_rao_bound(scan, sigma, weights, per_projection=True)
    np.testing.assert_allclose(errors[:, 0], sigma / math.sqrt(by_row), rtol=0.02)
    np.testing.assert_allclose(errors[:, 1], sigma / math.sqrt(by_column), rtol=0.02)


def test_bound_is_reached_by_fitting_the_shift_of_a_known_object() -> None:
    scan = simulate(40, 300, angular_range=1e-6, jitter=0.0, drift=0.0, noise=0.05)
    step = 0.05
    images = simulate(40, 3, kind=scan.bodies, angular_range=1e-6, **STILL, oversampling=8)
    moves = np.array([[step, 0], [-step, 0], [0, step], [0, -step]])
    points = (np.arange(8) + 0.5) / 8 - 0.5
    up, down, right, left = project_bodies(
        scan.bodies,
        np.zeros(4),
        moves,
        (40, 40),
        19.5,
        row_samples=points,
        column_samples=points,
    )
    design = np.stack([(up - down).ravel(), (right - left).ravel()], axis=1) / (2 * step)
    noise = (scan.projections - images.clean[0]).reshape(300, -1)
    found = np.linalg.lstsq(design, noise.T, rcond=None)[0]
    scatter = math.sqrt(np.mean(np.sum(found**2, axis=0)))
    assert scatter == pytest.approx(cramer_rao_bound(scan), rel=0.1)


def test_bound_follows_noise_masks_and_the_subset() -> None:
    scan = simulate(32, 10, noise=0.02, masked_fraction=0.5, blank_frames=1)
    whole = cramer_rao_bound(scan, weights=np.ones(scan.clean.shape))
    assert cramer_rao_bound(scan) == pytest.approx(math.sqrt(2) * whole, rel=0.1)
    assert cramer_rao_bound(scan, 2 * scan.noise_sigma) == pytest.approx(2 * cramer_rao_bound(scan))
    assert cramer_rao_bound(scan, subset=[4], per_projection=True).shape == (1, 2)
    assert cramer_rao_bound(simulate(16, 4, noise=0.0)) == 0.0


def test_default_scan_has_the_bound_of_the_reference_case() -> None:
    bounds = [cramer_rao_bound(simulate(seed=seed)) for seed in range(6)]
    assert np.mean(bounds) == pytest.approx(0.017, abs=0.002)


def test_counts_give_the_absorbance_back() -> None:
    scan = simulate(40, 24, noise=0.03, blank_frames=1, duplicate_frames=1)
    counts = as_counts(scan)
    assert counts.data.dtype == counts.data_white.dtype == counts.data_dark.dtype == np.uint16
    np.testing.assert_array_equal(counts.data[scan.duplicates], counts.data[scan.duplicate_sources])
    dark, white = counts.data_dark.mean(axis=0), counts.data_white.mean(axis=0)
    assert np.ptp(white) > 0.2 * white.max()
    found = -np.log((counts.data - dark) / (white - dark))
    difference = found - scan.clean
    assert np.sqrt(np.mean(difference**2)) == pytest.approx(scan.noise_sigma, rel=0.15)
    assert abs(difference.mean()) < 0.1 * scan.noise_sigma
    np.testing.assert_allclose(np.radians(counts.theta_degrees), scan.angles)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "cheese"}, "unknown kind of object 'cheese'; known are ellipsoids, soft"),
        ({"size": 4}, "size must be at least 8 and at most 100000, got 4"),
        ({"size": 10**9}, "size must be at least 8 and at most 100000, got 1000000000"),
        ({"n_angles": 1}, "n_angles must be at least 2"),
        ({"n_rows": 0}, "n_rows must be at least 1"),
        ({"oversampling": 10**6}, "oversampling must be at least 1 and at most 100"),
        ({"noise": math.nan}, "noise must be at least 0 and finite, got nan"),
        ({"photons": 0.0}, "photons must be above 0, or None"),
        ({"angular_range": 0.0}, "angular_range must be above 0"),
        ({"photons": math.inf}, "photons must be at least 0 and at most .*, got inf"),
        ({"photons": 1e300}, "photons must be at least 0 and at most .*, got 1e"),
        ({"jitter": math.inf}, "jitter must be at least 0 and finite, got inf"),
        ({"drift": -1.0}, "drift must be at least 0 and finite, got -1.0"),
        ({"angular_range": math.nan}, "angular_range must be at least 0 and at most 3600"),
        ({"wedge": math.inf}, "wedge must be at least 0 and at most 180, got inf"),
        ({"wedge": -5.0}, "wedge must be at least 0 and at most 180, got -5.0"),
        ({"center_offset": math.nan}, "center_offset must be finite, got nan"),
        ({"center_offset": 1e9}, "must stay within the image of 64 columns"),
        ({"jitter": 1e9}, "must stay within the image of 64 columns"),
        ({"axis_tilt": math.nan}, "axis_tilt must be at least -90 and at most 90, got nan"),
        ({"axis_angle": math.inf}, "axis_angle must be at least -180 and at most 180, got inf"),
        ({"truncation": math.nan}, "truncation must be at least 0 and at most 100, got nan"),
        ({"truncation": -1.0}, "truncation must be at least 0 and at most 100, got -1.0"),
        ({"seed": -1}, "seed must be at least 0 and finite, got -1"),
        ({"masked_fraction": 1.5}, "masked_fraction must be at least 0 and at most 1, got 1.5"),
        ({"garbage_fraction": math.nan}, "garbage_fraction must be at least 0 and at most 1"),
        ({"blank_frames": -1}, "blank_frames must be at least 0"),
        ({"n_angles": 5, "blank_frames": 2, "duplicate_frames": 2}, "do not fit into 5 proj"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 8.5}, "size must be a whole number, got 8.5"),
        ({"n_rows": math.nan}, "n_rows must be a whole number, got nan"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"n_angles": None}, "n_angles must be a whole number, got None"),
        ({"noise": "0.1"}, "noise must be a number, got '0.1'"),
        ({"drift": 1j}, "drift must be a number, got 1j"),
    ],
)
def test_what_is_no_number_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        simulate(**arguments)


def test_an_object_that_is_nowhere_in_view_is_refused() -> None:
    with pytest.raises(ValueError, match="no image shows anything of the object"):
        simulate(16, 4, kind=())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_dark": -1}, "n_dark must be at least 0, got -1"),
        ({"dark_level": math.nan}, "dark_level must be a number of counts that 16 bits hold: nan"),
    ],
)
def test_fields_that_no_detector_gives(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_counts(simulate(16, 4), **arguments)


@pytest.mark.parametrize("photons", [0.0, 1e6])
def test_photons_that_no_detector_holds_are_refused(photons: float) -> None:
    with pytest.raises(ValueError, match="photons must be above 0 and at most 40000"):
        as_counts(simulate(16, 4), photons=photons)


def test_the_bound_of_an_axis_is_that_of_two_blobs_beside_each_other():
    """Turns and leans move them against each other by their distance times the angle."""
    apart, n = 14.0, 12
    turned = [(z, 0, 0) for z in (-apart, apart)]
    leaning = [(-apart, 0, 0), (apart, 5, 0)]
    for name, places, column in (("axis_angle", turned, 1), ("axis_tilt", leaning, 0)):
        kind = [ellipsoid(0.1, place, 2.5, gaussian=True) for place in places]
        scan = simulate(64, n, kind=kind, jitter=0, drift=0)
        error = cramer_rao_bound(scan, per_projection=True)[:, column].mean()
        expected = error / (apart * math.sqrt(n))
        if name == "axis_tilt":  # one of them, by 5 cos(angle)
            expected = 2 * error / (5 * math.sqrt(n / 2))
        assert axis_bound(scan, name) == pytest.approx(expected, rel=0.01)
    assert axis_bound(simulate(16, 4, noise=0.0), "axis_tilt") == 0.0
