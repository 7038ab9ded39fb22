"""Runs that are watched, stopped and resumed."""

import numpy as np
import pytest

from napari_tomoalign.alignment import Resume
from napari_tomoalign.backends import get_backend
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.simulation import simulate
from small_runs import SLOW_TO_REST, run, states


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.02, jitter=2.0, drift=1.0, seed=6)


# --- stopping ------------------------------------------------------------------------------------


def test_the_callback_stops_the_run(scan):
    seen = []

    def two(state):
        seen.append(state)
        return len(seen) < 2  # only False stops

    result = run(scan, callback=two, maxiter=9, **SLOW_TO_REST)
    assert len(seen) == len(result.history) == 2
    assert not result.converged
    assert result.message == "stopped by the callback after iteration 2"
    np.testing.assert_array_equal(result.shifts, seen[-1].shifts)


def test_a_callback_that_returns_nothing_does_not_stop(scan):
    assert len(run(scan, callback=lambda state: None, maxiter=3, **SLOW_TO_REST).history) == 3


def test_control_c_returns_what_was_reached(scan):
    def interrupt(state):
        if state.iteration == 2:
            raise KeyboardInterrupt

    result = run(scan, callback=interrupt, maxiter=9, **SLOW_TO_REST)
    assert len(result.history) == 2
    assert not result.converged
    assert result.message == "interrupted after iteration 2"
    np.testing.assert_allclose(
        result.reference, shift_stack(scan.projections, -result.shifts), atol=1e-4
    )


def test_control_c_within_an_iteration_returns_images_that_belong_to_the_shifts(scan):
    engine, reached = get_backend("builtin"), []

    def interrupted_once(projections, geometry):
        if len(reached) == 2:  # in the third iteration
            reached.append(None)
            raise KeyboardInterrupt
        return engine.reconstruct(projections, geometry, algorithm="sirt", num_iter=4)

    result = run(
        scan,
        reconstruction_pipeline=interrupted_once,
        callback=lambda state: reached.append(state.iteration) if state.iteration < 3 else None,
        **{**SLOW_TO_REST, "levels": (1,), "maxiter": 9},
    )
    assert len(result.history) == 3
    assert result.message == "interrupted after iteration 3"
    np.testing.assert_allclose(
        result.reference, shift_stack(scan.projections, -result.shifts), atol=1e-4
    )


def test_control_c_before_anything_was_reached_is_passed_on(scan):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scan, reconstruction_pipeline=interrupt)


def test_an_error_of_the_callback_is_passed_on(scan):
    def fail(state):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(scan, callback=fail)


def test_the_progress_bar(scan, capsys):
    run(scan, maxiter=2, progress=True, **SLOW_TO_REST)
    shown = capsys.readouterr().err
    assert "align" in shown
    assert "2/2" in shown
    assert "move=" in shown
    assert "residual=" in shown
    run(scan, maxiter=2, progress=False)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"levels": (2, 1), "maxiter": 8},
        {"levels": (1,), "maxiter": 7, "relative_sample_size": 0.5, "relaxation_weight": 0.1},
        {"levels": (1,), "maxiter": 6, "gauss_newton": False, "center_of_mass_shift_weight": 0.1},
    ],
    ids=["levels", "chance", "momentum"],
)
def test_a_resumed_run_is_the_uninterrupted_one(scan, options):
    options = {**options, **SLOW_TO_REST}
    whole = list(states(scan, **options))
    final = whole[-1]
    for stopped in whole[:-1]:
        resume = Resume.of(stopped)
        resumed = list(states(scan, resume=resume, **options))
        assert len(resumed) == len(whole) - stopped.iteration
        last = resumed[-1]
        assert len(last.history) == len(final.history)
        np.testing.assert_array_equal(last.shifts, final.shifts)
        np.testing.assert_array_equal(last.reconstruction, final.reconstruction)
        np.testing.assert_array_equal(last.record.standard_error, final.record.standard_error)
        assert (last.center, last.binning, last.converged) == (
            final.center,
            final.binning,
            final.converged,
        )
        assert last.generator_state == final.generator_state


def test_a_converged_run_can_be_taken_up_with_a_finer_tolerance(scan):
    options = {"maxiter": 20, "reconstruction_pipeline": None, "initial_estimate": False}
    coarse = list(states(scan, shift_tolerance=0.2, **options))[-1]
    resume = Resume.of(coarse)
    fine = list(states(scan, shift_tolerance=0.02, resume=resume, **options))[-1]
    assert coarse.converged
    assert fine.converged
    assert fine.iteration > coarse.iteration


def test_a_run_remembers_nothing_but_the_shifts(scan):
    """What an iteration finds follows from the shifts it starts from, however they were reached."""
    options = {"levels": (1,), "gauss_newton": False, "center_estimation": False, **SLOW_TO_REST}
    first, second = states(scan, maxiter=2, **options)
    again = next(iter(states(scan, maxiter=2, initial_shifts=first.shifts, **options)))
    np.testing.assert_array_equal(again.record.moves, second.record.moves)
