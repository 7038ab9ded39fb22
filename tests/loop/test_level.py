"""Binned levels: means over blocks, and positions that mean the same at every level."""

import numpy as np
import pytest

from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.binning import bin_stack
from napari_tomoalign.loop.level import Level
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.start.held import choose_levels

N_ROWS, N_COLUMNS, CENTER = 64, 66, 30.7
X, R, Z = 9.0, -6.0, 33.0
ANGLES = np.linspace(0, np.pi, 7, endpoint=False)


def blob_projections(sigma=4.0):
    """Line integrals of a Gaussian at (Z, R, X), and where its middle lands."""
    columns = CENTER + X * np.cos(ANGLES) - R * np.sin(ANGLES)
    row, column = np.mgrid[:N_ROWS, :N_COLUMNS]
    images = np.exp(-((row - Z) ** 2 + (column - columns[:, None, None]) ** 2) / (2 * sigma**2))
    return images.astype(np.float32), columns


def middles(images):
    mass = images.sum(axis=(1, 2), dtype=np.float64)
    rows = images.sum(axis=2, dtype=np.float64) @ np.arange(images.shape[1]) / mass
    columns = images.sum(axis=1, dtype=np.float64) @ np.arange(images.shape[2]) / mass
    return rows, columns


@pytest.fixture(scope="module")
def geometry():
    return ScanGeometry(ANGLES, N_ROWS, N_COLUMNS, CENTER)


def poses(geometry, row=0.0, column=0.0):
    return Poses(np.tile([row, column], (7, 1)), geometry, turning=True)


def test_binning_is_the_mean_over_blocks_and_cuts_the_remainder():
    stack = np.arange(2 * 5 * 7, dtype=np.float64).reshape(2, 5, 7)
    binned = bin_stack(stack, 2, 3)

    assert binned.shape == (2, 2, 2)
    assert binned.dtype == np.float32
    assert binned[1, 1, 1] == pytest.approx(stack[1, 2:4, 3:6].mean())
    np.testing.assert_array_equal(bin_stack(stack, 1, 1), stack)


def test_levels_stay_wide_enough():
    assert choose_levels(48) == (1,)
    assert choose_levels(64) == (2, 1)
    assert choose_levels(128) == (4, 2, 1)
    assert choose_levels(2048) == (8, 4, 2, 1)


@pytest.mark.parametrize("binning", [1, 2, 3, 4])
def test_a_projected_blob_lands_where_the_levels_geometry_says(geometry, binning):
    images, _ = blob_projections()
    level = Level.of(images, None, geometry, binning)

    _, columns = middles(level.spline.moved(np.zeros((7, 2))))
    expected = level.geometry.center + (X * np.cos(ANGLES) - R * np.sin(ANGLES)) / binning
    np.testing.assert_allclose(columns, expected, atol=0.01)
    assert level.placed(poses(geometry)).center == level.geometry.center


@pytest.mark.parametrize("binning", [2, 4])
def test_the_engine_reprojects_a_level_onto_its_images(geometry, binning):
    images, _ = blob_projections()
    level = Level.of(images, None, geometry, binning)
    n = level.geometry.volume_width
    axis = level.geometry.volume_axis
    k, i, j = np.mgrid[: level.geometry.n_rows, :n, :n]
    z = (Z - (level.pixel[0] - 1) / 2) / level.pixel[0]
    far = (i - axis - R / binning) ** 2 + (j - axis - X / binning) ** 2
    near = (k - z) ** 2 * (level.pixel[0] / binning) ** 2
    volume = np.exp(-(far + near) / (2 * (4.0 / binning) ** 2)).astype(np.float32)

    rows, columns = middles(get_backend("builtin").operator(level.geometry)(volume))
    seen_rows, seen_columns = middles(level.spline.moved(np.zeros((7, 2))))
    np.testing.assert_allclose(columns, seen_columns, atol=0.02)
    np.testing.assert_allclose(rows, seen_rows, atol=0.02)


def test_moves_are_in_pixels_of_the_full_image(geometry):
    images, _ = blob_projections()
    level = Level.of(images, None, geometry, 2)
    before = np.array(middles(level.spline.moved(np.zeros((7, 2)))))
    moved, weights = level.moved(poses(geometry, 4.0, -3.0), None)

    # aligning moves the data by minus the shifts
    rows, columns = (np.array(middles(moved)) - before) * level.pixel[:, None]
    np.testing.assert_allclose(rows, -4.0, atol=0.03)
    np.testing.assert_allclose(columns, 3.0, atol=0.03)
    assert not weights[:, -2:].any()
    assert not weights[:, :, 0].any()
    assert weights[:, :-2, 2:].all()


def test_few_rows_are_not_binned():
    geometry = ScanGeometry(ANGLES, 3, 64, 31.5)
    level = Level.of(np.ones((7, 3, 64), np.float32), None, geometry, 4)
    assert level.geometry.n_rows == 3
    assert level.geometry.n_columns == 16
    np.testing.assert_array_equal(level.pixel, [1, 4])


def test_ignored_pixels_do_not_enter_a_binned_one(geometry):
    images, _ = blob_projections()
    weights = np.ones_like(images)
    damaged = images.copy()
    damaged[:, ::2, ::2], weights[:, ::2, ::2] = 1e6, 0
    level = Level.of(damaged, weights, geometry, 2)

    kept = (images[:, ::2, 1::2] + images[:, 1::2, ::2] + images[:, 1::2, 1::2]) / 3
    found, moved_weights = level.moved(poses(geometry), None)
    np.testing.assert_allclose(found, kept, atol=1e-4)
    np.testing.assert_allclose(moved_weights, 0.75)


def test_a_window_covers_the_same_part_at_every_level(geometry):
    images, _ = blob_projections()
    level = Level.of(images, None, geometry, 2)
    rows, columns = level.window((slice(10, 40), slice(None, -5)), geometry)
    assert (rows, columns) == (slice(5, 20), slice(0, 31))
    assert level.window(None, geometry) == (slice(None), slice(None))


def test_a_wider_grid_stays_wider(geometry):
    images, _ = blob_projections()
    wide = geometry.with_changes(volume_width=N_COLUMNS + 40)
    level = Level.of(images, None, wide, 4)
    assert level.geometry.volume_width == N_COLUMNS // 4 + 10
