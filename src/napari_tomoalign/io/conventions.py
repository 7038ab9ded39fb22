"""Shifts in the conventions of other programs, there and back.

Every program has its own sign and order. Here each is one pair of functions, from our shifts
(how far the measured image is displaced, (row, column), positive towards larger index) to theirs
and back. A program without a place for the column of the axis takes it in the middle of the
images: it is given shifts of `ShiftsFile.centred`.

=========  ==============================================================================
TomoPy     ``sx`` is the row and ``sy`` the column shift, as `align_joint` returns and
           `shift_images` takes them: output pixel ``(r, c)`` is fetched from ``(r + sx,
           c + sy)``. The same sign as ours.
mumott     ``j_offsets`` (first image axis) and ``k_offsets`` (second): the ray of pixel
           ``(j, k)`` goes through ``(j + j_offset, k + k_offset)`` of the model. Minus ours.
           Its default geometry has the rotation axis along k.
IMOD       ``A11 A12 A21 A22 DX DY`` a line: ``newstack`` moves the image by ``(DX, DY)``
           columns and rows, so these are minus ours. Rows count as they lie in the MRC file.
           The matrix turns about the image's middle until the axis is upright: with X columns
           and Y lines from there, ``X' = A11 X + A12 Y + DX`` and ``Y' = A21 X + A22 Y + DY``.
ASTRA      12 numbers a projection, ``parallel3d_vec``: where the ray points, where the detector's
           middle is, and the vectors from a pixel to the next one in its row and in its column,
           in (x, y, z) from the volume's middle. They hold shifts and geometry.
NXtomo     ``x_translation``, ``y_translation`` of the sample, metres: x towards larger column,
           y upwards, towards smaller row.
CSV        ours, with a header line.
=========  ==============================================================================
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import ScanGeometry

__all__ = [
    "from_astra",
    "from_imod",
    "from_mumott",
    "from_nxtomo",
    "from_tomopy",
    "orientations_of_astra",
    "to_astra",
    "to_imod",
    "to_mumott",
    "to_nxtomo",
    "to_tomopy",
    "turns_of_imod",
]

ImageAxis = Literal["j", "k"]
"""The first and the second axis of mumott's images."""

_STRETCH = 2e-3  # of the squared length: a thousandth of the side, the digits of some files

_SLANTED = 1e-5  # of unit vectors, as `ScanGeometry` takes rotations for such

Shifts = NDArray[np.float64]
Pair = tuple[Shifts, Shifts]


def _columns(first: ArrayLike, second: ArrayLike) -> Shifts:
    pair = [np.asarray(values, dtype=np.float64).ravel() for values in (first, second)]
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"expected as many row as column shifts, got {pair[0].size} and {pair[1].size}"
        )
    return np.column_stack(pair)


def to_tomopy(shifts: ArrayLike) -> Pair:
    """Return ``(sx, sy)`` as TomoPy's ``align_joint`` has them: row and column shifts."""
    shifts = np.asarray(shifts, dtype=np.float64)
    return shifts[:, 0].copy(), shifts[:, 1].copy()


def from_tomopy(sx: ArrayLike, sy: ArrayLike) -> Shifts:
    """Return ``(n_angles, 2)`` shifts from TomoPy's ``sx`` (rows) and ``sy`` (columns)."""
    return _columns(sx, sy)


def to_mumott(shifts: ArrayLike, rows: ImageAxis = "j") -> Pair:
    """Return ``(j_offsets, k_offsets)`` for a mumott geometry.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        (row, column), pixels.
    rows : {"j", "k"}
        Which of mumott's image axes the rows of our images are counted along. The rotation axis
        is along our rows, and in mumott's default geometry it is along k: there, ``"k"``.
    """
    along_rows, along_columns = -np.asarray(shifts, dtype=np.float64).T
    return (along_rows, along_columns) if _checked(rows) == "j" else (along_columns, along_rows)


def from_mumott(j_offsets: ArrayLike, k_offsets: ArrayLike, rows: ImageAxis = "j") -> Shifts:
    """Return ``(n_angles, 2)`` shifts from a mumott geometry's offsets, see `to_mumott`."""
    pair = (j_offsets, k_offsets) if _checked(rows) == "j" else (k_offsets, j_offsets)
    return -_columns(*pair)


def _checked(rows: str) -> str:
    if rows not in get_args(ImageAxis):
        raise ValueError(f"rows must be 'j' or 'k', the image axis that rows are, got {rows!r}")
    return rows


def to_imod(shifts: ArrayLike, turns: ArrayLike | None = None) -> Shifts:
    """Return ``(n_angles, 6)`` transforms ``A11 A12 A21 A22 DX DY`` that align the images.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        (row, column), pixels, the axis in the middle of the images.
    turns : (n_angles,) array, optional
        By how much the images are turned, radians, from the rows' direction towards larger
        columns; they are turned back.
    """
    shifts = np.asarray(shifts, dtype=np.float64)
    turns = np.zeros(len(shifts)) if turns is None else np.asarray(turns, dtype=np.float64)
    cos, sin = np.cos(turns), np.sin(turns)
    back = np.stack([cos, -sin, sin, cos], axis=1) + 0.0  # no -0 in the file
    moved = -np.einsum("nij,nj->ni", back.reshape(-1, 2, 2), shifts[:, ::-1])
    return np.concatenate([back, moved], axis=1)


def from_imod(transforms: ArrayLike) -> Shifts:
    """Return ``(n_angles, 2)`` shifts from the lines of an ``.xf`` file (see `turns_of_imod`).

    Raises
    ------
    ValueError
        Another shape, or transforms that stretch the image.
    """
    turns = turns_of_imod(transforms)
    cos, sin = np.cos(turns), np.sin(turns)
    right, down = np.atleast_2d(np.asarray(transforms, dtype=np.float64))[:, 4:].T
    return -np.stack([down * cos - right * sin, right * cos + down * sin], axis=1)


def turns_of_imod(transforms: ArrayLike) -> Shifts:
    """Return the turns ``(n_angles,)`` of the images, radians, that `to_imod` turns back.

    Raises
    ------
    ValueError
        Another shape, or transforms that stretch the image.
    """
    table = np.atleast_2d(np.asarray(transforms, dtype=np.float64))
    if table.shape[1] != 6:
        raise ValueError(f"expected 6 numbers a line (A11 A12 A21 A22 DX DY), got {table.shape[1]}")
    back = table[:, :4].reshape(-1, 2, 2)
    stretched = np.abs(back.swapaxes(1, 2) @ back - np.eye(2)).max(axis=(1, 2)) > _STRETCH
    stretched |= np.linalg.det(back) < 0
    if stretched.any():
        raise ValueError(
            f"{int(stretched.sum())} of {len(table)} transforms stretch or mirror the image, the "
            f"first is number {int(np.argmax(stretched))}; shifts cannot say that: apply the "
            "transforms to the images first"
        )
    turns: Shifts = np.arctan2(back[:, 1, 0] - back[:, 0, 1], back[:, 0, 0] + back[:, 1, 1])
    return turns


def to_astra(shifts: ArrayLike, geometry: ScanGeometry) -> Shifts:
    """Return the ``(n_angles, 12)`` vectors of ``parallel3d_vec`` for the images as measured.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        (row, column), pixels.
    geometry : ScanGeometry
        The volume's x, y and z are those of its reconstruction (slice, y, x).
    """
    middle = np.array([(geometry.n_rows - 1) / 2, (geometry.n_columns - 1) / 2])
    place = np.array([geometry.row_center, geometry.center]) + np.asarray(shifts, np.float64)
    down, across = geometry.directions[:, 0], geometry.directions[:, 1]
    off = middle - place
    detector = off[:, :1] * down + off[:, 1:] * across
    vectors = (geometry.rays, detector, across, down)
    return np.concatenate([vector[:, ::-1] for vector in vectors], axis=1)


def from_astra(vectors: ArrayLike) -> Shifts:
    """Return ``(n_angles, 2)`` shifts from ``parallel3d_vec``, about an axis in the middle.

    Raises
    ------
    ValueError
        Another shape.
    """
    _, detector, across, down = _vectors_of_astra(vectors)
    return -np.stack(
        [np.sum(detector * axis, axis=1) / np.sum(axis * axis, axis=1) for axis in (down, across)],
        axis=1,
    )


def orientations_of_astra(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the orientations, see `ScanGeometry`, (n_angles, 3, 3), of ``parallel3d_vec``.

    Raises
    ------
    ValueError
        Another shape, or a detector that is no rectangular one across the rays.
    """
    ray, _, across, down = (vector[:, ::-1] for vector in _vectors_of_astra(vectors))
    ray, across, down = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (ray, across, down))
    depth = np.cross(across, down)
    off = np.maximum(np.abs(np.sum(across * down, axis=1)), 1 - np.abs(np.sum(depth * ray, axis=1)))
    if not (off < _SLANTED).all():
        raise ValueError(
            f"{int(np.sum(~(off < _SLANTED)))} of {len(off)} detectors are not rectangular and "
            "across their rays: geometries here have no others"
        )
    return np.stack([down, depth, across], axis=1)


def _vectors_of_astra(vectors: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    table = np.asarray(vectors, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 12:
        raise ValueError(f"expected (n_angles, 12) numbers of parallel3d_vec, got {table.shape}")
    return tuple(table[:, first : first + 3] for first in (0, 3, 6, 9))


def to_nxtomo(shifts: ArrayLike, pixel_size: float) -> Pair:
    """Return ``(x_translation, y_translation)`` of the sample in the unit of ``pixel_size``."""
    shifts = np.asarray(shifts, dtype=np.float64)
    return shifts[:, 1] * pixel_size, -shifts[:, 0] * pixel_size


def from_nxtomo(x_translation: ArrayLike, y_translation: ArrayLike, pixel_size: float) -> Shifts:
    """Return ``(n_angles, 2)`` shifts from translations in the unit of ``pixel_size``."""
    return _columns(-np.asarray(y_translation, dtype=np.float64), x_translation) / pixel_size
