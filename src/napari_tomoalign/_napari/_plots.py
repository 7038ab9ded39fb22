"""The plots of a run and of its verification, in the colours of napari's theme."""

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

__all__ = ["RunPlots", "SinogramPlot", "VerificationPlot"]

_EVERY = 250  # ms between two drawings while a run goes on
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}
_SIZE = 8  # points: text of the plots


class _Plot(FigureCanvasQTAgg):
    """A canvas of fixed height that takes the colours of a theme and draws when it has time."""

    _height = 200

    def __init__(self, size: tuple[float, float]) -> None:
        self._figure = Figure(figsize=size)
        super().__init__(self._figure)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._redraw_if_seen)

    def sizeHint(self) -> QSize:
        """Return the height that the plot needs, at any width."""
        return QSize(260, self._height)

    def minimumSizeHint(self) -> QSize:
        """Return the least that the plot needs: a scrolled panel never squeezes it."""
        return QSize(200, self._height)

    def _redraw_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start(_EVERY)

    def _redraw_if_seen(self) -> None:
        """Draw but on a canvas without height: matplotlib finds no way back from its pixels."""
        if min(self._figure.bbox.size) > 1:
            self._redraw()

    def resizeEvent(self, event: Any) -> None:
        """Draw what could not be drawn before there was room."""
        super().resizeEvent(event)
        self._redraw_soon()

    def _redraw(self) -> None:
        self.draw_idle()

    def _dress(self, theme: str) -> tuple[str, tuple[str, str, str]]:
        """Give the figure the colours of a theme; return those of its text and its lines."""
        colours = get_theme(theme)
        ground, text = colours.background.as_hex(), colours.text.as_hex()
        faint = colours.secondary.as_hex()
        self._figure.set_facecolor(ground)
        for axes in self._figure.axes:
            axes.set_facecolor(ground)
            axes.tick_params(colors=text, which="both", labelsize=_SIZE)
            for spine in axes.spines.values():
                spine.set_color(faint)
            for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
                label.set_color(text)
                label.set_fontsize(_SIZE)
        return text, _HUES["dark" if colours.type == "dark" else "light"]


class RunPlots(_Plot):
    """Shifts with their standard errors against angle, and convergence against iteration.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    _height = 390

    def __init__(self, theme: str) -> None:
        super().__init__((3, 4))
        self._shift_axes, self._move_axes = self._figure.subplots(2, 1)
        self._residual_axes = self._move_axes.twinx()
        self._residual_axes.patch.set_visible(False)
        self._course = Course()
        self._angle: float | None = None
        self._bands: list[Any] = []
        self._levels: list[Any] = []
        self._make_lines()
        self.set_theme(theme)

    def show_course(self, course: Course) -> None:
        """Show a course; drawn soon, and at most every quarter of a second."""
        self._course = course
        self._redraw_soon()

    def show_angle(self, angle: float | None) -> None:
        """Mark an angle, in radians."""
        self._angle = None if angle is None else float(np.degrees(angle))
        self._redraw_soon()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        text, hues = self._dress(theme)
        faint = get_theme(theme).secondary.as_hex()
        for axes in (self._shift_axes, self._move_axes):
            axes.grid(True, color=faint, linewidth=0.5, alpha=0.6)
        self._residual_axes.yaxis.label.set_color(hues[2])
        self._residual_axes.tick_params(axis="y", colors=hues[2])
        for line, hue in zip(self._lines, (*hues[:2], *hues), strict=True):
            line.set_color(hue)
        for line in (*self._cursors, self._doubtful, self._tolerance):
            line.set_color(text)
        self._band_colours = hues[:2]
        self._faint = text
        for axes, lines in (
            (self._shift_axes, (self._row, self._column, self._doubtful)),
            (self._move_axes, (self._largest, self._rms, self._tolerance, self._residual)),
        ):
            _label(axes, text, lines)
        self._redraw_soon()

    def _make_lines(self) -> None:
        shifts, moves = self._shift_axes, self._move_axes
        fine: dict[str, Any] = {"markersize": 3, "linewidth": 1}
        self._row, self._column = (
            shifts.plot([], [], ".-", label=f"{label} ± error", **fine)[0]
            for label in ("row", "column")
        )
        self._doubtful = shifts.plot([], [], "x", markersize=5, label="not trusted")[0]
        self._largest, self._rms = (
            moves.plot([], [], ".-", label=label, **fine)[0]
            for label in ("largest move", "RMS move")
        )
        self._tolerance = moves.axhline(1, linewidth=0.8, linestyle="--", label="tolerance")
        self._residual = self._residual_axes.plot([], [], ".-", label="residual", **fine)[0]
        self._lines = (self._row, self._column, self._largest, self._rms, self._residual)
        self._cursors = [
            axes.axvline(0, linewidth=1, linestyle=":", visible=False) for axes in (shifts, moves)
        ]
        shifts.set_xlabel("angle, degrees")
        shifts.set_ylabel("shift, px")
        moves.set_xlabel("iteration")
        moves.set_ylabel("move, px")
        moves.set_yscale("log")
        self._residual_axes.set_ylabel("residual")
        moves.xaxis.set_major_locator(MaxNLocator(integer=True))
        self._figure.subplots_adjust(left=0.18, right=0.82, top=0.92, bottom=0.1, hspace=0.62)
        box = self._shift_axes.get_position()
        self._shift_axes.set_position((box.x0, box.y0, 0.97 - box.x0, box.height))

    def _redraw(self) -> None:
        course = self._course
        if course.scan is None:
            return
        axis = course.scan.rotation_axis
        degrees, shifts = np.degrees(course.angles), turn_projections(course.shifts, axis)
        order = np.argsort(degrees, kind="stable")
        for line, direction in ((self._row, 0), (self._column, 1)):
            line.set_data(degrees[order], shifts[order, direction])
        self._draw_errors(degrees[order], shifts[order], order)
        numbers = np.arange(1, len(course.history) + 1)
        for line, name in (
            (self._largest, "largest_move"),
            (self._rms, "rms_move"),
            (self._residual, "residual"),
        ):
            values = np.array([getattr(record, name) for record in course.history], dtype=float)
            line.set_data(numbers, np.where(values > 0, values, np.nan))
        _move_cursor(self._cursors[0], self._angle)
        _move_cursor(self._cursors[1], course.shown or None)
        _fit(self._shift_axes)
        for axes in (self._move_axes, self._residual_axes):
            axes.set_visible(bool(course.history))
        if course.history:
            self._draw_course(course)
        self.draw_idle()

    def _draw_errors(
        self, degrees: NDArray[Any], shifts: NDArray[Any], order: NDArray[np.intp]
    ) -> None:
        """Draw a band of one standard error, and mark what is not trusted."""
        for band in self._bands:
            band.remove()
        self._bands = []
        record, scan = self._course.record, self._course.scan
        doubtful = np.zeros(len(degrees), dtype=bool)
        if record is not None and scan is not None:
            doubtful = record.confidence[order] < TRUSTED
            errors = turn_projections(record.standard_error, scan.rotation_axis)[order]
            for direction, hue in enumerate(self._band_colours):
                low = shifts[:, direction] - errors[:, direction]
                high = shifts[:, direction] + errors[:, direction]
                band = self._shift_axes.fill_between(
                    degrees, low, high, color=hue, alpha=0.35, linewidth=0
                )
                self._bands.append(band)
        self._doubtful.set_data(np.repeat(degrees[doubtful], 2), shifts[doubtful].ravel())

    def _draw_course(self, course: Course) -> None:
        """Draw the tolerance, and where a finer level begins."""
        for mark in self._levels:
            mark.remove()
        self._levels = []
        for before, after in pairwise(course.history):
            if before.binning != after.binning:
                at = after.iteration - 0.5
                self._levels += [
                    self._move_axes.axvline(at, linewidth=0.8, color=self._faint, alpha=0.6),
                    self._move_axes.text(
                        at,
                        0.98,
                        f" ÷{after.binning}" if after.binning > 1 else " full",
                        transform=self._move_axes.get_xaxis_transform(),
                        fontsize=_SIZE - 1,
                        color=self._faint,
                        va="top",
                    ),
                ]
        if course.state is not None:
            tolerance = course.state.parameters.tolerance
            self._tolerance.set_ydata([tolerance, tolerance])
        for axes in (self._move_axes, self._residual_axes):
            _fit(axes)
            axes.set_xlim(0.5, max(5.5, len(course.history) + 0.5))


class SinogramPlot(_Plot):
    """The sinogram of the row in view, as measured and as aligned.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    _height = 170

    def __init__(self, theme: str) -> None:
        super().__init__((3, 2))
        self._axes = self._figure.subplots(1, 2, sharey=True)
        self._pictures = [axes.imshow(np.zeros((2, 2)), aspect="auto") for axes in self._axes]
        self._figure.subplots_adjust(left=0.13, right=0.97, top=0.86, bottom=0.2, wspace=0.08)
        for picture, axes in zip(self._pictures, self._axes, strict=True):
            picture.set_cmap("gray")
            axes.set_xlabel("column")
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
            Its number, for the title.
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

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        self._dress(theme)
        self._redraw_soon()


class VerificationPlot(_Plot):
    """Recovered shifts against injected ones: on the diagonal where all came back.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    def __init__(self, theme: str) -> None:
        super().__init__((3, 3))
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
        self._figure.subplots_adjust(left=0.18, right=0.97, top=0.87, bottom=0.2)
        self.set_theme(theme)

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
        text, hues = self._dress(theme)
        self._axes.grid(True, color=get_theme(theme).secondary.as_hex(), linewidth=0.5, alpha=0.6)
        for points, hue in zip(self._points, hues[:2], strict=True):
            points.set_color(hue)
        self._exact.set_color(text)
        _label(self._axes, text, (*self._points, self._exact))
        self.draw_idle()


def _label(axes: Axes, text: str, lines: tuple[Any, ...]) -> None:
    """Put the legend above the axes, in the colours that the lines have now."""
    axes.legend(
        handles=list(lines),
        loc="lower center",
        bbox_to_anchor=(0.5, 0.98),
        ncols=4,
        fontsize=_SIZE - 1,
        frameon=False,
        labelcolor=text,
        handlelength=0.8,
        columnspacing=0.8,
        handletextpad=0.3,
    )


def _move_cursor(cursor: Any, position: float | None) -> None:
    cursor.set_visible(position is not None)
    if position is not None:
        cursor.set_xdata([position, position])


def _fit(axes: Axes) -> None:
    axes.autoscale(True)
    axes.relim(visible_only=True)
    axes.autoscale_view()
