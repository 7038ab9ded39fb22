"""The controls that say what is aligned: layer, angles, axis, centre, masks."""

# No ``from __future__ import annotations``: the hints are read at run time.
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from .._plugin.metadata import angles_in, carries_angles, role_in
from ..geometry import RotationAxis
from ..io.angle_files import read_angles
from ..parameters import AlignmentParameters
from ..steering import ScanSource
from ..steering.frames import AXIS_LABELS
from ._forms import LayerChooser, in_degrees, widgets_of
from ._layers import finest, is_stack, placement_of
from ._layout import column, form, hint, row, small_button
from ._parameter_form import SCAN
from ._regions import cropping_from, mask_from

__all__ = ["FIRST_LAST", "FROM_FILE", "FROM_LAYER", "UNKNOWN", "ScanForm", "ScanSettings"]

UNKNOWN, FROM_LAYER, FROM_FILE = "choose …", "from the layer", "from a file"
FIRST_LAST = "first and last"
IGNORE, KEEP = "is ignored", "alone is used"
_PRESETS = {  # first, last, whether the last is measured, degrees
    "0° to 180°, end left out": (0.0, 180.0, False),
    "0° to 180°, end included": (0.0, 180.0, True),
    "0° to 360°, end left out": (0.0, 360.0, False),
    "0° to 360°, end included": (0.0, 360.0, True),
    "-90° to +90°, end included": (-90.0, 90.0, True),
}
_ANGLE_FILES = "Angles (*.txt *.csv *.rawtlt *.tlt *.mdoc *.npy *.dat);;All files (*)"


@dataclass(frozen=True)
class ScanSettings:
    """What is said about a scan beside its layer; the form's fields.

    Parameters
    ----------
    angles : str
        Where the angle of each projection comes from. None is assumed.
    first, last : float
        Angle of the first and of the last projection, degrees; the others lie evenly between.
    file : Path
        One angle a line; degrees or radians is recognised and stated.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the rotation axis in the images as they are shown: up and down, or left to
        right.
    center : float, optional
        Column of the rotation axis (row, where it is horizontal), counted from 0 at the first
        pixel's middle. Left to the program, it is estimated and refined in the loop, or, with
        "Estimate the centre" off, the middle of the image.
    axis_angle : float
        How far the axis is turned in the images, from upright towards larger columns (rows, where
        it is horizontal).
    axis_tilt : float
        How far the axis leans along the beam.
    painted : str
        What the marked pixels of the mask mean.
    """

    angles: Literal[(UNKNOWN, FROM_LAYER, FROM_FILE, *_PRESETS, FIRST_LAST)] = UNKNOWN  # type: ignore[valid-type]
    first: Annotated[float, {"min": -3600.0, "max": 3600.0, "step": 1.0}] = -60.0
    last: Annotated[float, {"min": -3600.0, "max": 3600.0, "step": 1.0}] = 60.0
    file: Annotated[Path | None, {"nullable": True, "filter": _ANGLE_FILES}] = None
    rotation_axis: RotationAxis = "vertical"
    center: float | None = None
    axis_angle: float = 0.0
    axis_tilt: float = 0.0
    painted: Literal[(IGNORE, KEEP)] = IGNORE  # type: ignore[valid-type]


class ScanForm(QWidget):
    """What is aligned: one of the viewer's layers, and what is said about it or drawn over it.

    Signals
    -------
    changed()
        Another scan, other angles, another axis.
    draw_asked(scan, layer)
        The user wants to draw in a layer over the scan's; None: is done with it.
    """

    changed = Signal()
    draw_asked = Signal(object, object)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer = LayerChooser(
            viewer,
            is_stack,
            nullable=False,
            tooltip="The measured projections: an image layer (angle, row, column)",
        )
        self.marks = LayerChooser(
            viewer,
            lambda layer: isinstance(layer, Labels | Shapes),
            tooltip="A Labels or Shapes layer that marks pixels",
        )
        self.crop = LayerChooser(
            viewer,
            lambda layer: isinstance(layer, Shapes),
            tooltip="A Shapes layer: the images are registered inside its rectangle only; the "
            "reconstruction still sees all",
        )
        self.choosers = {"layer": self.layer, "mask": self.marks, "crop": self.crop}
        self.fields = {
            **widgets_of(ScanSettings, tuple(ScanSettings.__dataclass_fields__), _OPTIONS),
            **widgets_of(AlignmentParameters, _FROM_PARAMETERS, {}),
        }
        self.fields["transmission"].native.setText("")  # its label stands before it
        self.summary = hint()
        self._lay_out()
        self.layer.changed.connect(self._on_layer)
        self.marks.changed.connect(self._on_mask)
        for name in ("angles", "first", "last", "file", "rotation_axis", "ignored_subset"):
            self.fields[name].changed.connect(self._on_change)
        self._on_mask(None)
        self._on_layer(self.layer.value)

    def reset_choices(self, event: Any = None) -> None:
        """Offer the layers that are there now."""
        for chooser in self.choosers.values():
            chooser.reset_choices()
        self._on_change()  # a layer may have got its angles meanwhile

    @property
    def rotation_axis(self) -> RotationAxis:
        """Direction of the axis in the images as they are shown."""
        axis: RotationAxis = self.fields["rotation_axis"].value
        return axis

    def source(self) -> ScanSource:
        """Return the scan that is chosen.

        Raises
        ------
        ValueError, OSError
            No layer, angles that do not fit or cannot be read, an empty mask.
        """
        layer, angles = self._chosen_layer(), self.angles()
        masks = []
        if self.marks.value is not None:
            keep = self.fields["painted"].value == KEEP
            masks.append(mask_from(self.marks.value, layer, keep=keep))
        weights = layer.metadata.get("weights")
        if weights is not None:
            masks.append(lambda shape: np.asarray(weights, dtype=np.float32))
        options = dict(layer.metadata.get("read_with", {}))
        if self.fields["angles"].value == FROM_FILE:
            options["angles"] = str(Path(self.fields["file"].value).expanduser().absolute())
        elif self.fields["angles"].value != FROM_LAYER:  # evenly between two ends
            options["angle_range"] = [float(np.rad2deg(angles[end])) for end in (0, -1)]
        own = self.fields["angles"].value == FROM_LAYER
        return ScanSource(
            data=finest(layer),
            angles=angles,
            place=placement_of(layer, self.rotation_axis),
            masks=tuple(masks),
            file=str(layer.metadata.get("file", "")),
            options=options,
            rotations=layer.metadata.get("rotations") if own else None,
        )

    def cropping(self) -> tuple[slice, slice] | None:
        """Return the window that the images are registered in; ValueError without a rectangle."""
        if self.crop.value is None:
            return None
        return cropping_from(self.crop.value, self._chosen_layer(), self.rotation_axis)

    def angles(self) -> NDArray[np.float64]:
        """Return the angles of the chosen layer, radians; ValueError where they do not fit."""
        layer = self._chosen_layer()
        count = len(finest(layer))
        source = self.fields["angles"].value
        if source == UNKNOWN:
            raise ValueError(
                "the angles are not known: choose where they come from, a file or a preset"
            )
        if source in _PRESETS or source == FIRST_LAST:
            ends = self.fields["first"].value, self.fields["last"].value, True
            first, last, both = _PRESETS.get(source, ends)
            return np.deg2rad(np.linspace(first, last, count, endpoint=both))
        if source == FROM_FILE:
            file = self.fields["file"].value
            if file is None or not str(file).strip("."):
                raise ValueError("no file of angles is chosen yet")
            angles = read_angles(Path(file).expanduser())[0]
        else:
            found = angles_in(layer.metadata)
            if found is None:
                raise ValueError(
                    f"the layer {layer.name!r} carries no angles: choose a file of angles or a "
                    "preset (in a script, layer.metadata['angles'] takes them in radians)"
                )
            angles = found
        if len(angles) != count:
            raise ValueError(
                f"expected one angle for each of the {count} projections, got "
                f"{len(angles)}: choose the angles that belong to layer {layer.name!r}"
            )
        return angles

    def fault(self) -> str:
        """Return what stands in the way of a run, in words; empty where nothing does."""
        try:
            self.angles()
        except (ValueError, OSError) as error:
            return str(error)
        return ""

    def show_drawn(self) -> None:
        """Show that nothing is drawn any more."""
        for button in (self.draw_mask, self.draw_crop):
            button.setChecked(False)

    def projection_in_view(self) -> int | None:
        """Return the index of the projection that the angle slider is at."""
        layer = self.layer.value
        point = self._viewer.dims.point
        if layer is None or len(point) < 3:
            return None
        index: int = round((point[-3] - layer.translate[0]) / layer.scale[0])
        return min(max(index, 0), len(finest(layer)) - 1)

    @property
    def ignored(self) -> tuple[int, ...]:
        """The ignored projections; none where what is typed cannot be read (a run tells)."""
        try:
            ignored: tuple[int, ...] = self.fields["ignored_subset"].value
        except ValueError:
            return ()
        return ignored

    def with_ignored(self, index: int, ignored: bool = True) -> tuple[int, ...]:
        """Return the ignored projections with one of them among these, or not."""
        return tuple(sorted({*self.ignored} - {index} | ({index} if ignored else set())))

    def _chosen_layer(self) -> Image:
        layer = self.layer.value
        if layer is None:
            raise ValueError(_no_stack(self._viewer))
        return layer

    def _lay_out(self) -> None:
        self.open = small_button("Open…", "Open a scan: a file, or a folder of TIFFs")
        self._add_view = small_button("+ in view", "Add the projection in view to the ignored ones")
        self._add_view.clicked.connect(self._ignore_view)
        self.draw_mask = small_button("Draw", "Paint the mask over the scan, in a Labels layer")
        self.draw_crop = small_button("Draw", "Draw the crop's rectangle, in a Shapes layer")
        for button, chooser, make in (
            (self.draw_mask, self.marks, self._add_mask),
            (self.draw_crop, self.crop, self._add_crop),
        ):
            button.setCheckable(True)
            button.toggled.connect(lambda on, b=button: b.setText("Done" if on else "Draw"))
            button.clicked.connect(
                lambda on, chooser=chooser, make=make: self._draw(on, chooser, make)
            )
        layout = form()
        for label, widget in (
            ("Projections", row(self.layer.native, self.open)),
            ("Angles", self.fields["angles"].native),
            ("First, °", self.fields["first"].native),
            ("Last, °", self.fields["last"].native),
            ("", self.fields["file"].native),
            ("Rotation axis", self.fields["rotation_axis"].native),
            ("Centre, px", self.fields["center"].native),
            ("Axis turn, lean, °", row(*(self.fields[name].native for name in _AXIS), stretch=0)),
            ("Ignored", row(self.fields["ignored_subset"].native, self._add_view)),
            ("Left out", self.fields["excluded_subset"].native),
            ("Mask", row(self.marks.native, self.draw_mask)),
            ("What is painted", self.fields["painted"].native),
            ("Crop", row(self.crop.native, self.draw_crop)),
            ("Transmission", self.fields["transmission"].native),
        ):
            layout.addRow(label, widget)
        layout.insertRow(layout.getWidgetPosition(self.fields["file"].native)[0] + 1, self.summary)
        self._form = layout
        column(self).addLayout(layout)

    def _on_layer(self, layer: Image | None) -> None:
        if layer is not None:
            angles = self.fields["angles"]
            if carries_angles(layer.metadata):
                angles.value = FROM_LAYER
            elif angles.value == FROM_LAYER:
                angles.value = UNKNOWN
            if self._viewer.dims.ndim == layer.ndim:
                self._viewer.dims.axis_labels = AXIS_LABELS[-layer.ndim :]
            axis = layer.metadata.get("rotation_axis")
            if axis in ("vertical", "horizontal"):
                self.fields["rotation_axis"].value = axis
        self._on_change()

    def _on_mask(self, layer: Any) -> None:
        self._form.setRowVisible(self.fields["painted"].native, layer is not None)

    def _on_change(self, *_: Any) -> None:
        source = self.fields["angles"].value
        for end in ("first", "last"):
            self._form.setRowVisible(self.fields[end].native, source == FIRST_LAST)
        self._form.setRowVisible(self.fields["file"].native, source == FROM_FILE)
        self.summary.setText(self._summarise())
        self.changed.emit()

    def _summarise(self) -> str:
        """Say what the angles are and what the reader remarked, or what is wrong."""
        fault = self.fault()
        if fault:
            return f"⚠ {fault[:1].upper()}{fault[1:]}."
        degrees, layer = np.degrees(self.angles()), self._chosen_layer()
        steps = np.abs(np.diff(degrees))
        words = f"{len(degrees)} angles, {degrees.min():.4g}° to {degrees.max():.4g}°"
        if len(steps) and np.ptp(steps) < 1e-3:
            words += f", step {steps[0]:.4g}°"
        elif len(steps):
            words += f", steps {steps.min():.3g}° to {steps.max():.3g}°"
        remarks = layer.metadata.get("preparation", ())
        return "\n".join((words, *remarks))

    def _ignore_view(self) -> None:
        index = self.projection_in_view()
        if index is not None:
            self.fields["ignored_subset"].value = self.with_ignored(index)

    def _draw(self, on: bool, chooser: LayerChooser, make: Any) -> None:
        scan = self.layer.value
        if on and scan is not None and chooser.value is None:
            made = make(scan)
            chooser.reset_choices()
            chooser.value = made
        self.draw_asked.emit(scan, chooser.value if on else None)
        self.draw_mask.setChecked(on and chooser is self.marks)
        self.draw_crop.setChecked(on and chooser is self.crop)

    def _add_mask(self, scan: Image) -> Layer:
        """Add a mask with the pixels marked that have no value, where these are to be ignored."""
        data = finest(scan)
        marked = np.zeros(data.shape, dtype=np.uint8)
        if self.fields["painted"].value == IGNORE and isinstance(data, np.ndarray):
            marked[~np.isfinite(data)] = 1
        return self._viewer.add_labels(
            marked, name="mask", scale=scan.scale, translate=scan.translate, units=scan.units
        )

    def _add_crop(self, scan: Image) -> Layer:
        return self._viewer.add_shapes(
            ndim=2,
            name="crop",
            scale=scan.scale[-2:],
            translate=scan.translate[-2:],
            units=scan.units[-2:],
            face_color="transparent",
            edge_color="yellow",
        )


_FROM_PARAMETERS = tuple(name for name in SCAN if name != "projection_cropping")
_AXIS = ("axis_angle", "axis_tilt")
_OPTIONS: dict[str, dict[str, Any]] = {
    "center": {"example": "found by the program"},
    **{name: in_degrees(name) for name in _AXIS},
}


def _no_stack(viewer: ViewerModel) -> str:
    """Say why no layer is offered."""
    for layer in viewer.layers:
        if isinstance(layer, Image) and role_in(layer.metadata) is None and layer.ndim == 4:
            return (
                f"the layer {layer.name!r} has four axes: choose a channel of it "
                "(Layers > Split Stack gives each a layer)"
            )
    return "there is no scan yet: open one, or take File > Open Sample"
