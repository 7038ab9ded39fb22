"""``verify``: inject known shifts into a scan that was aligned, and see what comes back."""

from __future__ import annotations

import argparse

from ._finished import add_run_arguments, run_and_scan
from ._outcome import NOT_CONVERGED

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "DIR SCAN [SCAN ...] [options]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the finished run, its scan and what is injected."""
    add_run_arguments(parser)
    group = parser.add_argument_group("verification")
    group.add_argument(
        "--jitter",
        type=float,
        default=2.0,
        metavar="PX",
        help="inject shifts between minus and plus this, pixels (default: 2)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="of the injected shifts (default: %(default)s)"
    )
    group.add_argument("--backend", help="tomopy or builtin (default: that of the run)")
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show a progress bar (default: on)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify and print the verdict."""
    from ..verification import verify

    stored, scan = run_and_scan(arguments)
    checked = verify(
        stored.for_scan(scan),
        scan.projections,
        weights=scan.weights,
        backend=arguments.backend,
        jitter=arguments.jitter,
        seed=arguments.seed,
        progress=arguments.progress,
    )
    print(checked.message)
    return 0 if checked.recovered_well else NOT_CONVERGED
