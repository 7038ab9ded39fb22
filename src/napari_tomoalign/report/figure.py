"""The figure of a run: shifts, convergence, confidence, and one row before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry.gauge import remove_gauge
from ..results import TRUSTED, AlignmentResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "flagged_projections", "listed", "plot_run"]

ROWS, COLUMNS, _RESIDUAL, _FLAG, _QUIET = "#0072B2", "#D55E00", "#009E73", "#CC3311", "#666666"
_ABOVE: dict[str, Any] = {
    **{"fontsize": 8, "frameon": False, "ncols": 4, "borderaxespad": 0.2},
    **{"columnspacing": 1.0, "handlelength": 1.5, "handletextpad": 0.4},
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """One row of the scan before and after the alignment.

    Attributes
    ----------
    row : int
        Detector row of the sinograms, slice of the reconstructions.
    sinograms : two (n_angles, n_columns) arrays of float32
        Before and after, in the order of the scan.
    slices : two (n_columns, n_columns) arrays of float32
        Reconstructed from them by the same algorithm.
    """

    row: int
    sinograms: tuple[NDArray[np.float32], NDArray[np.float32]]
    slices: tuple[NDArray[np.float32], NDArray[np.float32]]


def flagged_projections(result: AlignmentResult) -> tuple[int, ...]:
    """Return the indices of the projections that do not fit (confidence below 0.5)."""
    return tuple(int(index) for index in np.flatnonzero(result.confidence < TRUSTED))


def listed(indices: Sequence[int], most: int = 12) -> str:
    """Return the indices with commas between them; where there are many, the first and a count."""
    text = ", ".join(map(str, indices[:most]))
    return text if len(indices) <= most else f"{text} and {len(indices) - most} more"


def plot_run(
    result: AlignmentResult,
    comparison: Comparison | None = None,
    *,
    true_shifts: ArrayLike | None = None,
    title: str = "",
) -> Figure:
    """Draw a run: shifts, convergence, confidence, and one row before and after.

    Parameters
    ----------
    result : AlignmentResult
        What was found.
    comparison : Comparison, optional
        See `compare`; without it the lowest row of the figure is left out.
    true_shifts : (n_angles, 2) array, optional
        Drawn beside those that were found, where they are known; for a rotation axis at the
        result's ``center``.
    title : str
        Such as the name of the scan.

    Returns
    -------
    matplotlib Figure
        With an Agg canvas; nothing is shown and no global state is touched.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [2.1, 0.8, 2.1] + ([1.9] if comparison else [])
    figure = Figure(figsize=(12, 1.75 * sum(heights)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 4, height_ratios=heights)
    truth = None
    if true_shifts is not None:
        difference = result.shifts - np.asarray(true_shifts, dtype=np.float64)
        truth = result.shifts - remove_gauge(difference, result.angles, _trusted(result))
    for direction, color in ((0, ROWS), (1, COLUMNS)):
        span = slice(2 * direction, 2 * direction + 2)
        upper = figure.add_subplot(grid[0, span])
        lower = figure.add_subplot(grid[1, span], sharex=upper)
        _draw_shifts(upper, lower, result, direction, color, truth)
    _draw_convergence(figure.add_subplot(grid[2, :2]), result)
    _draw_confidence(figure.add_subplot(grid[2, 2:]), result)
    if comparison:
        axes = [figure.add_subplot(grid[3, column]) for column in range(4)]
        _draw_comparison(axes, comparison, result)
    words = f"{title}: {result.message}" if title else result.message
    figure.suptitle(words.replace("$", r"\$"), fontsize=12, wrap=True)  # a name is no formula
    return figure


def _tidy(axes: Axes, title: str, horizontal: str, vertical: str, pad: float | None = None) -> None:
    axes.set_title(title, fontsize=10, loc="left", fontweight="bold", pad=pad)
    axes.set_xlabel(horizontal, fontsize=9)
    axes.set_ylabel(vertical, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def _trusted(result: AlignmentResult) -> NDArray[np.bool_]:
    """Return which projections fit: all, where none does."""
    trusted: NDArray[np.bool_] = result.confidence >= TRUSTED
    return trusted if trusted.any() else np.ones(len(trusted), bool)


def _draw_shifts(
    upper: Axes,
    lower: Axes,
    result: AlignmentResult,
    direction: int,
    color: str,
    truth: NDArray[np.float64] | None,
) -> None:
    """Draw the shifts of one direction, and below them how sure they are."""
    order = np.argsort(result.angles, kind="stable")
    trusted = _trusted(result)[order]
    degrees = np.degrees(result.angles)[order]
    shifts = result.shifts[order, direction]
    error = result.standard_error[order, direction]
    upper.plot(degrees[trusted], shifts[trusted], "o-", color=color, ms=2.5, lw=1, label="found")
    if not trusted.all():
        upper.plot(
            degrees[~trusted],
            shifts[~trusted],
            "o",
            color=_FLAG,
            ms=4,
            mfc="none",
            label="does not fit",
        )
    if truth is not None:
        upper.plot(degrees, truth[order, direction], "k+", ms=5, mew=0.7, label="true")
    if len(upper.get_lines()) > 1:
        upper.legend(loc="lower right", bbox_to_anchor=(1, 1), **_ABOVE)
    where = ("along", "across")[direction]
    _tidy(upper, f"Shifts {where} the rotation axis", "", "shift / px")
    upper.tick_params(labelbottom=False)
    width = 0.9 * float(np.median(np.diff(degrees))) if len(degrees) > 1 else 1.0
    lower.bar(
        degrees, 2 * error, width, -error, color=color, alpha=0.3, lw=0, label="± standard error"
    )
    lower.axhline(0, color=color, lw=0.8)
    sizes = np.abs(error[trusted & np.isfinite(error)])
    if truth is not None:
        difference = shifts - truth[order, direction]
        lower.plot(degrees[trusted], difference[trusted], "k+", ms=5, mew=0.7, label="found - true")
        sizes = np.concatenate([sizes, np.abs(difference[trusted])])
    reach = float(np.percentile(sizes, 98)) if sizes.size else 0.0
    if sizes.size:
        lower.legend(fontsize=7, frameon=False, ncols=2, loc="lower right", borderaxespad=0)
    lower.set_ylim(-3.2 * reach or -1, 2 * reach or 1)
    _tidy(lower, "", "angle / degrees", "error / px")


def _draw_convergence(axes: Axes, result: AlignmentResult) -> None:
    """Draw moves and residual against the iteration."""
    from .plots import scale_convergence

    history = result.history
    iterations = np.array([record.iteration for record in history])
    for values, style, name in (
        ([record.largest_move for record in history], "o-", "largest move"),
        ([record.rms_move for record in history], "o--", "RMS move"),
    ):
        moves = np.array(values, dtype=float)
        moves[moves <= 0] = np.nan
        axes.plot(iterations, moves, style, color=ROWS, ms=3, lw=1.2, label=name)
    axes.axhline(
        result.parameters.tolerance, color=ROWS, ls=":", lw=1, label="tolerance of the move"
    )
    _tidy(axes, "Convergence", "iteration", "move / px", pad=14)
    right = axes.twinx()
    for binning in dict.fromkeys(record.binning for record in history):
        level = [record for record in history if record.binning == binning]
        right.plot(
            [record.iteration for record in level],
            [record.residual for record in level],
            "s-",
            color=_RESIDUAL,
            ms=3,
            lw=1.2,
        )
    scale_convergence(axes, right)
    right.set_ylabel("residual (relative)", fontsize=9, color=_RESIDUAL)
    right.tick_params(labelsize=8, colors=_RESIDUAL, which="both")
    right.spines[["top"]].set_visible(False)
    for record, previous in zip(history, (None, *history[:-1]), strict=True):
        if previous is None or record.binning != previous.binning:
            axes.axvline(record.iteration - 0.5, color=_QUIET, lw=0.8, ls="--")
            axes.annotate(
                f"binning {record.binning}" if previous is None else f"{record.binning}",
                (record.iteration - 0.5, 1.0),
                (2, 2),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                fontsize=7,
                color=_QUIET,
            )
    handles = [*axes.get_lines()[:3], right.get_lines()[0]]
    axes.legend(
        handles,
        ["largest move", "RMS move", "tolerance", "residual"],
        loc="lower right",
        bbox_to_anchor=(1, 1.045),
        **_ABOVE,
    )


def _draw_confidence(axes: Axes, result: AlignmentResult) -> None:
    """Draw the confidence of each projection; name those that do not fit."""
    degrees = np.degrees(result.angles)
    flagged = list(flagged_projections(result))
    axes.vlines(degrees, 0, result.confidence, color=_QUIET, lw=0.7, alpha=0.5)
    axes.plot(degrees, result.confidence, "o", color=_QUIET, ms=3)
    if flagged:
        axes.plot(
            degrees[flagged],
            result.confidence[flagged],
            "o",
            color=_FLAG,
            ms=5,
        )
        axes.set_title(
            f"does not fit: {listed(flagged)} (counted from 0)",
            fontsize=8,
            loc="right",
            color=_FLAG,
        )
    axes.set_ylim(0, 1.05)
    _tidy(axes, "Confidence", "angle / degrees", "0 does not fit, 1 fits", pad=14)


def _draw_comparison(axes: Sequence[Axes], comparison: Comparison, result: AlignmentResult) -> None:
    """Draw sinogram and slice, before and after, on the same grey scale."""
    order = np.argsort(result.angles, kind="stable")
    first, last = np.degrees(result.angles[order][[0, -1]])
    row = comparison.row
    width = comparison.sinograms[0].shape[1]
    pairs: tuple[tuple[str, Sequence[NDArray[np.float32]], Mapping[str, Any]], ...] = (
        (
            f"Sinogram of row {row}",
            [sinogram[order] for sinogram in comparison.sinograms],
            {"aspect": "auto", "extent": (-0.5, width - 0.5, last, first)},
        ),
        (f"Slice {row}", comparison.slices, {}),
    )
    for number, (name, images, settings) in enumerate(pairs):
        low, high = np.percentile(images[1], (0.5, 99.8))
        for image, when, place in zip(images, ("before", "after"), (0, 1), strict=True):
            target = axes[2 * number + place]
            target.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), **settings)
            vertical = "y / px" if number else "angle / degrees"
            _tidy(
                target, f"{name}, {when}", "x / px" if number else "across the axis / px", vertical
            )
            target.grid(False)
            target.set_box_aspect(1)
