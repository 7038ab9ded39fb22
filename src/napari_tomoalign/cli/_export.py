"""``export``: the shifts in the words of another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._text import shifts_in

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "DIR|SHIFTS -o FILE [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shifts, the output and its format."""
    from ..io import EXPORT_FORMATS

    parser.add_argument(
        "shifts",
        metavar="DIR|SHIFTS",
        type=Path,
        help="what 'align SCAN -o DIR' wrote, or the shifts file in it",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        type=Path,
        help=".csv, .xf (IMOD), .nxs (NXtomo), .npz (TomoPy: sx, sy; mumott: j_offsets, "
        "k_offsets) or .npy (ASTRA: vectors of parallel3d_vec)",
    )
    parser.add_argument(
        "--format", choices=EXPORT_FORMATS, help="of the file (default: by its suffix)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(arguments: argparse.Namespace) -> int:
    """Export and say where the file is."""
    from ..io import export_shifts

    path = export_shifts(
        shifts_in(arguments.shifts),
        arguments.output,
        format=arguments.format,
        overwrite=arguments.overwrite,
    )
    print(f"{path}: the shifts of {arguments.shifts}")
    return 0
