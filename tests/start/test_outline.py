"""Whether the object lies inside the images."""

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.outline import look_at_outline, rows_inside, rows_leaving, thickness


def everything(scan):
    return np.ones(len(scan.angles), bool)


@pytest.mark.parametrize("kind", ["ellipsoids", "granular", "shell"])
def test_an_object_inside_every_image_is_whole(kind):
    scan = simulate(40, 24, noise=0.02, kind=kind, seed=0)
    outline = look_at_outline(survey_of(scan.projections), everything(scan))
    assert outline.whole
    assert not outline.truncated


@pytest.mark.parametrize("kind", ["ellipsoids", "soft", "fibrous", "asymmetric"])
def test_an_object_wider_than_the_images_is_truncated(kind):
    """A sparse one too: few of its rows reach the borders, and those not in every frame."""
    scan = simulate(48, 24, noise=0.02, truncation=1.6, kind=kind, seed=0)
    outline = look_at_outline(survey_of(scan.projections), everything(scan))
    assert outline.truncated
    assert not outline.whole


def test_an_object_cut_at_its_ends_is_not_whole_but_not_truncated():
    scan = simulate(40, 24, noise=0.0, jitter=0.0, drift=0.0, seed=0)
    middle = scan.projections[:, 12:28]
    outline = look_at_outline(survey_of(middle), everything(scan))
    assert not outline.whole
    assert outline.taller
    assert not outline.truncated


def test_a_mass_that_wobbles_means_nothing():
    scan = simulate(40, 24, noise=0.0, seed=0)
    brightness = 1 + 0.2 * np.random.default_rng(0).normal(size=(24, 1, 1)).astype(np.float32)
    outline = look_at_outline(survey_of(scan.projections * brightness), everything(scan))
    assert outline.mass_spread > 0.1
    assert not outline.whole


def test_blank_frames_do_not_count_in_the_outline():
    scan = simulate(40, 24, noise=0.01, blank_frames=3, seed=0)
    assert not look_at_outline(survey_of(scan.projections), everything(scan)).whole
    assert look_at_outline(survey_of(scan.projections), scan.sound).whole


def test_the_rows_whose_object_lies_inside_every_image():
    """An ellipsoid that is 1.6 times as wide as the images is narrower near its ends."""
    scan = simulate(64, 30, truncation=1.6, jitter=0, drift=0)
    volume = scan.volume(width=128)
    across = np.arange(128) - 63.5
    distance = np.hypot(across[:, None], across)
    radius = np.array([(distance * (one > 0)).max() for one in volume])
    weights = np.ones_like(scan.projections)
    inside = rows_inside(scan.projections, weights, thickness(scan.projections))
    assert inside[radius < 30].all()
    assert not inside[radius > 36].any()
    stack = scan.projections.copy()
    stack[:, 5, :2] = 3.0  # a row of background with a border that is to be ignored
    assert not rows_inside(stack, weights, thickness(stack))[5]
    weights[:, 5, :2] = 0
    assert rows_inside(stack, weights, thickness(stack))[5]


def test_one_frame_in_which_the_object_leaves_is_enough():
    """The median of the frames, which tells an object that is wider, does not see it."""
    scan = simulate(40, 24, noise=0.02, jitter=0, drift=0, seed=0)
    stack, noise = scan.projections.copy(), 0.02 * scan.projections.max()
    seen = np.ones_like(stack), thickness(stack), noise
    assert not look_at_outline(survey_of(stack), everything(scan)).grazes
    assert not rows_leaving(stack, *seen).any()
    stack[7, 12:15, -2:] += 0.5 * thickness(stack)
    outline = look_at_outline(survey_of(stack), everything(scan))
    assert outline.grazes
    assert not outline.truncated
    np.testing.assert_array_equal(np.flatnonzero(rows_leaving(stack, *seen)), [12, 13, 14])
    seen[0][7, :, -2:] = 0  # what a shift brings there from outside
    assert not rows_leaving(stack, *seen).any()
