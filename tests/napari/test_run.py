"""Run, Pause, Step, Stop; errors; what is removed or closed meanwhile. The real loop, mostly."""

import gc
import time
import weakref

import numpy as np
import pytest

from napari_tomoalign import alignment_error
from napari_tomoalign.images.applying import move

NAMES = ["scan", "reference", "projections", "reconstruction"]


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_the_small_sample_ends_aligned(viewer, qtbot, npe2pm):
    with npe2pm.tmp_plugin(package="napari-tomoalign"):
        (scan,) = viewer.open_sample("napari-tomoalign", "small")
        _, widget = viewer.window.add_plugin_dock_widget("napari-tomoalign", "Align projections")
    with qtbot.waitSignal(widget.evaluator.ready, timeout=60_000):
        widget.run_bar.run.click()
    course = widget.session.course
    assert course.record.binning == 2  # known well enough; yet the end is shown at full size
    assert viewer.layers["reference"].data.shape == scan.data.shape
    assert viewer.layers["reconstruction"].data.shape == (64, 1, 64, 64)
    assert widget.session.images_fit
    best = move(scan.data, course.shifts)
    np.testing.assert_allclose(viewer.layers["reference"].data, best, atol=1e-3)
    assert "reconstructing" not in widget.verdict.headline.text().lower()
    angles, truth = scan.metadata["angles"], scan.metadata["true_shifts"]
    middle = ((scan.data.shape[2] - 1) / 2,) * 2
    assert alignment_error(np.zeros_like(truth), truth, angles, centers=middle) > 1
    assert alignment_error(widget.session.course, truth, angles, centers=middle) < 0.1
    assert names(viewer) == ["small phantom", *NAMES[1:]]
    assert widget.session.course.state.converged
    assert "onverged" in widget.run_bar.status.text()
    qtbot.waitUntil(lambda: widget.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    widget.close_down()


class TestInAModel:
    """Without a window, which plays no part in these."""

    @pytest.fixture
    def viewer(self, windowless):
        return windowless

    def test_layers_belong_to_the_last_state(self, viewer, widget, run):
        run(widget)
        state = widget.session.images
        np.testing.assert_array_equal(viewer.layers["reference"].data, state.reference)
        np.testing.assert_array_equal(viewer.layers["projections"].data, state.projections)
        np.testing.assert_array_equal(
            viewer.layers["reconstruction"].data[:, 0], state.reconstruction
        )
        own = viewer.layers["reference"].metadata["napari_tomoalign"]
        np.testing.assert_array_equal(own["shifts"], state.shifts)
        assert own["source"] == "scan"
        assert own["parameters"]["maxiter"] == 40
        assert own["backend"] == "builtin"

    def test_step_does_one_iteration_and_run_goes_on(self, widget, loop, qtbot, run):
        loop.states = 4
        for expected in (1, 2):
            with qtbot.waitSignal(widget.runner.paused, timeout=5000):
                widget.run_bar.step.click()
            qtbot.wait(50)  # time in which a loop that does not stand still would go on
            assert loop.done == expected
            assert len(widget.session.course.history) == expected
        assert "Paused" in widget.run_bar.status.text()
        run(widget)
        assert loop.started == 1
        assert len(widget.session.course.history) == 4

    def test_pause_stands_still_and_run_goes_on(self, widget, loop, qtbot, run):
        loop.states, loop.pause = 100, 0.02
        widget.run_bar.run.click()
        qtbot.waitUntil(lambda: loop.done >= 2, timeout=5000)
        assert not widget.run_bar.run.isEnabled()
        with qtbot.waitSignal(widget.runner.paused, timeout=5000):
            widget.run_bar.pause.click()
        at = loop.done
        qtbot.wait(100)
        assert loop.done == at < 100
        assert widget.run_bar.run.isEnabled()
        widget.run_bar.run.click()
        qtbot.waitUntil(lambda: loop.done > at, timeout=5000)
        run(widget, widget.run_bar.stop.click)
        assert loop.started == 1

    def test_an_error_is_told_and_run_works_again(self, viewer, widget, loop, run, told):
        loop.error, loop.fails_at = ValueError("the detector is on fire: put it out"), 2
        run(widget)
        assert "the detector is on fire: put it out" in told()
        assert widget.run_bar.run.isEnabled()
        loop.error = None
        run(widget)
        assert len(widget.session.course.history) == 3
        assert names(viewer) == NAMES

    def test_stop_answers_within_one_iteration_and_keeps_what_was_reached(
        self, viewer, widget, loop, qtbot, run
    ):
        loop.states, loop.pause = 1000, 0.05
        widget.run_bar.run.click()
        qtbot.waitUntil(lambda: loop.done >= 3, timeout=5000)
        at = loop.done
        run(widget, widget.run_bar.stop.click, timeout=1000)
        assert loop.done <= at + 1
        assert len(widget.session.course.history) == loop.done
        np.testing.assert_array_equal(widget.session.course.shifts[0], (loop.done, -loop.done))
        assert viewer.layers["reference"].data[0, 0, 0] == loop.done + 1
        assert "kept" in widget.run_bar.status.text()
        assert widget.run_bar.goes_on
        assert widget.run_bar.run.isEnabled()
        assert not widget.run_bar.stop.isEnabled()

    def test_a_second_run_updates_the_same_layers(self, viewer, widget, loop, run):
        run(widget)
        before = {layer.name: layer for layer in viewer.layers}
        run(widget)
        assert {layer.name: layer for layer in viewer.layers} == before
        widget.result.new_layers.setChecked(True)
        run(widget)
        assert len(viewer.layers) == 7
        assert names(viewer)[:4] == NAMES

    def test_progress_is_shown_in_the_widget_and_in_the_activity_dock(self, widget, loop, qtbot):
        from napari.utils import progress

        widget.parameters.fields["maxiter"].value = 20
        loop.states = 5
        with qtbot.waitSignal(widget.runner.paused, timeout=5000):
            widget.run_bar.step.click()
        with qtbot.waitSignal(widget.runner.paused, timeout=5000):
            widget.run_bar.step.click()
        text = widget.run_bar.status.text()
        assert "Iteration 2 of 20" in text
        assert "largest move 0.500 px" in text
        assert "left" in text
        assert widget.run_bar.bar.value() == 2
        (bar,) = progress._all_instances
        assert bar.n == 2
        assert bar.total == 20
        with qtbot.waitSignal(widget.runner.ended, timeout=5000):
            widget.run_bar.stop.click()
        assert not progress._all_instances


def test_the_window_stays_at_hand_while_the_loop_works(widget, loop, qtbot, run):
    loop.states, loop.pause = 2, 1.0
    with qtbot.waitSignal(widget.runner.paused, timeout=5000):
        widget.run_bar.step.click()  # making the layers is napari's own affair
    qtbot.wait(400)
    widget.run_bar.run.click()
    longest, before = 0.0, time.perf_counter()
    while loop.done < 2:
        qtbot.wait(5)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    assert longest < 0.3
    qtbot.waitUntil(lambda: not widget.runner.is_running, timeout=5000)


def test_a_dock_that_was_opened_with_a_proxy_works_alike(viewer, stack, loop, qtbot, run):
    from napari.utils._proxies import PublicOnlyProxy

    from napari_tomoalign._napari._widget import AlignmentWidget

    widget = AlignmentWidget(PublicOnlyProxy(viewer))  # as `napari -w` hands it over
    viewer.window.add_dock_widget(widget)
    widget.scan.draw_mask.click()
    assert widget.scan.marks.value is viewer.layers["mask"]
    widget.scan.draw_mask.click()
    run(widget)
    assert widget.session.course.state is not None
    qtbot.waitUntil(lambda: widget.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    widget.close_down()


def test_closing_the_window_mid_run_ends_the_thread(
    make_napari_viewer, phantom, loop, qtbot, monkeypatch
):
    from qtpy.QtCore import QThreadPool

    from napari_tomoalign._napari._widget import AlignmentWidget

    viewer = make_napari_viewer()
    viewer.add_image(phantom.projections, metadata={"angles": phantom.angles})
    widget = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    loop.states, loop.pause = 10_000, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 2, timeout=5000)
    viewer.close()
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=20_000)
    assert loop.done < 10_000


def test_closing_the_window_with_its_button_mid_run_ends_the_run(viewer, widget, loop, qtbot):
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QApplication

    viewer.window._qt_window.show()
    loop.states, loop.pause = 10_000, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 2, timeout=5000)
    with qtbot.waitSignal(widget.runner.ended, timeout=5000):
        QApplication.sendEvent(viewer.window._qt_window, QCloseEvent())
    assert loop.done < 10_000


def test_closing_the_dock_mid_run_ends_the_thread(viewer, widget, loop, qtbot):
    loop.states, loop.pause = 10_000, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 2, timeout=5000)
    with qtbot.waitSignal(widget.runner.ended, timeout=5000):
        viewer.window.remove_dock_widget(widget)
    assert loop.done < 10_000
    viewer.add_image(np.zeros((4, 8, 8)))  # nothing of the widget is called any more
    viewer.dims.ndisplay = 3


def test_a_closed_widget_is_not_kept(viewer, loop, run, qtbot, stack, told):
    from napari_tomoalign._napari._widget import AlignmentWidget

    other = viewer.add_image(stack.data + 1, name="other")  # it carries no angles
    widget = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.scan.layer.value = other
    widget.scan.fields["angles"].value = "0° to 180°, end left out"
    widget.scan.fields["rotation_axis"].value = "horizontal"
    widget.parameters.fields["maxiter"].value = 7
    widget.scan.draw_mask.click()
    viewer.layers["mask"].data[0, 2, 2] = 1
    run(widget)
    qtbot.waitUntil(lambda: widget.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    gone, course = weakref.ref(widget.runner), widget.session.course
    viewer.window.remove_dock_widget(widget)
    widget = None
    gc.collect()
    qtbot.waitUntil(lambda: gone() is None, timeout=2000)
    again = AlignmentWidget(viewer)  # what was found is the viewer's, and is there again
    viewer.window.add_dock_widget(again)
    assert again.session.course is course
    assert again.verdict.headline.text().startswith("± 0.014 px (RMS) · 24 of 24 trusted")
    assert again.run_bar.goes_on
    assert again.scan.layer.value is other
    assert again.scan.marks.value is viewer.layers["mask"]
    assert "24 angles, 0° to 172.5°" in again.scan.summary.text()
    assert again.scan.rotation_axis == "horizontal"
    assert again.settings()[2].maxiter == 7
    again.scan.fields["rotation_axis"].value = "vertical"  # what was found is about another axis
    assert not again.run_bar.goes_on
    again.run_bar.go_on(True)
    again.run()
    assert any("about a horizontal axis" in text for text in told())
    qtbot.waitUntil(lambda: again.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    again.close_down()
