"""What the window says of a scan reaches the loop: layers, angles, axis, masks, crops."""

import numpy as np
import pytest


@pytest.fixture
def viewer(windowless):
    return windowless


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


def draw_something(viewer, kind):
    layer = viewer.layers[kind]
    if kind == "mask":
        layer.data[0, 4, 4] = 1
    else:
        layer.add_rectangles([[4, 6], [20, 20]])


def test_new_mask_and_new_crop_are_ready_to_draw_in(viewer, widget):
    widget.scan.draw_mask.click()
    assert viewer.layers["mask"].data.shape == viewer.layers["scan"].data.shape
    assert viewer.layers["mask"].mode == "paint"
    assert widget.scan.draw_mask.text() == "Done"
    draw_something(viewer, "mask")
    widget.scan.draw_crop.click()
    assert viewer.layers["mask"].mode == "pan_zoom"
    assert viewer.layers["crop"].mode == "add_rectangle"
    assert widget.scan.draw_crop.isChecked()
    assert not widget.scan.draw_mask.isChecked()
    assert widget.scan.marks.value is viewer.layers["mask"]
    assert widget.scan.crop.value is viewer.layers["crop"]
    widget.scan.draw_crop.click()  # nothing was drawn
    assert widget.scan.crop.value is None
    assert visible(viewer) == ["scan", "mask"]


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
def test_after_a_run_one_draws_over_the_scan_alone(viewer, widget, loop, reaches, qtbot, kind):
    loop.states = 1
    reaches()
    assert viewer.canvas.grid.enabled
    before, camera = visible(viewer), viewer.scene.camera
    seen = camera.center, camera.zoom
    button = getattr(widget.scan, f"draw_{kind}")
    button.click()
    assert visible(viewer) == ["scan", kind]
    assert not viewer.canvas.grid.enabled
    assert viewer.layers.selection.active is viewer.layers[kind]
    assert camera.center[1:] == pytest.approx((15.5, 15.5))  # nothing drawn lies nowhere
    assert np.isfinite(camera.zoom)
    viewer.layers[kind].mode = "pan_zoom"  # a look around, as with the space bar
    assert visible(viewer) == ["scan", kind]
    draw_something(viewer, kind)
    button.click()
    assert visible(viewer) == before  # a hidden layer takes no cell of the grid
    assert viewer.canvas.grid.enabled
    assert (camera.center, camera.zoom) == (pytest.approx(seen[0]), pytest.approx(seen[1]))
    assert not button.isChecked()
    button.click()  # once more, in the same layer
    assert visible(viewer) == ["scan", kind]
    viewer.layers.selection.active = viewer.layers["scan"]
    qtbot.waitUntil(lambda: visible(viewer) == before, timeout=2000)
    assert [layer.name for layer in viewer.layers].count(kind) == 1
    viewer.dims.ndisplay = 3
    button.click()
    assert visible(viewer) == ["scan", kind]
    assert viewer.dims.ndisplay == 2


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
