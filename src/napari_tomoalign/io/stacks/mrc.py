"""MRC: the values of all images one behind another, behind a header that sums them up."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..outputs import CREATOR
from ..units import METRES
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

SUFFIXES = (".mrc", ".ali", ".st", ".rec")
HOLDS_CHANNELS = HOLDS_GEOMETRY = False
NEEDS = ""  # what is installed with this package
_MARK = "made of "


def write(path: Path, content: Content, tell: Callable[[int], object]) -> None:
    """Write a file that is not there."""
    import mrcfile
    from mrcfile.dtypes import HEADER_DTYPE

    shape, info = content.shape, content.info
    with mrcfile.new(path, data=np.zeros((1, 1, 1), dtype=np.float32), overwrite=True) as file:
        done = f"aligned by {CREATOR}: {info.aligned_with}"
        file.add_label(done[:80] if info.aligned_with else f"written by {CREATOR}")
        file.add_label(f"{_MARK}{content.mark}")
    metres = METRES.get(info.pixel_unit)
    angstrom = 1.0 if info.pixel_size is None or metres is None else info.pixel_size * metres * 1e10
    found = []

    def look(values: NDArray[np.float32]) -> None:
        wide = values.astype(np.float64)
        found.append((wide.min(), wide.max(), wide.sum(), (wide**2).sum()))

    target = FlatTarget(path, HEADER_DTYPE.itemsize, shape, np.dtype("<f4"))
    fill(target, content.pieces, tell, look)
    lows, highs, totals, squares = np.transpose(found)
    with path.open("r+b") as raw:
        header = np.frombuffer(raw.read(HEADER_DTYPE.itemsize), dtype=HEADER_DTYPE)[0].copy()
        header["nz"], header["ny"], header["nx"] = shape
        header["mz"], header["my"], header["mx"] = shape
        header["cella"] = tuple(angstrom * size for size in reversed(shape))
        header["dmin"], header["dmax"] = lows.min(), highs.max()
        mean = totals.sum() / math.prod(shape)
        header["dmean"] = mean
        header["rms"] = np.sqrt(max(0.0, squares.sum() / math.prod(shape) - mean**2))
        raw.seek(0)
        raw.write(header.tobytes())


def mark_in(path: Path) -> str | None:
    """Return what a file says it was made of."""
    import mrcfile

    with mrcfile.open(path, header_only=True, permissive=True) as file:
        labels = [label.decode("ascii", "replace") for label in file.header.label.tolist()]
    marks = [label[len(_MARK) :].strip() for label in labels if label.startswith(_MARK)]
    return marks[0] if marks else None


def read_volume(path: Path) -> NDArray[np.generic]:
    """Return the values of a volume."""
    import mrcfile

    with mrcfile.open(path) as file:
        return np.array(file.data)
