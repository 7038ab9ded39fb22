"""The plots of a run and of its verification, in the colours of napari's theme.

Each is a canvas of its own, so that none keeps the window from answering for long, and is drawn
only while it is in view.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
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
_STILL = 0.05  # relative change of the residual that is not worth the height of the plot
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}
_STYLE: dict[str, Any] = {  # of matplotlib; points
    **{"font.size": 8, "axes.titlesize": 8, "lines.markersize": 3, "lines.linewidth": 1},
    **{"grid.linewidth": 0.5, "grid.alpha": 0.6, "legend.fontsize": 7, "legend.frameon": False},
    **{"legend.handlelength": 0.8, "legend.columnspacing": 0.8, "legend.handletextpad": 0.3},
}


class _Plot(FigureCanvasQTAgg):
    """A canvas of fixed height, pixels, in the colours of a theme; axes side by side.

    The margins are the figure's: left, right, top and bottom.
    """

    def __init__(
        self, theme: str, height: int, margins: tuple[float, ...], columns: int = 1
    ) -> None:
        self._figure = Figure(figsize=(3, height / 100))
        super().__init__(self._figure)
        self._height, self._margins, self._columns = height, margins, columns
        self._stale = True
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.update)
        self.set_theme(theme)

    def sizeHint(self) -> QSize:
        """Return the height that the plot needs, at any width."""
        return QSize(260, self._height)

    def minimumSizeHint(self) -> QSize:
        """Return the least that the plot needs: a scrolled panel never squeezes it."""
        return QSize(200, self._height)

    def draw_idle(self) -> None:
        """Have it drawn when it is in view next, once, however often its size changes."""
        self._stale = True
        self.update()

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
        ground, text, faint = (
            getattr(colours, name).as_hex() for name in ("background", "text", "secondary")
        )
        self._hues = _HUES["dark" if colours.type == "dark" else "light"]
        self._text = text
        style: dict[Any, Any] = {
            **_STYLE,
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), text),
            **dict.fromkeys(("axes.edgecolor", "grid.color"), faint),
            **{"axes.facecolor": ground, "axes.prop_cycle": cycler(color=self._hues)},
        }
        self._figure.clear()
        self._figure.set_facecolor(ground)
        with rc_context(style):
            left, right, top, bottom = self._margins
            self._figure.subplots_adjust(left, bottom, right, top, wspace=0.08)
            self._axes = self._figure.subplots(1, self._columns, sharey=True, squeeze=False)[0]
            self._build()
        self._redraw()
        self._redraw_soon()

    def _build(self) -> None:
        """Make the lines, the labels and the legend."""
        raise NotImplementedError

    def _redraw(self) -> None:
        """Bring lines and limits up to date."""
        raise NotImplementedError

    def _redraw_soon(self) -> None:
        self._stale = True
        if not self._timer.isActive():
            self._timer.start()

    def _label(self, horizontal: str, vertical: str, lines: tuple[Any, ...]) -> None:
        """Label the axes, lay a grid, and put the legend above them."""
        axes = self._axes[0]
        axes.set(xlabel=horizontal, ylabel=vertical)
        axes.grid(True)
        axes.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=4)


class ShiftPlot(_Plot):
    """Shifts with their standard errors against the angle."""

    def __init__(self, theme: str) -> None:
        self._course = Course()
        super().__init__(theme, 190, (0.18, 0.97, 0.88, 0.22))

    def show_course(self, course: Course) -> None:
        """Show what is on show of a course; drawn soon."""
        self._course = course
        self._redraw_soon()

    def show_angle(self, angle: float | None) -> None:
        """Mark an angle, in radians."""
        _move_cursor(self._cursor, None if angle is None else float(np.degrees(angle)))
        self._redraw_soon()

    def _build(self) -> None:
        (axes,) = self._axes
        (self._row,) = axes.plot([], [], ".-", label="row ± error")
        (self._column,) = axes.plot([], [], ".-", label="column ± error")
        (self._doubtful,) = axes.plot(
            [], [], "x", color=self._text, markersize=5, label="not trusted"
        )
        self._bands: list[Any] = []
        self._cursor = axes.axvline(0, color=self._text, linestyle=":", visible=False)
        self._label("angle, degrees", "shift, px", (self._row, self._column, self._doubtful))

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
        self._course = Course()
        super().__init__(theme, 200, (0.18, 0.82, 0.88, 0.2))

    def show_course(self, course: Course) -> None:
        """Show a course; drawn soon."""
        self._course = course
        self._redraw_soon()

    def _build(self) -> None:
        (moves,), hue = self._axes, self._hues[2]
        self._levels: list[Any] = []
        self._right = moves.twinx()
        self._right.patch.set_visible(False)
        (self._largest,) = moves.plot([], [], ".-", label="largest move")
        (self._rms,) = moves.plot([], [], ".-", label="RMS move")
        self._tolerance = moves.axhline(
            1, color=self._text, linewidth=0.8, linestyle="--", label="tolerance"
        )
        (self._residual,) = self._right.plot([], [], ".-", color=hue, label="residual")
        self._cursor = moves.axvline(0, color=self._text, linestyle=":", visible=False)
        moves.set_yscale("log")
        moves.xaxis.set_major_locator(MaxNLocator(integer=True))
        self._right.yaxis.set_major_locator(MaxNLocator(5))
        self._right.set_ylabel("residual", color=hue)
        self._right.tick_params(axis="y", colors=hue)
        lines = (self._largest, self._rms, self._tolerance, self._residual)
        self._label("iteration", "move, px", lines)

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
        low, high = self._right.get_ylim()
        if high - low < _STILL * high:  # else noise fills the plot, with numbers too long for it
            self._right.set_ylim(low - _STILL * high / 2, high + _STILL * high / 2)

    def _mark_level(self, at: float, binning: int) -> None:
        """Say where a level begins, and its binning."""
        (moves,), faint = self._axes, {"color": self._text, "alpha": 0.6}
        place = {"transform": moves.get_xaxis_transform(), "va": "top", "fontsize": 7}
        self._levels.append(moves.axvline(at, linewidth=0.8, **faint))
        self._levels.append(moves.text(at, 0.98, f" ÷{binning}", **place, **faint))


class SinogramPlot(_Plot):
    """The sinogram of the row in view, as measured and as aligned."""

    def __init__(self, theme: str) -> None:
        self._shown: tuple[NDArray[Any], NDArray[Any], int, str] | None = None
        super().__init__(theme, 180, (0.13, 0.97, 0.88, 0.24), columns=2)

    def show_rows(
        self, before: NDArray[Any], after: NDArray[Any], row: int, across: str = "column"
    ) -> None:
        """Show a row of all projections as measured and as aligned, which may be binned.

        (n_angles, n) each; ``across`` is what runs to the right.
        """
        self._shown = before, after, row, across
        self._redraw_soon()

    def _build(self) -> None:
        empty = np.zeros((2, 2))
        self._pictures = [axes.imshow(empty, aspect="auto", cmap="gray") for axes in self._axes]
        self._axes[0].set_ylabel("projection")
        for axes, when in zip(self._axes, ("as measured", "aligned"), strict=True):
            axes.set_title(when)

    def _redraw(self) -> None:
        if self._shown is None:
            return
        before, after, row, across = self._shown
        low, high = np.nanpercentile(before, (0.5, 99.8))
        for picture, rows, axes in zip(self._pictures, (before, after), self._axes, strict=True):
            picture.set_data(rows)
            picture.set_extent((-0.5, before.shape[1] - 0.5, len(before) - 0.5, -0.5))
            picture.set_clim(low, max(high, low + 1e-12))
            axes.set_xlabel(f"{across}, at {'row' if across == 'column' else 'column'} {row}")


class VerificationPlot(_Plot):
    """Recovered shifts against injected ones: on the diagonal where all came back."""

    def __init__(self, theme: str) -> None:
        self._shown: tuple[NDArray[np.float64], ...] = ()
        super().__init__(theme, 200, (0.18, 0.97, 0.87, 0.2))

    def show_shifts(self, injected: NDArray[np.float64], recovered: NDArray[np.float64]) -> None:
        """Show what was injected and what came back, (n, 2) each, as measured, pixels."""
        self._shown = injected, recovered
        self._redraw()
        self._redraw_soon()

    def _build(self) -> None:
        (axes,) = self._axes
        self._points = [
            axes.plot([], [], ".", markersize=size, label=label)[0]
            for size, label in ((8, "row"), (4, "column"))  # both are seen where they coincide
        ]
        exact = axes.axline((0, 0), slope=1, color=self._text, ls=":", zorder=1, label="exact")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        self._label("injected shift, px", "recovered shift, px", (*self._points, exact))

    def _redraw(self) -> None:
        if self._shown:
            injected, recovered = self._shown
            for direction, points in enumerate(self._points):
                points.set_data(injected[:, direction], recovered[:, direction])
            reach = 1.1 * max(np.abs(injected).max(), np.abs(recovered).max())
            self._axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))


def _move_cursor(cursor: Any, position: float | None) -> None:
    cursor.set_visible(position is not None)
    if position is not None:
        cursor.set_xdata([position, position])


def _fit(axes: Axes) -> None:
    axes.autoscale(True)
    axes.relim(visible_only=True)
    axes.autoscale_view()
