"""``view``: open a finished run in napari."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "DIR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the directory."""
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="what 'align SCAN -o DIR' wrote"
    )


def run(arguments: argparse.Namespace) -> int:
    """Open the run and return when the window is closed.

    Raises
    ------
    ModuleNotFoundError
        napari is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("napari") is None:
        raise ModuleNotFoundError(
            'view needs napari, which is not installed here: pip install "napari-tomoalign[napari]"'
        )
    from .._napari.view import view

    view(arguments.directory)
    return 0
