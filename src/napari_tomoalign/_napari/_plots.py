"""The plots of a run and of its verification, in the colours of napari's theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QSizePolicy

from ..results import TRUSTED, IterationRecord

__all__ = ["RunPlots", "VerificationPlot"]

_EVERY = 250  # ms between two drawings while a run goes on
_EMPTY = {"xlim": (0.5, 5.5), "ylim": (1e-3, 1e1)}  # limits while there is nothing to show
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}


class RunPlots(FigureCanvasQTAgg):
    """Shifts against angle, and convergence against iteration.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    def __init__(self, theme: str) -> None:
        self._figure = Figure(figsize=(3, 4))
        super().__init__(self._figure)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._shift_axes, self._move_axes = self._figure.subplots(2, 1)
        self._make_lines()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._redraw)
        self._history: Sequence[IterationRecord] = ()
        self._shifts = np.empty((0, 2))
        self._degrees = np.empty(0)
        self._shown = 0
        self._angle: float | None = None
        self.set_theme(theme)

    def sizeHint(self) -> QSize:
        """Return the height the plots need, at any width."""
        return QSize(260, 380)

    def show_run(
        self,
        history: Sequence[IterationRecord],
        shifts: NDArray[np.float64],
        angles: NDArray[np.float64],
        shown: int,
    ) -> None:
        """Show a run; drawn soon, and at most every quarter of a second.

        Parameters
        ----------
        history : sequence of IterationRecord
            All iterations.
        shifts : (n_angles, 2) array
            On show, (row, column) of the image as measured, pixels.
        angles : (n_angles,) array
            Radians.
        shown : int
            Number of the iteration on show, counted from 1; 0 for none.
        """
        self._history, self._shifts, self._shown = history, shifts, shown
        self._degrees = np.degrees(angles)
        self._redraw_soon()

    def show_angle(self, angle: float | None) -> None:
        """Mark an angle, in radians."""
        self._angle = None if angle is None else float(np.degrees(angle))
        self._redraw_soon()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        text, hues = _dress(self._figure, theme)
        for line, hue in zip(self._lines, (*hues[:2], *hues), strict=True):
            line.set_color(hue)
        for line in (*self._cursors, self._doubtful):
            line.set_color(text)
        for axes in self._figure.axes:
            _label(axes, text)
        self.draw_idle()

    def _make_lines(self) -> None:
        shifts, moves = self._shift_axes, self._move_axes
        self._row, self._column = (
            shifts.plot([], [], ".-", markersize=3, linewidth=1, label=label)[0]
            for label in ("row", "column")
        )
        self._doubtful = shifts.plot([], [], "x", markersize=5, label="little confidence")[0]
        self._largest, self._rms, self._residual = (
            moves.plot([], [], ".-", markersize=3, linewidth=1, label=label)[0]
            for label in ("largest move", "RMS move", "residual")
        )
        self._lines = (self._row, self._column, self._largest, self._rms, self._residual)
        self._cursors = [
            axes.axvline(0, linewidth=1, linestyle=":", visible=False) for axes in (shifts, moves)
        ]
        shifts.set_xlabel("angle, degrees")
        shifts.set_ylabel("shift, px")
        moves.set_xlabel("iteration")
        moves.set_yscale("log")
        moves.set(**_EMPTY)
        moves.xaxis.set_major_locator(MaxNLocator(integer=True))
        self._figure.subplots_adjust(left=0.17, right=0.97, top=0.94, bottom=0.1, hspace=0.5)

    def _redraw_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start(_EVERY)

    def _redraw(self) -> None:
        order = np.argsort(self._degrees, kind="stable")
        for line, direction in ((self._row, 0), (self._column, 1)):
            line.set_data(self._degrees[order], self._shifts[order, direction])
        self._mark_doubtful()
        numbers = np.arange(1, len(self._history) + 1)
        for line, name in (
            (self._largest, "largest_move"),
            (self._rms, "rms_move"),
            (self._residual, "residual"),
        ):
            values = np.array([getattr(record, name) for record in self._history], dtype=float)
            line.set_data(numbers, np.where(values > 0, values, np.nan))
        _move_cursor(self._cursors[0], self._angle)
        _move_cursor(self._cursors[1], self._shown or None)
        _fit(self._shift_axes)
        if self._history:
            _fit(self._move_axes)
            self._move_axes.set_xlim(0.5, max(5.5, len(self._history) + 0.5))
        else:  # nothing that a logarithmic axis could be fitted to
            self._move_axes.set(**_EMPTY)
        self.draw_idle()

    def _mark_doubtful(self) -> None:
        record = self._history[self._shown - 1] if self._shown else None
        doubtful = (
            np.zeros(len(self._degrees), dtype=bool)
            if record is None
            else record.confidence < TRUSTED
        )
        degrees = np.repeat(self._degrees[doubtful], 2)
        self._doubtful.set_data(degrees, self._shifts[doubtful].ravel())


class VerificationPlot(FigureCanvasQTAgg):
    """Recovered shifts against injected ones: on the diagonal where all came back.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    def __init__(self, theme: str) -> None:
        self._figure = Figure(figsize=(3, 3))
        super().__init__(self._figure)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._axes = axes = self._figure.subplots()
        self._points = [
            axes.plot([], [], ".", markersize=size, label=label)[0]
            for size, label in ((8, "row"), (4, "column"))  # both are seen where they coincide
        ]
        self._exact = axes.axline((0, 0), slope=1, lw=1, ls=":", zorder=1, label="exact")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.set_xlabel("injected shift, px")
        axes.set_ylabel("recovered shift, px")
        self._figure.subplots_adjust(left=0.17, right=0.97, top=0.89, bottom=0.19)
        self.set_theme(theme)

    def sizeHint(self) -> QSize:
        """Return the height the plot needs, at any width."""
        return QSize(260, 200)

    def show_shifts(self, injected: NDArray[np.float64], recovered: NDArray[np.float64]) -> None:
        """Show what was injected and what came back.

        Parameters
        ----------
        injected, recovered : (n, 2) array
            (row, column) of the image as measured, pixels.
        """
        for direction, points in enumerate(self._points):
            points.set_data(injected[:, direction], recovered[:, direction])
        reach = 1.1 * max(np.abs(injected).max(), np.abs(recovered).max())
        self._axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
        self.draw_idle()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        text, hues = _dress(self._figure, theme)
        for points, hue in zip(self._points, hues[:2], strict=True):
            points.set_color(hue)
        self._exact.set_color(text)
        _label(self._axes, text)
        self.draw_idle()


def _dress(figure: Figure, theme: str) -> tuple[str, tuple[str, str, str]]:
    """Give a figure the colours of a napari theme; return those of its text and its lines."""
    colours = get_theme(theme)
    ground, text = colours.background.as_hex(), colours.text.as_hex()
    faint = colours.secondary.as_hex()
    figure.set_facecolor(ground)
    for axes in figure.axes:
        axes.set_facecolor(ground)
        axes.tick_params(colors=text, which="both", labelsize=8)
        axes.grid(True, color=faint, linewidth=0.5, alpha=0.6)
        for spine in axes.spines.values():
            spine.set_color(faint)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(text)
            label.set_fontsize(8)
    return text, _HUES["dark" if colours.type == "dark" else "light"]


def _label(axes: Axes, text: str) -> None:
    """Put the legend above the axes, in the colours that the lines have now."""
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 0.97),
        ncols=3,
        fontsize=8,
        frameon=False,
        labelcolor=text,
        handlelength=0.8,
        columnspacing=1.0,
        handletextpad=0.4,
    )


def _move_cursor(cursor: Any, position: float | None) -> None:
    cursor.set_visible(position is not None)
    if position is not None:
        cursor.set_xdata([position, position])


def _fit(axes: Axes) -> None:
    axes.autoscale(True)
    axes.relim(visible_only=True)
    axes.autoscale_view()
