"""The plots of a run and of its verification, in the colours of napari's theme.

Each is a canvas of its own, so that none keeps the window from answering for long, and is drawn
only while it is in view.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import MaxNLocator, NullFormatter
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QSizePolicy

from ..geometry import turn_projections
from ..results import TRUSTED
from ..steering import Course

__all__ = ["Plot", "convergence_plot", "shift_plot", "sinogram_plot", "verification_plot"]

_EVERY = 250  # ms between two drawings while a run goes on
_STILL = 0.05  # relative change of the residual that is not worth the height of the plot
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}
_STYLE: dict[str, Any] = {  # of matplotlib; points
    **{"font.size": 8, "axes.titlesize": 8, "lines.markersize": 3, "lines.linewidth": 1},
    **{"grid.linewidth": 0.5, "grid.alpha": 0.6, "legend.fontsize": 7, "legend.frameon": False},
    **{"legend.handlelength": 0.8, "legend.columnspacing": 0.8, "legend.handletextpad": 0.3},
}


class Plot(FigureCanvasQTAgg):
    """A canvas of fixed height, in the colours of a theme, drawn anew when it shows something else.

    Parameters
    ----------
    draw : callable
        Takes axes, side by side, and draws what is shown on them.
    theme : str
        Of napari.
    height : int
        Pixels.
    margins : tuple of float
        Of the figure: left, right, top and bottom.
    columns : int
        How many axes.
    """

    def __init__(
        self,
        draw: Callable[..., None],
        theme: str,
        height: int,
        margins: tuple[float, ...],
        columns: int = 1,
    ) -> None:
        super().__init__(Figure(figsize=(3, height / 100)))
        self._draw, self._height, self._margins, self._columns = draw, height, margins, columns
        self._shown: dict[str, Any] = {}
        self._stale = True
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.update)
        self.set_theme(theme)

    def show_what(self, **shown: Any) -> None:
        """Show something else, by the names of what ``draw`` takes, the rest as before; soon."""
        self._shown |= shown
        self._stale = True
        if not self._timer.isActive():
            self._timer.start()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        colours = get_theme(theme)
        ground, text, faint = (
            getattr(colours, name).as_hex() for name in ("background", "text", "secondary")
        )
        hues = _HUES["dark" if colours.type == "dark" else "light"]
        self._style = {
            **_STYLE,
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), text),
            **dict.fromkeys(("axes.edgecolor", "grid.color"), faint),
            **{"axes.facecolor": ground, "axes.prop_cycle": cycler(color=hues)},
        }
        self.figure.set_facecolor(ground)
        self.draw_idle()

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
        if self._stale and min(self.figure.bbox.size) > 1:
            self._stale = False
            self.lay_out()
            super(FigureCanvasQTAgg, self).draw()
        super().paintEvent(event)

    def lay_out(self) -> None:
        """Put what is shown on new axes."""
        self.figure.clear()
        with rc_context(self._style):
            left, right, top, bottom = self._margins
            self.figure.subplots_adjust(left, bottom, right, top, wspace=0.08)
            axes = self.figure.subplots(1, self._columns, sharey=True, squeeze=False)[0]
            if self._shown:
                self._draw(*axes, **self._shown)


def shift_plot(theme: str) -> Plot:
    """Return a plot of a ``course``'s shifts and their errors; an ``angle``, radians, is marked."""
    return Plot(_draw_shifts, theme, 190, (0.18, 0.97, 0.88, 0.22))


def convergence_plot(theme: str) -> Plot:
    """Return a plot of a ``course``'s moves and residual against the iteration."""
    return Plot(_draw_convergence, theme, 200, (0.18, 0.82, 0.88, 0.2))


def sinogram_plot(theme: str) -> Plot:
    """Return a plot of a row of all projections as measured and as aligned, which may be binned.

    ``before`` and ``after`` are (n_angles, n); ``label`` says what runs to the right.
    """
    return Plot(_draw_sinograms, theme, 180, (0.13, 0.97, 0.88, 0.24), columns=2)


def verification_plot(theme: str) -> Plot:
    """Return a plot of ``recovered`` against ``injected`` shifts, (n, 2) each, pixels."""
    return Plot(_draw_verification, theme, 200, (0.18, 0.97, 0.87, 0.2))


def _draw_shifts(axes: Axes, course: Course, angle: float | None = None) -> None:
    record, text = course.record, rcParams["text.color"]
    if course.scan is None:
        return
    axis = course.scan.rotation_axis
    order = np.argsort(course.angles, kind="stable")
    degrees = np.degrees(course.angles)[order]
    shifts = turn_projections(course.shifts, axis)[order]
    for direction, label in enumerate(("row ± error", "column ± error")):
        axes.plot(degrees, shifts[:, direction], ".-", label=label)
    doubtful = np.zeros(len(degrees), dtype=bool)
    if record is not None:
        doubtful = record.confidence[order] < TRUSTED
        errors = turn_projections(record.standard_error, axis)[order]
        for direction, line in enumerate(axes.get_lines()):
            ends = (shifts + sign * errors for sign in (-1, 1))
            low, high = (end[:, direction] for end in ends)
            axes.fill_between(degrees, low, high, color=line.get_color(), alpha=0.35, linewidth=0)
    at = np.repeat(degrees[doubtful], 2), shifts[doubtful].ravel()
    axes.plot(*at, "x", color=text, markersize=5, label="not trusted")
    if angle is not None:
        axes.axvline(np.degrees(angle), color=text, linestyle=":")
    _label(axes, "angle, degrees", "shift, px")


def _draw_convergence(moves: Axes, course: Course) -> None:
    if not course.history:
        moves.set_visible(False)
        return
    text, right, count = rcParams["text.color"], moves.twinx(), len(course.history)
    hue = rcParams["axes.prop_cycle"].by_key()["color"][2]
    numbers = np.arange(1, count + 1)
    for axes, name, label, color in (
        (moves, "largest_move", "largest move", None),
        (moves, "rms_move", "RMS move", None),
        (right, "residual", "residual", hue),
    ):
        values = np.array([getattr(record, name) for record in course.history], dtype=float)
        axes.plot(numbers, np.where(values > 0, values, np.nan), ".-", label=label, color=color)
    if course.state is not None:
        tolerance = course.state.parameters.tolerance
        moves.axhline(tolerance, color=text, linewidth=0.8, linestyle="--", label="tolerance")
    if course.shown:
        moves.axvline(course.shown, color=text, linestyle=":")
    faint: dict[str, Any] = {"color": text, "alpha": 0.6}
    place: dict[str, Any] = {"transform": moves.get_xaxis_transform(), "va": "top", "fontsize": 7}
    for before, after in pairwise(course.history):
        if before.binning != after.binning:  # a level begins
            at = after.iteration - 0.5
            moves.axvline(at, linewidth=0.8, **faint)
            moves.text(at, 0.98, f" ÷{after.binning}", **place, **faint)
    moves.set_yscale("log")
    least, most = moves.get_ylim()
    if most < 10 * least:  # a decade at least, so that a number stands at the axis
        moves.set_ylim(most / 10, most)
    moves.yaxis.set_minor_formatter(NullFormatter())  # they would lie over each other
    moves.set_xlim(0.5, max(5.5, count + 0.5))
    moves.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = right.get_ylim()
    if high - low < _STILL * high:  # else noise fills the plot, with numbers too long for it
        right.set_ylim(low - _STILL * high / 2, high + _STILL * high / 2)
    right.yaxis.set_major_locator(MaxNLocator(5))
    right.tick_params(axis="y", colors=hue)
    right.set_ylabel("residual", color=hue)
    _label(moves, "iteration", "move, px", *right.get_lines())


def _draw_sinograms(
    left: Axes, right: Axes, before: NDArray[Any], after: NDArray[Any], label: str
) -> None:
    low, high = np.nanpercentile(before, (0.5, 99.8))
    for axes, rows, when in ((left, before, "as measured"), (right, after, "aligned")):
        axes.imshow(
            rows,
            extent=(-0.5, before.shape[1] - 0.5, len(before) - 0.5, -0.5),
            clim=(low, max(high, low + 1e-12)),
            aspect="auto",
            cmap="gray",
        )
        axes.set(title=when, xlabel=label)
    left.set_ylabel("projection")


def _draw_verification(
    axes: Axes, injected: NDArray[np.float64], recovered: NDArray[np.float64]
) -> None:
    for direction, (label, size) in enumerate((("row", 8), ("column", 4))):  # both are seen
        shown = injected[:, direction], recovered[:, direction]
        axes.plot(*shown, ".", markersize=size, label=label)
    axes.axline((0, 0), slope=1, color=rcParams["text.color"], ls=":", zorder=1, label="exact")
    reach = 1.1 * max(np.abs(injected).max(), np.abs(recovered).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    _label(axes, "injected shift, px", "recovered shift, px")


def _label(axes: Axes, horizontal: str, vertical: str, *others: Any) -> None:
    """Label the axes, lay a grid, and put the legend, with others' lines, above them."""
    axes.set(xlabel=horizontal, ylabel=vertical)
    axes.grid(True)
    named = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.98)}
    axes.legend(handles=[*named, *others], ncols=4, **place)
