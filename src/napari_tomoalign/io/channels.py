"""Several channels of one scan: in one stack, or a file each; one of them to align on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.source import as_source, blocks_of
from .errors import ScanFileError
from .raw import RawScan, RawStack
from .scan import Scan

__all__ = ["channel_index", "joined_channels", "scan_for_alignment"]


def scan_for_alignment(scan: Scan, channel: int | str | None = None) -> Scan:
    """Return a 3-D scan to align on: one channel, or the mean of all.

    Parameters
    ----------
    scan : Scan
        3-D, returned as it is, or 4-D.
    channel : int or str, optional
        Index or name. None: the mean over the channels.

    Raises
    ------
    ValueError
        There is no such channel.
    """
    projections = scan.projections
    if projections.ndim == 3:
        if channel not in (None, 0, *scan.channels):
            raise ValueError(
                f"the scan has one channel only, but channel {channel!r} was asked for"
            )
        return scan
    if channel is None:
        mean = np.empty(projections.shape[:3], dtype=np.float32)
        for start, stop in blocks_of(projections.shape):
            mean[start:stop] = as_source(projections).read(slice(start, stop)).mean(axis=-1)
        words = f"mean of {projections.shape[3]} channels"
    else:
        index = channel_index(channel, scan.channels, projections.shape[3])
        mean = np.ascontiguousarray(projections[..., index])
        words = f"channel {scan.channels[index] if scan.channels else index}"
    return replace(scan, projections=mean, channels=(), preparation=(*scan.preparation, words))


def channel_index(channel: int | str, names: tuple[str, ...], count: int) -> int:
    """Return the position of a channel that is given by its name or position.

    Raises
    ------
    ValueError
        There is none.
    """
    if isinstance(channel, str) and channel in names:
        return names.index(channel)
    if isinstance(channel, int) and -count <= channel < count:
        return channel % count
    known = f", named {', '.join(names)}" if names else ""
    raise ValueError(f"there is no channel {channel!r}; the scan has {count} of them{known}")


@dataclass(frozen=True, eq=False)
class _Joined:
    """Stacks of one shape as one, with the channels at the end.

    Attributes
    ----------
    stacks : tuple of RawStack
        One a channel.
    """

    stacks: tuple[RawStack, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_angles, n_rows, n_columns, n_channels)``."""
        return (*self.stacks[0].shape, len(self.stacks))

    @property
    def dtype(self) -> np.dtype[Any]:
        """That holds the values of all."""
        return np.result_type(*(stack.dtype for stack in self.stacks))

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out."""
        return np.stack([stack.read(*cuts[:3]) for stack in self.stacks], axis=-1)


def joined_channels(raws: Sequence[RawScan], paths: Sequence[Path]) -> RawScan:
    """Return one scan with a channel for each file; all else is the first file's.

    Raises
    ------
    ScanFileError
        The files do not belong to one scan.
    """
    first = raws[0]
    for raw, path in zip(raws, paths, strict=True):
        if len(raw.stack.shape) != 3 or raw.stack.shape != first.stack.shape:
            raise ScanFileError(
                f"{path} has shape {raw.stack.shape}, expected {first.stack.shape[:3]} as "
                f"{paths[0]} has: each file is one channel of the same scan"
            )
        if raw.white is not None:
            raise ScanFileError(
                f"{path} has flat fields of its own; several files as channels must be line "
                "integrals already, or read with normalise=False one by one"
            )
        both = raw.angles is not None and first.angles is not None
        if both and not np.allclose(raw.angles, first.angles, atol=1e-6):  # type: ignore[arg-type]
            raise ScanFileError(f"{path} has other angles than {paths[0]}: not one scan")
    joined = _Joined(tuple(raw.stack for raw in raws))
    stack = RawStack(
        joined,
        (0, 1, 2, 3),
        first.stack.where,
        np.any([raw.stack.lost for raw in raws], axis=0),
    )
    return replace(first, stack=stack, channels=tuple(path.stem for path in paths))
