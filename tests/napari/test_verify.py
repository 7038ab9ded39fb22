"""The button Verify: the verdict and its picture, Stop, errors, what is closed meanwhile."""

from time import sleep

import numpy as np
import pytest

from napari_tomoalign import ScanGeometry, Verification
from napari_tomoalign.steering import running

ENDLESS = 10_000


class Checking:
    """A stand-in for the verification: says what reached it, and iterates as it is told to."""

    def __init__(self, make_state):
        self.make_state = make_state
        self.arguments = {}
        self.iterations = 3
        self.error = None
        self.done = 0
        self.pause = 0.0

    def __call__(self, result, projections, *, weights, callback, progress):
        self.arguments = {"result": result, "projections": projections, "weights": weights}
        assert not progress
        for number in range(1, self.iterations + 1):
            sleep(self.pause)
            self.done = number
            if callback(self.make_state(projections, result.angles, number)) is False:
                break
        if self.error is not None:
            raise self.error
        n = len(result.angles)
        injected = np.column_stack([np.linspace(-1, 1, n), np.linspace(2, -2, n)])
        every = np.ones(n, dtype=bool)
        return Verification(injected, injected + 0.1, 0.14, 1.4, 0.02, every, converged=True)


@pytest.fixture
def check(make_state, monkeypatch):
    stand_in = Checking(make_state)
    monkeypatch.setattr(running, "verify", stand_in)
    return stand_in


@pytest.fixture
def verify(qtbot):
    """Verify, or do something else, and wait until the verification has ended."""

    def act(widget, action=None, timeout=20_000):
        with qtbot.waitSignal(widget.verifier.ended, timeout=timeout):
            (action or widget.verdict.verify.click)()

    return act


def start(widget, check, qtbot):
    """Start a verification that does not end by itself."""
    check.iterations, check.pause = ENDLESS, 0.02
    widget.verdict.verify.click()
    qtbot.waitUntil(lambda: check.done >= 2, timeout=5000)


class TestInAModel:
    """Where no window is needed."""

    @pytest.fixture
    def viewer(self, windowless):
        return windowless

    @pytest.fixture
    def done(self, widget, loop, run):
        """A widget after a run of three iterations, whose shifts are (i, -i)."""
        run(widget)
        return widget

    def test_known_shifts_come_back_and_no_layer_is_changed(
        self, viewer, stack, widget, run, verify, line_in
    ):
        run(widget)
        before = {layer.name: (layer.data, layer.data.copy()) for layer in viewer.layers}
        shifts, history = widget.session.course.shifts.copy(), widget.session.course.history
        verify(widget)
        assert "Verified: shifts of this scan are recovered: of " in widget.verdict.verified.text()
        row, column = (line_in(widget.result.verification, name) for name in ("row", "column"))
        for points in (row, column):
            injected, recovered = points.get_data()
            assert len(injected) == 24
            assert np.std(injected) > 0.5
            np.testing.assert_allclose(recovered, injected, atol=0.2)
        assert not widget.result.verification.isHidden()
        assert [layer.name for layer in viewer.layers] == list(before)
        for name, (data, copy) in before.items():
            assert viewer.layers[name].data is data
            np.testing.assert_array_equal(data, copy)
        np.testing.assert_array_equal(widget.session.course.shifts, shifts)
        assert widget.session.course.history is history

    def test_only_where_there_is_a_result_and_nothing_runs(
        self, widget, loop, check, qtbot, run, verify
    ):
        button = widget.verdict.verify
        assert not button.isEnabled()
        loop.states, loop.pause = 1000, 0.02
        widget.run_bar.run.click()
        qtbot.waitUntil(lambda: loop.done >= 3, timeout=5000)
        assert not button.isEnabled()
        with qtbot.waitSignal(widget.runner.paused, timeout=5000):
            widget.run_bar.pause.click()
        assert not button.isEnabled()
        run(widget, widget.run_bar.stop.click)
        assert button.isEnabled()
        start(widget, check, qtbot)
        assert not button.isEnabled()
        verify(widget, widget.run_bar.stop.click)
        assert button.isEnabled()
        widget.choose_iteration(0)
        assert not button.isEnabled()

    def test_a_run_that_ends_before_its_first_iteration_leaves_nothing_to_verify(
        self, widget, loop, run, told
    ):
        loop.error = ValueError("no")
        run(widget)
        assert not widget.verdict.verify.isEnabled()
        widget.verify()
        assert "there are no shifts yet to verify: run first" in told()

    def test_stop_ends_within_one_iteration_and_without_a_verdict(
        self, done, loop, check, qtbot, run, verify
    ):
        start(done, check, qtbot)
        at = check.done
        verify(done, done.run_bar.stop.click, timeout=1000)
        assert check.done <= at + 2
        assert done.run_bar.status.text() == "Verification stopped."
        assert done.result.verification.isHidden()
        assert not done.run_bar.stop.isEnabled()
        assert done.result.slider.isEnabled()
        check.iterations = 1
        verify(done)
        assert "recovered" in done.verdict.verified.text()
        run(done)
        assert loop.started == 2

    def test_nothing_else_is_started_meanwhile(self, done, loop, check, qtbot, told, verify):
        start(done, check, qtbot)
        bar, result = done.run_bar, done.result
        for control in (bar.run, bar.pause, bar.step, result.slider, result.load):
            assert not control.isEnabled()
        done.run()
        assert "a verification is under way: stop it first" in told()
        done.verify()
        assert "a run or a verification is under way: stop it first" in told()
        assert loop.started == 1
        verify(done, bar.stop.click)

    def test_how_far_it_is_is_shown_as_for_a_run(self, done, check, qtbot, verify):
        from napari.utils import progress

        start(done, check, qtbot)
        qtbot.waitUntil(lambda: "Iteration" in done.run_bar.status.text(), timeout=5000)
        text = done.run_bar.status.text()
        assert text.startswith("Verifying. Iteration ")
        assert " of 40: largest move " in text
        assert done.run_bar.bar.value() > 0
        (bar,) = progress._all_instances
        assert bar.total == 40
        qtbot.waitUntil(lambda: bar.n > 0, timeout=5000)
        verify(done, done.run_bar.stop.click)
        assert not progress._all_instances

    @pytest.mark.parametrize("kind", [ValueError, RuntimeError, MemoryError])
    def test_an_error_is_told_and_leaves_the_widget_ready(self, done, check, told, verify, kind):
        text = "the detector is on fire: put it out"
        check.error = kind(text)
        verify(done)
        assert told() == [f"MemoryError: {text}" if kind is MemoryError else text]
        assert "The verification ended with an error: " in done.run_bar.status.text()
        assert done.run_bar.run.isEnabled()
        assert done.result.verification.isHidden()
        check.error = None
        verify(done)
        assert not done.result.verification.isHidden()

    def test_the_scan_and_the_weights_are_those_of_the_result(
        self, viewer, widget, loop, check, phantom, run, verify
    ):
        labels = np.zeros(phantom.projections.shape, dtype=np.uint8)
        labels[:, 3, 4] = 1
        mask = viewer.add_labels(labels)
        widget.scan.marks.value = mask
        run(widget)
        weights = loop.arguments["weights"].copy()
        assert weights.sum() == weights.size - len(weights)
        mask.data[:, 10:20] = 1  # painted afterwards
        other = viewer.add_image(phantom.projections[:10] * 2, name="other")
        widget.scan.layer.value = other
        viewer.layers.remove("scan")
        verify(widget)
        np.testing.assert_array_equal(check.arguments["projections"], phantom.projections)
        np.testing.assert_array_equal(check.arguments["weights"], weights)
        np.testing.assert_array_equal(check.arguments["result"].angles, phantom.angles)

    def test_the_shifts_are_those_on_show(self, done, check, verify):
        done.choose_iteration(2)
        verify(done)
        np.testing.assert_array_equal(check.arguments["result"].shifts, np.full((24, 2), (2, -2)))

    def test_a_horizontal_axis_is_turned_in_and_out(
        self, viewer, widget, phantom, check, loop, run, verify, line_in
    ):
        viewer.layers["scan"].data = np.swapaxes(phantom.projections, 1, 2)[:, :, :30]
        widget.scan.fields["rotation_axis"].value = "horizontal"
        run(widget)
        verify(widget)
        np.testing.assert_array_equal(check.arguments["projections"], phantom.projections[:, :30])
        row, column = (line_in(widget.result.verification, name) for name in ("row", "column"))
        assert np.ptp(row.get_xdata()) == 4  # the loop's columns
        assert np.ptp(column.get_xdata()) == 2

    def test_the_picture_goes_with_the_shifts_it_belongs_to(self, done, check, run, verify):
        picture = done.result.verification
        assert picture.isHidden()
        verify(done)
        assert not picture.isHidden()
        done.choose_iteration(1)
        assert picture.isHidden()
        verify(done)
        run(done)
        assert picture.isHidden()

    def test_the_picture_has_the_colours_of_the_shifts_and_follows_the_theme(
        self, viewer, done, check, verify, line_in
    ):
        verify(done)
        plots, picture = done.result.shifts, done.result.verification
        seen = []
        for theme in ("light", "dark"):
            viewer.theme = theme
            assert picture.figure.get_facecolor() == plots.figure.get_facecolor()
            colours = [line_in(picture, name).get_color() for name in ("row", "column")]
            assert colours == [
                line_in(plots, f"{name} ± error").get_color() for name in ("row", "column")
            ]
            seen.append(colours)
        assert seen[0] != seen[1]


def test_only_what_is_scored_is_in_the_picture():
    """A frame that was left out may be anywhere; the others lie where the score sees them."""
    angles = np.linspace(0, 3, 12)
    injected = np.random.default_rng(1).uniform(-2, 2, (12, 2))
    position = np.column_stack([np.full(12, 0.7), 0.4 * np.cos(angles) - 0.9 * np.sin(angles)])
    recovered = injected + position
    recovered[5] += 40
    scored = np.arange(12) != 5
    verification = Verification(injected, recovered, 0.0, 1.0, 0.0, scored, converged=True)
    known, found = verification.scored(ScanGeometry(angles, 8, 8, 3.5).directions)
    np.testing.assert_allclose(known, injected[scored])
    np.testing.assert_allclose(found, injected[scored], atol=1e-9)


def test_closing_the_window_meanwhile_ends_the_thread(
    make_napari_viewer, phantom, loop, check, run, qtbot
):
    from qtpy.QtCore import QThreadPool

    from napari_tomoalign._napari._widget import AlignmentWidget

    viewer = make_napari_viewer()
    viewer.add_image(phantom.projections, metadata={"angles": phantom.angles})
    widget = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    run(widget)
    start(widget, check, qtbot)
    viewer.close()
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=20_000)
    assert check.done < ENDLESS


def test_closing_the_window_with_its_button_meanwhile_ends_it(
    viewer, widget, loop, check, run, qtbot, verify
):
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QApplication

    viewer.window._qt_window.show()
    run(widget)
    start(widget, check, qtbot)
    verify(widget, lambda: QApplication.sendEvent(viewer.window._qt_window, QCloseEvent()))
    assert check.done < ENDLESS


def test_closing_the_dock_meanwhile_ends_the_thread(
    viewer, widget, loop, check, run, qtbot, verify
):
    run(widget)
    start(widget, check, qtbot)
    verify(widget, lambda: viewer.window.remove_dock_widget(widget), timeout=5000)
    assert check.done < ENDLESS
    viewer.theme = "light"  # nothing of the widget is called any more
