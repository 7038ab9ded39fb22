"""What is found, shown and gone on from; no Qt."""

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters
from napari_tomoalign._napari._session import Session

ANGLES = np.linspace(0, 3, 6)


@pytest.fixture
def session(make_state):
    """A session after three iterations."""
    made = Session()
    made.begin(ANGLES)
    for number in (1, 2, 3):
        made.state = make_state(np.zeros((6, 8, 8)), ANGLES, number)
        made.add(made.state.record, made.state.generator_state)
    return made


def test_each_iteration_is_shown_as_it_comes(session):
    assert session.shown == len(session.history) == 3
    np.testing.assert_array_equal(session.shifts[0], (3, -3))


def test_zero_is_the_start(session):
    session.show(0)
    assert not session.shifts.any()
    with pytest.raises(ValueError, match="there is no iteration 4: choose 0 to 3"):
        session.show(4)


def test_a_nudge_changes_one_projection_and_no_record(session):
    session.nudge(2, (0.5, -1.0))
    np.testing.assert_array_equal(session.shifts[2], (2.5, -2.0))
    np.testing.assert_array_equal(session.shifts[1], (3, -3))
    np.testing.assert_array_equal(session.history[2].shifts[2], (3, -3))
    np.testing.assert_array_equal(session.record.shifts[2], (2.5, -2.0))
    session.show(3)
    np.testing.assert_array_equal(session.shifts[2], (3, -3))


def test_an_earlier_iteration_is_resumed_and_what_came_after_is_forgotten(session):
    session.show(1)
    start = session.go_on(AlignmentParameters(maxiter=10))
    assert [record.iteration for record in start["resume"].history] == [1]
    assert start["resume"].generator_state == {"number": 1}
    assert len(session.history) == 1


def test_a_nudged_one_starts_anew_and_counts_on(session, make_state):
    session.nudge(2, (1, 1))
    start = session.go_on(AlignmentParameters())
    assert set(start) == {"initial_shifts", "center"}
    np.testing.assert_array_equal(start["initial_shifts"][2], (2, -4))
    state = make_state(np.zeros((6, 8, 8)), ANGLES, 1)
    session.add(state.record, state.generator_state)
    assert [record.iteration for record in session.history] == [1, 2, 3, 4]


def test_a_spent_limit_starts_anew(session):
    assert "initial_shifts" in session.go_on(AlignmentParameters(maxiter=3))


def test_a_converged_run_starts_anew(session, make_state):
    session.state = make_state(np.zeros((6, 8, 8)), ANGLES, 3, last=True)
    assert "initial_shifts" in session.go_on(AlignmentParameters())


def test_loaded_shifts_are_the_start(session):
    session.begin(ANGLES, np.ones((6, 2)), 3.25)
    start = session.go_on(AlignmentParameters())
    np.testing.assert_array_equal(start["initial_shifts"], np.ones((6, 2)))
    assert start["center"] == 3.25


def test_what_is_shown_is_what_is_written(session):
    session.show(2)
    state = session.shown_state()
    assert state.iteration == 2
    np.testing.assert_array_equal(state.shifts[0], (2, -2))
    assert state.generator_state == {"number": 2}
    session.nudge(0, (1, 0))
    np.testing.assert_array_equal(session.shown_state().shifts[0], (1, -2))
