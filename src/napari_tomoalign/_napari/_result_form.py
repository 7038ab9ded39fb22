"""What a run found: plots, the iterations, the projection in view, files, other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QLabel,
    QPushButton,
    QSlider,
    QWidget,
)

from ..geometry import turn_projections
from ._forms import LayerChooser
from ._keys import KEYS
from ._layout import column, form, hint, row, small_button
from ._plots import ConvergencePlot, ShiftPlot, SinogramPlot, VerificationPlot

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ._session import Course

__all__ = ["ResultForm"]

_ARROWS = (
    ("↑", (-1, 0), "up"),
    ("↓", (1, 0), "down"),
    ("←", (0, -1), "left"),
    ("→", (0, 1), "right"),
)


class ResultForm(QWidget):
    """What a run found, and what to do with it.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers the shifts can be applied to.
    """

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
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.number = QLabel("0 / 0")
        self.in_view = hint("No projection in view.")
        self.freeze = QCheckBox("Freeze")
        self.step = QDoubleSpinBox()
        self.save, self.load = QPushButton("Save shifts…"), QPushButton("Load shifts…")
        self.open_run, self.film = QPushButton("Open run…"), QPushButton("Film…")
        self.other = LayerChooser(viewer, _is_stack, nullable=False)
        self.apply = QPushButton("Apply")
        self.difference = QCheckBox("Show the difference")
        self.planes = QCheckBox("Planes in 3-D")
        self.new_layers = QCheckBox("New layers on the next run")
        self.blink = QPushButton("Blink")
        self.arrows = {
            move: small_button(text, f"Move the projection in view {word}")
            for text, move, word in _ARROWS
        }
        self._set_up()
        self._lay_out()

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
        """Show the projection in view.

        Parameters
        ----------
        index : int or None
            Which one; None where there is none.
        course : Course
            What was found, perhaps of fewer projections.
        frozen : bool
            Whether it is among the ignored ones.
        """
        text, angle = "No projection in view that has shifts.", None
        if index is not None and index < len(course.angles) and course.scan is not None:
            angle, record = float(course.angles[index]), course.record
            axis = course.scan.rotation_axis
            shift = turn_projections(course.shifts, axis)[index]
            words = [f"row {shift[0]:+.3f}", f"column {shift[1]:+.3f} px"]
            known = ""
            if record is not None:
                error = turn_projections(record.standard_error, axis)[index]
                if np.isfinite(error).all():
                    words = [
                        f"row {shift[0]:+.3f} ± {error[0]:.3f}",
                        f"column {shift[1]:+.3f} ± {error[1]:.3f} px",
                    ]
                known = f", confidence {record.confidence[index]:.2f}"
            text = f"Projection {index} at {np.degrees(angle):.2f}°: {', '.join(words)}{known}"
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

    def _set_up(self) -> None:
        self.slider.setRange(0, 0)
        self.slider.setTracking(True)
        self.step.setRange(0.01, 100)
        self.step.setValue(0.5)
        self.step.setSingleStep(0.5)
        self.step.setSuffix(" px")
        for widget, text in (
            (self.slider, "Put the shifts of an iteration back; Run then goes on from there"),
            (
                self.freeze,
                "The projection in view keeps its shift: it joins the ignored ones, is no longer "
                "registered and still takes part in the reconstruction",
            ),
            (self.step, "How far an arrow moves the projection in view"),
            (self.save, "Write the shifts on show to a file that says what they mean"),
            (self.load, "Read shifts from a file; the next run starts at them"),
            (self.open_run, "Open the folder of a run that was saved, here or by the command line"),
            (self.film, "Make a film of the alignment, iteration by iteration"),
            (
                self.other.native,
                "Another layer of the same scan: another channel, or another binning",
            ),
            (self.apply, "Move that layer by the shifts on show, into a new layer"),
            (
                self.planes,
                "In 3-D, show three planes through the slice in view in place of the volume; with "
                "Shift held the mouse moves one",
            ),
            (self.difference, "A layer of the aligned data minus the reprojections"),
            (
                self.blink,
                f"While it is held: the slice as it would be without the alignment "
                f"({KEYS['Blink']})",
            ),
            (self.new_layers, "Leave the layers of this run, and add new ones on the next"),
        ):
            widget.setToolTip(f"<qt>{text}</qt>")

    def _lay_out(self) -> None:
        layout = form()
        layout.addRow("Iteration", row(self.slider, self.number))
        layout.addRow(self.in_view)
        layout.addRow(row(self.freeze, *self.arrows.values(), self.step, stretch=5))
        for pair in ((self.save, self.load), (self.open_run, self.film)):
            for button in pair:
                button.setMinimumWidth(10)
            layout.addRow(row(*pair, stretch=None))
        layout.addRow("Apply to", row(self.other.native, self.apply))
        layout.addRow(row(self.difference, self.blink))
        layout.addRow(self.planes)
        layout.addRow(self.new_layers)
        outer = column(self)
        for widget in (self.empty, *self._plots):
            outer.addWidget(widget)
        outer.addLayout(layout)


def _is_stack(layer: Any) -> bool:
    return isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb and not layer.multiscale
