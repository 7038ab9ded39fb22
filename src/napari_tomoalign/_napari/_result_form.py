"""What a run found: plots, the iterations, the projection in view, files, other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLabel, QPushButton, QSlider, QWidget

from .._plugin.metadata import is_aligned
from ..geometry import turn_projections
from ._forms import LayerChooser
from ._keys import KEYS
from ._layers import is_stack
from ._layout import column, form, hint, row, small_button, tipped
from ._plots import convergence_plot, shift_plot, sinogram_plot, verification_plot

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ..steering import Course

__all__ = ["ResultForm"]

_ARROWS = {  # (rows, columns) on the screen
    (-1, 0): ("↑", "up"),
    (1, 0): ("↓", "down"),
    (0, -1): ("←", "left"),
    (0, 1): ("→", "right"),
}
_BUTTONS = {
    "Save shifts…": "Write the shifts on show to a file that says what they mean",
    "Load shifts…": "Read shifts from a file; the next run starts at them",
    "Open run…": "Open the folder of a run that was saved, here or by the command line",
    "Film…": "Make a film of the alignment, iteration by iteration",
    "Apply": "Move that layer by the shifts on show, into a new layer",
    "Blink": f"While it is held: the slice as it would be without the alignment ({KEYS['Blink']})",
}
_CHECKS = {
    "Freeze": "The projection in view keeps its shift: it joins the ignored ones, is no longer "
    f"registered and still takes part in the reconstruction ({KEYS['Freeze']})",
    "Show the difference": "A layer of the aligned data minus the reprojections",
    "Planes in 3-D": "In 3-D, show three planes through the slice in view in place of the volume; "
    "with Shift held the mouse moves one",
    "New layers on the next run": "Leave the layers of this run, and add new ones on the next",
}


class ResultForm(QWidget):
    """What a run found, and what to do with it, the viewer's other layers among that."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty = hint("Nothing was aligned yet: what a run finds appears here.")
        self.shifts, self.convergence = shift_plot(viewer.theme), convergence_plot(viewer.theme)
        self.verification = verification_plot(viewer.theme)
        self.sinograms = sinogram_plot(viewer.theme)
        self._plots = self.shifts, self.convergence, self.verification, self.sinograms
        self.slider = tipped(
            QSlider(Qt.Orientation.Horizontal),
            "Put the shifts of an iteration back; Run then goes on from there",
        )
        self.number, self.in_view = QLabel("0 / 0"), hint("No projection in view.")
        self.save, self.load, self.open_run, self.film, self.apply, self.blink = (
            tipped(QPushButton(text), tip) for text, tip in _BUTTONS.items()
        )
        self.freeze, self.difference, self.planes, self.new_layers = (
            tipped(QCheckBox(text), tip) for text, tip in _CHECKS.items()
        )
        self.arrows = {
            move: small_button(text, f"Move the projection in view {word}")
            for move, (text, word) in _ARROWS.items()
        }
        self.step = tipped(QDoubleSpinBox(), "How far an arrow moves the projection in view")
        self.step.setRange(0.01, 100)
        self.step.setValue(0.5)
        self.step.setSingleStep(0.5)
        self.step.setSuffix(" px")
        self.other = LayerChooser(
            viewer,
            lambda layer: is_stack(layer) and not is_aligned(layer.metadata),
            nullable=False,
            tooltip="Another layer of the same scan: another channel, or another binning",
        )
        self._lay_out()

    def _lay_out(self) -> None:
        layout = form()
        layout.addRow("Iteration", row(self.slider, self.number))
        layout.addRow(self.in_view)
        layout.addRow(row(self.freeze, *self.arrows.values(), self.step, stretch=5))
        layout.addRow(row(self.save, self.load, stretch=None))
        layout.addRow(row(self.open_run, self.film, stretch=None))
        layout.addRow("Apply to", row(self.other.native, self.apply))
        layout.addRow(row(self.difference, self.blink))
        layout.addRow(self.planes)
        layout.addRow(self.new_layers)
        outer = column(self)
        for widget in (self.empty, *self._plots):
            outer.addWidget(widget)
            widget.setVisible(widget is self.empty)
        outer.addLayout(layout)

    def show_course(self, course: Course) -> None:
        """Show the plots, the iterations and the numbers of a course."""
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(course.history))
            self.slider.setValue(course.shown)
        self.number.setText(f"{course.shown} / {len(course.history)}")
        self.shifts.show_what(
            angles=course.angles,
            shifts=course.shifts,
            record=course.record,
            rotation_axis="vertical" if course.scan is None else course.scan.rotation_axis,
        )
        tolerance = None if course.state is None else course.state.parameters.tolerance
        self.convergence.show_what(history=course.history, tolerance=tolerance, shown=course.shown)
        for plot in (self.shifts, self.convergence, self.sinograms):
            plot.setVisible(course.is_result)
        self.empty.setVisible(not course.is_result)
        verified = course.verified
        self.verification.setVisible(verified is not None)
        if verified is not None and course.state is not None and course.scan is not None:
            pair = verified.scored(course.state.measured_geometry.directions)
            axis = course.scan.rotation_axis
            injected, recovered = (turn_projections(each, axis) for each in pair)
            self.verification.show_what(injected=injected, recovered=recovered)

    def show_projection(self, index: int | None, course: Course, *, frozen: bool) -> None:
        """Show the projection in view, if any; a course may be of fewer."""
        text, angle = "No projection in view that has shifts.", None
        if index is not None and index < len(course.angles) and course.scan is not None:
            angle, record = float(course.angles[index]), course.record
            axis = course.scan.rotation_axis
            shift, errors, known = turn_projections(course.shifts, axis)[index], ["", ""], ""
            if record is not None:
                error = turn_projections(record.standard_error, axis)[index]
                errors = [f" ± {one:.3f}" for one in error] if np.isfinite(error).all() else errors
                known = f", confidence {record.confidence[index]:.2f}"
            text = (
                f"Projection {index} at {np.degrees(angle):.2f}°: row {shift[0]:+.3f}{errors[0]}, "
                f"column {shift[1]:+.3f}{errors[1]} px{known}"
            )
        self.in_view.setText(text)
        self.shifts.show_what(angle=angle)
        with QSignalBlocker(self.freeze):
            self.freeze.setChecked(frozen and angle is not None)

    def allow(self, *, steering: bool, result: bool) -> None:
        """Let the user steer while the loop is not at work, and keep what there is."""
        for widget in (self.slider, self.load, self.open_run, self.step, *self.arrows.values()):
            widget.setEnabled(steering)
        for widget in (self.save, self.film, self.blink):
            widget.setEnabled(steering and result)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        for plot in self._plots:
            plot.set_theme(theme)
