"""``align``: find the shifts of a scan, or of each of many, and write what follows from them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..backends import backend_names
from ..io.settings import SETTINGS
from ..io.stacks.output import SUFFIXES
from ._each import run_each
from ._job import PARAMETERS, prepare
from ._options import Collect, add_options, named_value
from ._plan import say_plan
from ._running import run_job
from ._scan import add_scan_arguments
from ._settings import typed_values

__all__ = ["PARAMETERS", "USAGE", "add_arguments", "run"]

USAGE = "SCAN [SCAN ...] -o DIR [options]"

_ALIASES = {
    "reconstruction_pipeline": "--algorithm",
    "reconstruction_pipeline_kwargs": "--reconstruction-option",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the scan, the output, the start and every field of `AlignmentParameters`."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="where the results go (needed)"
    )
    add_scan_arguments(parser, needed=False)
    _add_run(parser)
    _add_results(parser)
    add_options(
        parser,
        PARAMETERS,
        usual="parameters of the alignment",
        advanced="advanced parameters of the alignment",
        aliases=_ALIASES,
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    """Add where a run starts, what it runs on, and on how many scans."""
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--backend",
        choices=("auto", *backend_names()),
        help="the reconstruction engine (default: auto, TomoPy where it is installed)",
    )
    group.add_argument(
        "--center",
        type=float,
        metavar="X",
        help="column of the rotation axis, pixels of the file's images, counted from 0 at the "
        "first pixel's middle; the row for a horizontal axis (default: estimated)",
    )
    group.add_argument(
        "--initial-shifts",
        metavar="FILE|none",
        type=Path,
        help="shifts to start from: a shifts file, or one of another program (see 'export'); "
        "default: the translations in the scan's file, if there are any",
    )
    group.add_argument(
        "--channel", metavar="NAME", help="channel to align on (default: the mean of all)"
    )
    group.add_argument(
        "--resume",
        metavar="DIR",
        type=Path,
        help="go on with the run in DIR, with its parameters and start; results go there too "
        "unless -o is given",
    )
    group.add_argument(
        "--truth",
        metavar="FILE|none",
        type=Path,
        help="true shifts for an axis in the middle of the images, to say how far the found ones "
        "are from them; none: do not (default: those in a simulated scan)",
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"take options that are not given from a TOML file, such as the {SETTINGS} that is "
        "written beside every result",
    )
    group.add_argument(
        "--each",
        action="store_true",
        help="every SCAN is a scan of its own, and a folder stands for the scans in it; results go "
        "to a folder each, below the one of -o; goes on after one that fails",
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="let the workers of Dask evaluate slabs of rows: those of the scheduler at this "
        "address, or one for each core of this machine",
    )
    group.add_argument(
        "--scratch",
        metavar="FOLDER",
        type=Path,
        help="that all workers see, for the images that they read pieces of (default: the folder "
        "of the results; for local ones among the system's temporary files)",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, say what would be read, held in memory and written, and how long "
        "it would take, and stop",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    """Add what is written, and what is said meanwhile."""
    group = parser.add_argument_group("the results")
    group.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in SUFFIXES],
        default="h5",
        help="of the aligned stack and the reconstruction (default: h5); zarr is written by the "
        "workers of --cluster themselves",
    )
    for name, what in (("aligned", "the aligned stack"), ("reconstruction", "the volume")):
        group.add_argument(
            f"--{name}",
            action=argparse.BooleanOptionalAction,
            default=True,
            help=f"write {what} (default: on)",
        )
    group.add_argument(
        "--final-algorithm",
        metavar="NAME",
        help="of the reconstruction that is written (default: fbp, filtered back projection, where "
        "the engine has it)",
    )
    group.add_argument(
        "--final-option",
        metavar="NAME=VALUE",
        type=named_value,
        action=Collect,
        default=argparse.SUPPRESS,
        help="option of that algorithm; may be given several times",
    )
    group.add_argument(
        "--final-backend",
        choices=backend_names(),
        help="engine of that reconstruction (default: that of the alignment)",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results of this program that are there; what others wrote, and what is "
        "read, never is",
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show how far it is: a bar, or a line every tenth where there is no terminal "
        "(default: on)",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print what was found as JSON, one line a scan, in place of text",
    )


def run(arguments: argparse.Namespace) -> int:
    """Align; return 0 where the run converged, else what `_outcome` says, or what ended it."""
    typed = typed_values(arguments)
    if arguments.each:
        return run_each(arguments, typed)
    job = prepare(arguments)
    if arguments.dry_run:
        return say_plan(arguments, job)
    return run_job(arguments, job, typed)[0]
