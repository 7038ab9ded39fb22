"""Errors, layers that go away, and what is kept; the window itself plays no part."""

import ast
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign._napari import _words
from napari_tomoalign._napari._words import in_window_words
from napari_tomoalign.findings import Finding

NAMES = ["scan", "reference", "projections", "reconstruction"]


def names(viewer):
    return [layer.name for layer in viewer.layers]


@pytest.fixture
def viewer(windowless):
    return windowless


def test_stop_while_paused(widget, loop, qtbot, run):
    with qtbot.waitSignal(widget.runner.paused, timeout=5000):
        widget.run_bar.step.click()
    run(widget, widget.run_bar.stop.click)
    assert not widget.runner.is_running
    assert len(widget.session.course.history) == 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, MemoryError])
def test_an_error_is_told_and_leaves_the_widget_ready(widget, loop, run, told, kind):
    text = "the detector is on fire: put it out"
    loop.error, loop.fails_at = kind(text), 2
    run(widget)
    assert told() == [f"MemoryError: {text}" if kind is MemoryError else text]
    assert "error" in widget.run_bar.status.text()
    assert text in widget.run_bar.status.text()
    assert widget.run_bar.run.isEnabled()
    assert len(widget.session.course.history) == 1
    loop.error = None
    run(widget)
    assert len(widget.session.course.history) == 3


def test_what_is_not_finite_is_told_with_the_mask_that_helps(
    viewer, widget, phantom, run, told, qtbot
):
    from napari_tomoalign import align

    spoilt = phantom.projections.copy()
    spoilt[3, 4, 5] = np.nan
    with pytest.raises(ValueError, match="NaN") as headless:
        align(spoilt, phantom.angles, progress=False)
    viewer.layers["scan"].data = spoilt
    run(widget)
    assert in_window_words(str(headless.value)) in told()
    widget.scan.draw_mask.click()  # as the words say
    widget.drawing.end()
    with qtbot.waitSignal(widget.runner.ended, timeout=60_000):
        widget.run_bar.run.click()
    assert "converged" in widget.verdict.headline.text()


def test_what_stands_in_the_way_of_a_run_is_told(viewer, widget, told):
    viewer.layers["scan"].metadata = {}
    widget.reset_choices()
    assert not widget.run_bar.run.isEnabled()
    assert "carries no angles" in widget.run_bar.run.toolTip()
    widget.run()  # by a key, say
    assert any("carries no angles" in text and "metadata['angles']" in text for text in told())
    assert not widget.runner.is_running


def test_running_twice_is_refused(widget, loop, qtbot, run, told):
    loop.states, loop.pause = 100, 0.02
    widget.run()
    qtbot.waitUntil(lambda: loop.done >= 1, timeout=5000)
    widget.run()
    assert any("a run is under way" in text for text in told())
    assert loop.started == 1
    run(widget, widget.stop)


def test_removing_the_input_mid_run_stops_and_keeps(viewer, widget, loop, qtbot, told):
    loop.states, loop.pause = 1000, 0.02
    widget.run_bar.run.click()
    qtbot.waitUntil(lambda: loop.done >= 2, timeout=5000)
    with qtbot.waitSignal(widget.runner.ended, timeout=5000):
        viewer.layers.remove("scan")
    assert any("removed" in text for text in told())
    assert len(widget.session.course.history) == loop.done < 1000
    assert names(viewer) == NAMES[1:]
    assert not widget.run_bar.run.isEnabled()
    assert "there is no scan yet" in widget.run_bar.run.toolTip()


def test_a_layer_that_is_removed_mid_run_stays_away(viewer, widget, loop, qtbot, run):
    with qtbot.waitSignal(widget.runner.paused, timeout=5000):
        widget.run_bar.step.click()
    viewer.layers.remove("projections")
    run(widget)
    assert "projections" not in names(viewer)
    run(widget)
    assert "projections" in names(viewer)


def test_what_deserves_a_word_is_shown(widget, loop, run):
    loop.findings = (Finding("poor fit", "the axis may be 3 px off: give a centre"),)
    run(widget)
    assert widget.verdict.lines == ("poor fit: the axis may be 3 px off: give a centre",)
    loop.error = ValueError("no")
    run(widget)  # fails before its first iteration: the result stays, and so do its words
    assert len(widget.verdict.lines) == 1


def test_memory_does_not_grow(viewer, widget, loop, qtbot, run):
    """Of many states only the latest is held; the history keeps no images."""
    states = []
    loop.states = 50
    from napari_tomoalign.steering import running

    real = running.frames_of

    def watched(state, *args, **kwargs):
        states.append(weakref.ref(state.reconstruction))
        return real(state, *args, **kwargs)

    running.frames_of = watched
    try:
        run(widget)
    finally:
        running.frames_of = real
    gc.collect()
    assert len(states) == 50
    assert sum(state() is not None for state in states) <= 2
    assert len(widget.session.course.history) == 50


def test_what_the_window_says_otherwise_is_still_said_so():
    """One that was changed in the package would go untranslated."""
    package = Path(_words.__file__).parents[1]
    texts = [
        str(node.value)
        for path in package.rglob("*.py")
        if path.name != "_words.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [said for said in _words._PHRASES if not any(said in text for text in texts)] == []
