"""``report``: draw a finished run anew, and make a film of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._finished import add_run_arguments, run_and_scan

if TYPE_CHECKING:
    from ..io import ShiftsFile
    from ..results import AlignmentResult

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "DIR SCAN [SCAN ...] [--film [FILE]]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the finished run, its scan and the film."""
    add_run_arguments(parser)
    group = parser.add_argument_group("report")
    group.add_argument(
        "--film",
        nargs="?",
        const="",
        metavar="FILE",
        help="a film of the alignment, iteration by iteration: FILE.gif, or FILE.mp4 with "
        "imageio-ffmpeg (default: film.gif in DIR)",
    )
    group.add_argument("--overwrite", action="store_true", help="replace a film that is there")


def run(arguments: argparse.Namespace) -> int:
    """Write the report, and the film where one is asked for."""
    from ..report import compare, write_film, write_report
    from ..report.comparing import row_of_images

    stored, scan = run_and_scan(arguments, lazy=True)
    result = _result_of(stored.for_scan(scan))
    folder = arguments.run_directory
    folder = folder if folder.is_dir() else folder.parent
    lines = scan.projections
    row = row_of_images(lines)
    written = list(
        write_report(
            folder, result, compare(result, lines, row=row), scan=scan, title=folder.resolve().name
        )
    )
    if arguments.film is not None:
        path = Path(arguments.film) if arguments.film else folder / "film.gif"
        written.append(write_film(path, result, lines, row=row, overwrite=arguments.overwrite))
    print("\n".join(str(path) for path in written))
    return 0


def _result_of(stored: ShiftsFile) -> AlignmentResult:
    """Return what a shifts file holds as a result: the images are not needed here."""
    from ..parameters import AlignmentParameters
    from ..results import AlignmentResult

    none = np.zeros((0, 0, 0), dtype=np.float32)
    return AlignmentResult(
        shifts=stored.shifts,
        reconstruction=none,
        projections=none,
        reference=none,
        angles=stored.angles,
        center=stored.center,
        history=stored.history,
        converged=stored.converged,
        message=stored.message,
        findings=stored.findings,
        parameters=AlignmentParameters.from_dict(stored.parameters),
        backend=stored.backend,
        versions=stored.versions,
    )
