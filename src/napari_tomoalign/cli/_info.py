"""``info``: what is in a scan file, how it is understood, and what aligning it takes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from ._scan import add_scan_arguments, outline, reading_options
from ._text import print_pairs

if TYPE_CHECKING:
    from ..io.scan import Scan

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "SCAN [SCAN ...] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the scan and how to read it."""
    add_scan_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the scan and print what it is."""
    from ..io import read_scan

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
            pairs.append(("angle steps", f"{steps.min():.4g} to {steps.max():.4g} degrees"))
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
        pairs.append(("weights", f"{ignored} pixels ({share:.3g} %) are ignored"))
    if scan.pixel_size is not None:
        pairs.append(("pixel", f"{scan.pixel_size:.6g} {scan.pixel_unit}".strip()))
    if scan.true_shifts is not None:
        pairs.append(("true shifts", "in the file: 'align' says how far it is from them"))
    needed = 4 * 4 * (n_angles * n_rows * n_columns + n_rows * n_columns**2)
    pairs.append(("memory", f"about {_bytes(needed)} to align it at this size"))
    print_pairs(pairs)
    return 0


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
