"""Run, Pause, Step and Stop, where the next run starts, and how far this one is."""

from __future__ import annotations

import time
from collections.abc import Mapping

from magicgui.widgets import ComboBox
from napari.utils import progress
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QPushButton, QWidget

from ..results import IterationRecord
from ..steering import Pace
from ._layout import SPACING, hint

__all__ = ["GO_ON", "START_ANEW", "RunBar"]

START_ANEW, GO_ON = "the scan as it is", "the shifts on show"
_HEARTBEAT = 1000  # ms between two signs of life in a long iteration
_LONG = 3.0  # seconds after which an iteration counts as long
_TOLD = {
    "Run": "Align, or go on after a pause",
    "Pause": "Stand still after this iteration",
    "Step": "Do one iteration, then stand still",
    "Stop": "End after this iteration and keep what was reached",
}
_ABLE = {  # which buttons can be pressed
    "idle": ("Run", "Step"),
    "Aligning": ("Pause", "Stop"),
    "Verifying": ("Stop",),
    "ending": ("Stop",),
    "paused": ("Run", "Step", "Stop"),
}
_BEGINS = {
    "Aligning": "Starting. The first run on a computer compiles the engine first.",
    "Verifying": "Verifying: displacing the aligned scan by known shifts, to align it again.",
}


class RunBar(QWidget):
    """The buttons of a run with their shortcuts, its progress here and in the activity dock."""

    def __init__(self, keys: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons = {text: QPushButton(text) for text in _TOLD}
        self.run, self.pause, self.step, self.stop = self._buttons.values()
        self.start_from = ComboBox(
            choices=[START_ANEW, GO_ON],
            tooltip="Where the next run starts: at the scan as it is, or at the shifts that are on "
            "show, of a run, nudged or loaded",
        )
        self._start_row = QLabel("Run from"), self.start_from.native
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status = hint()
        self.remark = hint("What was changed takes effect at the next run.")
        self._keys, self._fault, self._state = keys, "", "idle"
        self._activity: progress | None = None
        self._news, self._telling = (0, ""), False
        self._doing = self._text = ""
        self._pace = Pace()
        self._since = time.perf_counter()
        self._heart = QTimer(self)
        self._heart.setInterval(_HEARTBEAT)
        self._heart.timeout.connect(self._beat)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(self.bar, 0, 0, 1, 4)
        for column, button in enumerate(self._buttons.values()):
            button.setMinimumWidth(10)
            layout.addWidget(button, 1, column)
        layout.addWidget(self._start_row[0], 2, 0)
        layout.addWidget(self._start_row[1], 2, 1, 1, 3)
        layout.addWidget(self.status, 3, 0, 1, 4)
        layout.addWidget(self.remark, 4, 0, 1, 4)
        self.show_idle("Ready.")

    @property
    def goes_on(self) -> bool:
        """Whether the next run starts at the shifts on show."""
        return bool(self.start_from.value == GO_ON)

    def go_on(self, wanted: bool) -> None:
        """Let the next run start at the shifts on show, or at the scan as it is."""
        self.start_from.value = GO_ON if wanted else START_ANEW

    def offer_start(self, offered: bool) -> None:
        """Ask where to start only where there is a choice."""
        for widget in self._start_row:
            widget.setVisible(offered)

    def forbid(self, fault: str) -> None:
        """Let no run start, and say why; empty: let it."""
        self._fault = fault
        self.enter(self._state)

    def enter(self, state: str) -> None:
        """Let those buttons be pressed that make sense, and say what they do or why not.

        ``"idle"``, ``"Aligning"``, ``"Verifying"``, ``"ending"`` (a pause, or the end, comes after
        this iteration) or ``"paused"``.
        """
        if state in _BEGINS and state != self._state:
            self._since = time.perf_counter()
            self._heart.start()
        elif state in ("idle", "paused"):
            self._heart.stop()
        if state == "paused" != self._state:
            self._say(f"Paused. {self._text}")
        self._state = state
        for text, button in self._buttons.items():
            forbidden = bool(self._fault) and state == "idle" and text in _ABLE["idle"]
            button.setEnabled(text in _ABLE[state] and not forbidden)
            told = self._fault if forbidden else f"{_TOLD[text]} ({self._keys[text]})"
            button.setToolTip(f"<qt>{told}</qt>")

    def show_idle(self, text: str) -> None:
        """Show that nothing runs."""
        self.enter("idle")
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self._say(text)
        self.remark.hide()
        self.close_activity()

    def begin(self, doing: str, iterations: int, finest: int = 1) -> None:
        """Show that so many iterations, at most, begin: of ``"Aligning"`` or ``"Verifying"``."""
        self.show_idle(_BEGINS[doing])
        self._doing = doing
        self.bar.setRange(0, iterations)
        self._pace = Pace(finest)
        self._activity = progress(total=iterations, desc=doing)
        self.enter(doing)

    def show_progress(self, record: IterationRecord, iterations: int) -> None:
        """Show how far the run is, after an iteration of so many at most."""
        # Not the time between news: a busy window has them in bunches.
        self._pace.add(record.binning, record.seconds)
        self._since = time.perf_counter()
        self.bar.setRange(0, max(iterations, 1))
        self.bar.setValue(record.iteration)
        level = f", binning {record.binning}" if record.binning > 1 else ""
        move = f"largest move {record.largest_move:.3f} px"
        wait = self._pace.words(max(iterations - record.iteration, 0))
        again = "Verifying. " if self._doing == "Verifying" else ""
        self._say(f"{again}Iteration {record.iteration} of {iterations}{level}: {move}, {wait}")
        self._news = record.iteration, f"{self._doing}: {move}, {wait}"

    def tell_activity(self) -> None:
        """Bring napari's activity dock up to date.

        Qt handles other events meanwhile, among them the next update of the window: that one does
        not tell, or a slow screen would nest updates until Python's stack is full.
        """
        activity, (number, text) = self._activity, self._news
        if activity is None or not text or self._telling:
            return
        self._news, self._telling = (0, ""), True
        try:
            activity.set_description(text)
            if self._activity is not None:  # not closed meanwhile
                activity.update(max(number - activity.n, 0))
        finally:
            self._telling = False

    def close_activity(self) -> None:
        """Take the run out of napari's activity dock."""
        if self._activity is not None:
            self._activity.close()
            self._activity = None

    def _say(self, text: str) -> None:
        self._text = text
        self.status.setText(text)

    def _beat(self) -> None:
        """Show that a long iteration is alive."""
        seconds = time.perf_counter() - self._since
        if seconds > _LONG:
            self.status.setText(f"{self._text} · {seconds:.0f} s in this iteration")
