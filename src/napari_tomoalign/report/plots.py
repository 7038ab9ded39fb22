"""The plots of a run as a window shows them: small, drawn often, on axes that are given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rcParams
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ..geometry import RotationAxis, turn_projections
from ..results import TRUSTED, IterationRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "draw_convergence",
    "draw_shifts",
    "draw_sinograms",
    "draw_verification",
    "scale_convergence",
]

_STILL = 0.05  # relative change of the residual that is not worth the height of the plot


def draw_shifts(
    axes: Axes,
    angles: NDArray[np.float64],
    shifts: NDArray[np.float64],
    record: IterationRecord | None,
    rotation_axis: RotationAxis,
    angle: float | None = None,
) -> None:
    """Draw the shifts, as the images were measured, with the errors of the record they are of.

    ``angle``, radians, is marked.
    """
    text = rcParams["text.color"]
    order = np.argsort(angles, kind="stable")
    degrees = np.degrees(angles)[order]
    shifts = turn_projections(shifts, rotation_axis)[order]
    for direction, label in enumerate(("row ± error", "column ± error")):
        axes.plot(degrees, shifts[:, direction], ".-", label=label)
    doubtful = np.zeros(len(degrees), dtype=bool)
    if record is not None:
        doubtful = record.confidence[order] < TRUSTED
        errors = turn_projections(record.standard_error, rotation_axis)[order]
        for direction, line in enumerate(axes.get_lines()):
            ends = (shifts + sign * errors for sign in (-1, 1))
            low, high = (end[:, direction] for end in ends)
            axes.fill_between(degrees, low, high, color=line.get_color(), alpha=0.35, linewidth=0)
    at = np.repeat(degrees[doubtful], 2), shifts[doubtful].ravel()
    axes.plot(*at, "x", color=text, markersize=5, label="not trusted")
    if angle is not None:
        axes.axvline(np.degrees(angle), color=text, linestyle=":")
    _label(axes, "angle, degrees", "shift, px")


def draw_convergence(
    moves: Axes, history: Sequence[IterationRecord], tolerance: float | None, shown: int
) -> None:
    """Draw moves and, on an axis of its own, the residual of each iteration; mark the one shown."""
    if not history:
        moves.set_visible(False)
        return
    text, right, count = rcParams["text.color"], moves.twinx(), len(history)
    hue = rcParams["axes.prop_cycle"].by_key()["color"][2]
    numbers = np.arange(1, count + 1)
    for axes, name, label, color in (
        (moves, "largest_move", "largest move", None),
        (moves, "rms_move", "RMS move", None),
        (right, "residual", "residual", hue),
    ):
        values = np.array([getattr(record, name) for record in history], dtype=float)
        axes.plot(numbers, np.where(values > 0, values, np.nan), ".-", label=label, color=color)
    if tolerance is not None:
        moves.axhline(tolerance, color=text, linewidth=0.8, linestyle="--", label="tolerance")
    if shown:
        moves.axvline(shown, color=text, linestyle=":")
    faint: dict[str, Any] = {"color": text, "alpha": 0.6}
    place: dict[str, Any] = {"transform": moves.get_xaxis_transform(), "va": "top", "fontsize": 7}
    for before, after in pairwise(history):
        if before.binning != after.binning:  # a level begins
            at = after.iteration - 0.5
            moves.axvline(at, linewidth=0.8, **faint)
            moves.text(at, 0.98, f" ÷{after.binning}", **place, **faint)
    moves.set_xlim(0.5, max(5.5, count + 0.5))
    scale_convergence(moves, right)
    right.tick_params(axis="y", colors=hue)
    right.set_ylabel("residual", color=hue)
    _label(moves, "iteration", "move, px", *right.get_lines())


def scale_convergence(moves: Axes, right: Axes) -> None:
    """Scale the axes of moves, a logarithm, and of the residual so that their numbers can be read.

    Of the moves a decade is shown at least, so that a number stands at the axis; of the residual
    so much that noise does not fill the plot, with numbers too long for it.
    """
    moves.set_yscale("log")
    least, most = moves.get_ylim()
    if most < 10 * least:
        moves.set_ylim(most / 10, most)
    moves.yaxis.set_minor_formatter(NullFormatter())  # they would lie over each other
    moves.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = right.get_ylim()
    if high - low < _STILL * high:
        right.set_ylim(low - _STILL * high / 2, high + _STILL * high / 2)
    right.yaxis.set_major_locator(MaxNLocator(5))


def draw_sinograms(
    left: Axes, right: Axes, before: NDArray[Any], after: NDArray[Any], label: str
) -> None:
    """Draw a row of all projections as measured and as aligned, which may be binned.

    Both are (n_angles, n); ``label`` says what runs to the right.
    """
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


def draw_verification(
    axes: Axes, injected: NDArray[np.float64], recovered: NDArray[np.float64]
) -> None:
    """Draw the shifts that came back against those that were injected, (n, 2) each, pixels."""
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
