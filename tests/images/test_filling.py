"""Bad and ignored pixels become what surrounds them, however many there are."""

import numpy as np
import pytest
from scipy import ndimage

from napari_tomoalign.images.binning import bin_stack
from napari_tomoalign.images.filtering import fill_ignored
from napari_tomoalign.io.preparation import fill_bad

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("share", [0.003, 0.2, 0.95])
def test_a_bad_pixel_becomes_one_of_its_nearest_good_ones(share):
    image = RNG.random((1, 40, 50)).astype(np.float32)
    good = RNG.random(image.shape) > share
    good[0, 5:20, 10:32] = False  # wider than what is looked through one by one
    distance = ndimage.distance_transform_edt(~good[0])
    filled = image.copy()
    fill_bad(filled, good)
    rows, columns = np.mgrid[:40, :50]
    for r, c in np.argwhere(~good[0]):
        nearest = np.isclose(np.hypot(rows - r, columns - c), distance[r, c]) & good[0]
        assert filled[0, r, c] in image[0][nearest]
    np.testing.assert_array_equal(filled[good], image[good])


def test_ignored_pixels_of_a_plane_follow_it_and_forget_what_they_held():
    rows, columns = np.mgrid[:30, :30]
    plane = (2.0 * rows - columns + 7)[None].astype(np.float32)
    weights = np.ones_like(plane)
    weights[0, 10, 10] = weights[0, 20:22, 5] = 0
    weights[0, 14:18, 14:18] = 0  # two windows wide
    held = plane.copy()
    held[weights == 0] = np.nan
    filled = fill_ignored(held, weights)
    slope = np.hypot(2, 1)  # a mean of one side lies up to a pixel off
    np.testing.assert_allclose(filled, plane, atol=slope)
    assert filled[0, 10, 10] == pytest.approx(plane[0, 10, 10], abs=1e-4)


def test_the_windows_are_those_of_a_gaussian_filter():
    image = RNG.random((1, 20, 20)).astype(np.float32)
    weights = RNG.uniform(0.2, 1, image.shape).astype(np.float32)
    share = ndimage.gaussian_filter(weights[0], 0.7, mode="nearest")
    around = ndimage.gaussian_filter(weights[0] * image[0], 0.7, mode="nearest") / share
    expected = weights[0] * image[0] + (1 - weights[0]) * around
    np.testing.assert_allclose(fill_ignored(image, weights)[0], expected, atol=1e-6)


def test_binning_of_any_shape_is_the_mean_over_blocks():
    stack = RNG.normal(1e4, 1, (3, 13, 23, 2)).astype(np.float32)
    blocks = stack[:, :12, :20].astype(np.float64).reshape(3, 4, 3, 5, 4, 2)
    np.testing.assert_allclose(bin_stack(stack, 3, 4), blocks.mean(axis=(2, 4)), rtol=1e-7)
