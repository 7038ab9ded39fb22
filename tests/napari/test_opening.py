"""An HDF5 file of unknown layout: which dataset is what; a run whose scan is not there."""

import h5py
import numpy as np
import pytest

from napari_tomoalign import align, alignment_error
from napari_tomoalign._napari._opening import DatasetPicker
from napari_tomoalign.io import write_result
from napari_tomoalign.io.scan import Scan
from napari_tomoalign.steering import read_run


@pytest.fixture
def viewer(windowless):
    return windowless


@pytest.fixture
def unknown(tmp_path, phantom):
    """A file of a layout that nobody knows."""
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file["measured/images"] = phantom.projections
        file["measured/rotation"] = np.degrees(phantom.angles)
        file["measured/current"] = np.ones(7)
        file["light"] = np.ones((2, 32, 32))
        file["dark_images"] = np.zeros((3, 32, 32))
        file["wrong"] = np.ones((2, 5, 5))
        file["note"] = "hello"
    return path


@pytest.fixture
def picker(unknown, qtbot):
    made = DatasetPicker(unknown)
    qtbot.addWidget(made)
    return made


def accept(picker):
    from qtpy.QtWidgets import QDialogButtonBox

    return picker.buttons.button(QDialogButtonBox.StandardButton.Ok)


def test_the_datasets_are_a_tree_with_shapes_and_telling_names_are_proposed(picker):
    top = [picker.tree.topLevelItem(i).text(0) for i in range(picker.tree.topLevelItemCount())]
    assert sorted(top) == ["dark_images", "light", "measured", "wrong"]
    measured = picker.tree.topLevelItem(top.index("measured"))
    inside = {measured.child(i).text(0): measured.child(i).text(1) for i in range(3)}
    assert inside == {"images": "24 x 32 x 32", "rotation": "24", "current": "7"}
    assert picker.chosen == {
        "data": "/measured/images",
        "angles_path": "/measured/rotation",
        "darks": "/dark_images",
    }
    assert accept(picker).isEnabled()


@pytest.mark.parametrize(
    ("part", "dataset", "fault"),
    [
        ("angles_path", "/measured/current", "There are 7 angles, but no axis"),
        ("flats", "/wrong", "do not fit"),
        ("keys", "/measured/current", "There are 7 keys for 24 images"),
        ("data", None, "Choose the projections"),
    ],
)
def test_ok_only_where_the_lengths_match(picker, part, dataset, fault):
    picker.parts[part].value = dataset
    assert fault in picker.verdict.text()
    assert not accept(picker).isEnabled()
    picker.parts["flats"].value = None


def test_what_was_picked_is_opened(viewer, widget, unknown, phantom, qtbot, monkeypatch):
    def choose(picker):
        picker.parts["flats"].value = "/light"
        return picker.buttons.isEnabled()

    monkeypatch.setattr(DatasetPicker, "exec", choose)
    with qtbot.waitSignal(widget.scan_opened, timeout=20_000):
        widget.open_scan(unknown)
    layer = widget.scan.layer.value
    assert layer.name == "mine"
    np.testing.assert_allclose(layer.metadata["angles"], phantom.angles)
    assert any("flat field" in line for line in layer.metadata["preparation"])


def test_a_run_without_its_scan_is_shown_and_asks_for_it(
    viewer, widget, phantom, tmp_path, told, qtbot
):
    result = align(phantom.projections, phantom.angles, progress=False, backend="builtin")
    write_result(tmp_path / "run", result, Scan(phantom.projections, phantom.angles))
    viewer.layers.clear()
    widget.show_run(read_run(tmp_path / "run"))
    assert "converged in" in widget.verdict.headline.text()
    widget.verify()  # the aligned stack that is shown is not what was measured
    assert not widget.verifier.is_running
    assert any("there is no scan yet" in text for text in told())
    viewer.add_image(phantom.projections, name="again", metadata={"angles": phantom.angles})
    with qtbot.waitSignal(widget.verifier.ended, timeout=60_000):
        widget.verdict.verify.click()
    assert "are recovered" in widget.verdict.verified.text()
    assert widget.session.course.has_scan


def test_a_scan_on_a_disk_is_never_read_as_a_whole(
    viewer, widget, phantom, run, qtbot, tmp_path, monkeypatch
):
    from napari_tomoalign._plugin import readers
    from napari_tomoalign.io import write_scan
    from napari_tomoalign.io.lazy import LazyProjections

    def whole(*_, **__):
        raise AssertionError("all of it was read")

    monkeypatch.setattr(readers, "IN_MEMORY", 1000)
    monkeypatch.setattr(LazyProjections, "__array__", whole)
    path = write_scan(tmp_path / "large.h5", phantom.projections, phantom.angles)
    with qtbot.waitSignal(widget.scan_opened, timeout=20_000):
        widget.open_scan(path)
    run(widget)
    assert alignment_error(widget.session.course, phantom) < 0.1
    qtbot.waitUntil(lambda: not widget.evaluator.is_running, timeout=20_000)
    widget.blink_on()
    qtbot.waitUntil(lambda: bool(widget.blink._known), timeout=20_000)
    widget.blink.off()
    with qtbot.waitSignal(widget.written, timeout=60_000):
        widget.save_run(tmp_path / "saved")
    with qtbot.waitSignal(widget.verifier.ended, timeout=60_000):
        widget.verify()
    assert widget.session.course.verified is not None
