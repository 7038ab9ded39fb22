"""Run, Pause, Step and Stop, and how far the run, or its verification, is."""

from __future__ import annotations

import time

from napari.utils import progress
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QProgressBar, QPushButton, QWidget

from ..results import IterationRecord
from ._layout import SPACING, hint

__all__ = ["RunBar", "time_left"]

_RECENT = 5  # iterations whose pace stands for those to come
_VERIFYING = "Verifying"


def time_left(seconds: list[float], iterations: int) -> str:
    """Return how long so many more iterations take at the recent pace, in words.

    Parameters
    ----------
    seconds : list of float
        What the iterations took so far. The first one is no measure: it reads and compiles.
    iterations : int
        To come, at most.
    """
    if not iterations:
        return "the last one"
    recent = seconds[1:][-_RECENT:]
    if not recent:
        return "time left not known yet"
    left = sum(recent) / len(recent) * iterations
    if left < 1.5:
        return "about a second left"
    if left < 90:
        return f"at most {left:.0f} s left"
    return f"at most {left / 60:.0f} min left"


class RunBar(QWidget):
    """The buttons of a run, its progress here and in napari's activity dock."""

    run_asked = Signal()
    pause_asked = Signal()
    step_asked = Signal()
    stop_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("Run")
        self.pause = QPushButton("Pause")
        self.step = QPushButton("Step")
        self.stop = QPushButton("Stop")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status = hint("Ready.")
        self._activity: progress | None = None
        self._news: tuple[int, str] | None = None
        self._doing = ""
        self._seconds: list[float] = []
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        for column, (button, signal, text) in enumerate(
            (
                (self.run, self.run_asked, "Align, or go on after a pause"),
                (self.pause, self.pause_asked, "Stand still after this iteration"),
                (self.step, self.step_asked, "Do one iteration, then stand still"),
                (self.stop, self.stop_asked, "End after this iteration and keep what was reached"),
            )
        ):
            button.setToolTip(text)
            button.clicked.connect(signal)
            layout.addWidget(button, 1, column)
        layout.addWidget(self.bar, 0, 0, 1, 4)
        layout.addWidget(self.status, 2, 0, 1, 4)
        self.show_idle("Ready.")

    def show_idle(self, text: str) -> None:
        """Show that nothing runs."""
        self._enable(run=True, pause=False, step=True, stop=False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.status.setText(text)
        self.close_activity()

    def show_start(self, iterations: int) -> None:
        """Show that a run of so many iterations, at most, begins."""
        text = "Starting. The first run on a computer compiles the engine first."
        self._begin(iterations, "Aligning", text, pause=True)

    def show_verifying(self, iterations: int) -> None:
        """Show that a verification of so many iterations, at most, begins."""
        text = "Verifying: displacing the aligned scan by known shifts, to align it again."
        self._begin(iterations, _VERIFYING, text, pause=False)

    def show_running(self) -> None:
        """Show that a run goes on after a pause."""
        self._enable(run=False, pause=True, step=False, stop=True)
        self._since = time.perf_counter()

    def show_paused(self) -> None:
        """Show that the run stands still."""
        self._enable(run=True, pause=False, step=True, stop=True)
        self.status.setText(f"Paused. {self.status.text()}")

    def show_pausing(self) -> None:
        """Show that a pause, or the end, comes after this iteration."""
        self._enable(run=False, pause=False, step=False, stop=self.stop.isEnabled())

    def show_progress(self, record: IterationRecord, iterations: int) -> None:
        """Show how far the run is.

        Parameters
        ----------
        record : IterationRecord
            Of the latest iteration.
        iterations : int
            The limit.
        """
        now = time.perf_counter()
        self._seconds.append(now - self._since)
        self._since = now
        left = max(iterations - record.iteration, 0)
        self.bar.setRange(0, max(iterations, 1))
        self.bar.setValue(record.iteration)
        level = f", binning {record.binning}" if record.binning > 1 else ""
        move = f"largest move {record.largest_move:.3f} px"
        wait = time_left(self._seconds, left)
        again = "Verifying. " if self._doing == _VERIFYING else ""
        self.status.setText(
            f"{again}Iteration {record.iteration} of {iterations}{level}: {move}, {wait}"
        )
        self._news = (record.iteration, f"{self._doing}: {move}, {wait}")

    def tell_activity(self) -> None:
        """Bring napari's activity dock up to date; Qt handles other events meanwhile."""
        activity, news, self._news = self._activity, self._news, None
        if activity is None or news is None:
            return
        number, text = news
        activity.set_description(text)
        if self._activity is not None:  # not closed meanwhile
            activity.update(max(number - activity.n, 0))

    def close_activity(self) -> None:
        """Take the run out of napari's activity dock."""
        if self._activity is not None:
            self._activity.close()
            self._activity = None

    def _begin(self, iterations: int, doing: str, text: str, *, pause: bool) -> None:
        self._enable(run=False, pause=pause, step=False, stop=True)
        self._doing = doing
        self._seconds = []
        self._since = time.perf_counter()
        self.bar.setRange(0, iterations)
        self.bar.setValue(0)
        self.status.setText(text)
        self.close_activity()
        self._activity = progress(total=iterations, desc=doing)

    def _enable(self, *, run: bool, pause: bool, step: bool, stop: bool) -> None:
        for button, on in (
            (self.run, run),
            (self.pause, pause),
            (self.step, step),
            (self.stop, stop),
        ):
            button.setEnabled(on)
