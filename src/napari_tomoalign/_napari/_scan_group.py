"""The controls that say what is aligned: layer, angles, axis, centre, masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from ..io.angles import read_angles, spread_angles
from ._editors import Editor
from ._layer_combo import LayerCombo
from ._layers import placement_of
from ._layout import form, hint, row, small_button
from ._metadata import angles_in, carries_angles, role_in
from ._parameters_group import label_of, parameter_editor
from ._regions import cropping_from, mask_from
from ._request import ScanSource

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ScanGroup"]

FROM_LAYER, FROM_FILE, FIRST_LAST = "from the layer", "from a file", "first and last"
IGNORE, KEEP = "is ignored", "alone is used"


class ScanGroup(QWidget):
    """What is aligned.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are offered.

    Attributes
    ----------
    layer, marks, crop : LayerCombo
        The projections, and what is drawn over them.
    angle_source, first, last, file : QWidget
        Where the angles come from.
    axis : QComboBox
        Direction of the rotation axis.
    center : QDoubleSpinBox
        Its column; at its least value it is left to the loop.
    ignored, transmission : Editor
        Parameters that have to do with the scan.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer = LayerCombo(viewer, _is_stack)
        self.marks = LayerCombo(viewer, lambda layer: isinstance(layer, Labels | Shapes), "none")
        self.crop = LayerCombo(viewer, lambda layer: isinstance(layer, Shapes), "none")
        self.painted = QComboBox()
        self.painted.addItems([IGNORE, KEEP])
        self.ignored: Editor = parameter_editor("ignored_subset")
        self.transmission: Editor = parameter_editor("transmission")
        self.summary = hint()
        self._make_angle_controls()
        self._make_axis_controls()
        self._lay_out()
        self._explain()
        self.layer.layer_changed.connect(self._on_layer)
        for signal in (
            self.angle_source.currentIndexChanged,
            self.first.valueChanged,
            self.last.valueChanged,
            self.file.editingFinished,
            self.axis.currentIndexChanged,
        ):
            signal.connect(self._on_change)
        self._on_layer(self.layer.layer)

    def close_down(self) -> None:
        """Let go of the viewer."""
        for combo in (self.layer, self.marks, self.crop):
            combo.close_down()

    @property
    def center_column(self) -> float | None:
        """The column of the axis, or None where the loop is to find it."""
        return None if self.center.value() == self.center.minimum() else self.center.value()

    def source(self) -> ScanSource:
        """Return the scan that is chosen.

        Raises
        ------
        ValueError
            No layer, a layer that is no stack, angles that do not fit, an empty mask.
        OSError
            The file of angles cannot be read.
        """
        layer = self._chosen_layer()
        mask = self.marks.layer
        masks = []
        if mask is not None:
            masks.append(mask_from(mask, layer, keep=self.painted.currentText() == KEEP))
        weights = layer.metadata.get("weights")
        if weights is not None:
            masks.append(lambda shape: np.asarray(weights, dtype=np.float32))
        place = placement_of(layer, self.axis.currentData())
        return ScanSource(layer.data, self.angles(), place, tuple(masks))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the loop that are set here.

        Raises
        ------
        ValueError
            Ignored projections that cannot be read, a crop without a rectangle.
        """
        try:
            ignored = self.ignored.get()
        except ValueError as error:
            raise ValueError(f"ignored_subset: {error}") from error
        crop = self.crop.layer
        axis = self.axis.currentData()
        return {
            "ignored_subset": ignored,
            "transmission": self.transmission.get(),
            "projection_cropping": None
            if crop is None
            else cropping_from(crop, self._chosen_layer(), axis),
        }

    def angles(self) -> NDArray[np.float64]:
        """Return the angles of the chosen layer, radians.

        Raises
        ------
        ValueError
            There are none where they are looked for, or not one for each projection.
        """
        layer = self._chosen_layer()
        source = self.angle_source.currentText()
        if source == FIRST_LAST:
            return spread_angles((self.first.value(), self.last.value()), len(layer.data))[0]
        if source == FROM_FILE:
            if not self.file.text().strip():
                raise ValueError("no file of angles is chosen: give one, or first and last angle")
            angles = read_angles(Path(self.file.text().strip()).expanduser())[0]
        else:
            found = angles_in(layer.metadata)
            if found is None:
                raise ValueError(
                    f"layer {layer.name!r} carries no angles: set layer.metadata['angles'] in "
                    "radians, or give a file, or the first and last angle"
                )
            angles = found
        if len(angles) != len(layer.data):
            raise ValueError(
                f"expected one angle for each of the {len(layer.data)} projections, got "
                f"{len(angles)}: choose the angles that belong to layer {layer.name!r}"
            )
        return angles

    def projection_in_view(self) -> int | None:
        """Return the index of the projection that the angle slider is at."""
        layer = self.layer.layer
        point = self._viewer.dims.point
        if layer is None or len(point) < 3:
            return None
        index: int = round((point[-3] - layer.translate[0]) / layer.scale[0])
        return min(max(index, 0), len(layer.data) - 1)

    def is_ignored(self, index: int) -> bool:
        """Whether a projection is among the ignored ones."""
        try:
            return index in self.ignored.get()
        except ValueError:  # half typed; told when a run is asked for
            return False

    def toggle_ignored(self, index: int, ignored: bool) -> None:
        """Take a projection into the ignored ones, or out of them."""
        others = set(self.ignored.get()) - {index}
        self.ignored.set(tuple(sorted(others | {index} if ignored else others)))
        self.changed.emit()

    def _chosen_layer(self) -> Image:
        layer = self.layer.layer
        if layer is None:
            raise ValueError(
                "there is no stack of projections to align: open one, or take File > Open Sample; "
                "expected an image layer (angle, row, column)"
            )
        return layer

    def _make_angle_controls(self) -> None:
        self.angle_source = QComboBox()
        self.angle_source.addItems([FROM_LAYER, FROM_FILE, FIRST_LAST])
        self.angle_source.setToolTip("Where the angle of each projection comes from")
        self.first, self.last = QDoubleSpinBox(), QDoubleSpinBox()
        for box, value, word in ((self.first, 0.0, "first"), (self.last, 180.0, "last")):
            box.setRange(-3600, 3600)
            box.setDecimals(3)
            box.setValue(value)
            box.setSuffix("°")
            box.setKeyboardTracking(False)
            box.setToolTip(f"Angle of the {word} projection, degrees")
        self._range = row(self.first, QLabel("to"), self.last, stretch=0)
        self.file = QLineEdit()
        self.file.setPlaceholderText(".rawtlt, .tlt, .mdoc, .txt, .csv, .npy")
        self.file.setToolTip("One angle a line; degrees or radians is recognised and stated")
        browse = small_button("…", "Choose a file of angles")
        browse.clicked.connect(self._browse)
        self._file_row = row(self.file, browse)

    def _make_axis_controls(self) -> None:
        self.axis = QComboBox()
        self.axis.addItem("vertical (up and down)", "vertical")
        self.axis.addItem("horizontal (left to right)", "horizontal")
        self.center = QDoubleSpinBox()
        self.center.setRange(-0.01, 10**5)
        self.center.setDecimals(2)
        self.center.setSpecialValueText("found by the program")
        self.center.setValue(self.center.minimum())
        self.center.setSuffix(" px")

    def _lay_out(self) -> None:
        self._add_view = small_button("+ in view", "Add the projection in view to the ignored ones")
        self._add_view.clicked.connect(self._ignore_view)
        self._new_mask = small_button("+", "Add a Labels layer to paint the mask in")
        self._new_mask.clicked.connect(self._add_mask)
        self._new_crop = small_button("+", "Add a Shapes layer to draw the crop's rectangle in")
        self._new_crop.clicked.connect(self._add_crop)
        layout = form()
        layout.addRow("Projections", self.layer)
        layout.addRow("Angles", self.angle_source)
        layout.addRow("", self._range)
        layout.addRow("", self._file_row)
        layout.addRow("", self.summary)
        layout.addRow("Rotation axis", self.axis)
        layout.addRow("Centre", self.center)
        layout.addRow("Ignored", row(self.ignored.widget, self._add_view))
        layout.addRow("Mask", row(self.marks, self._new_mask))
        layout.addRow("What is painted", self.painted)
        layout.addRow("Crop", row(self.crop, self._new_crop))
        layout.addRow(label_of("transmission"), self.transmission.widget)
        self._form = layout
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addLayout(layout)
        self.marks.layer_changed.connect(self._on_mask)
        self._on_mask(None)

    def _explain(self) -> None:
        """Give every control a word of explanation."""
        for widget, text in (
            (self.layer, "The measured projections: an image layer (angle, row, column)"),
            (self.axis, "Direction of the rotation axis in the images as they are shown"),
            (
                self.center,
                "Column of the rotation axis (row, where it is horizontal), counted from 0 at the "
                "first pixel's middle. Left to the program, it is estimated and refined in the "
                "loop, or, with 'Estimate the centre' off, the middle of the image.",
            ),
            (self.marks, "A Labels or Shapes layer that marks pixels"),
            (self.painted, "What the marked pixels of the mask mean"),
            (
                self.crop,
                "A Shapes layer: the images are registered inside its rectangle only; the "
                "reconstruction still sees all",
            ),
        ):
            widget.setToolTip(f"<qt>{text}</qt>")

    def _on_layer(self, layer: Image | None) -> None:
        if layer is not None:
            if carries_angles(layer.metadata):
                self.angle_source.setCurrentText(FROM_LAYER)
            elif self.angle_source.currentText() == FROM_LAYER:
                self.angle_source.setCurrentText(FIRST_LAST)
        self._on_change()

    def _on_mask(self, layer: Any) -> None:
        self._form.setRowVisible(self.painted, layer is not None)

    def _on_change(self, *_: Any) -> None:
        source = self.angle_source.currentText()
        self._form.setRowVisible(self._range, source == FIRST_LAST)
        self._form.setRowVisible(self._file_row, source == FROM_FILE)
        self.summary.setText(self._summarise())
        self.changed.emit()

    def _summarise(self) -> str:
        """Say in a line what the angles are, or what is wrong with them."""
        if self.layer.layer is None:
            return "Open a scan, or File > Open Sample."
        try:
            degrees = np.degrees(self.angles())
        except (ValueError, OSError) as error:
            return f"⚠ {error}"
        return f"{len(degrees)} angles, {degrees.min():.4g}° to {degrees.max():.4g}°"

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Angles of the projections")
        if path:
            self.file.setText(path)
            self._on_change()

    def _ignore_view(self) -> None:
        index = self.projection_in_view()
        if index is not None:
            self.toggle_ignored(index, True)

    def _add_mask(self) -> None:
        layer = self.layer.layer
        if layer is not None:
            empty = np.zeros(layer.data.shape, dtype=np.uint8)
            made = self._viewer.add_labels(
                empty, name="mask", scale=layer.scale, translate=layer.translate, units=layer.units
            )
            made.mode = "paint"
            self.marks.choose(made)

    def _add_crop(self) -> None:
        layer = self.layer.layer
        if layer is not None:
            made = self._viewer.add_shapes(
                ndim=2,
                name="crop",
                scale=layer.scale[-2:],
                translate=layer.translate[-2:],
                units=layer.units[-2:],
                face_color="transparent",
                edge_color="yellow",
            )
            made.mode = "add_rectangle"
            self.crop.choose(made)


def _is_stack(layer: Any) -> bool:
    """Whether a layer can hold projections; what we made ourselves is not offered, bar copies."""
    return (
        isinstance(layer, Image)
        and layer.ndim == 3
        and not layer.rgb
        and not layer.multiscale
        and role_in(layer.metadata) is None
    )
