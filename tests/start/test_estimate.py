"""First estimates: shifts and centre from projected mass, where it means something."""

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign.geometry.gauge import alignment_error
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.estimate import estimate_shifts, register_profiles


def everything(scan):
    return np.ones(len(scan.angles), bool)


@pytest.mark.parametrize("turn", [180, 360])
def test_noise_free_shifts_follow_from_the_centre_of_mass(turn):
    scan = simulate(40, 24, angular_range=turn, noise=0.0, jitter=2.5, drift=2.0, seed=3)
    estimate = estimate_shifts(
        survey_of(scan.projections), scan.angles, everything(scan), scan.center
    )
    assert alignment_error(estimate, scan, scan.angles) < 0.15
    assert estimate.center == scan.center


def test_the_centre_is_found_where_it_is_not_given():
    scan = simulate(
        48, 40, angular_range=360, noise=0.0, jitter=0.0, drift=0.0, center_offset=3.0, seed=2
    )
    estimate = estimate_shifts(survey_of(scan.projections), scan.angles, everything(scan), None)
    assert estimate.center == pytest.approx(scan.center, abs=0.02)
    assert np.abs(estimate.shifts).max() < 0.05


def test_frames_that_do_not_count_neither_move_nor_disturb():
    scan = simulate(40, 24, noise=0.0, seed=3)
    stack = scan.projections.copy()
    stack[5] = 0
    stack[5, -3:, -3:] = 10
    used = everything(scan)
    used[5] = False
    estimate = estimate_shifts(survey_of(stack), scan.angles, used, scan.center)
    assert not estimate.shifts[5].any()
    assert alignment_error(estimate, scan, scan.angles, used) < 0.15


def test_shifts_carry_no_motion_of_the_object():
    scan = simulate(40, 24, noise=0.0, jitter=0.0, drift=0.0, kind="asymmetric", seed=1)
    estimate = estimate_shifts(
        survey_of(scan.projections), scan.angles, everything(scan), scan.center
    )
    assert np.abs(estimate.shifts).max() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_an_object_taller_than_the_images_is_estimated_from_the_rows_they_share(seed):
    scan = simulate(64, 30, noise=0.02, jitter=4.0, drift=4.0, seed=seed)
    middle = np.ascontiguousarray(scan.projections[:, 20:44])
    estimate = estimate_shifts(survey_of(middle), scan.angles, everything(scan), scan.center)
    assert alignment_error(scan, 0 * scan.shifts, centers=(0, scan.center)) > 3
    assert alignment_error(estimate, scan, scan.angles) < 0.3
    assert estimate.standard_error.max() < 0.5


def line(n, length, noise, shifts, seed):
    """Windows, displaced, of a rough line that is longer than they are."""
    rng = np.random.default_rng(seed)
    long = np.convolve(rng.normal(size=8 * length), np.hanning(9), "same")
    at = np.arange(length) + 4 * length
    seen = np.array([np.interp(at - shift, np.arange(8 * length), long) for shift in shifts])
    return seen + rng.normal(0, noise, (n, length))


@pytest.mark.parametrize("seed", range(3))
def test_profiles_that_drift_apart_by_more_than_their_length_are_chained(seed):
    shifts = np.linspace(-30, 30, 50) + np.random.default_rng(seed).uniform(-2, 2, 50)
    found, error = register_profiles(line(50, 40, 0.1, shifts, seed), 0.1)
    departs = found - shifts
    assert departs.std() < 0.3
    assert departs.std() < 4 * np.sqrt(np.mean(error**2))


def test_single_profiles_lie_no_further_off_than_they_can_be_registered():
    """Each would lead the next one further away: frames with a background of their own did."""
    shifts = np.random.default_rng(0).uniform(-3, 3, 50)
    shifts[[10, 20, 30, 40]] = -22, -30, -38, -46
    found, _ = register_profiles(line(50, 48, 0.1, shifts, 0), 0.1)
    usual = np.abs(shifts) <= 3
    departs = found - shifts
    assert departs[usual].std() < 0.3
    assert np.abs(found - np.median(found)).max() < 0.65 * 48 + 3


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_the_standard_error_of_a_profile_is_that_of_its_noise(noise):
    shifts = np.random.default_rng(0).uniform(-3, 3, 60)
    departs, stated = [], []
    for seed in range(4):
        found, error = register_profiles(line(60, 64, noise, shifts, seed), noise)
        departs.append(np.std(found - shifts))
        stated.append(np.sqrt(np.mean(error**2)))
    assert 0.6 < np.mean(stated) / np.mean(departs) < 1.6


def test_a_line_without_features_says_that_it_tells_nothing():
    flat = 5 + np.random.default_rng(0).normal(0, 0.1, (20, 24))
    _, error = register_profiles(flat, 0.1)
    assert np.sqrt(np.mean(error**2)) > 0.5


def test_frames_of_one_row_tell_nothing_of_rows():
    scan = simulate(40, 24, noise=0.01, seed=3)
    one = np.ascontiguousarray(scan.projections[:, 20:21])
    estimate = estimate_shifts(survey_of(one), scan.angles, everything(scan), scan.center)
    assert not estimate.shifts[:, 0].any()
    assert np.isinf(estimate.standard_error[0])
