"""Parameters that decide a step: each test fails where the loop ignores it."""

import dataclasses

import numpy as np
import pytest

from napari_tomoalign import iterate_alignment
from napari_tomoalign.loop.steps import relaxation
from napari_tomoalign.simulation import simulate
from parameter_runs import error, states

"""Every refinement off: what is left moves by the cross-correlation alone."""


"""The backend's own choice of a reconstruction."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.01, jitter=2.0, drift=1.0, seed=6)


# --- registration --------------------------------------------------------------------------------


@pytest.mark.parametrize("upsampling", [1, 4, 10])
def test_upsampling_is_the_grid_of_the_moves(scan, upsampling):
    for state in states(scan, upsampling=upsampling, shift_tolerance=1e-3):
        steps = state.record.moves * upsampling
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    if upsampling > 1:
        first = states(scan, upsampling=upsampling)[0].record.moves
        assert np.abs(first - np.round(first)).max() > 0.05


def test_upsampling_decides_how_well_correlation_aligns(scan):
    coarse, fine = (states(scan, upsampling=u, maxiter=6)[-1] for u in (1, 50))
    assert error(scan, fine) < 0.1 < error(scan, coarse)


def test_normalization_reaches_the_correlation(scan):
    plain = states(scan, maxiter=1)[-1].record.moves
    phase = states(scan, maxiter=1, normalization="phase")[-1].record.moves
    assert not np.allclose(plain, phase, atol=0.1)


def test_gauss_newton_refines_between_the_grid_of_the_correlation(scan):
    options = {"upsampling": 2, "shift_tolerance": 0.01, "maxiter": 8}
    off = states(scan, gauss_newton=False, **options)[-1]
    on = states(scan, gauss_newton=True, **options)[-1]
    assert np.abs(on.record.moves * 2 - np.round(on.record.moves * 2)).max() > 1e-3
    assert error(scan, on) < 0.06 < error(scan, off)


def test_without_gauss_newton_moves_stay_on_the_grid_after_capture(scan):
    near = scan.shifts + np.random.default_rng(0).uniform(-0.3, 0.3, (20, 2))
    options = {"upsampling": 25, "initial_shifts": near, "maxiter": 4}
    run = states(scan, gauss_newton=False, shift_tolerance=1e-9, **options)
    assert len(run) > 1
    assert np.hypot(*run[0].record.moves.T).max() < 0.5  # captured at once
    for state in run:
        steps = state.record.moves * 25
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


# --- moves ---------------------------------------------------------------------------------------


def test_shift_cutoff_is_the_longest_move(scan):
    free = states(scan, maxiter=1)[0].record
    cut = states(scan, maxiter=1, shift_cutoff=0.25)[0].record
    length = np.hypot(*free.moves.T)
    assert (length > 0.3).sum() > 5
    np.testing.assert_allclose(np.hypot(*cut.moves.T), np.minimum(length, 0.25), atol=1e-9)
    long = length > 0.3
    np.testing.assert_allclose(
        cut.moves[long] / 0.25, free.moves[long] / length[long, None], atol=1e-9
    )


def test_relaxation_weight_adds_the_step_of_the_formula(scan):
    start = np.random.default_rng(5).normal(0, 2, (20, 2))
    options = {"initial_shifts": start, "maxiter": 1, "seed": 9}
    plain = states(scan, **options)[0].record.moves
    relaxed = states(scan, relaxation_weight=0.4, **options)[0].record.moves

    noise = np.random.default_rng(9).normal(0.0, 1.0, (20, 2))
    d = start - start.mean(axis=0)
    r = np.sign(d) * np.maximum(0, np.abs(d) - np.abs(noise * d.std(axis=0)))
    np.testing.assert_allclose(relaxed - plain, -0.4 * np.clip(r, -1, 1), atol=1e-9)
    assert relaxation(start, 0.4, np.random.default_rng(9)) == pytest.approx(relaxed - plain)


def test_center_of_mass_shift_weight_adds_the_measured_displacement():
    scan = simulate(32, 20, noise=0.01, jitter=0.0, drift=0.0, seed=6)
    start = np.zeros((20, 2))
    start[4] = [0.6, -0.5]  # so this image is moved by that much in the wrong direction
    options = {"initial_shifts": start, "maxiter": 1, "shift_cutoff": 1e-6}
    options = {"backend": "builtin", "center": scan.center, **options}
    off, half, full = (
        states(scan, center_of_mass_shift_weight=w, **options)[0].record.moves
        for w in (0.0, 0.5, 1.0)
    )
    assert np.abs(off).max() < 1e-5
    np.testing.assert_allclose(half, full / 2, atol=1e-5)
    np.testing.assert_allclose(full[4], [-0.6, 0.5], atol=0.1)
    assert np.abs(np.delete(full, 4, axis=0)).max() < 0.1


@pytest.mark.parametrize(("off", "axis"), [("align_vertical", 0), ("align_horizontal", 1)])
def test_a_direction_that_is_off_stays_as_it_was(scan, off, axis):
    start = np.random.default_rng(1).normal(0, 1, (20, 2))
    options = {
        "backend": "builtin",
        "maxiter": 2,
        "workers": 1,
        "relaxation_weight": 0.1,
        "center_of_mass_shift_weight": 0.1,
    }
    for begin in (start, None):
        for state in iterate_alignment(
            scan.projections, scan.angles, initial_shifts=begin, **{off: False}, **options
        ):
            expected = np.zeros(20) if begin is None else start[:, axis]
            np.testing.assert_array_equal(state.shifts[:, axis], expected)
            assert not state.record.moves[:, axis].any()
            assert state.record.moves[:, 1 - axis].any()


def test_align_vertical_off_does_not_hold_up_the_stop_rule():
    scan = simulate(32, 20, noise=0.0, jitter=0.0, drift=0.0, seed=6)
    scan = dataclasses.replace(scan, projections=np.roll(scan.projections, 2, axis=1))
    start = np.column_stack([np.random.default_rng(1).integers(-2, 3, 20), np.zeros(20)])
    last = states(scan, maxiter=4, initial_shifts=start, align_vertical=False, shift_tolerance=0.2)[
        -1
    ]
    # Rows that lie where they were put fit no rigid object, so the run is at rest and no more.
    assert last.finished
    assert "nothing moves any more" in last.message


def test_align_horizontal_off_leaves_the_centre(scan):
    last = states(scan, align_horizontal=False, center_estimation=True, initial_estimate=True)[-1]
    assert last.center == 15.5
