"""``info``: what is in a scan file, how it is understood, and what aligning it takes.

Of a shifts file: what was found.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._counting import how_many
from ._scan import add_scan_arguments, outline, reading_options
from ._text import print_pairs

if TYPE_CHECKING:
    from ..io.scan import Scan
    from ..io.shifts.contents import ShiftsFile

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "SCAN [SCAN ...] [options]"

_TURNS = {
    "axis_angle": "degrees by which the axis is turned in the image:",
    "axis_tilt": "degrees by which it leans along the beam:",
    "in_plane": "degrees by which images are turned beside that (RMS):",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the scan and how to read it."""
    add_scan_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the scan, or the shifts, and print what it is."""
    from ..io import read_scan, read_shifts
    from ..io.shifts.other_programs import is_own

    first = Path(arguments.scan[0])
    if len(arguments.scan) == 1 and first.is_file() and is_own(first):
        print_pairs(_of_shifts(read_shifts(first)))
        return 0
    scan = read_scan(arguments.scan, lazy=True, **reading_options(arguments))
    low, high, ignored, lines = _values(scan)
    n_angles, n_rows, n_columns = scan.projections.shape[:3]
    steps = np.degrees(np.diff(np.sort(scan.angles)))
    pairs = [("scan", outline(scan))]
    pairs += [(name.replace("_", " "), words) for name, words in scan.source.items()]
    if scan.rotations is not None:
        pairs.append(
            ("rotation axis", "more than one: the scan has a rotation for each projection")
        )
    else:
        if len(steps):
            ends = sorted({f"{steps.min():.4g}", f"{steps.max():.4g}"}, key=float)
            pairs.append(("angle steps", f"{' to '.join(ends)} degrees"))
        words = f"{scan.rotation_axis}, in the images as they were measured"
        pairs.append(("rotation axis", words))
    if scan.channels:
        pairs.append(("channels", ", ".join(scan.channels)))
    pairs += [("note", remark) for remark in scan.remarks]
    steps_taken = [step for step in scan.preparation if step not in scan.remarks]
    pairs += [("preparation", step) for step in (*steps_taken, *lines)]
    pairs.append(("values", f"{low:.4g} to {high:.4g} as line integrals"))
    if not ignored:
        pairs.append(("weights", "none: every pixel counts"))
    else:
        share = 100 * ignored / (n_angles * n_rows * n_columns)
        pairs.append(("weights", f"{how_many(ignored, 'pixel')} ({share:.3g} %) ignored"))
    if scan.pixel_size is not None:
        pairs.append(("pixel", f"{scan.pixel_size:.6g} {scan.pixel_unit}".strip()))
    if scan.true_shifts is not None:
        pairs.append(("true shifts", "in the file: 'align' says how far it is from them"))
    needed = 4 * 4 * (n_angles * n_rows * n_columns + n_rows * n_columns**2)
    pairs.append(("memory", f"about {_bytes(needed)} to align it at this size"))
    print_pairs(pairs)
    return 0


def _of_shifts(file: ShiftsFile) -> list[tuple[str, str]]:
    """Say what a shifts file holds."""
    degrees, spread = np.degrees(file.angles), np.abs(file.measured_shifts).max(axis=0)
    size = (file.n_rows, file.n_columns)
    n_rows, n_columns = size if file.rotation_axis == "vertical" else size[::-1]
    place = f"{'column' if file.rotation_axis == 'vertical' else 'row'} {file.center:.6g}"
    pairs = [
        (
            "shifts",
            f"of {len(degrees)} projections of {n_rows} x {n_columns} pixels (rows x columns), up "
            f"to {spread[0]:.4g} (rows) and {spread[1]:.4g} (columns)",
        ),
        ("angles", f"{degrees.min():.6g} to {degrees.max():.6g} degrees"),
        ("rotation axis", f"{file.rotation_axis}, at {place} of the images as measured"),
    ]
    if file.rotations is not None:
        pairs.append(("rotation axis", "more than one: there is a rotation for each projection"))
    for name, words in _TURNS.items():
        value = getattr(file, name)
        if value is not None and np.any(value):
            error = file.geometry_error.get(name)
            known = (
                ""
                if error is None or not np.isfinite(error).any()
                else (f" +- {np.degrees(np.sqrt(np.nanmean(np.square(error)))):.3g}, as found")
            )
            size_of = np.degrees(np.sqrt(np.mean(np.square(value))) if np.ndim(value) else value)
            pairs.append((name.replace("_", " "), f"{words} {size_of:.4g}{known}"))
    error = np.sqrt(np.sum(file.standard_error**2, axis=1))
    if np.isfinite(error).any():
        known = f"{np.sqrt(np.nanmean(error**2)):.3g} pixels (RMS)"
        pairs.append(("standard error", known))
    pairs.append(
        ("run", f"{how_many(file.iterations, 'iteration')} of {file.backend}: {file.message}")
    )
    pairs += [("found", sentence) for sentence in file.diagnosis]
    pairs += [(name, words) for name, words in file.source.items()]
    if file.applied:
        pairs.append(("applied", file.applied))
    return pairs


def _values(scan: Scan) -> tuple[float, float, int, tuple[str, ...]]:
    """Return the least and the largest value, how many pixels have no weight, and why.

    Reads block by block, so that a scan of any size can be asked about.
    """
    from ..images.source import blocks_of
    from ..io.preparation import Counts

    counts = Counts()
    low, high, ignored = np.inf, -np.inf, 0
    for start, stop in blocks_of(scan.projections.shape):
        values, weights = scan.projections.prepared(slice(start, stop), counts=counts)  # type: ignore[attr-defined]
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        if weights is not None:
            shares = weights if weights.ndim == 3 else weights.min(axis=-1)
            ignored += int(np.count_nonzero(shares == 0))
    return low, high, ignored, counts.words()


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
