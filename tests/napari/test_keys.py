"""The keys: none of napari's, each does what its tooltip says; blinking."""

import numpy as np
import pytest

from napari_tomoalign._napari._keys import KEYS


@pytest.fixture
def viewer(windowless):
    return windowless


def press(viewer, name):
    """Do what napari does when a key is pressed over the canvas."""
    from app_model.types import KeyBinding

    key = KEYS[name].replace("Ctrl", "Control").replace("+", "-")
    return viewer.keymap[KeyBinding.from_str(key)](viewer)


def test_no_key_of_napari_is_taken():
    from app_model.types import KeyBinding
    from napari.utils.shortcuts import default_shortcuts

    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    ours = {
        str(KeyBinding.from_str(key.replace("+", "-")))
        for name, key in KEYS.items()
        if name not in ("Undo", "Redo")  # as everywhere; a Labels layer that is active keeps them
    }
    assert not {key.lower() for key in ours} & {key.lower() for key in taken}


def test_each_key_is_in_a_tooltip(widget):
    bar = widget.run_bar
    for name, button in (
        ("Run", bar.run),
        ("Pause", bar.pause),
        ("Step", bar.step),
        ("Stop", bar.stop),
    ):
        assert KEYS[name] in button.toolTip()
    assert KEYS["Undo"] in widget.verdict.undo.toolTip()
    assert KEYS["Freeze"] in widget.result.freeze.toolTip()


def test_keys_over_the_canvas_step_and_undo(viewer, widget, loop, qtbot, run):
    with qtbot.waitSignal(widget.runner.paused, timeout=5000):
        press(viewer, "Step")
    assert len(widget.session.course.history) == 1
    run(widget, lambda: press(viewer, "Stop"))
    press(viewer, "Undo")
    assert not widget.session.course.history
    press(viewer, "Redo")
    assert len(widget.session.course.history) == 1


def test_a_closed_dock_leaves_the_keys(viewer, widget):
    widget.close_down()
    assert not viewer.keymap


def test_while_a_key_is_held_the_slice_is_shown_unaligned(viewer, widget, run, qtbot, phantom):
    run(widget)
    layer = viewer.layers["reconstruction"]
    aligned = layer.data
    viewer.dims.set_point(0, 12)
    held = press(viewer, "Blink")
    next(held)
    qtbot.waitUntil(lambda: layer.data is not aligned, timeout=20_000)
    shape = layer.data.shape
    unaligned = np.array(layer.data[12, 0])
    assert shape == aligned.shape
    with pytest.raises(StopIteration):
        next(held)
    assert layer.data is aligned
    assert np.corrcoef(unaligned.ravel(), aligned[12, 0].ravel())[0, 1] < 0.97  # smeared
    again = press(viewer, "Blink")
    next(again)  # it is known now: at once
    np.testing.assert_array_equal(layer.data[12, 0], unaligned)
    with pytest.raises(StopIteration):
        next(again)
    assert layer.data is aligned
