"""Filters: how noisy images are, beside what they show."""

import numpy as np
import pytest

from napari_tomoalign.images.filtering import counted_pixels, noise_level
from napari_tomoalign.simulation import simulate
from napari_tomoalign.simulation.bodies import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_the_noise_is_told_from_what_is_shown(kind, noise):
    scan = simulate(64, 4, kind=kind, noise=noise)
    assert noise_level(scan.projections) == pytest.approx(scan.noise_sigma, rel=0.15)


def test_a_plane_is_no_noise():
    rows, columns = np.mgrid[:9, :12].astype(np.float32)
    assert noise_level((2 * rows - 3 * columns + 5)[None]) == pytest.approx(0, abs=1e-5)


def test_images_too_small_for_second_differences_say_nothing():
    assert noise_level(np.ones((3, 2, 40), np.float32)) == 0.0


@pytest.mark.parametrize(("n", "left"), [(2, 2), (4, 4), (5, 3), (8, 4), (12, 8), (40, 36)])
def test_the_borders_are_left_out_where_enough_remains(n, left):
    whole = slice(None), slice(None)
    counted = counted_pixels((n, 30), whole, 2)
    assert counted.any(axis=1).sum() == left
    assert counted.any(axis=0).sum() == 26
    np.testing.assert_array_equal(counted, counted[::-1, ::-1])
