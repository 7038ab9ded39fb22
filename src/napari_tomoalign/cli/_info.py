"""``info``: what is in a scan file, how it is understood, and what aligning it takes."""

from __future__ import annotations

import argparse

import numpy as np

from ._scan import add_scan_arguments, outline, reading_options
from ._text import print_pairs

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "SCAN [SCAN ...] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the scan and how to read it."""
    add_scan_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the scan and print what it is."""
    from ..io import read_scan

    scan = read_scan(arguments.scan, **reading_options(arguments))
    stack = np.asarray(scan.projections)
    n_angles, n_rows, n_columns = stack.shape[:3]
    steps = np.degrees(np.diff(np.sort(scan.angles)))
    pairs = [("scan", outline(scan))]
    pairs += [(name.replace("_", " "), words) for name, words in scan.source.items()]
    if len(steps):
        pairs.append(("angle steps", f"{steps.min():.4g} to {steps.max():.4g} degrees"))
    pairs.append(("rotation axis", f"{scan.rotation_axis}, in the images as they were measured"))
    if scan.channels:
        pairs.append(("channels", ", ".join(scan.channels)))
    pairs += [("preparation", step) for step in scan.preparation]
    pairs.append(("values", f"{np.nanmin(stack):.4g} to {np.nanmax(stack):.4g} as line integrals"))
    if scan.weights is None:
        pairs.append(("weights", "none: every pixel counts"))
    else:
        ignored = int(np.count_nonzero(scan.weights == 0))
        share = 100 * ignored / scan.weights.size
        pairs.append(("weights", f"{ignored} pixels ({share:.3g} %) are ignored"))
    if scan.pixel_size is not None:
        pairs.append(("pixel", f"{scan.pixel_size:.6g} {scan.pixel_unit}".strip()))
    if scan.true_shifts is not None:
        pairs.append(("true shifts", "in the file: 'align' says how far it is from them"))
    needed = 4 * 4 * (n_angles * n_rows * n_columns + n_rows * n_columns**2)
    pairs.append(("memory", f"about {_bytes(needed)} to align it at this size"))
    print_pairs(pairs)
    return 0


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
