"""What a run found: plots, the iterations, the projection in view, files, other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ..geometry import turn_projections
from ._files import FILTER
from ._forms import LayerChooser
from ._layout import SPACING, form, hint, row, small_button
from ._plots import RunPlots, VerificationPlot

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ..geometry import RotationAxis
    from ._session import Session
    from ._verify import Verified

__all__ = ["ResultGroup"]

_ARROWS = (
    ("↑", (-1, 0), "up"),
    ("↓", (1, 0), "down"),
    ("←", (0, -1), "left"),
    ("→", (0, 1), "right"),
)


class ResultGroup(QWidget):
    """What a run found, and what to do with it.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers the shifts can be applied to.
    """

    iteration_chosen = Signal(int)
    nudged = Signal(float, float)
    freeze_asked = Signal(bool)
    save_asked = Signal(str)
    load_asked = Signal(str)
    verify_asked = Signal()
    apply_asked = Signal(object)
    difference_asked = Signal(bool)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plots = RunPlots(viewer.theme)
        self.verification = VerificationPlot(viewer.theme)
        self.verification.hide()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.number = QLabel("0 / 0")
        self.start_from = QComboBox()
        self.start_from.addItem("the scan as it is", False)
        self.start_from.addItem("the shifts on show", True)
        self.notes = hint()
        self.in_view = hint("No projection in view.")
        self.freeze = QCheckBox("Freeze")
        self.step = QDoubleSpinBox()
        self.save = QPushButton("Save shifts…")
        self.load = QPushButton("Load shifts…")
        self.verify = QPushButton("Verify")
        self.verify.setEnabled(False)
        self.other = LayerChooser(viewer, _is_stack, nullable=False)
        self.apply = QPushButton("Apply")
        self.difference = QCheckBox("Show the difference")
        self.new_layers = QCheckBox("New layers on the next run")
        self._arrows = [
            small_button(text, f"Move the projection in view {word}") for text, _, word in _ARROWS
        ]
        self._set_up()
        self._lay_out()
        self._connect()

    def show_session(self, session: Session, rotation_axis: RotationAxis) -> None:
        """Show the plots, the iterations and the numbers of a session.

        Parameters
        ----------
        session : Session
            What was found.
        rotation_axis : {"vertical", "horizontal"}
            Of the images as measured.
        """
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(session.history))
            self.slider.setValue(session.shown)
        self.number.setText(f"{session.shown} / {len(session.history)}")
        shown = turn_projections(session.shifts, rotation_axis)
        self.plots.show_run(session.history, shown, session.angles, session.shown)

    def show_projection(
        self, index: int | None, session: Session, rotation_axis: RotationAxis, *, frozen: bool
    ) -> None:
        """Show the projection in view.

        Parameters
        ----------
        index : int or None
            Which one; None where there is none.
        session : Session
            What was found, perhaps of fewer projections.
        rotation_axis : {"vertical", "horizontal"}
            Of the images as measured.
        frozen : bool
            Whether it is among the ignored ones.
        """
        text, angle = "No projection in view that has shifts.", None
        if index is not None and index < len(session.angles):
            angle, record = float(session.angles[index]), session.record
            known = "" if record is None else f", confidence {record.confidence[index]:.2f}"
            shift = turn_projections(session.shifts, rotation_axis)[index]
            text = (
                f"Projection {index} at {np.degrees(angle):.2f}°: row {shift[0]:+.3f}, "
                f"column {shift[1]:+.3f} px{known}"
            )
        self.in_view.setText(text)
        self.plots.show_angle(angle)
        with QSignalBlocker(self.freeze):
            self.freeze.setChecked(frozen and angle is not None)

    def show_notes(self, notes: tuple[str, ...]) -> None:
        """Show what deserves a word, one remark a line."""
        self.notes.setText("\n".join(f"⚠ {note}" for note in notes))
        self.notes.setVisible(bool(notes))

    @property
    def runs_from_shown(self) -> bool:
        """Whether the next run starts at the shifts on show."""
        return bool(self.start_from.currentData())

    def run_from_shown(self, wanted: bool) -> None:
        """Let the next run start at the shifts on show, or at the scan as it is."""
        self.start_from.setCurrentIndex(self.start_from.findData(wanted))

    def allow_steering(self, allowed: bool) -> None:
        """Let the user choose an iteration or nudge; not while the loop is at work."""
        for widget in (
            self.slider,
            self.load,
            self.save,
            self.step,
            self.start_from,
            *self._arrows,
        ):
            widget.setEnabled(allowed)

    def allow_verifying(self, allowed: bool) -> None:
        """Let the user verify; only where there is a result and nothing is at work."""
        self.verify.setEnabled(allowed)

    def show_verified(self, verified: Verified | None) -> None:
        """Show the picture of a verification; None: of none, or none that counts any more."""
        self.verification.setVisible(verified is not None)
        if verified is not None:
            self.verification.show_shifts(verified.injected, verified.recovered)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        self.plots.set_theme(theme)
        self.verification.set_theme(theme)

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
                self.start_from,
                "Where the next run starts: at the scan as it is, or at the shifts that are on "
                "show: of the chosen iteration, nudged, or loaded",
            ),
            (
                self.freeze,
                "The projection in view keeps its shift: it joins the ignored ones, is no longer "
                "registered and still takes part in the reconstruction",
            ),
            (self.step, "How far an arrow moves the projection in view"),
            (self.save, "Write the shifts on show to a file that says what they mean"),
            (self.load, "Read shifts from a file; the next run starts at them"),
            (
                self.verify,
                "Can it be trusted? The scan, aligned by the shifts on show, is displaced by known "
                "shifts and aligned again, to see what comes back. No layer is changed.",
            ),
            (
                self.other.native,
                "Another layer of the same scan: another channel, or another binning",
            ),
            (self.apply, "Move that layer by the shifts on show, into a new layer"),
            (self.difference, "A layer of the aligned data minus the reprojections"),
            (self.new_layers, "Leave the layers of this run, and add new ones on the next"),
        ):
            widget.setToolTip(f"<qt>{text}</qt>")

    def _lay_out(self) -> None:
        layout = form()
        layout.addRow("Iteration", row(self.slider, self.number))
        layout.addRow("Run from", self.start_from)
        layout.addRow(self.in_view)
        layout.addRow(row(self.freeze, *self._arrows, self.step, stretch=5))
        layout.addRow(row(self.save, self.load, self.verify, stretch=None))
        layout.addRow("Apply to", row(self.other.native, self.apply))
        layout.addRow(self.difference)
        layout.addRow(self.new_layers)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(SPACING)
        outer.addWidget(self.plots)
        outer.addWidget(self.verification)
        outer.addWidget(self.notes)
        outer.addLayout(layout)

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self.iteration_chosen)
        self.freeze.toggled.connect(self.freeze_asked)
        self.save.clicked.connect(self._ask_save)
        self.load.clicked.connect(self._ask_load)
        self.verify.clicked.connect(self.verify_asked)
        self.apply.clicked.connect(lambda: self.apply_asked.emit(self.other.value))
        self.difference.toggled.connect(self.difference_asked)
        for button, (_, (rows, columns), _) in zip(self._arrows, _ARROWS, strict=True):
            button.clicked.connect(
                lambda _=False, r=rows, c=columns: self.nudged.emit(
                    r * self.step.value(), c * self.step.value()
                )
            )

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save shifts", "shifts.h5", FILTER)
        if path:
            self.save_asked.emit(path)

    def _ask_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load shifts", "", FILTER)
        if path:
            self.load_asked.emit(path)


def _is_stack(layer: Any) -> bool:
    return isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb and not layer.multiscale
