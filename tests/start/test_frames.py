"""Frames that cannot be trusted are found, and sound ones are left in peace."""

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign.images.filtering import fill_ignored
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.results import TRUSTED
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.frames import (
    coarse_misfit,
    copies,
    fit_confidence,
    inspect_frames,
)


def report_of(stack):
    return inspect_frames(survey_of(stack))


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, noise=0.02, seed=4)


def test_sound_frames_are_not_suspect(scan):
    report = report_of(scan.projections)
    assert report.blank == report.saturated == report.duplicates == ()


def test_noisy_frames_without_the_object_are_blank():
    scan = simulate(32, 20, noise=0.1, blank_frames=3, seed=1)
    assert report_of(scan.projections).blank == tuple(scan.blank)


def test_a_constant_frame_is_blank_whatever_its_value(scan):
    stack = scan.projections.copy()
    stack[3], stack[11] = 0.0, 7.5
    assert report_of(stack).blank == (3, 11)


def test_blank_frames_are_no_duplicates_of_each_other(scan):
    stack = scan.projections.copy()
    stack[3], stack[11] = 0.0, 0.0
    assert report_of(stack).duplicates == ()


def test_copies_to_the_bit_are_duplicates(scan):
    stack = scan.projections.copy()
    stack[9] = stack[2]
    assert report_of(stack).duplicates == ((2, 9),)
    stack[9, 0, 0] += 1
    assert report_of(stack).duplicates == ()


def test_of_equal_frames_all_but_the_best_fitting_one_are_copies(scan):
    frames, weights = scan.projections.copy(), np.ones_like(scan.projections)
    for copy, original in ((5, 2), (11, 2), (1, 15)):
        frames[copy] = frames[original]
    pairs = report_of(frames).duplicates
    found = copies(pairs, coarse_misfit(frames, weights, scan.clean))
    np.testing.assert_array_equal(found, [1, 5, 11])
    assert copies((), coarse_misfit(frames, weights, scan.clean)).size == 0


def test_noise_does_not_tell_the_copy_from_the_original():
    """Half a pixel away the noise of an image is smoothed, and the wrong one of two fits better."""
    scan = simulate(64, 60, noise=0.1, jitter=0, drift=0, seed=4)
    frames, model = scan.projections.copy(), scan.clean.copy()
    frames[9] = frames[6]
    half = np.array([[0.5, 0.5]])
    frames[9:10] = shift_stack(frames[9:10], half)
    model[9:10] = shift_stack(model[9:10], half)
    misfit = np.square(frames - model).mean(axis=(1, 2))
    assert misfit[9] < misfit[6]
    found = copies(((6, 9),), coarse_misfit(frames, np.ones_like(frames), model))
    np.testing.assert_array_equal(found, [9])


def test_an_object_that_looks_the_same_from_every_side_has_no_copies():
    frames = np.tile(np.arange(16, dtype=np.float32), (6, 16, 1))
    model = frames + np.arange(6, dtype=np.float32)[:, None, None]
    pairs = report_of(frames).duplicates
    assert len(pairs) == 5
    assert copies(pairs, coarse_misfit(frames, np.ones_like(frames), model)).size == 0


def test_many_pixels_at_the_largest_value_are_saturated(scan):
    stack = scan.projections.copy()
    stack[5] = np.minimum(stack[5], np.percentile(stack[5], 70))
    stack[6] = np.minimum(stack[6], np.percentile(stack[6], 95))
    assert report_of(stack).saturated == (5,)
    stack[5] = np.minimum(stack[5], np.percentile(stack[5], 20))
    report = report_of(stack)  # nothing is left of it: named for why, and not used
    assert report.saturated == report.blank == (5,)


def test_what_weights_hide_makes_no_contrast(scan):
    stack, weights = scan.projections.copy(), np.ones_like(scan.projections)
    stack[8] = 0.0
    stack[8, 10:20, 10:20], weights[8, 10:20, 10:20] = 50.0, 0.0
    assert report_of(stack).blank == ()
    assert report_of(fill_ignored(stack, weights)).blank == (8,)


def test_a_scan_of_blank_frames_alone_has_no_odd_ones():
    assert report_of(np.zeros((5, 16, 16), np.float32)).blank == ()


def test_confidence_falls_from_four_to_eight_robust_deviations():
    log = np.concatenate([np.linspace(-0.1, 0.1, 41), np.zeros(4)])
    spread = 1.4826 * 0.05  # median absolute deviation of the even spacing from -0.1 to 0.1
    log[41:] = spread * np.array([3.0, 5.0, 7.0, 20.0])
    candidates = np.ones(45, bool)
    confidence = fit_confidence(np.exp(log), candidates)

    # the four odd ones move median and spread a little
    np.testing.assert_allclose(confidence[41:], [1.0, 0.75, 0.25, 0.0], atol=0.2)
    assert (confidence[:41] == 1).all()
    assert confidence[44] < TRUSTED < confidence[41]


def test_the_ends_of_a_wedge_may_fit_worse_than_its_middle():
    angles = np.deg2rad(np.linspace(-76, 76, 77))
    misfit = 1 + 2 * (angles / angles.max()) ** 4
    misfit *= np.exp(0.03 * np.random.default_rng(0).standard_normal(77))
    misfit[30] *= 2
    trusted = fit_confidence(misfit, np.ones(77, bool), angles) >= TRUSTED
    np.testing.assert_array_equal(np.flatnonzero(~trusted), [30])


def test_a_frame_that_fits_better_than_the_others_is_trusted():
    assert fit_confidence(np.array([1.0, 1.01, 0.99, 0.1]), np.ones(4, bool))[3] == 1


def test_frames_that_may_not_be_trusted_get_none():
    misfit = np.array([1.0, 1.0, 1.0, 0.0])
    candidates = np.array([True, True, True, False])
    np.testing.assert_array_equal(fit_confidence(misfit, candidates), [1, 1, 1, 0])
    assert not fit_confidence(misfit, np.zeros(4, bool)).any()


def test_equal_misfits_do_not_divide_by_nothing():
    np.testing.assert_array_equal(fit_confidence(np.full(6, 2.0), np.ones(6, bool)), np.ones(6))


def test_a_frame_that_misses_little_of_itself_fits_however_even_the_others_are():
    misfit = np.full(40, 0.01)
    misfit[[3, 9]] = 0.1, 0.3
    confidence = fit_confidence(misfit, np.ones(40, bool), size=np.ones(40))
    assert confidence[3] == 1
    assert confidence[9] == 0
    assert fit_confidence(misfit, np.ones(40, bool))[3] == 0
