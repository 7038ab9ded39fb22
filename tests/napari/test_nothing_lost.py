"""What was found stays: a run that fails, undo and redo, the result's own axis, any iteration."""

import gc
import weakref

import numpy as np
import pytest

from napari_tomoalign._napari._keys import KEYS
from napari_tomoalign._napari._run_bar import RunBar
from napari_tomoalign._napari._verdict import label_of
from napari_tomoalign.findings import Finding
from napari_tomoalign.images.applying import move
from napari_tomoalign.parameters import AlignmentParameters


@pytest.fixture
def viewer(windowless):
    return windowless


@pytest.fixture
def done(widget, loop, run):
    """A widget after a run of four iterations, whose shifts are (i, -i)."""
    loop.states = 4
    run(widget)
    return widget


def evaluated(widget, qtbot, action):
    with qtbot.waitSignal(widget.evaluator.ready, timeout=20_000):
        action()


def test_a_start_that_is_refused_leaves_the_result(widget, run, told):
    run(widget)
    found = widget.session.course
    widget.scan.fields["ignored_subset"].text = "99"
    run(widget)
    assert any("“Ignored” names projection 99" in text for text in told())
    assert widget.session.course.history is found.history
    assert widget.verdict.save.isEnabled()
    np.testing.assert_array_equal(widget.session.course.shifts, found.shifts)
    widget.parameters.fields["levels"].text = "two"  # refused before it is even started
    widget.run()
    assert widget.session.course.history is found.history


def test_a_run_that_fails_at_its_first_iteration_leaves_the_result(done, loop, run):
    found = done.session.course
    loop.error, loop.fails_at = ValueError("the detector is on fire"), 1
    run(done)
    assert done.session.course.history is found.history


def test_run_goes_on_from_what_was_found_and_a_new_start_is_a_choice(done, loop, run):
    run(done)
    np.testing.assert_array_equal(loop.arguments["initial_shifts"], np.full((24, 2), (4, -4)))
    done.run_bar.go_on(False)
    run(done)
    assert "initial_shifts" not in loop.arguments
    assert done.run_bar.goes_on


def test_a_new_start_can_be_taken_back(done, loop, run, qtbot, viewer):
    found = done.session.course
    loop.states = 2
    done.run_bar.go_on(False)
    run(done)
    assert len(done.session.course.history) == 2
    evaluated(done, qtbot, done.verdict.undo.click)
    assert [len(done.session.course.history), len(found.history)] == [4, 4]
    np.testing.assert_array_equal(done.session.course.shifts, found.shifts)
    expected = move(viewer.layers["scan"].data, found.shifts)
    np.testing.assert_allclose(viewer.layers["reference"].data, expected, atol=1e-5)
    evaluated(done, qtbot, done.verdict.redo.click)
    assert len(done.session.course.history) == 2


def test_steps_nudges_freezes_and_verifications_are_taken_back_one_by_one(
    widget, loop, qtbot, run, viewer
):
    loop.states = 5
    for _ in range(2):
        with qtbot.waitSignal(widget.runner.paused, timeout=5000):
            widget.run_bar.step.click()
    run(widget, widget.run_bar.stop.click)
    viewer.dims.set_point(1, 7)
    widget.nudge(1.0, 0.0)
    widget.result.freeze.click()
    assert widget.scan.ignored == (7,)
    seen = []
    while widget.session.undoes:
        seen.append(widget.session.undoes)
        widget.undo()
    assert seen == ["freeze of 7", "nudge of projection 7", "step", "step"]
    assert widget.scan.ignored == ()
    assert not widget.session.course.is_result
    for _ in seen:
        widget.redo()
    assert widget.scan.ignored == (7,)
    np.testing.assert_array_equal(widget.session.course.shifts[7], (1, -2))


def test_undo_waits_for_the_loop(widget, loop, qtbot, run, told):
    loop.states, loop.pause = 100, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 1, timeout=5000)
    widget.undo()
    assert any("pause or stop it first" in text for text in told())
    run(widget, widget.stop)


def test_a_result_carries_its_own_axis(done, viewer, qtbot, tmp_path, phantom):
    """Whatever the box says afterwards, and whichever layer is chosen."""
    viewer.dims.set_point(1, 7)
    done.nudge(1.0, 0.0)
    text = done.result.in_view.text()
    done.scan.fields["rotation_axis"].value = "horizontal"
    done.scan.layer.value = viewer.add_image(phantom.projections * 2, name="other")
    assert done.result.in_view.text() == text
    before = done.session.course.shifts[7].copy()
    done.nudge(1.0, 0.0)
    np.testing.assert_array_equal(done.session.course.shifts[7] - before, (-1, 0))
    with qtbot.waitSignal(done.written, timeout=10_000):
        done.save_shifts(tmp_path / "shifts.h5")
    from napari_tomoalign.io import read_shifts

    assert read_shifts(tmp_path / "shifts.h5").rotation_axis == "vertical"


def test_an_iteration_put_back_is_shown_in_all_layers_and_in_the_words(
    widget, run, qtbot, viewer, phantom
):
    run(widget)
    course = widget.session.course
    last = viewer.layers["reconstruction"].data.copy()
    assert "converged in" in widget.verdict.headline.text()
    evaluated(widget, qtbot, lambda: widget.result.slider.setValue(1))
    text = widget.verdict.headline.text()
    assert f"iteration 1 of {len(course.history)}" in text
    assert "converged" not in text + widget.run_bar.status.text()
    first = course.history[0]
    for name in ("reference", "projections", "reconstruction"):
        own = viewer.layers[name].metadata["napari_tomoalign"]
        assert own["iteration"] == 1, name
        np.testing.assert_array_equal(own["shifts"], first.shifts)
    np.testing.assert_allclose(
        viewer.layers["reference"].data, move(phantom.projections, first.shifts), atol=1e-4
    )
    made = viewer.layers["reconstruction"].data
    assert not np.array_equal(made, last)
    assert np.corrcoef(made.ravel(), last.ravel())[0, 1] > 0.9


def test_until_the_volume_is_made_the_words_say_so(done, qtbot):
    done.result.slider.setValue(2)
    assert "not that of these shifts" in done.verdict.headline.text()
    qtbot.waitUntil(lambda: not done.evaluator.is_running, timeout=20_000)
    qtbot.waitUntil(lambda: "not that of" not in done.verdict.headline.text(), timeout=5000)


def test_what_is_changed_during_a_run_takes_effect_at_the_next(widget, loop, qtbot, run):
    loop.states, loop.pause = 100, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 1, timeout=5000)
    assert widget.run_bar.remark.isHidden()
    widget.parameters.fields["upsampling"].value = 50
    assert "takes effect at the next run" in widget.run_bar.remark.text()
    assert not widget.run_bar.remark.isHidden()
    run(widget, widget.stop)
    assert widget.run_bar.remark.isHidden()


def test_updates_do_not_nest_while_the_activity_dock_is_told(qtbot, make_state):
    bar, depths = RunBar(KEYS), []
    qtbot.addWidget(bar)

    class Dock:
        n, depth = 0, 0

        def set_description(self, text):  # napari's lets Qt handle events: the next update comes
            self.depth += 1
            depths.append(self.depth)
            advance()
            self.depth -= 1

        def update(self, more):
            self.n += more

        def close(self):
            pass

    def advance():
        if len(depths) < 5:
            record = make_state(np.zeros((3, 8, 8)), np.arange(3), len(depths) + 1).record
            bar.show_progress(record, 10)
            bar.tell_activity()

    bar._activity = dock = Dock()
    for _ in range(3):
        advance()
    assert depths == [1, 1, 1]
    assert dock.n == 3


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"excluded_subset": (1, 3, 17)}, "Leave out 3, 17"),
        ({"excluded_subset": (1, 3, 4, 5, 6)}, "Leave out 3, 4, 5 …"),
        ({"center": None}, "Find the centre"),
        ({"maxiter": 80}, "Up to 80 iterations"),
        ({"transmission": True}, "Use transmission"),
        ({"rotation_axis": "horizontal"}, "Turn the axis"),
        ({"background": "plane"}, "Background: plane"),
        ({"levels": (4, 2)}, "Levels: 4, 2"),
    ],
)
def test_each_advice_is_something_to_click(change, label):
    before = AlignmentParameters(excluded_subset=(1,))
    assert label_of(Finding("some trouble", "do something", change), before) == label


def test_a_click_on_the_advice_does_it(widget, loop, run):
    from qtpy.QtWidgets import QLabel

    loop.findings = (
        Finding("frames that do not fit", "projection 3, 17", {"excluded_subset": (3, 17)}),
        Finding("few angles", "measure more"),
        Finding("still moving", "projection 5; raise maxiter", {"maxiter": 80}),
    )
    widget.scan.fields["ignored_subset"].value = (3, 4)
    widget.scan.fields["excluded_subset"].value = (20,)
    run(widget)
    shown = [label.text() for label in widget.verdict.findChildren(QLabel)]
    assert "⚠ still moving: projection 5; raise “Iterations, at most”" in shown
    leave_out, more = widget.verdict.buttons()
    leave_out.click()
    more.click()
    run(widget)
    assert loop.arguments["excluded_subset"] == (3, 17, 20)
    assert loop.arguments["ignored_subset"] == (4,)
    assert loop.arguments["maxiter"] == 80
    assert "initial_shifts" in loop.arguments
    for _ in range(3):
        widget.undo()
    assert widget.fields["excluded_subset"].value == (20,)
    assert widget.fields["ignored_subset"].value == (3, 4)
    assert widget.fields["maxiter"].value == 40


@pytest.mark.parametrize("change", [{"rotation_axis": "horizontal"}, {"center": None}])
def test_advice_that_changes_what_shifts_mean_starts_anew(widget, loop, run, change):
    loop.findings = (Finding("geometry", "fits much better otherwise", change),)
    widget.scan.fields["center"].value = 3.0
    run(widget)
    (button,) = widget.verdict.buttons()
    button.click()
    (name,) = change
    assert widget.scan.fields[name].value == change[name]
    assert not widget.run_bar.goes_on


def test_in_a_small_window_each_button_of_the_advice_is_in_view(widget, loop, run, qtbot):
    loop.findings = (
        Finding("", "a trend of the shifts across the axis was told from the centres of mass"),
        Finding(
            "frames that do not fit",
            "projection 17 differs from what the others predict (another object, a wrong angle, "
            "or lost); not used in the reconstruction: look at them, and put them in "
            "excluded_subset or correct them by hand",
            {"excluded_subset": (17,)},
        ),
        Finding("uncertain", "more of it is misfit than noise, so more exposure would not help"),
        Finding(
            "geometry",
            "the images fit much better with a rotation axis across the one that was told: turn it",
            {"rotation_axis": "horizontal"},
        ),
    )
    loop.states = 1
    widget.resize(390, 640)  # the dock in a window of 1024 x 700
    widget.show()
    run(widget)
    turn, leave_out = widget.verdict.buttons()
    assert (turn.text(), leave_out.text()) == ("Turn the axis", "Leave out 17")

    def is_seen(button):
        return button.visibleRegion().boundingRect() == button.rect()

    qtbot.waitUntil(lambda: is_seen(turn) and is_seen(leave_out), timeout=2000)


def test_the_verdict_stays_in_view(done):
    text = done.verdict.headline.text()
    assert text == "± 0.014 px (RMS) · 24 of 24 trusted · axis at 15.5 · converged in 4"
    assert not done._scroll.isAncestorOf(done.verdict)
    assert not done._scroll.isAncestorOf(done.run_bar)


def test_a_session_is_the_viewers_and_goes_with_it():
    from napari_tomoalign._napari._parts import session_of

    class Viewer:
        """Stands in for napari's, which napari itself keeps for a while."""

    viewer = Viewer()
    session = session_of(viewer)
    assert session_of(viewer) is session
    assert session_of(Viewer()) is not session
    gone = weakref.ref(session)
    del viewer, session
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("size", [9, 18])
def test_nothing_that_is_said_is_cut_off(widget, loop, run, qtbot, size):
    long = "much is said, in more words than one line holds, and all of it should be read"
    loop.findings = (Finding("a", long, {"transmission": True}), Finding("b", long))
    loop.states = 1
    layer = widget.scan.layer.value
    layer.metadata = {**layer.metadata, "preparation": (long, long)}
    widget.reset_choices()
    widget.setStyleSheet(f"QWidget {{ font-size: {size}pt; }}")
    widget.resize(400, 900)
    widget.show()
    run(widget)
    for label in (widget.scan.summary, widget.verdict.headline, widget.run_bar.status):
        assert label.height() >= label.heightForWidth(label.width()), label.text()
    button = widget.verdict.buttons()[0]
    qtbot.waitUntil(lambda: button.visibleRegion().boundingRect() == button.rect(), timeout=2000)
    assert widget.verdict.save.width() >= widget.verdict.save.sizeHint().width()
    held = widget._scroll  # as wide as what it holds, with any font
    assert held.viewport().width() >= held.widget().minimumSizeHint().width()
