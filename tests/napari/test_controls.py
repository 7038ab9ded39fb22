"""Every control does what it says: change it, and see what reaches the loop."""

from dataclasses import fields

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters

# What is set in a control, and what must reach the loop.
SET = {
    "maxiter": (7, 7),
    "center_estimation": (False, False),
    "use_absorbances": (False, False),
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
    "initial_estimate": (False, False),
    "down_weight": (False, False),
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
        "projection_cropping",
        "transmission",
    }
    names = {field.name for field in fields(AlignmentParameters)}
    assert set(widget.parameters.editors) == set(SET) == names - elsewhere
    assert set(widget.settings()[2].to_dict()) == names


def test_untouched_controls_are_the_defaults(widget):
    center, backend, parameters = widget.settings()
    assert (center, backend, parameters) == (None, "auto", AlignmentParameters())


def test_every_parameter_reaches_the_loop(widget, reaches):
    for name, (value, _) in SET.items():
        if name != "align_horizontal":  # not both directions off
            widget.parameters.editors[name].set(value)
    arguments = reaches()
    for name, (_, expected) in SET.items():
        if name != "align_horizontal":
            assert arguments[name] == expected, name
    widget.parameters.editors["align_vertical"].set(True)
    widget.parameters.editors["align_horizontal"].set(False)
    arguments = reaches()
    assert (arguments["align_vertical"], arguments["align_horizontal"]) == (True, False)


def test_every_control_of_a_parameter_is_explained_and_limited(widget):
    for name, editor in widget.parameters.editors.items():
        assert name in editor.widget.toolTip()
        assert len(editor.widget.toolTip()) > len(name) + 40
    box = widget.parameters.editors["relative_sample_size"].widget
    assert (box.minimum(), box.maximum()) == (0.01, 1.0)
    assert widget.parameters.editors["shift_cutoff"].widget.suffix() == " px"


def test_the_usual_ones_are_in_front(widget):
    assert not widget.parameters.advanced.isExpanded()
    inside = widget.parameters.advanced.content()
    for spec in fields(AlignmentParameters):
        if spec.name in widget.parameters.editors:
            folded = inside.isAncestorOf(widget.parameters.editors[spec.name].widget)
            assert folded == bool(spec.metadata.get("advanced")), spec.name


def test_a_wrong_value_is_told_by_name(widget, told):
    widget.parameters.editors["levels"].widget.setText("two")
    widget.run()
    assert any("levels" in text and "'two'" in text for text in told())
    widget.parameters.editors["levels"].widget.setText("1, 2")
    widget.run()
    assert any("coarse to fine" in text for text in told())


def test_reconstruction_controls(widget, reaches):
    group = widget.reconstruction
    group.backend.setCurrentIndex(group.backend.findData("builtin"))
    group.algorithm.addItem("sirt", "sirt")
    group.algorithm.setCurrentIndex(group.algorithm.findData("sirt"))
    group.options.widget.setText("num_iter=3, non_negative=False")
    group.gpu.set(True)
    arguments = reaches()
    assert arguments["backend"] == "builtin"
    assert arguments["reconstruction_pipeline"] == "sirt"
    assert arguments["reconstruction_pipeline_kwargs"] == {"num_iter": 3, "non_negative": False}
    assert arguments["use_gpu"] is True


def test_wrong_options_are_told(widget, told):
    widget.reconstruction.options.widget.setText("num_iter")
    widget.run()
    assert any("num_iter=10" in text and "got 'num_iter'" in text for text in told())


def test_the_algorithms_are_those_of_the_engine(widget):
    from napari_tomoalign import get_backend

    combo = widget.reconstruction.algorithm
    offered = [combo.itemData(index) for index in range(1, combo.count())]
    assert offered == list(get_backend("auto").algorithms)


def test_missing_engines_are_greyed_and_say_how_to_install(viewer, qtbot, monkeypatch):
    from napari_tomoalign._napari import _reconstruction_group as module

    monkeypatch.setattr(
        module, "how_to_install", lambda name: "get it there" if name == "tomopy" else None
    )
    group = module.ReconstructionGroup()
    qtbot.addWidget(group)
    qtbot.waitUntil(lambda: group.algorithm.count() > 1, timeout=20_000)
    index = group.backend.findData("tomopy")
    assert not group.backend.model().item(index).isEnabled()
    assert "not installed" in group.backend.itemText(index)
    assert "get it there" in group.remark.text()
    assert group.backend.model().item(group.backend.findData("builtin")).isEnabled()


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
    widget.scan.layer.choose(other)
    arguments = reaches()
    np.testing.assert_array_equal(arguments["projections"], phantom.projections + 1)
    np.testing.assert_array_equal(arguments["angles"], phantom.angles / 2)


def test_angles_from_first_and_last(widget, phantom, reaches):
    widget.scan.angle_source.setCurrentText("first and last")
    widget.scan.first.setValue(-60)
    widget.scan.last.setValue(60)
    assert "24 angles, -60° to 60°" in widget.scan.summary.text()
    np.testing.assert_allclose(
        np.degrees(reaches()["angles"]), np.linspace(-60, 60, len(phantom.angles))
    )


def test_angles_from_a_file(widget, phantom, reaches, tmp_path):
    path = tmp_path / "scan.rawtlt"
    np.savetxt(path, np.linspace(-70, 70, len(phantom.angles)))
    widget.scan.angle_source.setCurrentText("from a file")
    widget.scan.file.setText(str(path))
    np.testing.assert_allclose(
        np.degrees(reaches()["angles"]), np.linspace(-70, 70, len(phantom.angles))
    )


def test_too_few_angles_are_told(widget, told, tmp_path):
    path = tmp_path / "scan.tlt"
    np.savetxt(path, [0, 1, 2])
    widget.scan.angle_source.setCurrentText("from a file")
    widget.scan.file.setText(str(path))
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
    widget.scan.axis.setCurrentIndex(widget.scan.axis.findData("horizontal"))
    loop.states = 1
    arguments = reaches()
    np.testing.assert_array_equal(arguments["projections"], phantom.projections[:, :30])
    assert viewer.layers["reference"].data.shape == scan.data.shape
    assert viewer.layers["reconstruction"].data.shape == (30, 1, 32, 32)


def test_center(widget, reaches):
    widget.scan.center.setValue(14.5)
    assert reaches()["center"] == 14.5


def test_ignored_projections(viewer, widget, reaches):
    widget.scan.ignored.widget.setText("0, 5-7")
    viewer.dims.set_point(0, 9)
    widget.scan._add_view.click()
    assert widget.scan.ignored.widget.text() == "0, 5-7, 9"
    assert reaches()["ignored_subset"] == (0, 5, 6, 7, 9)


def test_transmission(widget, reaches):
    widget.scan.transmission.set(True)
    assert reaches()["transmission"] is True


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_a_labels_layer_as_mask(viewer, widget, reaches, axes):
    shape = viewer.layers["scan"].data.shape
    labels = np.zeros((5, *shape)[4 - axes :], dtype=np.uint8)
    labels[..., 3, 4] = 2
    widget.scan.marks.choose(viewer.add_labels(labels))
    weights = reaches()["weights"]
    assert weights.shape == shape
    assert np.all(weights[:, 3, 4] == 0)
    assert weights.sum() == weights.size - len(weights)
    widget.scan.painted.setCurrentText("alone is used")
    weights = reaches()["weights"]
    assert weights.sum() == len(weights)


def test_a_mask_that_does_not_fit_is_told(viewer, widget, run, told):
    widget.scan.marks.choose(viewer.add_labels(np.zeros((4, 4), dtype=np.uint8), name="small"))
    run(widget)
    assert any("'small' has shape (4, 4)" in text and "(24, 32, 32)" in text for text in told())


def test_a_shapes_layer_as_mask(viewer, widget, reaches):
    corners = np.array([[3.6, 3.6], [3.6, 9.4], [7.4, 9.4], [7.4, 3.6]])
    widget.scan.marks.choose(viewer.add_shapes([corners], shape_type="rectangle"))
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
    widget.scan.crop.choose(viewer.add_shapes([corners], shape_type="rectangle"))
    assert reaches()["projection_cropping"] == (slice(4, 23), slice(6, 25))
    widget.scan.axis.setCurrentIndex(widget.scan.axis.findData("horizontal"))
    assert reaches()["projection_cropping"] == (slice(6, 25), slice(4, 23))


def test_an_empty_crop_is_told(viewer, widget, told):
    widget.scan.crop.choose(viewer.add_shapes(ndim=2, name="nothing"))
    widget.run()
    assert any("'nothing' has no rectangle" in text for text in told())


def test_new_mask_and_new_crop_are_ready_to_draw_in(viewer, widget):
    widget.scan._new_mask.click()
    widget.scan._new_crop.click()
    assert viewer.layers["mask"].data.shape == viewer.layers["scan"].data.shape
    assert viewer.layers["mask"].mode == "paint"
    assert viewer.layers["crop"].mode == "add_rectangle"
    assert widget.scan.marks.layer is viewer.layers["mask"]
    assert widget.scan.crop.layer is viewer.layers["crop"]


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
    with qtbot.waitSignal(widget.preview.difference_ready, timeout=5000):
        widget.result.difference.setChecked(True)
    data = {name: viewer.layers[name].data for name in ("difference", "reference", "projections")}
    np.testing.assert_array_equal(data["difference"], data["reference"] - data["projections"])


def test_a_lazy_layer_is_read_in_the_background_only(viewer, widget, reaches, phantom):
    dask = pytest.importorskip("dask.array")
    lazy = dask.from_array(phantom.projections, chunks=(4, 32, 32))
    layer = viewer.add_image(
        lazy, contrast_limits=(0, 2), metadata={"angles": phantom.angles}, name="lazy"
    )
    widget.scan.layer.choose(layer)
    np.testing.assert_array_equal(reaches()["projections"], phantom.projections)
