"""The plots of a run and of its verification, in the colours of napari's theme.

Each is a canvas of its own, so that none keeps the window from answering for long, and is drawn
only while it is in view.
"""

from __future__ import annotations

from itertools import pairwise
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

from ..geometry import turn_projections
from ..results import TRUSTED
from ._session import Course

__all__ = ["ConvergencePlot", "ShiftPlot", "SinogramPlot", "VerificationPlot"]

_EVERY = 250  # ms between two drawings while a run goes on
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}
_SIZE = 8  # points: text of the plots
_FINE: dict[str, Any] = {"markersize": 3, "linewidth": 1}


class _Plot(FigureCanvasQTAgg):
    """A canvas of fixed height in the colours of a theme.

    Parameters
    ----------
    height : int
        Pixels.
    columns : int
        Axes side by side.
    margins : float
        Of the figure: left, right, top and bottom.
    """

    def __init__(self, height: int, columns: int, margins: tuple[float, ...]) -> None:
        self._figure = Figure(figsize=(3, height / 100))
        super().__init__(self._figure)
        self._height, self._stale = height, True
        self._text, self._faint, self._hues = "k", "gray", _HUES["light"]
        self._axes = self._figure.subplots(1, columns, sharey=True, squeeze=False)[0]
        left, right, top, bottom = margins
        self._figure.subplots_adjust(left, bottom, right, top, wspace=0.08)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.update)

    def sizeHint(self) -> QSize:
        """Return the height that the plot needs, at any width."""
        return QSize(260, self._height)

    def minimumSizeHint(self) -> QSize:
        """Return the least that the plot needs: a scrolled panel never squeezes it."""
        return QSize(200, self._height)

    def paintEvent(self, event: Any) -> None:
        """Draw what has changed: Qt asks only where it is in view."""
        # matplotlib finds no way back from a canvas without height to its pixels.
        if self._stale and min(self._figure.bbox.size) > 1:
            self._stale = False
            self._redraw()
            super(FigureCanvasQTAgg, self).draw()
        super().paintEvent(event)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        colours = get_theme(theme)
        self._text, self._faint = colours.text.as_hex(), colours.secondary.as_hex()
        self._hues = _HUES["dark" if colours.type == "dark" else "light"]
        ground = colours.background.as_hex()
        self._figure.set_facecolor(ground)
        for axes in self._figure.axes:
            axes.set_facecolor(ground)
            axes.tick_params(colors=self._text, which="both", labelsize=_SIZE)
            for spine in axes.spines.values():
                spine.set_color(self._faint)
            for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
                label.set_color(self._text)
                label.set_fontsize(_SIZE)
        self._colour()
        self._redraw_soon()

    def _redraw_soon(self) -> None:
        self._stale = True
        if not self._timer.isActive():
            self._timer.start()

    def _redraw(self) -> None:
        """Bring lines and limits up to date."""

    def _colour(self) -> None:
        """Give what is drawn the colours of the theme."""

    def _dress(self, lines: tuple[Any, ...], hues: tuple[str, ...]) -> None:
        """Colour lines, lay a grid, and put the legend above the axes."""
        for line, hue in zip(lines, hues, strict=True):
            line.set_color(hue)
        self._axes[0].grid(True, color=self._faint, linewidth=0.5, alpha=0.6)
        self._axes[0].legend(
            handles=list(lines),
            loc="lower center",
            bbox_to_anchor=(0.5, 0.98),
            ncols=4,
            fontsize=_SIZE - 1,
            frameon=False,
            labelcolor=self._text,
            handlelength=0.8,
            columnspacing=0.8,
            handletextpad=0.3,
        )


class ShiftPlot(_Plot):
    """Shifts with their standard errors against the angle."""

    def __init__(self, theme: str) -> None:
        super().__init__(190, 1, (0.18, 0.97, 0.88, 0.22))
        (axes,) = self._axes
        self._course, self._bands = Course(), list[Any]()
        self._row, self._column = (
            axes.plot([], [], ".-", label=f"{label} ± error", **_FINE)[0]
            for label in ("row", "column")
        )
        self._doubtful = axes.plot([], [], "x", markersize=5, label="not trusted")[0]
        self._cursor = axes.axvline(0, linewidth=1, linestyle=":", visible=False)
        axes.set_xlabel("angle, degrees")
        axes.set_ylabel("shift, px")
        self.set_theme(theme)

    def show_course(self, course: Course) -> None:
        """Show what is on show of a course; drawn soon."""
        self._course = course
        self._redraw_soon()

    def show_angle(self, angle: float | None) -> None:
        """Mark an angle, in radians."""
        _move_cursor(self._cursor, None if angle is None else float(np.degrees(angle)))
        self._redraw_soon()

    def _colour(self) -> None:
        lines = (self._row, self._column, self._doubtful)
        self._dress(lines, (*self._hues[:2], self._text))
        self._cursor.set_color(self._text)

    def _redraw(self) -> None:
        course, record = self._course, self._course.record
        if course.scan is None:
            return
        axis, (axes,) = course.scan.rotation_axis, self._axes
        order = np.argsort(course.angles, kind="stable")
        degrees = np.degrees(course.angles)[order]
        shifts = turn_projections(course.shifts, axis)[order]
        for line, direction in ((self._row, 0), (self._column, 1)):
            line.set_data(degrees, shifts[:, direction])
        for band in self._bands:
            band.remove()
        self._bands = []
        doubtful = np.zeros(len(degrees), dtype=bool)
        if record is not None:
            doubtful = record.confidence[order] < TRUSTED
            errors = turn_projections(record.standard_error, axis)[order]
            self._bands = [
                axes.fill_between(degrees, low, high, color=hue, alpha=0.35, linewidth=0)
                for low, high, hue in zip(
                    (shifts - errors).T, (shifts + errors).T, self._hues[:2], strict=True
                )
            ]
        self._doubtful.set_data(np.repeat(degrees[doubtful], 2), shifts[doubtful].ravel())
        _fit(axes)


class ConvergencePlot(_Plot):
    """Moves and the residual against the iteration."""

    def __init__(self, theme: str) -> None:
        super().__init__(200, 1, (0.18, 0.82, 0.88, 0.2))
        (moves,) = self._axes
        self._course, self._levels = Course(), list[Any]()
        self._right = moves.twinx()
        self._right.patch.set_visible(False)
        self._largest, self._rms = (
            moves.plot([], [], ".-", label=label, **_FINE)[0]
            for label in ("largest move", "RMS move")
        )
        self._tolerance = moves.axhline(1, linewidth=0.8, linestyle="--", label="tolerance")
        self._residual = self._right.plot([], [], ".-", label="residual", **_FINE)[0]
        self._cursor = moves.axvline(0, linewidth=1, linestyle=":", visible=False)
        moves.set_xlabel("iteration")
        moves.set_ylabel("move, px")
        moves.set_yscale("log")
        moves.xaxis.set_major_locator(MaxNLocator(integer=True))
        self._right.set_ylabel("residual")
        self.set_theme(theme)

    def show_course(self, course: Course) -> None:
        """Show a course; drawn soon."""
        self._course = course
        self._redraw_soon()

    def _colour(self) -> None:
        lines = (self._largest, self._rms, self._tolerance, self._residual)
        self._dress(lines, (*self._hues[:2], self._text, self._hues[2]))
        self._cursor.set_color(self._text)
        self._right.yaxis.label.set_color(self._hues[2])
        self._right.tick_params(axis="y", colors=self._hues[2])

    def _redraw(self) -> None:
        course, (moves,) = self._course, self._axes
        for axes in (moves, self._right):
            axes.set_visible(bool(course.history))
        if not course.history:
            return
        numbers = np.arange(1, len(course.history) + 1)
        for line, name in (
            (self._largest, "largest_move"),
            (self._rms, "rms_move"),
            (self._residual, "residual"),
        ):
            values = np.array([getattr(record, name) for record in course.history], dtype=float)
            line.set_data(numbers, np.where(values > 0, values, np.nan))
        if course.state is not None:
            self._tolerance.set_ydata([course.state.parameters.tolerance] * 2)
        _move_cursor(self._cursor, course.shown or None)
        for mark in self._levels:
            mark.remove()
        self._levels = []
        for before, after in pairwise(course.history):
            if before.binning != after.binning:
                self._mark_level(after.iteration - 0.5, after.binning)
        for axes in (moves, self._right):
            _fit(axes)
            axes.set_xlim(0.5, max(5.5, len(course.history) + 0.5))

    def _mark_level(self, at: float, binning: int) -> None:
        """Say where a level begins, and its binning."""
        (moves,) = self._axes
        faint: dict[str, Any] = {"color": self._text, "alpha": 0.6}
        self._levels += [
            moves.axvline(at, linewidth=0.8, **faint),
            moves.text(
                at,
                0.98,
                f" ÷{binning}",
                transform=moves.get_xaxis_transform(),
                fontsize=_SIZE - 1,
                va="top",
                **faint,
            ),
        ]


class SinogramPlot(_Plot):
    """The sinogram of the row in view, as measured and as aligned."""

    def __init__(self, theme: str) -> None:
        super().__init__(180, 2, (0.13, 0.97, 0.88, 0.24))
        self._pictures = [
            axes.imshow(np.zeros((2, 2)), aspect="auto", cmap="gray") for axes in self._axes
        ]
        self._axes[0].set_ylabel("projection")
        self.set_theme(theme)

    def show_rows(
        self, before: NDArray[Any], after: NDArray[Any], row: int, across: str = "column"
    ) -> None:
        """Show a row of all projections as measured and as aligned; drawn soon.

        Parameters
        ----------
        before, after : (n_angles, n) array
            The second may be binned.
        row : int
            Its number.
        across : str
            What runs to the right.
        """
        span = (-0.5, before.shape[1] - 0.5, len(before) - 0.5, -0.5)
        low, high = np.nanpercentile(before, (0.5, 99.8))
        for picture, rows, axes, when in zip(
            self._pictures, (before, after), self._axes, ("as measured", "aligned"), strict=True
        ):
            picture.set_data(rows)
            picture.set_extent(span)
            picture.set_clim(low, max(high, low + 1e-12))
            axes.set_title(when, fontsize=_SIZE)
            axes.set_xlabel(f"{across}, at {'row' if across == 'column' else 'column'} {row}")
        self._redraw_soon()


class VerificationPlot(_Plot):
    """Recovered shifts against injected ones: on the diagonal where all came back."""

    def __init__(self, theme: str) -> None:
        super().__init__(200, 1, (0.18, 0.97, 0.87, 0.2))
        (axes,) = self._axes
        self._points = [
            axes.plot([], [], ".", markersize=size, label=label)[0]
            for size, label in ((8, "row"), (4, "column"))  # both are seen where they coincide
        ]
        self._exact = axes.axline((0, 0), slope=1, lw=1, ls=":", zorder=1, label="exact")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.set_xlabel("injected shift, px")
        axes.set_ylabel("recovered shift, px")
        self.set_theme(theme)

    def show_shifts(self, injected: NDArray[np.float64], recovered: NDArray[np.float64]) -> None:
        """Show what was injected and what came back, (n, 2) each, as measured, pixels."""
        for direction, points in enumerate(self._points):
            points.set_data(injected[:, direction], recovered[:, direction])
        reach = 1.1 * max(np.abs(injected).max(), np.abs(recovered).max())
        self._axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
        self._redraw_soon()

    def _colour(self) -> None:
        self._dress((*self._points, self._exact), (*self._hues[:2], self._text))


def _move_cursor(cursor: Any, position: float | None) -> None:
    cursor.set_visible(position is not None)
    if position is not None:
        cursor.set_xdata([position, position])


def _fit(axes: Axes) -> None:
    axes.autoscale(True)
    axes.relim(visible_only=True)
    axes.autoscale_view()
