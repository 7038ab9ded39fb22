"""Every control does what it says: change it, and see what reaches the loop."""

import threading
from dataclasses import dataclass, fields

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters
from napari_tomoalign._napari._forms import in_degrees, widgets_of

# What is set in a control, and what must reach the loop.
SET = {
    "maxiter": (7, 7),
    "center_estimation": (False, False),
    "use_absorbances": (False, False),
    "invert": (True, True),
    "background": ("plane", "plane"),
    "gain": (False, False),
    "upsampling": (20, 20),
    "shift_tolerance": (0.05, 0.05),
    "shift_cutoff": (1.5, 1.5),
    "relative_sample_size": (0.5, 0.5),
    "relaxation_weight": (0.25, 0.25),
    "center_of_mass_shift_weight": (0.5, 0.5),
    "align_vertical": (False, False),
    "align_horizontal": (False, False),
    "normalization": ("phase", "phase"),
    "gauss_newton": (False, False),
    "levels": ((2, 1), (2, 1)),
    "precision": (0.05, 0.05),
    "initial_estimate": (False, False),
    "down_weight": (False, False),
    "memory": ("4 GB", 4_000_000_000),
    "refine": (("shifts", "axis_angle"), ("shifts", "axis_angle")),
    "workers": (1, 1),
    "seed": (5, 5),
}


@pytest.fixture
def viewer(windowless):
    return windowless


def test_every_parameter_has_a_control(widget):
    elsewhere = {
        "reconstruction_pipeline",
        "reconstruction_pipeline_kwargs",
        "use_gpu",
        "ignored_subset",
        "excluded_subset",
        "projection_cropping",
        "transmission",
        "axis_angle",
        "axis_tilt",
    }
    names = {field.name for field in fields(AlignmentParameters)}
    assert set(widget.parameters.fields) == set(SET) == names - elsewhere
    assert set(widget.settings()[2].to_dict()) == names


def test_untouched_controls_are_the_defaults(widget):
    center, backend, parameters = widget.settings()
    assert (center, backend, parameters) == (None, "auto", AlignmentParameters())


def test_every_parameter_reaches_the_loop(widget, reaches):
    for name, (value, _) in SET.items():
        if name != "align_horizontal":  # not both directions off
            widget.parameters.fields[name].value = value
    arguments = reaches()
    for name, (_, expected) in SET.items():
        if name != "align_horizontal":
            assert arguments[name] == expected, name
    widget.parameters.fields["align_vertical"].value = True
    widget.parameters.fields["align_horizontal"].value = False
    arguments = reaches()
    assert (arguments["align_vertical"], arguments["align_horizontal"]) == (True, False)


def test_every_control_of_a_parameter_is_explained_and_limited(widget):
    for name, field in widget.parameters.fields.items():
        assert name in field.tooltip
        assert len(field.tooltip) > len(name) + 40
    box = widget.parameters.fields["relative_sample_size"]
    assert (box.min, box.max) == (0.01, 1.0)
    assert widget.parameters.fields["shift_cutoff"].label.endswith(", px")


def test_nothing_is_rounded_and_a_fault_is_marked(widget):
    field = widget.parameters.fields["shift_tolerance"]
    field.value = 1e-6
    assert widget.settings()[2].shift_tolerance == 1e-6
    assert field.text == "1e-06"
    field.text = "tiny"
    assert "expected a number, or nothing, got 'tiny'" in field.native.toolTip()
    assert field.native.styleSheet()
    field.text = ""
    assert widget.settings()[2].shift_tolerance is None
    assert not field.native.styleSheet()


def test_an_angle_is_shown_in_degrees_and_kept_in_radians(qapp):
    @dataclass
    class Geometry:
        axis_angle: float = np.pi / 180

    field = widgets_of(Geometry, ("axis_angle",), {"axis_angle": in_degrees("axis_angle")})[
        "axis_angle"
    ]
    assert (field.label, field.text) == ("Axis angle, °", "1")
    field.text = "-0.5"
    assert field.value == pytest.approx(np.deg2rad(-0.5), rel=1e-12)
    field.text = ""
    assert field.value == 0.0


def test_the_usual_ones_are_in_front(widget):
    assert not widget.parameters.advanced.isExpanded()
    inside = widget.parameters.advanced.content()
    for spec in fields(AlignmentParameters):
        if spec.name in widget.parameters.fields:
            folded = inside.isAncestorOf(widget.parameters.fields[spec.name].native)
            assert folded == bool(spec.metadata.get("advanced")), spec.name


def test_a_wrong_value_is_told_by_name(widget, told):
    widget.parameters.fields["levels"].text = "two"
    widget.run()
    assert any("levels" in text and "'two'" in text for text in told())
    widget.parameters.fields["levels"].text = "1, 2"
    widget.run()
    assert any("coarse to fine" in text for text in told())


def test_reconstruction_controls(widget, reaches, qtbot):
    group = widget.reconstruction
    group.backend.value = "builtin"
    qtbot.waitUntil(lambda: "sirt" in group.algorithm.choices, timeout=20_000)
    group.algorithm.value = "sirt"
    group.fields["reconstruction_pipeline_kwargs"].text = "num_iter=3, non_negative=False"
    group.fields["use_gpu"].value = True
    arguments = reaches()
    assert arguments["backend"] == "builtin"
    assert arguments["reconstruction_pipeline"] == "sirt"
    assert arguments["reconstruction_pipeline_kwargs"] == {"num_iter": 3, "non_negative": False}
    assert arguments["use_gpu"] is True


def test_wrong_options_are_told(widget, told):
    widget.reconstruction.fields["reconstruction_pipeline_kwargs"].text = "num_iter"
    widget.run()
    assert any("num_iter=10" in text and "got 'num_iter'" in text for text in told())


def test_the_algorithms_are_those_of_the_engine(widget):
    from napari_tomoalign import get_backend

    offered = widget.reconstruction.algorithm.choices
    assert offered == (None, *get_backend("auto").algorithms)


def test_missing_engines_are_greyed_and_say_how_to_install(viewer, qtbot, monkeypatch):
    from napari_tomoalign._napari import _parameter_form as module

    monkeypatch.setattr(
        module, "how_to_install", lambda name: "get it there" if name == "tomopy" else None
    )
    group = module.ReconstructionForm()
    qtbot.addWidget(group)
    qtbot.waitUntil(lambda: group.algorithm.native.count() > 1, timeout=20_000)
    combo = group.backend.native
    index = group.backend.choices.index("tomopy")
    assert not combo.model().item(index).isEnabled()
    assert "not installed" in combo.itemText(index)
    assert "get it there" in group.remark.text()
    assert combo.model().item(group.backend.choices.index("builtin")).isEnabled()


def test_difference_is_shown_on_request(viewer, widget, loop, reaches):
    loop.states = 1
    reaches()
    assert "difference" not in viewer.layers
    widget.result.difference.setChecked(True)
    reaches()
    data = {name: viewer.layers[name].data for name in ("difference", "reference", "projections")}
    np.testing.assert_array_equal(data["difference"], data["reference"] - data["projections"])
    widget.result.difference.setChecked(False)
    assert "difference" not in viewer.layers


def test_difference_of_a_run_that_is_over(viewer, widget, loop, reaches, qtbot):
    loop.states = 1
    reaches()
    with qtbot.waitSignal(widget.evaluator.ready, timeout=5000):
        widget.result.difference.setChecked(True)
    data = {name: viewer.layers[name].data for name in ("difference", "reference", "projections")}
    np.testing.assert_array_equal(data["difference"], data["reference"] - data["projections"])


@pytest.mark.parametrize("name", ["maxiter", "relative_sample_size", "normalization"])
def test_the_wheel_over_a_box_without_focus_changes_nothing(widget, qapp, name):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QAbstractSpinBox, QComboBox

    field = widget.parameters.fields[name]
    kinds = QAbstractSpinBox | QComboBox
    box = field.native if isinstance(field.native, kinds) else field.native.findChild(kinds)
    before = field.value
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    qapp.sendEvent(box, event)
    assert field.value == before
    assert not event.isAccepted()  # so the panel around it scrolls


def test_the_row_in_view_is_read_once(widget, loop, run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        widget.result.sinograms, "show_what", lambda before, **_: seen.append(before)
    )
    widget.show()
    run(widget)
    assert seen[-1] is seen[-2]  # a scan on disk is slow to read


def test_a_row_on_disk_is_read_in_the_background(viewer, widget, loop, run, phantom, qtbot):
    threads = []

    class OnDisk:
        shape, ndim, dtype = phantom.projections.shape, 3, phantom.projections.dtype

        def __len__(self):
            return len(phantom.projections)

        def __getitem__(self, key):
            if isinstance(key, tuple) and key[0] == slice(None):  # of all images
                threads.append(threading.current_thread())
            return phantom.projections[key]

        def __array__(self, dtype=None, copy=None):
            return phantom.projections

    widget.scan.layer.value.data = OnDisk()
    widget.show()
    threads.clear()
    run(widget)
    qtbot.waitUntil(lambda: "before" in widget.result.sinograms._shown, timeout=5000)
    np.testing.assert_array_equal(
        widget.result.sinograms._shown["before"], phantom.projections[:, 16]
    )
    assert threads
    assert threading.main_thread() not in threads


def test_the_time_left_is_told_by_what_iterations_took_not_by_when_news_of_them_came(
    qapp, phantom, make_state
):
    from dataclasses import replace

    from napari_tomoalign._napari._keys import KEYS
    from napari_tomoalign._napari._run_bar import RunBar

    bar = RunBar(KEYS)
    bar.begin("Aligning", 30)
    for number in (1, 2, 3):  # at once, as after something that kept the window busy
        record = make_state(phantom.projections, phantom.angles, number).record
        bar.show_progress(replace(record, seconds=2.0), 30)
    assert "up to 54 s left" in bar.status.text()
    bar.close_activity()
