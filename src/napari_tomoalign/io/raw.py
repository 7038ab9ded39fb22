"""What a reader gives: the frames as they lie in the file, and what was found beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .angles import AngleUnit
from .errors import ScanFileError, reading
from .hdf5_file import DatasetStore
from .image_names import Names

__all__ = ["RawScan", "RawStack", "ReadOptions", "Store", "named_axes", "sensible", "stack_of"]


class Store(Protocol):
    """Where values lie, with the axes as the file has them; can be pickled, holds no open file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the file."""

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out, one for each axis."""


@dataclass(frozen=True)
class ReadOptions:
    """Where in the file things are, as the user points at them.

    Attributes
    ----------
    data, angles_path : str, optional
        Names of the datasets of the projections and of the angles.
    flats, darks, keys : str, optional
        Names of the datasets of flat and dark fields; or of the keys that say what each frame is,
        as NeXus has them (0 projection, 1 flat, 2 dark).
    n_angles : int, optional
        The caller brings so many angles, so the file need not have them.
    angles_known : bool
        The caller brings angles, in whatever number.
    angle_unit : {"degrees", "radians"}, optional
        Of the angles in the file, whatever it says. None: what it says, else recognised.
    angle_axis : int, optional
        Of the dataset of the projections: along which the angles lie.
    inflate : bool
        What is more than a thousand times larger in memory than in the file is read all the same.
    """

    data: str | None = None
    angles_path: str | None = None
    flats: str | None = None
    darks: str | None = None
    keys: str | None = None
    n_angles: int | None = None
    angles_known: bool = False
    angle_unit: AngleUnit | None = None
    angle_axis: int | None = None
    inflate: bool = False

    def refuse_unused(self, path: Path, *taken: str) -> None:
        """Refuse names of datasets where a format has no such thing, but for those it takes.

        Raises
        ------
        ScanFileError
            The message says which.
        """
        for name in ("data", "angles_path", "flats", "darks", "keys"):
            given = getattr(self, name)
            if given is not None and name not in taken:
                raise ScanFileError(
                    f"{path} has no datasets that could be picked as {name}, but {given!r} was "
                    f"named (--{name.removesuffix('_path')}); leave it out"
                )


@dataclass(frozen=True, eq=False)
class RawStack:
    """Frames as stored, read when they are asked for.

    Attributes
    ----------
    store : Store
        Where they lie.
    axes : tuple of int
        Which axes of the store are frames, rows and columns, and channels where there are any.
        All others have length 1.
    where : str
        Name of file and dataset, for messages.
    absent : array of bool
        Which frames of the store were never written, or not whole.
    frames : (n_frames,) array of int, optional
        Positions of these frames in the store. None: all.
    """

    store: Store
    axes: tuple[int, ...]
    where: str
    absent: NDArray[np.bool_]
    frames: NDArray[np.intp] | None = None

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Which of the frames have nothing to tell."""
        return self.absent if self.frames is None else self.absent[self.frames]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_frames, n_rows, n_columns)``, or with ``n_channels`` at the end."""
        count, *image = (int(self.store.shape[axis]) for axis in self.axes)
        return (count if self.frames is None else len(self.frames), *image)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the file."""
        return np.dtype(self.store.dtype)

    @property
    def order(self) -> str:
        """In words, how the file has its axes, where not as ``(angle, row, column)``."""
        if self.axes[:3] == tuple(sorted(self.axes[:3])):
            return ""
        names = dict(zip(self.axes, ("angle", "row", "column", "channel"), strict=False))
        return ", ".join(names[axis] for axis in sorted(names))

    def read(
        self, frames: slice, rows: slice = slice(None), columns: slice = slice(None)
    ) -> NDArray[Any]:
        """Return frames, cut to rows and columns.

        Raises
        ------
        ScanFileError
            The file cannot be decoded there.
        """
        positions = np.arange(self.shape[0])[frames]
        if not positions.size:
            return np.empty((0, *self.shape[1:]), self.dtype)[:, rows, columns]
        named = f"{self.where}, frames {positions[0]} to {positions[-1]}"
        if self.frames is not None:
            positions = self.frames[positions]
        runs = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
        with reading(named):
            parts = [self._read_run(slice(int(r[0]), int(r[-1]) + 1), rows, columns) for r in runs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read_run(self, run: slice, rows: slice, columns: slice) -> NDArray[Any]:
        cuts = [slice(None)] * len(self.store.shape)
        for axis, cut in zip(self.axes, (run, rows, columns), strict=False):
            cuts[axis] = cut
        part = np.asarray(self.store.read(*cuts))
        others = [axis for axis in range(part.ndim) if axis not in self.axes]
        return part.transpose(*self.axes, *others).reshape([part.shape[axis] for axis in self.axes])


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
    rotations : (n_angles, 3, 3) array of float64, optional
        Of a scan about more than one axis, those of `ScanGeometry` for images that are turned by
        this ``rotation_axis``; ``angles`` follow from them.
    names : Names, optional
        What the names of the images of a folder say.
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
    rotations: NDArray[np.float64] | None = None
    names: Names | None = None
    notes: tuple[str, ...] = ()


def sensible(raw: RawScan) -> RawScan:
    """Return a scan without what cannot be true of it, each said in a note.

    A pixel size that is no length, translations that are no numbers, and channel names of another
    number than there are channels: a scan is as good without them, but nothing may follow from
    them. A size of 0 is how files say that they do not know it.
    """
    notes = []
    size, unit, shifts, names = raw.pixel_size, raw.pixel_unit, raw.initial_shifts, raw.channels
    if size is not None and not 0 < size < math.inf:
        if size != 0:
            notes.append(f"the pixel size in the file, {size:g}, is no length: none is known")
        size, unit = None, ""
    if shifts is not None and not np.isfinite(shifts).all():
        bad = np.flatnonzero(~np.isfinite(shifts).all(axis=1))
        notes.append(
            f"the translations in the file are no numbers for {len(bad)} of {len(shifts)} "
            f"projections, the first is {bad[0]}: they are not used as a start"
        )
        shifts = None
    count = raw.stack.shape[3] if len(raw.stack.shape) == 4 else 1
    if names and len(names) != count:
        notes.append(
            f"the file names {len(names)} channels, {', '.join(names)}, and has {count}: they are "
            "counted from 0 instead"
        )
        names = ()
    if size == raw.pixel_size and not notes:
        return raw
    known = {key: words for key, words in raw.source.items() if key != "pixel_size" or size}
    return replace(
        raw,
        pixel_size=size,
        pixel_unit=unit,
        initial_shifts=shifts,
        channels=names,
        source=known,
        notes=(*raw.notes, *notes),
    )


def stack_of(
    store: Store,
    *,
    n_angles: int | None,
    where: str,
    angle_axis: int | None = None,
    axes: tuple[int, ...] | None = None,
    frames: NDArray[np.intp] | None = None,
) -> RawStack:
    """Return the stack of a 3-D or 4-D dataset, angles first and channels last.

    Parameters
    ----------
    store : Store
        The angles may lie along any axis: the first one, or the only one that is as long as
        there are angles. Of the other axes of a 4-D dataset, channels are at most a quarter as
        many as there are rows and columns.
    n_angles : int, optional
        Number of angles, or of frames with the flat and dark fields, where known.
    where : str
        Name of the dataset, for messages.
    angle_axis : int, optional
        Where the angles lie, as the user says.
    axes : tuple of int, optional
        As the file says: the axes of angles, rows, columns, and channels if any.
    frames : array of int, optional
        Positions of the projections among the frames.

    Raises
    ------
    ScanFileError
        Another number of dimensions, an empty one, or values that are no real numbers.
    """
    kind, shape = np.dtype(store.dtype), store.shape
    if kind.kind not in "iufb":
        raise ScanFileError(
            f"{where} holds values of type {kind}, expected real numbers (for complex data, store "
            "the phase or the amplitude)"
        )
    if axes is None and len(shape) not in (3, 4):
        raise ScanFileError(
            f"{where} has shape {shape}, expected (n_angles, n_rows, n_columns) or "
            "(n_angles, n_rows, n_columns, n_channels)"
        )
    if 0 in shape:
        raise ScanFileError(f"{where} is empty: its shape is {shape}")
    if axes is None or angle_axis is not None:
        axes = _axes(shape, n_angles, angle_axis, where)
    absent = store.absent(axes[0]) if isinstance(store, DatasetStore) else None
    if absent is None:
        absent = np.zeros(shape[axes[0]], dtype=bool)
    return RawStack(store, axes, where, absent, frames)


def _axes(
    shape: tuple[int, ...], n_angles: int | None, angle_axis: int | None, where: str
) -> tuple[int, ...]:
    """Return the axes of angles, rows, columns, and channels if there are any."""
    if angle_axis is not None and not 0 <= angle_axis < len(shape):
        raise ScanFileError(f"{where} has no axis {angle_axis}: its shape is {shape}")
    if angle_axis is None:
        fitting = [axis for axis, size in enumerate(shape) if size == n_angles]
        angle_axis = 0 if n_angles is None or 0 in fitting or not fitting else fitting[0]
        if angle_axis and len(fitting) > 1:
            raise ScanFileError(
                f"{where} has shape {shape} and there are {n_angles} angles: along which axis do "
                f"they lie? Say angle_axis=N (--angle-axis N), N one of {fitting}"
            )
    first, *others = (axis for axis in range(len(shape)) if axis != angle_axis)
    if len(others) == 1:
        return angle_axis, first, *others
    last = others[-1]
    if angle_axis == 0:
        channels = first if 4 * shape[first] <= min(shape[axis] for axis in others) else last
    else:  # as a rule in front, since a file that is ordered by channels has the angles second
        behind = 4 * shape[last] <= min(shape[first], shape[others[0]])
        channels = last if behind else first
    return (
        angle_axis,
        *(axis for axis in (first, *others) if axis != channels),
        channels,
    )


def named_axes(letters: str, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Return the axes of angles, rows, columns and channels by the letters that OME has for them.

    Parameters
    ----------
    letters : str
        One an axis: X, Y and C for columns, rows and channels; all others can be the angles'.
    shape : tuple of int
        Of the stack.
    where : str
        For the message.

    Raises
    ------
    ScanFileError
        There are several axes that can be the angles', or no rows and columns.
    """
    if not {"X", "Y"} <= set(letters):
        raise ScanFileError(f"{where} has the axes {letters}, expected X and Y among them")
    others = [at for at, letter in enumerate(letters) if letter not in "CYX"]
    several = [at for at in others if shape[at] > 1] or others[:1]
    channels = [letters.index("C")] if "C" in letters else []
    if not several or (shape[several[0]] == 1 and channels and shape[channels[0]] > 1):
        several, channels = channels, []  # what is called channels is all there is
    if channels and shape[channels[0]] == 1:
        channels = []
    if len(several) != 1:
        raise ScanFileError(
            f"{where} has the axes {letters} of lengths {shape}: along which do the angles lie? "
            f"Say angle_axis=N (--angle-axis N), N one of {several}"
        )
    return (*several, letters.index("Y"), letters.index("X"), *channels)
