"""What a reader gives: the frames as they lie in the file, and what was found beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .angles import AngleUnit
from .errors import ScanFileError

__all__ = ["RawScan", "RawStack", "ReadOptions", "in_memory", "stack_of"]

Opener = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class ReadOptions:
    """Where in the file things are, as the user points at them.

    Attributes
    ----------
    data, angles_path : str, optional
        Names of the datasets of the projections and of the angles.
    angles_known : bool
        The caller brings the angles, so the file need not have them.
    angle_unit : {"degrees", "radians"}, optional
        Of the angles in the file, whatever it says. None: what it says, else recognised.
    """

    data: str | None = None
    angles_path: str | None = None
    angles_known: bool = False
    angle_unit: AngleUnit | None = None


@dataclass(frozen=True, eq=False)
class RawStack:
    """Frames that are read when asked for; the file is open only while it is read.

    Attributes
    ----------
    open : callable
        Gives a context manager whose value can be indexed like an array.
    shape : tuple of int
        ``(n_frames, n_rows, n_columns)`` or with ``n_channels`` at the end, of what `read` gives.
    dtype : numpy.dtype
        Of the file.
    frames : (n_frames,) array of int, optional
        Positions of these frames in the file. None: all.
    channel_axis : int, optional
        Where the file has its channels: 0, 1 or 3.
    """

    open: Opener
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    frames: NDArray[np.intp] | None = None
    channel_axis: int | None = None

    def read(
        self, start: int, stop: int, rows: slice = slice(None), columns: slice = slice(None)
    ) -> NDArray[Any]:
        """Return frames ``start`` to ``stop`` (excluded), cut to rows and columns.

        Raises
        ------
        ScanFileError
            The file cannot be decoded there.
        """
        positions = np.arange(start, stop) if self.frames is None else self.frames[start:stop]
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        with self.open() as source:
            try:
                parts = [
                    self._read_run(source, slice(int(run[0]), int(run[-1]) + 1), rows, columns)
                    for run in np.split(positions, breaks)
                    if run.size
                ]
            except OSError as error:
                remedy = (
                    "its compression needs a plugin: pip install hdf5plugin"
                    if "filter" in str(error)
                    else "the file seems to be truncated or damaged, copy it again from where it "
                    "came"
                )
                raise ScanFileError(
                    f"frames {start} to {stop - 1} cannot be read: {error}; {remedy}"
                ) from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read_run(self, source: Any, run: slice, rows: slice, columns: slice) -> NDArray[Any]:
        if self.channel_axis == 0:
            return np.moveaxis(np.asarray(source[:, run, rows, columns]), 0, -1)
        if self.channel_axis == 1:
            return np.moveaxis(np.asarray(source[run, :, rows, columns]), 1, -1)
        return np.asarray(source[run, rows, columns])


@dataclass(frozen=True, eq=False)
class RawScan:
    """What a reader found.

    Attributes
    ----------
    stack : RawStack
        The projections, as they are stored.
    angles : (n_angles,) array of float64, optional
        Radians; None where the file has none.
    white, dark : (n_rows, n_columns) array of float32, optional
        Mean flat and dark field.
    pixel_size : float, optional
        In ``pixel_unit``.
    pixel_unit : str
        Such as ``"nm"``.
    channels : tuple of str
        Names of the channels, as far as the file has them.
    source : mapping of str to str
        In words, where each thing came from.
    initial_shifts : (n_angles, 2) array, optional
        Of the image as stored, pixels, where the file knows how the images are displaced.
    true_shifts : (n_angles, 2) array, optional
        Of a simulated scan, of the image as stored.
    rotation_axis : {"vertical", "horizontal"}, optional
        Where the file says it.
    notes : tuple of str
        What deserves a word, such as frames that were left out.
    """

    stack: RawStack
    angles: NDArray[np.float64] | None = None
    white: NDArray[np.float32] | None = None
    dark: NDArray[np.float32] | None = None
    pixel_size: float | None = None
    pixel_unit: str = ""
    channels: tuple[str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    initial_shifts: NDArray[np.float64] | None = None
    true_shifts: NDArray[np.float64] | None = None
    rotation_axis: str | None = None
    notes: tuple[str, ...] = ()


def in_memory(array: NDArray[Any]) -> Opener:
    """Return an opener for an array that is in memory, or mapped into it."""

    @contextmanager
    def opened() -> Iterator[NDArray[Any]]:
        yield array

    return opened


def stack_of(
    opener: Opener,
    shape: tuple[int, ...],
    dtype: Any,
    *,
    n_angles: int | None,
    where: str,
    frames: NDArray[np.intp] | None = None,
) -> RawStack:
    """Return the stack of a 3-D or 4-D dataset, its channels at the end.

    Parameters
    ----------
    opener : callable
        See `RawStack`.
    shape : tuple of int
        Of the dataset: ``(n_angles, n_rows, n_columns)``, or in 4-D ``(n_angles, n_rows,
        n_columns, n_channels)``, ``(n_channels, n_angles, n_rows, n_columns)`` or ``(n_angles,
        n_channels, n_rows, n_columns)``, told apart by the number of angles, and by the channels
        being at most a quarter of the rows and columns.
    dtype : dtype
        Of the dataset.
    n_angles : int, optional
        Number of angles where known.
    where : str
        Name of the dataset, for messages.
    frames : array of int, optional
        Positions of the projections among the frames.

    Raises
    ------
    ScanFileError
        Another number of dimensions, an empty one, or values that are no real numbers.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iufb":
        raise ScanFileError(
            f"{where} holds values of type {kind}, expected real numbers (for complex data, store "
            "the phase or the amplitude)"
        )
    if len(shape) not in (3, 4):
        raise ScanFileError(
            f"{where} has shape {shape}, expected (n_angles, n_rows, n_columns) or "
            "(n_angles, n_rows, n_columns, n_channels)"
        )
    if 0 in shape:
        raise ScanFileError(f"{where} is empty: its shape is {shape}")
    channel_axis = None
    if len(shape) == 4:
        channel_axis = _channel_axis(shape, n_angles)
        order = [axis for axis in range(4) if axis != channel_axis] + [channel_axis]
        shape = tuple(shape[axis] for axis in order)
    if frames is not None:
        shape = (len(frames), *shape[1:])
    return RawStack(opener, shape, kind, frames, channel_axis)


def _channel_axis(shape: tuple[int, ...], n_angles: int | None) -> int:
    if n_angles is not None and shape[0] != n_angles and shape[1] == n_angles:
        return 0
    return 1 if 4 * shape[1] <= min(shape[2:]) else 3
