"""``apply``: move a scan by minus the shifts, chunk by chunk, once."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._scan import add_scan_arguments, reading_options, tell_remarks
from ._text import shifts_in

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "DIR|SHIFTS SCAN [SCAN ...] -o OUT [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shifts, the scan, the output and how to interpolate."""
    parser.add_argument(
        "shifts",
        metavar="DIR|SHIFTS",
        type=Path,
        help="what 'align SCAN -o DIR' wrote, or the shifts file in it",
    )
    add_scan_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        type=Path,
        help="the aligned stack: .h5, .zarr, .tif or .mrc",
    )
    group = parser.add_argument_group("moving")
    group.add_argument(
        "--order",
        type=_order,
        default=3,
        metavar="3|fourier",
        help="cubic spline, or Fourier interpolation with guarded edges (default: 3)",
    )
    group.add_argument(
        "--crop", action="store_true", help="keep only the field of view that all projections have"
    )
    group.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the scan with the one that the shifts were found on (default: on)",
    )
    group.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(arguments: argparse.Namespace) -> int:
    """Apply the shifts and say where the stack is."""
    from ..io import apply_shifts

    path = apply_shifts(
        shifts_in(arguments.shifts),
        arguments.scan if len(arguments.scan) > 1 else arguments.scan[0],
        arguments.output,
        order=arguments.order,
        crop=arguments.crop,
        overwrite=arguments.overwrite,
        check=arguments.check,
        told=tell_remarks,
        **reading_options(arguments),  # the rotation axis is that of the shifts, unless told
    )
    print(f"{path}: aligned with {arguments.shifts}")
    return 0


def _order(text: str) -> int | str:
    if text not in ("3", "fourier"):
        raise argparse.ArgumentTypeError(f"expected 3 or fourier, got {text!r}")
    return 3 if text == "3" else text
