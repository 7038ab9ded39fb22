"""Zarr: a group in a folder, whose pieces are written by those who make them.

A piece is a shard, a file of its own, so that no two writers meet in one. The chunks in it are as
long along one direction as along the other, so that neither an image nor a row of all images, and
no slice of a volume, reads much more than itself. Nothing is compressed: noise does not shrink.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..outputs import CREATOR
from ..units import METRES
from .content import Content, Cuts, length_of_piece

__all__ = [
    "HOLDS_CHANNELS",
    "HOLDS_GEOMETRY",
    "NEEDS",
    "SUFFIXES",
    "mark_in",
    "read_volume",
    "write",
]

SUFFIXES = (".zarr",)
HOLDS_CHANNELS = HOLDS_GEOMETRY = True
NEEDS = "zarr"  # and the extra of this name
_VALUES = "0"
_EDGE = 16
"""Of a chunk of a stack, images and rows: an image of 2048 x 2048 is read out of 270 MB, and so is
a row of all. All columns are in it: whoever reads a row wants them."""
_VOLUME_EDGE = 32
"""Of a chunk of a volume, which is cut along all axes: 130 kB, what a disk reads at one go."""
_SHARD = (64, 256)
"""Of a volume, along the first axes, at most: it is held while it is written, 130 MB at 2048
columns."""
_SHARD_BYTES = 2**26  # of a stack, at most


@dataclass(frozen=True, eq=False)
class _Stored:
    """Makes a piece and writes it where it belongs."""

    make: Callable[[Cuts], NDArray[np.generic]]
    path: Path

    def __call__(self, cuts: Cuts) -> int:
        """Return how many bytes it is."""
        import zarr

        values = np.ascontiguousarray(self.make(cuts), np.float32)
        zarr.open_array(str(self.path), mode="r+")[cuts] = values
        return values.nbytes


def write(path: Path, content: Content, tell: Callable[[int], object]) -> None:
    """Write a store that is not there."""
    import zarr

    info, shape = content.info, content.shape
    chunks, shards = _layout(content)
    said = {**info.attributes(), "made_of": content.mark}
    group = zarr.open_group(
        str(path), mode="w-", zarr_format=3, attributes={CREATOR: said, **_ngff(content)}
    )
    group.create_array(
        _VALUES, shape=shape, dtype="<f4", chunks=chunks, shards=shards, compressors=None
    )
    if info.angles is not None:
        angles = group.create_array("angles", shape=info.angles.shape, dtype="<f8")
        angles[:] = np.rad2deg(info.angles)
        angles.attrs["units"] = "degrees"
    for n_bytes in content.pieces.done(_Stored(content.pieces.make, path / _VALUES)):
        tell(n_bytes)


def _layout(content: Content) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a chunk and of a shard."""
    shape, first = content.shape, content.pieces.cuts[0]
    piece = [len(range(n)[cut]) for n, cut in zip(shape, first, strict=False)]
    piece += shape[len(piece) :]
    if content.info.angles is not None:
        chunk = [min(_EDGE, n) for n in piece[:2]] + piece[2:]
        images = length_of_piece(_SHARD_BYTES // (4 * math.prod(piece[1:])))
        most = [min(images, piece[0]), *piece[1:]]
    else:
        chunk = [min(_VOLUME_EDGE, n) for n in piece]
        most = [*map(min, piece[:2], _SHARD), piece[2]]
    shard = [-(-n // edge) * edge for n, edge in zip(most, chunk, strict=True)]
    return tuple(chunk), tuple(shard)


def _ngff(content: Content) -> dict[str, Any]:
    """Return the metadata by which viewers know axes and pixels; channels come first in them."""
    info = content.info
    if len(content.shape) != 3:
        return {}
    length, size = {"type": "space"}, 1.0
    if info.pixel_size is not None and info.pixel_unit in METRES:
        length["unit"] = "nanometer"
        size = info.pixel_size * METRES[info.pixel_unit] * 1e9
    axes, scale = [{"name": name, **length} for name in "zyx"], [size] * 3
    if info.angles is not None:
        axes[0], scale[0] = {"name": "angle"}, 1.0
    level = {"path": _VALUES, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    return {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}}


def mark_in(path: Path) -> str | None:
    """Return what a store says it was made of."""
    said = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    return str(said["attributes"][CREATOR]["made_of"])


def read_volume(path: Path) -> NDArray[np.generic]:
    """Return the values of a volume."""
    import zarr

    return np.asarray(zarr.open_array(str(path / _VALUES), mode="r")[...])
