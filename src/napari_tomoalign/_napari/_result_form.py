"""What a run found: plots, the iterations, the projection in view, files, other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLabel, QPushButton, QSlider, QWidget

from ..geometry import turn_projections
from ._forms import LayerChooser
from ._keys import KEYS
from ._layers import is_stack
from ._layout import column, form, hint, row, small_button, tipped
from ._metadata import is_aligned
from ._plots import ConvergencePlot, ShiftPlot, SinogramPlot, VerificationPlot

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ._session import Course

__all__ = ["ResultForm"]

_ARROWS = {  # (rows, columns) on the screen
    (-1, 0): ("↑", "up"),
    (1, 0): ("↓", "down"),
    (0, -1): ("←", "left"),
    (0, 1): ("→", "right"),
}


class ResultForm(QWidget):
    """What a run found, and what to do with it, the viewer's other layers among that."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty = hint("Nothing was aligned yet: what a run finds appears here.")
        self.shifts = ShiftPlot(viewer.theme)
        self.convergence = ConvergencePlot(viewer.theme)
        self.sinograms = SinogramPlot(viewer.theme)
        self.verification = VerificationPlot(viewer.theme)
        self._plots = self.shifts, self.convergence, self.verification, self.sinograms
        for plot in self._plots:
            plot.hide()
        self.slider = tipped(
            QSlider(Qt.Orientation.Horizontal),
            "Put the shifts of an iteration back; Run then goes on from there",
        )
        self.number = QLabel("0 / 0")
        self.in_view = hint("No projection in view.")
        self.freeze = tipped(
            QCheckBox("Freeze"),
            "The projection in view keeps its shift: it joins the ignored ones, is no longer "
            f"registered and still takes part in the reconstruction ({KEYS['Freeze']})",
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
        self.save = tipped(
            QPushButton("Save shifts…"),
            "Write the shifts on show to a file that says what they mean",
        )
        self.load = tipped(
            QPushButton("Load shifts…"), "Read shifts from a file; the next run starts at them"
        )
        self.open_run = tipped(
            QPushButton("Open run…"),
            "Open the folder of a run that was saved, here or by the command line",
        )
        self.film = tipped(
            QPushButton("Film…"), "Make a film of the alignment, iteration by iteration"
        )
        self.other = LayerChooser(
            viewer,
            lambda layer: is_stack(layer) and not is_aligned(layer.metadata),
            nullable=False,
            tooltip="Another layer of the same scan: another channel, or another binning",
        )
        self.apply = tipped(
            QPushButton("Apply"), "Move that layer by the shifts on show, into a new layer"
        )
        self.difference = tipped(
            QCheckBox("Show the difference"),
            "A layer of the aligned data minus the reprojections",
        )
        self.blink = tipped(
            QPushButton("Blink"),
            f"While it is held: the slice as it would be without the alignment ({KEYS['Blink']})",
        )
        self.planes = tipped(
            QCheckBox("Planes in 3-D"),
            "In 3-D, show three planes through the slice in view in place of the volume; with "
            "Shift held the mouse moves one",
        )
        self.new_layers = tipped(
            QCheckBox("New layers on the next run"),
            "Leave the layers of this run, and add new ones on the next",
        )
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
        outer.addLayout(layout)

    def show_course(self, course: Course) -> None:
        """Show the plots, the iterations and the numbers of a course."""
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(course.history))
            self.slider.setValue(course.shown)
        self.number.setText(f"{course.shown} / {len(course.history)}")
        self.shifts.show_course(course)
        self.convergence.show_course(course)
        for plot in (self.shifts, self.convergence, self.sinograms):
            plot.setVisible(course.is_result)
        self.empty.setVisible(not course.is_result)
        verified = course.verified
        self.verification.setVisible(verified is not None)
        if verified is not None:
            self.verification.show_shifts(verified.injected, verified.recovered)

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
        self.shifts.show_angle(angle)
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
