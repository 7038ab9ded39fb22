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


@pytest.fixture
def reaches(widget, loop, run):
    """Run and return the arguments that reached the loop."""
    loop.states = 0  # nothing to show: quick

    def act():
        run(widget)
        return loop.arguments

    return act


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


def test_the_scan_as_it_is(widget, phantom, reaches):
    arguments = reaches()
    np.testing.assert_array_equal(arguments["projections"], phantom.projections)
    np.testing.assert_array_equal(arguments["angles"], phantom.angles)
    assert arguments["weights"] is None
    assert arguments["center"] is None
    assert "initial_shifts" not in arguments
    assert "resume" not in arguments


def test_another_layer(viewer, widget, phantom, reaches):
    other = viewer.add_image(phantom.projections + 1, metadata={"angles": phantom.angles / 2})
    widget.scan.layer.value = other
    arguments = reaches()
    np.testing.assert_array_equal(arguments["projections"], phantom.projections + 1)
    np.testing.assert_array_equal(arguments["angles"], phantom.angles / 2)


def test_angles_from_first_and_last(widget, phantom, reaches):
    widget.scan.fields["angles"].value = "first and last"
    widget.scan.fields["first"].value = -60
    widget.scan.fields["last"].value = 60
    assert "24 angles, -60° to 60°" in widget.scan.summary.text()
    np.testing.assert_allclose(
        np.degrees(reaches()["angles"]), np.linspace(-60, 60, len(phantom.angles))
    )


def test_angles_from_a_file(widget, phantom, reaches, tmp_path):
    path = tmp_path / "scan.rawtlt"
    np.savetxt(path, np.linspace(-70, 70, len(phantom.angles)))
    widget.scan.fields["angles"].value = "from a file"
    widget.scan.fields["file"].value = path
    np.testing.assert_allclose(
        np.degrees(reaches()["angles"]), np.linspace(-70, 70, len(phantom.angles))
    )


def test_too_few_angles_are_told(widget, told, tmp_path):
    path = tmp_path / "scan.tlt"
    np.savetxt(path, [0, 1, 2])
    widget.scan.fields["angles"].value = "from a file"
    widget.scan.fields["file"].value = path
    widget.run()
    assert any("each of the 24 projections, got 3" in text for text in told())


def test_degrees_in_the_metadata(viewer, widget, phantom, reaches):
    viewer.layers["scan"].metadata = {"angles_degrees": np.degrees(phantom.angles)}
    np.testing.assert_allclose(reaches()["angles"], phantom.angles)


def test_a_horizontal_axis_turns_what_goes_in_and_what_comes_out(
    viewer, widget, phantom, loop, reaches, make_state
):
    scan = viewer.layers["scan"]
    scan.data = np.swapaxes(phantom.projections, 1, 2)[:, :, :30]
    widget.scan.fields["rotation_axis"].value = "horizontal"
    loop.states = 1
    arguments = reaches()
    np.testing.assert_array_equal(arguments["projections"], phantom.projections[:, :30])
    assert viewer.layers["reference"].data.shape == scan.data.shape
    assert viewer.layers["reconstruction"].data.shape == (30, 1, 32, 32)


def test_center(widget, reaches):
    widget.scan.fields["center"].value = 14.5
    assert reaches()["center"] == 14.5


def test_an_axis_that_is_turned_and_leans(widget, reaches):
    assert reaches().get("axis_angle", 0.0) == reaches().get("axis_tilt", 0.0) == 0.0
    widget.scan.fields["axis_angle"].text = "0.5"
    widget.scan.fields["axis_tilt"].text = "-30"
    arguments = reaches()
    assert arguments["axis_angle"] == pytest.approx(np.deg2rad(0.5))
    assert arguments["axis_tilt"] == pytest.approx(np.deg2rad(-30))


def test_ignored_projections(viewer, widget, reaches):
    widget.scan.fields["ignored_subset"].text = "0, 5-7"
    viewer.dims.set_point(0, 9)
    widget.scan._add_view.click()
    assert widget.scan.fields["ignored_subset"].text == "0, 5-7, 9"
    widget.scan.fields["excluded_subset"].text = "1, 4"
    arguments = reaches()
    assert arguments["ignored_subset"] == (0, 5, 6, 7, 9)
    assert arguments["excluded_subset"] == (1, 4)


def test_transmission(widget, reaches):
    widget.scan.fields["transmission"].value = True
    assert reaches()["transmission"] is True


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_a_labels_layer_as_mask(viewer, widget, reaches, axes):
    shape = viewer.layers["scan"].data.shape
    labels = np.zeros((5, *shape)[4 - axes :], dtype=np.uint8)
    labels[..., 3, 4] = 2
    widget.scan.marks.value = viewer.add_labels(labels)
    weights = reaches()["weights"]
    assert weights.shape == shape
    assert np.all(weights[:, 3, 4] == 0)
    assert weights.sum() == weights.size - len(weights)
    widget.scan.fields["painted"].value = "alone is used"
    weights = reaches()["weights"]
    assert weights.sum() == len(weights)


def test_a_mask_that_does_not_fit_is_told(viewer, widget, run, told):
    widget.scan.marks.value = viewer.add_labels(np.zeros((4, 4), dtype=np.uint8), name="small")
    run(widget)
    assert any("'small' has shape (4, 4)" in text and "(24, 32, 32)" in text for text in told())


def test_a_shapes_layer_as_mask(viewer, widget, reaches):
    corners = np.array([[3.6, 3.6], [3.6, 9.4], [7.4, 9.4], [7.4, 3.6]])
    widget.scan.marks.value = viewer.add_shapes([corners], shape_type="rectangle")
    weights = reaches()["weights"]
    assert np.all(weights[:, 4:8, 4:10] == 0)
    assert weights[0].sum() == 32 * 32 - 4 * 6


def test_weights_that_came_with_the_file(viewer, widget, phantom, reaches):
    given = np.ones(phantom.projections.shape, dtype=np.float32)
    given[1, 2, 3] = 0
    viewer.layers["scan"].metadata["weights"] = given
    np.testing.assert_array_equal(reaches()["weights"], given)


def test_a_rectangle_as_crop(viewer, widget, reaches):
    scan = viewer.layers["scan"]
    scan.scale = (1, 0.5, 0.5)
    corners = np.array([[2, 3], [2, 12], [11, 12], [11, 3]]) * 1.0
    widget.scan.crop.value = viewer.add_shapes([corners], shape_type="rectangle")
    assert reaches()["projection_cropping"] == (slice(4, 23), slice(6, 25))
    widget.scan.fields["rotation_axis"].value = "horizontal"
    assert reaches()["projection_cropping"] == (slice(6, 25), slice(4, 23))


def test_an_empty_crop_is_told(viewer, widget, told):
    widget.scan.crop.value = viewer.add_shapes(ndim=2, name="nothing")
    widget.run()
    assert any("'nothing' has no rectangle" in text for text in told())


def test_new_mask_and_new_crop_are_ready_to_draw_in(viewer, widget):
    widget.scan.draw_mask.click()
    assert viewer.layers["mask"].data.shape == viewer.layers["scan"].data.shape
    assert viewer.layers["mask"].mode == "paint"
    widget.scan.draw_crop.click()
    assert viewer.layers["mask"].mode == "pan_zoom"
    assert viewer.layers["crop"].mode == "add_rectangle"
    assert widget.scan.draw_crop.isChecked()
    assert not widget.scan.draw_mask.isChecked()
    assert widget.scan.marks.value is viewer.layers["mask"]
    assert widget.scan.crop.value is viewer.layers["crop"]


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


def test_a_lazy_layer_is_read_in_the_background_only(viewer, widget, reaches, phantom):
    dask = pytest.importorskip("dask.array")
    lazy = dask.from_array(phantom.projections, chunks=(4, 32, 32))
    layer = viewer.add_image(
        lazy, contrast_limits=(0, 2), metadata={"angles": phantom.angles}, name="lazy"
    )
    widget.scan.layer.value = layer
    np.testing.assert_array_equal(reaches()["projections"], phantom.projections)


def visible(viewer):
    return [layer.name for layer in viewer.layers if layer.visible]


@pytest.mark.parametrize("kind", ["mask", "crop"])
def test_after_a_run_one_draws_over_the_scan_alone(viewer, widget, loop, reaches, kind):
    loop.states = 1
    reaches()
    assert viewer.canvas.grid.enabled
    before = visible(viewer)
    button = getattr(widget.scan, f"draw_{kind}")
    button.click()
    assert visible(viewer) == ["scan", kind]
    assert not viewer.canvas.grid.enabled
    assert viewer.layers.selection.active is viewer.layers[kind]
    viewer.layers[kind].mode = "pan_zoom"  # done: another tool is taken
    assert visible(viewer) == before  # a hidden layer takes no cell of the grid
    assert viewer.canvas.grid.enabled
    assert not button.isChecked()
    button.click()  # once more, in the same layer
    assert visible(viewer) == ["scan", kind]
    viewer.layers.selection.active = viewer.layers["scan"]
    assert visible(viewer) == before
    assert [layer.name for layer in viewer.layers].count(kind) == 1


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


def test_no_angles_are_invented(viewer, widget, phantom, told):
    plain = viewer.add_image(phantom.projections, name="plain")
    widget.scan.layer.value = plain
    assert widget.scan.fields["angles"].value == "choose …"
    assert "angles are not known" in widget.scan.summary.text()
    widget.run()
    assert any("angles are not known" in text for text in told())
    widget.scan.fields["angles"].value = "0° to 180°, end left out"
    assert widget.scan.summary.text() == "24 angles, 0° to 172.5°, step 7.5°"


def test_a_layer_of_four_axes_gets_the_cure(viewer, widget):
    viewer.layers.clear()
    viewer.add_image(np.zeros((3, 12, 8, 8)), name="channels")
    text = widget.scan.summary.text()
    assert "'channels' has four axes: choose a channel of it" in text


def test_a_pyramid_is_a_scan_by_its_finest_level(viewer, widget, phantom, reaches):
    levels = [phantom.projections, phantom.projections[:, ::2, ::2]]
    made = viewer.add_image(levels, multiscale=True, metadata={"angles": phantom.angles})
    widget.scan.layer.value = made
    np.testing.assert_array_equal(reaches()["projections"], phantom.projections)


def test_the_readers_remarks_are_shown(viewer, widget):
    scan = viewer.layers["scan"]
    scan.metadata = {**scan.metadata, "preparation": ("background 3.1 subtracted",)}
    widget.reset_choices()
    assert "background 3.1 subtracted" in widget.scan.summary.text()


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
