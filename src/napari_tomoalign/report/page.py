"""The picture of a run, and what happened in words: a PNG and one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .._counting import how_many
from ..geometry.gauge import alignment_error, remove_gauge
from ..io.atomic import atomic_path
from ..io.outputs import CREATOR, check_outputs
from ..results import AlignmentResult
from .figure import Comparison, flagged_projections, listed, plot_run

if TYPE_CHECKING:
    from ..io.scan import Scan

__all__ = ["describe", "picture_html", "write_report"]


def describe(
    result: AlignmentResult, true_shifts: ArrayLike | None = None
) -> tuple[tuple[str, str], ...]:
    """Say what happened, as pairs of a heading and a sentence.

    Parameters
    ----------
    result : AlignmentResult
        What was found.
    true_shifts : (n_angles, 2) array, optional
        Where they are known, for a rotation axis at the result's ``center``.
    """
    seconds = sum(record.seconds for record in result.history)
    algorithm = result.parameters.to_dict()["reconstruction_pipeline"]
    lines = [
        ("result", result.message),
        (
            "run",
            f"{how_many(len(result.history), 'iteration')} in {seconds:.1f} s with {result.backend}"
            + (f" ({algorithm})" if algorithm else ""),
        ),
    ]
    for heading, direction in (("along axis", 0), ("across axis", 1)):
        lines.append((heading, _motion(result, direction)))
    lines.append(("center", f"rotation axis at pixel {result.center:.2f}, counted from 0"))
    lines += [("geometry", sentence) for sentence in _found_geometry(result)]
    lines.append(("residual", f"{result.residual:.4f} of the data's norm"))
    flagged = flagged_projections(result)
    if flagged:
        lines.append(
            (
                "flagged",
                f"{len(flagged)} of {len(result.shifts)} projections do not fit: "
                f"{listed(flagged)} (counted from 0)",
            )
        )
    lines += [("note", sentence) for sentence in result.history[-1].notes]
    lines += [("diagnosis", sentence) for sentence in result.diagnosis]
    if true_shifts is not None:
        scored = np.setdiff1d(np.arange(len(result.shifts)), flagged)
        truth = np.asarray(true_shifts)
        centers = (result.center, result.center)
        views = result.geometry.directions
        error = alignment_error(result, truth, views, scored, centers=centers)
        at_start = alignment_error(0 * truth, truth, views, scored, centers=centers)
        lines.append(
            (
                "truth",
                f"found shifts are {error:.3f} px (RMS) from the true ones; "
                f"unaligned it was {at_start:.2f} px",
            )
        )
    return tuple(lines)


_UNKNOWNS = {
    "axis_angle": "the axis is turned in the images by {value:.3f} degrees",
    "axis_tilt": "the axis leans along the beam by {value:.3f} degrees",
    "in_plane": "images are turned in their plane by {value:.3f} degrees (RMS)",
    "angles": "each image has an angle of its own",
}


def _found_geometry(result: AlignmentResult) -> list[str]:
    """Say what was found beside the shifts, in degrees, with its standard error."""
    record, sentences = result.history[-1], []
    for name, sentence in _UNKNOWNS.items():
        if name not in record.geometry:
            continue
        found = np.rad2deg(record.geometry[name])
        error = np.rad2deg(np.sqrt(np.nanmean(np.square(record.geometry_error[name]))))
        value = float(found if found.ndim == 0 else np.sqrt(np.mean(found**2)))
        sentences.append(f"{sentence.format(value=value)}, standard error {error:.2g} degrees")
    return sentences


def _motion(result: AlignmentResult, direction: int) -> str:
    """Tell slow drift from jitter along the order of acquisition, the gauge removed."""
    shifts = remove_gauge(result.shifts, result.geometry.directions)[:, direction]
    order = np.linspace(-1, 1, len(shifts))
    degree = min(3, len(shifts) - 1)
    drift = np.polynomial.polynomial.polyval(
        order, np.polynomial.polynomial.polyfit(order, shifts, degree)
    )
    text = f"drift {np.ptp(drift):.2f} px, jitter {np.std(shifts - drift):.2f} px (RMS)"
    error = result.standard_error[:, direction]
    known = error[np.isfinite(error)]
    if known.size:
        text += f", standard error {np.median(known):.3f} px (median)"
    return text


def write_report(
    directory: Path,
    result: AlignmentResult,
    comparison: Comparison | None = None,
    *,
    true_shifts: ArrayLike | None = None,
    scan: Scan | None = None,
    title: str = "",
) -> tuple[Path, Path]:
    """Write ``report.png`` and ``report.html``; the page carries the picture inside.

    Parameters
    ----------
    directory : Path
        Exists.
    result, comparison, true_shifts, title
        See `plot_run`.
    scan : Scan, optional
        Adds where the data came from and what was done to it.

    Returns
    -------
    picture, page : Path

    Raises
    ------
    FileExistsError, FolderInUse
        See `check_outputs`; those of this program are replaced.
    """
    picture, page = directory / "report.png", directory / "report.html"
    check_outputs([picture, page], overwrite=True)
    buffer = io.BytesIO()
    plot_run(result, comparison, true_shifts=true_shifts, title=title).savefig(
        buffer, format="png", metadata={"Software": CREATOR}
    )
    with atomic_path(picture, overwrite=True) as aside:
        aside.write_bytes(buffer.getvalue())
    text = _page(result, buffer.getvalue(), true_shifts, scan, title or "Alignment")
    with atomic_path(page, overwrite=True) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")  # odd file names
    return picture, page


def picture_html(result: AlignmentResult) -> str:
    """Return what happened and the picture of a run as a piece of HTML, for a notebook."""
    buffer = io.BytesIO()
    plot_run(result).savefig(buffer, format="png", dpi=70, metadata={"Software": None})
    image = base64.b64encode(buffer.getvalue()).decode()
    return (
        f"{_table(describe(result))}\n"
        f'<img alt="Shifts, convergence, confidence" src="data:image/png;base64,{image}">'
    )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}img{max-width:100%;border:1px solid #ddd}table{border-collapse:collapse;"
    "margin:0 0 2rem}td,th{padding:.2rem .8rem;border-bottom:1px solid #e3e3e3;text-align:left;"
    "vertical-align:top}th{font-weight:600;white-space:nowrap}h2{margin-top:2rem}"
)


def _page(
    result: AlignmentResult,
    picture: bytes,
    true_shifts: ArrayLike | None,
    scan: Scan | None,
    title: str,
) -> str:
    sections = [("What happened", describe(result, true_shifts))]
    if scan is not None:
        steps = [("preparation", step) for step in scan.preparation]
        sections.append(("Data", (*scan.source.items(), *steps)))
    sections.append(
        ("Parameters", tuple((k, str(v)) for k, v in result.parameters.to_dict().items()))
    )
    sections.append(("Versions", tuple(result.versions.items())))
    tables = [
        f"<h2>{html.escape(heading)}</h2>\n{_table(rows)}" for heading, rows in sections if rows
    ]
    image = base64.b64encode(picture).decode()
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="generator" content="{CREATOR}">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{html.escape(title)}</h1>\n{tables[0]}\n"
        f'<img alt="Shifts, convergence, confidence, one row before and after" '
        f'src="data:image/png;base64,{image}">\n' + "\n".join(tables[1:]) + "\n</body></html>\n"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return "<table>" + "".join(cells) + "</table>"
