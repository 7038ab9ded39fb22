"""What is found, shown, gone on from and taken back."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters, ScanGeometry
from napari_tomoalign.steering import Course, Pace, Placement, RunRequest, ScanSource, Session

ANGLES = np.linspace(0, 3, 6)
SCAN = ScanSource(np.zeros((6, 8, 8)), ANGLES, Placement())


def request(**changes):
    return RunRequest(SCAN, None, "builtin", AlignmentParameters(**changes))


@pytest.fixture
def session(make_state):
    """A session after three iterations."""
    made = Session()
    made.expect("run", replace(Course.starting(SCAN), request=request()))
    for number in (1, 2, 3):
        advance(made, make_state, number)
    return made


def advance(session, make_state, number, **kwargs):
    state = make_state(SCAN.data, ANGLES, number, **kwargs)
    session.add(state.record, state.generator_state)
    session.images = state
    session.course = session.course.with_state(state, SCAN)


def test_each_iteration_is_shown_as_it_comes(session):
    assert session.course.shown == len(session.course.history) == 3
    np.testing.assert_array_equal(session.course.shifts[0], (3, -3))
    assert session.images_fit


def test_zero_is_the_start(session):
    assert not session.course.at(0).shifts.any()
    with pytest.raises(ValueError, match="there is no iteration 4: choose 0 to 3"):
        session.course.at(4)


def test_a_nudge_changes_one_projection_and_no_record(session):
    nudged = session.course.nudged(2, (0.5, -1.0))
    np.testing.assert_array_equal(nudged.shifts[2], (2.5, -2.0))
    np.testing.assert_array_equal(nudged.shifts[1], (3, -3))
    np.testing.assert_array_equal(nudged.history[2].shifts[2], (3, -3))
    np.testing.assert_array_equal(nudged.record.shifts[2], (2.5, -2.0))
    np.testing.assert_array_equal(nudged.at(3).shifts[2], (3, -3))
    assert not nudged.at_end


def test_an_earlier_iteration_is_resumed_and_what_came_after_is_left_out(session):
    course, asked = session.course.at(1).going_on(request(maxiter=10))
    assert [record.iteration for record in asked.start["resume"].history] == [1]
    assert asked.start["resume"].generator_state == {"number": 1}
    assert len(course.history) == 1
    assert len(session.course.history) == 3  # nothing is lost before an iteration has come


def test_a_nudged_one_starts_anew_and_counts_on(session, make_state):
    session.course = session.course.nudged(2, (1, 1))
    course, asked = session.course.going_on(request())
    assert set(asked.start) == {"initial_shifts", "center"}
    np.testing.assert_array_equal(asked.start["initial_shifts"][2], (2, -4))
    session.expect("run", course)
    advance(session, make_state, 1)
    assert [record.iteration for record in session.course.history] == [1, 2, 3, 4]


def test_the_verdict_and_what_is_written_count_the_iterations_of_the_latest_run(
    session, make_state
):
    course, _ = session.course.going_on(request(upsampling=50))
    session.expect("run", course)
    advance(session, make_state, 1)
    advance(session, make_state, 2, last=True)
    assert len(session.course.history) == 5
    assert session.course.headline.endswith("converged in 5")
    expected = "converged after 2 iterations; 3 iterations of earlier runs before"
    assert session.course.shown_state().message == expected
    assert session.course.outcome == f"C{expected[1:]}."
    assert session.course.at(4).outcome == "Iteration 4 of 5 is on show."
    assert session.course.nudged(0, (1, 0)).outcome == "Iteration 5 of 5 is on show, moved by hand."


def test_a_spent_limit_starts_anew(session):
    assert "initial_shifts" in session.course.going_on(request(maxiter=3))[1].start


def test_a_converged_run_starts_anew(session, make_state):
    last = make_state(SCAN.data, ANGLES, 3, last=True)
    course = session.course.with_state(last, SCAN)
    assert "initial_shifts" in course.going_on(request())[1].start


def test_a_run_of_which_only_the_end_is_known_starts_anew_elsewhere(session):
    opened = replace(session.course, generators=({}, {}, {"number": 3}))
    assert "resume" in opened.going_on(request(maxiter=10))[1].start
    assert "initial_shifts" in opened.at(2).going_on(request(maxiter=10))[1].start


def test_what_was_found_of_the_axis_is_gone_on_from(session):
    last = replace(session.course.history[-1], geometry={"axis_angle": np.array(0.01)})
    course = replace(session.course, history=(*session.course.history[:-1], last))
    start = course.going_on(request(upsampling=50))[1].start
    assert start["axis_angle"] == 0.01
    assert "axis_tilt" not in start


def test_turns_and_angles_that_were_found_are_gone_on_from(session):
    found = {"in_plane": np.linspace(-0.01, 0.01, 6), "angles": ANGLES + 0.001}
    last = replace(session.course.history[-1], geometry=found)
    course = replace(session.course, history=(*session.course.history[:-1], last))
    asked = course.going_on(request(upsampling=50))[1].arguments()
    for name, values in found.items():
        np.testing.assert_array_equal(asked[name], values)


def test_loaded_shifts_are_the_start_and_a_centre_of_ones_own_wins():
    course = Course.starting(SCAN, np.ones((6, 2)), 3.25)
    start = course.going_on(request())[1].start
    np.testing.assert_array_equal(start["initial_shifts"], np.ones((6, 2)))
    assert start["center"] == 3.25
    own = replace(request(), asked_center=3.0)
    assert course.going_on(own)[1].arguments()["center"] == 3.0


def test_what_is_shown_is_what_is_written(session):
    state = session.course.at(2).shown_state()
    assert state.iteration == 2
    np.testing.assert_array_equal(state.shifts[0], (2, -2))
    assert state.generator_state == {"number": 2}
    nudged = session.course.at(2).nudged(0, (1, 0)).shown_state()
    np.testing.assert_array_equal(nudged.shifts[0], (1, -2))
    assert nudged.message == "iteration 2 of 3, moved by hand"


def test_a_run_that_fails_before_its_first_iteration_changes_nothing(session):
    before = session.course
    session.expect("run", Course.starting(SCAN))
    assert session.course is before
    assert session.undoes == "run"  # the first run


def test_undo_and_redo_lead_back_and_forth(session):
    found = session.course
    session.do("nudge", found.nudged(0, (1, 1)))
    nudged = session.course
    session.do("nudge", nudged.nudged(0, (1, 1)))
    session.undo()
    assert session.course is nudged
    session.undo()
    assert session.course is found
    session.undo()
    assert not session.course.is_result  # before the run
    assert not session.undoes
    session.redo()
    session.redo()
    assert session.course is nudged
    session.do("load", Course.starting(SCAN, np.ones((6, 2))))
    assert not session.redoes
    session.undo()
    assert session.course is nudged


def test_images_fit_only_the_shifts_they_were_made_at(session):
    session.course = session.course.at(2)
    assert not session.images_fit
    session.course = session.course.at(3)
    assert session.images_fit
    session.course = session.course.nudged(1, (0.1, 0))
    assert not session.images_fit


class TestTimeLeft:
    def test_coarse_iterations_are_no_measure_of_fine_ones(self):
        pace = Pace(finest=1)
        for _ in range(4):
            pace.add(4, 0.1)
        assert pace.left(10) == pytest.approx(10 * 0.1 * 64)
        for _ in range(3):
            pace.add(1, 2.0)
        assert pace.left(10) == pytest.approx(20.0)

    def test_a_run_that_ends_binned_costs_what_its_level_does(self):
        pace = Pace(finest=2)
        pace.add(2, 9.0)  # compiles
        pace.add(2, 0.5)
        assert pace.left(4) == pytest.approx(2.0)
        assert pace.words(4) == "up to 2 s left"

    def test_nothing_is_promised_before_it_is_known(self):
        assert Pace().words(10) == "time left not known yet"
        assert Pace().words(0) == "the last one"


def test_turns_of_loaded_shifts_are_in_every_run_that_follows():
    turns = np.linspace(-0.01, 0.01, 6)
    geometry = ScanGeometry(ANGLES, 8, 8, in_plane=turns)
    course = Course.starting(SCAN, np.ones((6, 2)), 3.5, "a.xf", geometry)
    course, asked = course.going_on(request())
    np.testing.assert_array_equal(asked.arguments()["in_plane"], turns)
    np.testing.assert_array_equal(course.going_on(request())[1].arguments()["in_plane"], turns)
    many = replace(geometry, rotations=geometry.orientations, in_plane=None)
    asked = Course.starting(SCAN, np.ones((6, 2)), 3.5, "a.npy", many).going_on(request())[1]
    np.testing.assert_array_equal(asked.arguments()["rotations"], geometry.orientations)
    assert asked.arguments()["angles"] is None
