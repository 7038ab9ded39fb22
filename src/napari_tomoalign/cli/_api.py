"""``api``: write the page with everything public, from the docstrings."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "[-o FILE]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the page goes."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="an HTML file (default: shown in the browser at once)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(arguments: argparse.Namespace) -> int:
    """Write the page, or show it."""
    from .._help import open_help, write_help

    if arguments.output is None:
        print(open_help())
    else:
        print(write_help(arguments.output, overwrite=arguments.overwrite))
    return 0
