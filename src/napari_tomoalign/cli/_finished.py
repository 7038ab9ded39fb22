"""A finished run and the scan that it belongs to, as the commands about it are told them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ._scan import add_scan_arguments, reading_options, tell_remarks
from ._text import shifts_in

if TYPE_CHECKING:
    from ..io import Scan, ShiftsFile

__all__ = ["add_run_arguments", "run_and_scan"]


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the run, and its scan."""
    parser.add_argument(
        "run_directory", metavar="DIR", type=Path, help="what align has written (its -o DIR)"
    )
    add_scan_arguments(parser)


def run_and_scan(arguments: argparse.Namespace, *, lazy: bool = False) -> tuple[ShiftsFile, Scan]:
    """Read the shifts of a run and its scan (lazily: when it is indexed), about the run's axis."""
    from ..io import read_scan, read_shifts, scan_for_alignment

    stored = read_shifts(shifts_in(arguments.run_directory))
    reading = reading_options(arguments)
    if arguments.rotation_axis is None:
        reading["rotation_axis"] = stored.rotation_axis
    scan = scan_for_alignment(read_scan(arguments.scan, lazy=lazy, **reading))
    tell_remarks(scan)
    return stored, scan
