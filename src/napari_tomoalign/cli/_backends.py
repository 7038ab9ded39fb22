"""``backends``: which engines are there, what they can do, and which one is taken."""

from __future__ import annotations

import argparse

import numpy as np

from ..backends import Backend, available_backends, backend_names, get_backend, how_to_install
from ..geometry import ScanGeometry
from ._text import print_pairs

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    taken = available_backends()[0]
    for name in backend_names():
        command = how_to_install(name)
        if command is not None:
            print(f"{name}: not installed; to add it: {command}")
            continue
        backend = get_backend(name)
        print(f"{name}: installed{' (taken by default)' if name == taken else ''}")
        default, default_options = backend.default_for()
        algorithms = ", ".join(
            f"{algorithm} (default)" if algorithm == default else algorithm
            for algorithm in backend.algorithms
        )
        options = ", ".join(f"{key}={value}" for key, value in default_options.items())
        print_pairs(
            [
                ("    runs on", backend.describe()),
                ("    algorithms", algorithms),
                ("    default options", options or "none"),
                ("    geometries", _geometries(backend)),
            ]
        )
    return 0


def _geometries(backend: Backend) -> str:
    """Say which geometries an engine takes: asked about an axis that leans, as none else does."""
    leaning = ScanGeometry(np.array([0.0, 1.0]), 8, 8, axis_tilt=0.5)
    if backend.supports(leaning):
        return "any: one axis, upright, turned or leaning; rotations"
    return "one axis, upright or turned in the images"
