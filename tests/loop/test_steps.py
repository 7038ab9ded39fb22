"""Cutoff, stochastic relaxation and the centre-of-mass term, against their formulas."""

import numpy as np
import pytest

from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.moments import image_moments, volume_moments
from napari_tomoalign.loop.steps import center_of_mass_term, cut_off, relaxation

MOVES = np.array([[3.0, 4.0], [-0.3, 0.4], [0.0, 0.0], [-30.0, -40.0]])


def test_cutoff_scales_the_euclidean_length_and_keeps_the_direction():
    np.testing.assert_allclose(
        cut_off(MOVES, 1.0), [[0.6, 0.8], [-0.3, 0.4], [0.0, 0.0], [-0.6, -0.8]]
    )


def test_no_cutoff_leaves_moves_alone():
    np.testing.assert_array_equal(cut_off(MOVES, None), MOVES)


def test_relaxation_is_the_formula():
    shifts = np.random.default_rng(0).normal(2.0, 1.5, (50, 2))
    step = relaxation(shifts, 0.3, np.random.default_rng(11))

    noise = np.random.default_rng(11).normal(0.0, 1.0, (50, 2))
    for direction in range(2):
        s = shifts[:, direction]
        spread = np.sqrt(np.mean((s - s.mean()) ** 2))
        for i in range(50):
            d = s[i] - s.mean()
            r = np.sign(d) * max(0.0, abs(d) - abs(spread * noise[i, direction]))
            assert step[i, direction] == pytest.approx(-0.3 * min(max(r, -1.0), 1.0))


def test_relaxation_brings_an_outlier_back_by_the_weight_and_leaves_the_rest():
    shifts = np.zeros((100, 2))
    shifts[5] = [40.0, -40.0]
    step = relaxation(shifts, 0.5, np.random.default_rng(0))
    np.testing.assert_allclose(step[5], [-0.5, 0.5])
    # the others lie 0.4 px from the mean, less than most draws of the spread of 4 px
    assert np.count_nonzero(step) < 40


def test_relaxation_of_weight_zero_draws_nothing():
    rng = np.random.default_rng(3)
    assert not relaxation(MOVES, 0.0, rng).any()
    assert rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


def blob_scan(shifts, center=15.0, position=(1.5, -2.0), rows_below=0.0):
    """Projections of a narrow Gaussian at (x, row in the slice), as the geometry says."""
    angles = np.linspace(0, np.pi, 9, endpoint=False)
    geometry = ScanGeometry(angles, 16, 32, center)
    x, r = position
    z = 7.5 + rows_below
    columns = center + x * np.cos(angles) - r * np.sin(angles) + shifts[:, 1]
    rows = z + shifts[:, 0]
    row, column = np.mgrid[:16, :32]
    images = np.exp(
        -((row - rows[:, None, None]) ** 2 + (column - columns[:, None, None]) ** 2) / 2
    )
    k, i, j = np.mgrid[:16, :32, :32]
    axis = geometry.volume_axis
    volume = np.exp(-((k - z) ** 2 + (i - axis - r) ** 2 + (j - axis - x) ** 2) / 2)
    return images.astype(np.float32), volume.astype(np.float32), geometry


def term(images, weights, volume, geometry, weight):
    moments = image_moments(images, weights), volume_moments(volume)
    return center_of_mass_term(*moments, geometry, weight)


def test_center_of_mass_term_is_where_the_measured_image_is_displaced():
    shifts = np.random.default_rng(2).uniform(-0.9, 0.9, (9, 2))
    images, volume, geometry = blob_scan(shifts)
    step = term(images, np.ones_like(images), volume, geometry, 0.4)
    np.testing.assert_allclose(step, 0.4 * shifts, atol=1e-3)


def test_center_of_mass_term_is_measured_from_the_rotation_axis():
    # an axis away from the middle, and a wider volume, must not look like a displacement
    images, volume, geometry = blob_scan(np.zeros((9, 2)), center=12.3)
    assert np.abs(term(images, np.ones_like(images), volume, geometry, 1)).max() < (1e-3)
    wider = np.pad(volume, ((0, 0), (5, 5), (5, 5)))
    wide = geometry.with_changes(volume_width=42)
    assert np.abs(term(images, np.ones_like(images), wider, wide, 1)).max() < 1e-3


def test_center_of_mass_term_is_clipped_to_a_pixel_in_each_direction():
    shifts = np.zeros((9, 2))
    shifts[3] = [-2.5, 3.5]
    images, volume, geometry = blob_scan(shifts)
    step = term(images, np.ones_like(images), volume, geometry, 0.5)
    np.testing.assert_allclose(step[3], [-0.5, 0.5])


def test_center_of_mass_term_leaves_out_what_weights_hide():
    images, volume, geometry = blob_scan(np.zeros((9, 2)))
    weights = np.ones_like(images)
    images[:, 0, 31], weights[:, 0, 31] = 100.0, 0.0
    assert np.abs(term(images, weights, volume, geometry, 1)).max() < 1e-2


def test_an_image_or_a_volume_without_mass_gives_no_step():
    images, volume, geometry = blob_scan(np.full((9, 2), 0.5))
    images[4] = 0
    step = term(images, np.ones_like(images), volume, geometry, 1.0)
    assert not step[4].any()
    assert step[3].all()
    assert not term(images, np.ones_like(images), 0 * volume, geometry, 1.0).any()
    assert not term(images, np.ones_like(images), volume, geometry, 0.0).any()
