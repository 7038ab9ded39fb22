"""Layers: where they lie, updated in place, quick, two sliders, 3-D."""

import time
from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign._napari._layers import AlignmentLayers

ANGLES = np.linspace(0, np.pi, 12, endpoint=False)
PROJECTIONS = np.zeros((12, 16, 32), dtype=np.float32)


@pytest.fixture
def viewer(windowless):
    return windowless


@pytest.fixture
def layers(viewer):
    made = AlignmentLayers(viewer)
    yield made
    made.close()


@pytest.fixture
def frames(make_state):
    """Frames of a state, at a binning."""
    from napari_tomoalign.steering import Placement
    from napari_tomoalign.steering.frames import frames_of

    place = Placement(
        (1.0, 0.5, 0.5), (0.0, 3.0, 7.0), ("pixel", "um", "um"), "vertical", "scan", (16, 32)
    )

    def make(number=1, binning=1, **changes):
        state = make_state(PROJECTIONS, ANGLES, number, binning=binning)
        return frames_of(state, replace(place, **changes), difference=True)

    return make


def covers(frame, axis):
    """Return the edges, in the world, of what a frame covers along an axis."""
    first = frame.translate[axis] - frame.scale[axis] / 2
    return first, first + frame.scale[axis] * frame.data.shape[axis]


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_every_level_covers_the_scan(frames, binning):
    made = frames(binning=binning)
    for role in ("reference", "projections", "difference"):
        assert covers(made[role], 0) == (-0.5, 11.5)
        assert covers(made[role], 1) == (2.75, 10.75)
        assert covers(made[role], 2) == (6.75, 22.75)
    volume = made["reconstruction"]
    assert covers(volume, 0) == (2.75, 10.75)  # slices lie where the rows are
    assert covers(volume, 1) == (-0.5, 11.5)  # there at every angle
    assert covers(volume, 2) == (2.75, 18.75)  # begins where the rows do
    assert covers(volume, 3) == (6.75, 22.75)


def test_rows_may_be_binned_less_than_columns(make_state):
    from napari_tomoalign.steering import Placement
    from napari_tomoalign.steering.frames import frames_of

    state = make_state(np.zeros((12, 32, 32)), ANGLES, binning=2)  # images of 16 x 16
    made = frames_of(state, Placement(shape=(16, 32)))
    assert made["reference"].scale == (1, 1, 2)
    assert made["reconstruction"].scale == (1, 12, 2, 2)
    assert covers(made["reconstruction"], 0) == (-0.5, 15.5)


def test_the_axis_lies_at_its_column(make_state):
    from napari_tomoalign.steering import Placement
    from napari_tomoalign.steering.frames import frames_of

    state = make_state(PROJECTIONS, ANGLES)
    state = replace(state, geometry=state.geometry.with_changes(center=20.0))
    volume = frames_of(state, Placement(shape=(16, 32)))["reconstruction"]
    assert volume.translate[3] + state.geometry.volume_axis * volume.scale[3] == 20.0


def test_grey_values_are_the_same_at_every_level(frames):
    for binning in (1, 2, 4):
        volume = frames(number=7, binning=binning)["reconstruction"].data
        np.testing.assert_array_equal(volume, np.float32(8.0) / binning)


def test_a_horizontal_axis_turns_the_stacks_back(frames):
    made = frames(rotation_axis="horizontal", shape=(32, 16))
    assert made["reference"].data.shape == (12, 32, 16)
    assert covers(made["reference"], 1) == (2.75, 18.75)
    assert covers(made["reconstruction"], 0) == (6.75, 14.75)  # slices lie where the columns are
    assert covers(made["reconstruction"], 2) == (6.75, 22.75)
    assert covers(made["reconstruction"], 3) == (2.75, 18.75)


def test_updates_in_place_and_leaves_the_contrast_to_the_user(viewer, layers, frames):
    layers.begin(None)
    layers.show(frames(binning=2))
    made = list(viewer.layers)
    assert [layer.name for layer in made] == [
        "reference",
        "projections",
        "difference",
        "reconstruction",
    ]
    viewer.layers["reconstruction"].contrast_limits = (0.25, 0.75)
    viewer.layers["reference"].colormap = "magma"
    viewer.layers["projections"].visible = False
    viewer.scene.camera.zoom = 3.3
    viewer.dims.set_point(1, 5)
    layers.show(frames(number=2))
    assert list(viewer.layers) == made
    assert viewer.layers["reconstruction"].data.shape == (16, 1, 32, 32)
    assert tuple(viewer.layers["reconstruction"].contrast_limits) == (0.25, 0.75)
    assert viewer.layers["reference"].colormap.name == "magma"
    assert not viewer.layers["projections"].visible
    assert viewer.scene.camera.zoom == 3.3
    assert viewer.dims.point[1] == 5


def test_scale_units_and_provenance_are_carried(viewer, layers, frames):
    layers.begin(None)
    layers.show(frames(number=3))
    for layer in viewer.layers:
        own = layer.metadata["napari_tomoalign"]
        assert own["iteration"] == 3
        assert own["source"] == "scan"
        assert own["version"]
        np.testing.assert_array_equal(own["shifts"][0], (3, -3))
    assert tuple(viewer.layers["reference"].scale) == (1.0, 0.5, 0.5)
    assert [str(unit) for unit in viewer.layers["reference"].units] == [
        "pixel",
        "micrometer",
        "micrometer",
    ]
    np.testing.assert_array_equal(viewer.layers["reference"].metadata["angles"], ANGLES)


def test_slices_and_angles_have_a_slider_each(viewer, layers, frames):
    scan = viewer.add_image(np.random.default_rng(0).random((12, 16, 32)), scale=(1, 0.5, 0.5))
    layers.begin(scan)
    made = frames()
    made["reconstruction"].data.flags.writeable = True
    made["reconstruction"].data[:] = np.arange(16, dtype=np.float32)[:, None, None, None]
    layers.show(made)
    dims = viewer.dims
    assert tuple(dims.axis_labels) == ("slice", "angle", "row", "column")
    assert tuple(dims.nsteps[:2]) == (16, 12)
    for index in (2, 9):
        dims.set_current_step(0, index)
        dims.set_current_step(1, 11 - index)
        assert np.all(viewer.layers["reconstruction"]._slice.image.raw == index)
        np.testing.assert_array_equal(scan._slice.image.raw, scan.data[11 - index])


def test_the_slice_in_view_is_a_row_of_the_scan_when_the_level_is_full(viewer, layers, frames):
    scan = viewer.add_image(
        np.zeros((12, 16, 32)), name="scan", scale=(1, 0.5, 0.5), translate=(0, 3, 7)
    )
    layers.begin(scan)
    layers.show(frames(binning=2))
    assert viewer.dims.point[0] == 3.25 + 4  # between two rows of the scan
    layers.show(frames())
    assert viewer.dims.point[0] == 3 + 8 * 0.5


def test_in_3d_the_volume_is_shown_alone(make_napari_viewer, frames):
    viewer = make_napari_viewer()
    layers = AlignmentLayers(viewer)
    scan = viewer.add_image(np.zeros((12, 16, 32)), name="scan")
    layers.begin(scan)
    layers.show(frames())
    viewer.layers["projections"].visible = False
    viewer.dims.ndisplay = 3
    assert [layer.name for layer in viewer.layers if layer.visible] == ["reconstruction"]
    assert viewer.layers["reconstruction"]._slice.image.raw.shape == (16, 32, 32)
    viewer.dims.ndisplay = 2
    assert [layer.name for layer in viewer.layers if layer.visible] == [
        "scan",
        "reference",
        "difference",
        "reconstruction",
    ]
    assert tuple(viewer.dims.order) == (0, 1, 2, 3)
    layers.close()


def test_planes_stand_in_for_the_volume_in_3d(viewer, layers, frames):
    layers.begin(viewer.add_image(np.zeros((12, 16, 32)), name="scan", scale=(1, 0.5, 0.5)))
    layers.show(frames())
    flat = [layer.name for layer in viewer.layers if layer.visible]
    viewer.dims.set_point(0, viewer.layers["reconstruction"].translate[0] + 5 * 0.5)
    layers.show_planes(True)
    assert not [layer for layer in viewer.layers if layer.name.startswith("plane")]  # in 2-D
    viewer.dims.ndisplay = 3
    planes = [layer for layer in viewer.layers if layer.visible]
    assert [layer.name for layer in planes] == [
        "plane across the axis",
        "plane along y",
        "plane along x",
    ]
    assert not viewer.canvas.grid.enabled  # they cross in one view
    assert planes[0].plane.position == (5, 15.5, 15.5)
    dark, bright = planes[0].colormap.map(np.array([0.0, 1.0]))
    assert (dark[3], bright[3]) == (0, 1)  # what is dark hides nothing
    layers.show(frames(number=7))  # a run goes on
    assert planes[1].data[0, 0, 0, 0] == 8.0
    viewer.dims.ndisplay = 2
    assert [layer.name for layer in viewer.layers if layer.visible] == flat
    assert not set(planes) & set(viewer.layers)
    assert viewer.canvas.grid.enabled
    viewer.dims.ndisplay = 3
    layers.show_planes(False)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["reconstruction"]


def test_a_large_update_costs_the_gui_thread_little(make_napari_viewer, make_state):
    from napari_tomoalign.steering import Placement
    from napari_tomoalign.steering.frames import frames_of

    layers = AlignmentLayers(make_napari_viewer())
    projections = np.zeros((180, 512, 512), dtype=np.float32)
    angles = np.linspace(0, np.pi, 180, endpoint=False)
    state = make_state(np.zeros((180, 8, 8)), angles)
    volume = np.zeros((512, 512, 512), dtype=np.float32)
    geometry = state.geometry.with_changes(n_rows=512, n_columns=512, volume_width=512)
    state = replace(
        state,
        geometry=geometry,
        reconstruction=volume,
        projections=projections,
        reference=projections,
    )
    place = Placement(shape=(512, 512))
    layers.begin(None)
    layers.show(frames_of(state, place))
    taken = []
    for _ in range(5):
        made = frames_of(state, place)  # away from the GUI thread
        started = time.perf_counter()
        layers.show(made)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.05
    layers.close()


def test_each_view_has_its_name_and_the_difference_is_white_at_zero(viewer, layers, frames):
    scan = viewer.add_image(np.zeros((12, 16, 32)), name="scan")
    layers.begin(scan)
    layers.show(frames())
    assert all(layer.name_overlay.visible for layer in viewer.layers)
    difference = viewer.layers["difference"]
    assert difference.contrast_limits[0] == -difference.contrast_limits[1]
    difference.contrast_limits = (-0.25, 1.5)
    assert tuple(difference.contrast_limits) == (-1.5, 1.5)


def test_contrast_is_shared_where_it_means_the_same(viewer, layers, frames):
    layers.begin(None)
    layers.show(frames())
    viewer.layers["reference"].contrast_limits = (0.5, 1.5)
    assert tuple(viewer.layers["projections"].contrast_limits) == (0.5, 1.5)
    assert tuple(viewer.layers["reconstruction"].contrast_limits) != (0.5, 1.5)


def test_in_3d_the_volume_has_its_own_contrast_and_a_box(viewer, layers, frames):
    layers.begin(None)
    made = frames()
    volume = made["reconstruction"].data
    volume.flags.writeable = True
    volume[:] = 0
    volume[6:10, 0, 10:20, 10:20] = 3.0
    layers.show(made)
    layer = viewer.layers["reconstruction"]
    layer.contrast_limits = (-1.0, 5.0)
    viewer.dims.ndisplay = 3
    assert tuple(layer.contrast_limits) == (0.0, 3.0)
    assert layer.bounding_box.visible
    up = np.asarray(viewer.scene.camera.up_direction)
    assert abs(up[0]) > 0.7  # the axis stands upright
    viewer.dims.ndisplay = 2
    assert tuple(layer.contrast_limits) == (-1.0, 5.0)
    assert not layer.bounding_box.visible


def test_a_large_volume_is_a_pyramid_of_views(viewer, layers, frames, monkeypatch):
    from napari_tomoalign._napari import _layers

    monkeypatch.setattr(_layers, "LARGE", 1000)
    monkeypatch.setattr(_layers, "_COARSEST", 8)
    layers.begin(None)
    for number in (1, 2):  # added, then updated in place
        made = frames(number=number)
        layers.show(made)
        layer = viewer.layers["reconstruction"]
        assert layer.multiscale
        assert [level.shape for level in layer.data] == [
            (16, 1, 32, 32),
            (8, 1, 16, 16),
            (4, 1, 8, 8),
        ]
        assert all(np.shares_memory(level, made["reconstruction"].data) for level in layer.data)
    assert not viewer.layers["reference"].multiscale
