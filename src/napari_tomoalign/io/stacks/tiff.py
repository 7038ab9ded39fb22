"""TIFF: the values of all images one behind another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..outputs import CREATOR
from .content import Content
from .flat import FlatTarget, fill

__all__ = [
    "HOLDS_CHANNELS",
    "HOLDS_GEOMETRY",
    "NEEDS",
    "SUFFIXES",
    "mark_in",
    "read_volume",
    "write",
]

SUFFIXES = (".tif", ".tiff")
HOLDS_CHANNELS = HOLDS_GEOMETRY = False
NEEDS = ""  # what is installed with this package


def write(path: Path, content: Content, tell: Callable[[int], object]) -> None:
    """Write a file that is not there."""
    import tifffile

    tifffile.imwrite(
        path,
        shape=content.shape,
        dtype="<f4",
        byteorder="<",
        photometric="minisblack",
        description=json.dumps({CREATOR: {**content.info.attributes(), "made_of": content.mark}}),
        metadata=None,
        bigtiff=content.n_bytes > 2**31,
    )
    with tifffile.TiffFile(path) as file:
        first = file.pages[0].dataoffsets[0]
    fill(FlatTarget(path, first, content.shape, np.dtype("<f4")), content.pieces, tell)


def mark_in(path: Path) -> str | None:
    """Return what a file says it was made of."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        said = json.loads(getattr(file.pages[0], "description", ""))
    return str(said[CREATOR].get("made_of"))


def read_volume(path: Path) -> NDArray[np.generic]:
    """Return the values of a volume."""
    import tifffile

    values: NDArray[np.generic] = tifffile.imread(path)
    return values
