"""Rules about single frames: held, excluded, bounded, and never flung out of the field."""

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error
from napari_tomoalign.loop.evaluating import Evaluation
from napari_tomoalign.loop.verdict import TAKEN_BACK
from napari_tomoalign.simulation import cramer_rao_bound, simulate

QUICK = {"backend": "builtin", "progress": False}


@pytest.fixture(scope="module")
def scan():
    return simulate(48, 30, seed=2)


def absolute(shifts, center):
    """Shifts with the place of the axis in them."""
    return shifts + np.array([0.0, center])


def placed(scan, center):
    """The true shifts as they read with the axis at a column."""
    return scan.shifts + np.array([0.0, scan.center - center])


def test_held_frames_keep_their_shifts_and_the_others_are_found_relative_to_them(scan):
    held, middle = [3, 11, 24], 23.5
    start = np.zeros_like(scan.shifts)
    start[held] = placed(scan, middle)[held] + [1.5, 0.0]  # an object that lies elsewhere
    result = align(
        scan.projections,
        scan.angles,
        initial_shifts=start,
        ignored_subset=held,
        shift_tolerance=0.005,
        **QUICK,
    )
    for record in result.history:
        np.testing.assert_array_equal(record.shifts[held], start[held])
    assert result.center == middle
    others = np.setdiff1d(np.arange(30), held)
    error = (result.shifts - placed(scan, middle) - [1.5, 0.0])[others]
    # against the held frames, without taking out a gauge: the bound, and what three frames tell
    assert np.sqrt(np.mean(np.sum(error**2, axis=1))) < 2.0 * cramer_rao_bound(scan)
    assert (result.confidence > 0.5).all()
    assert result.converged


def test_held_frames_take_part_whatever_they_look_like(scan):
    spoilt = scan.projections.copy()
    spoilt[7] = 40.0
    volumes = [
        align(spoilt, scan.angles, **options, maxiter=2, **QUICK).reconstruction
        for options in ({"ignored_subset": [7]}, {"excluded_subset": [7]})
    ]
    assert np.abs(volumes[0] - volumes[1]).max() > 0.05


def test_excluded_frames_are_as_if_they_were_not_there(scan):
    spoilt, left = scan.projections.copy(), np.setdiff1d(np.arange(30), [5, 17])
    spoilt[5], spoilt[17, 3] = np.nan, np.inf
    result = align(spoilt, scan.angles, excluded_subset=[17, 5], **QUICK)
    without = align(scan.projections[left], scan.angles[left], **QUICK)
    assert result.shifts.shape == (30, 2)
    np.testing.assert_array_equal(np.flatnonzero(result.confidence == 0), [5, 17])
    assert all(not {5, 17} & set(record.drawn.tolist()) for record in result.history)
    found, alone = (absolute(r.shifts, r.center) for r in (result, without))
    assert alignment_error(found[left], alone, scan.angles[left], centers=(0, 0)) < 0.005
    np.testing.assert_allclose(result.reconstruction, without.reconstruction, atol=0.005)
    assert not any("do not fit" in text or "blank" in text for text in result.diagnosis)


def test_a_projection_is_held_or_excluded_but_not_both(scan):
    with pytest.raises(ValueError, match="projection 4 is in ignored_subset and in excluded"):
        align(scan.projections, scan.angles, ignored_subset=[4], excluded_subset=[1, 4], **QUICK)
    with pytest.raises(ValueError, match="excluded_subset names projection 30, but there are 30"):
        align(scan.projections, scan.angles, excluded_subset=[30], **QUICK)
    with pytest.raises(ValueError, match="ignored_subset and excluded_subset name every"):
        align(
            scan.projections,
            scan.angles,
            ignored_subset=range(15),
            excluded_subset=range(15, 30),
            **QUICK,
        )


def test_the_cutoff_bounds_the_whole_change_of_a_shift(scan):
    """Acceleration, the gauge and the axis included."""
    start = np.full((30, 2), [2.0, -1.0])  # all gauge and axis
    result = align(
        scan.projections,
        scan.angles,
        initial_shifts=start,
        shift_cutoff=0.3,
        levels=(1,),
        maxiter=12,
        **QUICK,
    )
    steps = [record for record in result.history if TAKEN_BACK not in record.notes]
    shifts = np.stack([start, *(record.shifts for record in steps)])
    changes = np.hypot(*np.moveaxis(np.diff(shifts, axis=0), 2, 0))
    assert changes.max() <= 0.3 + 1e-9
    assert changes.max() > 0.29


def test_a_frame_whose_pixels_are_all_ignored_has_no_confidence(scan):
    weights = np.ones_like(scan.projections)
    weights[9] = 0
    result = align(scan.projections, scan.angles, weights=weights, **QUICK)
    assert result.confidence[9] == 0
    assert (np.delete(result.confidence, 9) > 0.5).all()
    assert alignment_error(
        np.delete(absolute(result.shifts, result.center), 9, axis=0),
        np.delete(placed(scan, 0.0), 9, axis=0),
        np.delete(scan.angles, 9),
        centers=(0, 0),
    ) < 1.5 * cramer_rao_bound(scan)


def test_no_frame_is_flung_out_of_the_field(scan):
    """Frames of something else, placed at the border: they stay where they can be compared."""
    rng = np.random.default_rng(0)
    spoilt = scan.projections.copy()
    row, column = np.mgrid[:48, :48]
    for i in (4, 20):
        spot = rng.uniform(0, 48, 2)
        spoilt[i] = 2 * np.exp(-((row - spot[0]) ** 2 + (column - spot[1]) ** 2) / 20)
    start = np.zeros((30, 2))
    start[[4, 20]] = [[18.0, 0.0], [0.0, -20.0]]
    result = align(spoilt, scan.angles, initial_shifts=start, **QUICK)
    left = np.prod(1 - np.abs(result.shifts) / 48, axis=1)
    assert (left >= 0.4).all()
    sound = np.setdiff1d(np.arange(30), [4, 20])
    assert (result.confidence[[4, 20]] < 0.5).all()
    assert (result.confidence[sound] >= 0.5).all()


@pytest.mark.parametrize("noise", [0.05, 0.0])
def test_a_last_step_is_taken_unless_noise_hides_it(noise, monkeypatch):
    evaluations, evaluated = [], Evaluation.__call__
    monkeypatch.setattr(
        Evaluation, "__call__", lambda *given: evaluations.append(1) or evaluated(*given)
    )
    scan = simulate(32, 24, noise=noise, seed=1)
    counts = []
    result = align(
        scan.projections,
        scan.angles,
        precision=0.0,
        shift_tolerance=0.02,
        callback=lambda state: counts.append(len(evaluations)),
        **QUICK,
    )
    before, last = result.history[-2:]
    assert result.converged
    assert last.moves.any()
    assert np.array_equal(last.shifts, before.shifts) == (noise > 0)
    look = 1  # a second one, where shifts are displaced
    assert counts[-1] - counts[-2] == look + (noise == 0)
    error = np.sqrt(np.nanmean(np.sum(last.standard_error**2, axis=1)))
    assert (last.rms_move < 0.1 * error) == (noise > 0)
