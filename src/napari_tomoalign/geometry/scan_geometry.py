"""Where points of the object land: orientations, the axis' place, shapes.

This is the one place that knows. Everything else asks.

The object's coordinates are ``(z, y, x)`` in voxels from a point of the rotation axis: z along the
slice index, y and x within a slice. The laboratory's are ``(row, depth, column)`` in pixels, depth
along the beam. At angle 0 about a vertical axis the two coincide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ScanGeometry", "binned_position", "directions_of"]

_Array = NDArray[np.float64]

_ORTHOGONAL = 1e-5  # how far a rotation may be from one: what single precision leaves of a product
_ALONG_SLICES = 0.01  # voxels by which a ray may leave its slice at the border: it sees no other


@dataclass(frozen=True, eq=False)
class ScanGeometry:
    """Parallel-beam geometry of a scan: about one axis, or by a rotation for each projection.

    About a vertical axis, a voxel ``x`` columns to the right of the axis and ``r`` rows below it
    (larger index) in a slice lands at column ``center + x cos(angle) - r sin(angle)``, in the row
    of its slice. `lands` says where in general.

    Parameters
    ----------
    angles : (n_angles,) array of float64
        Radians, in any order and range. Where ``rotations`` are given they follow from those: the
        turn of the detector's columns within a slice.
    n_rows, n_columns : int
        Shape of one projection.
    center : float
        Column of the rotation axis in a projection, in pixels, pixel centres at integers: that of
        the volume's middle, where the axis is not vertical. Default ``(n_columns - 1) / 2``.
    volume_width : int, optional
        Rows and columns of a slice, at least ``n_columns``. A grid wider than the detector holds
        an object that leaves the field of view. Default ``n_columns``.
    row_center : float, optional
        Row on which the origin of the object's coordinates lands, and slice that it lies in.
        Default ``(n_rows - 1) / 2``; `rows_of` keeps it where it is.
    axis_angle : float
        Radians by which the axis is turned in the image, from the rows' direction towards larger
        columns.
    axis_tilt : float
        Radians by which the axis leans along the beam, its end at larger rows downstream.
    rotations : (n_angles, 3, 3) array of float64, optional
        Take (z, y, x) of the object to (row, depth, column), in place of angles and axis.
    in_plane : (n_angles,) array of float64, optional
        Radians by which each image is turned in its plane beside all that, as the axis is by
        ``axis_angle``.

    Raises
    ------
    ValueError
        Neither angles nor rotations, rotations that are none, or shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tomoalign import ScanGeometry
    >>> geometry = ScanGeometry(np.linspace(0, np.pi, 180, endpoint=False), 64, 128, center=63.5)
    >>> geometry.projections_shape
    (180, 64, 128)
    >>> geometry.volume_shape  # slice, y, x
    (64, 128, 128)
    >>> geometry.with_changes(center=60.0).center
    60.0
    >>> geometry.lands([0.0, 0.0, 10.0])[[0, 90]]  # 10 columns right of the axis, in its middle
    array([[31.5, 73.5],
           [31.5, 63.5]])
    >>> leaning = geometry.with_changes(axis_tilt=np.deg2rad(30))
    >>> leaning.has_vertical_axis
    False
    """

    angles: _Array = field(default_factory=lambda: np.zeros(0))
    n_rows: int = 0
    n_columns: int = 0
    center: float = math.nan
    volume_width: int = 0
    row_center: float = math.nan
    axis_angle: float = 0.0
    axis_tilt: float = 0.0
    rotations: _Array | None = None
    in_plane: _Array | None = None

    def __post_init__(self) -> None:
        """Own the arrays, so that nobody can change them; fill in what was left out."""
        for name in ("n_rows", "n_columns"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        angles = np.array(self.angles, dtype=np.float64)
        if self.rotations is not None:
            rotations = _checked(self.rotations, self.axis_angle, self.axis_tilt)
            angles = np.arctan2(-rotations[:, 2, 1], rotations[:, 2, 2])
            rotations.flags.writeable = False
            object.__setattr__(self, "rotations", rotations)
        if angles.ndim != 1 or not len(angles):
            raise ValueError(
                f"angles must be one for each projection, radians; got shape {angles.shape}: give "
                "angles or rotations"
            )
        angles.flags.writeable = False
        object.__setattr__(self, "angles", angles)
        if self.in_plane is not None:
            in_plane = np.array(self.in_plane, dtype=np.float64)
            if in_plane.shape != angles.shape:
                raise ValueError(
                    f"in_plane must be a turn for each of {len(angles)} projections, radians; got "
                    f"shape {in_plane.shape}"
                )
            in_plane.flags.writeable = False
            object.__setattr__(self, "in_plane", in_plane)
        for name, value in (
            ("center", (self.n_columns - 1) / 2),
            ("row_center", (self.n_rows - 1) / 2),
        ):
            given = float(getattr(self, name))
            object.__setattr__(self, name, value if math.isnan(given) else given)
        if not self.volume_width:
            object.__setattr__(self, "volume_width", self.n_columns)

    @property
    def n_angles(self) -> int:
        """Number of projections."""
        return len(self.angles)

    @property
    def projections_shape(self) -> tuple[int, int, int]:
        """``(n_angles, n_rows, n_columns)``."""
        return self.n_angles, self.n_rows, self.n_columns

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        """``(n_rows, volume_width, volume_width)``: slice, y, x."""
        return self.n_rows, self.volume_width, self.volume_width

    @property
    def volume_axis(self) -> float:
        """Index, along y and x alike, of the rotation axis in a slice."""
        return (self.volume_width - 1) / 2

    @property
    def orientations(self) -> _Array:
        """Rotations, (n_angles, 3, 3), that take (z, y, x) to (row, depth, column)."""
        placed = self._before_turns
        if self.axis_angle:
            placed = _turned(np.array([self.axis_angle]), (0, 2)) @ placed
        if self.in_plane is not None:
            placed = _turned(self.in_plane, (0, 2)) @ placed
        return placed

    @property
    def _before_turns(self) -> _Array:
        """Orientations, (n_angles, 3, 3), without ``axis_angle`` and ``in_plane``."""
        if self.rotations is not None:
            return self.rotations
        about = _turned(self.angles, (2, 1))
        if not self.axis_tilt:
            return about
        return np.asarray(_turned(np.array([self.axis_tilt]), (0, 1)) @ about)

    @property
    def directions(self) -> _Array:
        """Where the detector's axes point, (n_angles, 2, 3): of rows and columns, in (z, y, x)."""
        return self.orientations[:, [0, 2]]

    @property
    def rays(self) -> _Array:
        """Where the beam points, (n_angles, 3), in (z, y, x)."""
        return self.orientations[:, 1]

    def lands(self, points: ArrayLike) -> _Array:
        """Say where points of the object land on the detector.

        Parameters
        ----------
        points : (..., 3) array
            (z, y, x) from the volume's origin, in voxels.

        Returns
        -------
        (n_angles, ..., 2) array of float64
            (row, column), pixels.
        """
        places = np.tensordot(self.directions, np.asarray(points, dtype=np.float64), (2, -1))
        landing: _Array = np.moveaxis(places, 1, -1) + np.array([self.row_center, self.center])
        return landing

    @property
    def has_vertical_axis(self) -> bool:
        """Whether every slice lands in a row of its own, so that slices are independent."""
        return not self.halo

    @property
    def turns(self) -> _Array:
        """Radians, (n_angles,), by which images are turned in their plane, see `upright`."""
        turns = np.full(self.n_angles, float(self.axis_angle))
        if self.in_plane is not None:
            turns += self.in_plane
        if self.rotations is not None and self._keeps_slices:
            turns += np.arctan2(self.rotations[:, 2, 0], self.rotations[:, 0, 0])
        return turns

    def turning(self, binning: float = 1.0) -> tuple[_Array, tuple[float, float]] | None:
        """Return the `turns` of images, and the row and column that they are turned about.

        Parameters
        ----------
        binning : float
            Pixels of the scan that make one of the images.

        Returns
        -------
        (n_angles,) array and (float, float), or None
            Radians; pixels of the images. None where no image is turned.
        """
        turns = self.turns
        if not turns.any():
            return None
        row, column = ((at + 0.5) / binning - 0.5 for at in (self.row_center, self.center))
        return turns, (row, column)

    @property
    def upright(self) -> ScanGeometry:
        """The geometry of the images turned back by `turns` about ``(row_center, center)``.

        Its axis is not turned in the images. Where rotations are turns of images about a vertical
        axis, and nothing else, it is vertical then.
        """
        plain = replace(self, axis_angle=0.0, in_plane=None)
        if self.rotations is None or not self._keeps_slices:
            return plain
        across = _turned(-self.turns, (0, 2)) @ self.orientations
        angles = np.arctan2(-across[:, 2, 1], across[:, 2, 2])
        return replace(plain, rotations=None, angles=angles)

    @property
    def _keeps_slices(self) -> bool:
        """Whether rays run within slices, so that images need only be turned in their plane."""
        slanted = np.abs(self._before_turns[:, 1, 0]).max()
        return bool(slanted * self.support_radius < _ALONG_SLICES)

    @property
    def halo(self) -> int:
        """How many rows beyond its own a slice reaches on the detector, at most."""
        down = self.directions[:, 0]
        tilt = float(np.hypot(down[:, 1], down[:, 2]).max())
        stretch = float(np.abs(1 - down[:, 0]).max()) * self.n_rows / 2
        return math.ceil(tilt * self.support_radius + stretch - 1e-9)

    @property
    def support_radius(self) -> float:
        """How far from the axis, in voxels, an object can be told: the rest of a slice stays 0.

        Half the grid; or, where the axis is off the detector's middle, its farther border.
        """
        farther = max(self.center, self.n_columns - 1 - self.center) + 0.5
        return max(self.volume_width / 2, farther)

    @property
    def has_angular_coverage(self) -> bool:
        """Whether the angles go all round, in steps that a direct inversion can bear.

        Opposite views count as one. No step of the half turn is longer than three times the
        median one, nor than ``12 / n_columns`` radians, which are six pixels at the border.
        """
        folded = np.sort(np.mod(self.angles, np.pi))
        steps = np.diff(folded, append=folded[0] + np.pi)
        steps = steps[steps > 1e-5]  # repeated and opposite views
        longest = float(steps.max())
        return longest <= 3 * float(np.median(steps)) and longest <= 12 / self.n_columns

    def subset(self, frames: Any) -> ScanGeometry:
        """Return the geometry of some of the projections: a slice, a mask or indices."""
        rotations = None if self.rotations is None else self.rotations[frames]
        in_plane = None if self.in_plane is None else self.in_plane[frames]
        return replace(self, angles=self.angles[frames], rotations=rotations, in_plane=in_plane)

    def rows_of(self, slab: slice) -> ScanGeometry:
        """Return the geometry of some rows, and of the slices of the same index."""
        first, last, step = slab.indices(self.n_rows)
        if step != 1 or last <= first:
            raise ValueError(f"rows must be a run of them, within 0 to {self.n_rows}; got {slab}")
        return replace(self, n_rows=last - first, row_center=self.row_center - first)

    def binned(self, columns: int, rows: int | None = None) -> ScanGeometry:
        """Return the geometry of images, and of a volume, whose pixels are blocks of so many.

        The grid's margin beyond the detector stays. Positions follow `binned_position`.

        Parameters
        ----------
        columns : int
            Columns of a block.
        rows : int, optional
            Rows of a block, where the axis is vertical, so that the size of a pixel along it is
            free. Default ``columns``.
        """
        rows = columns if rows is None else rows
        if rows != columns and not self.has_vertical_axis:
            raise ValueError(
                f"rows and columns must be binned alike where the axis is not vertical, got {rows} "
                f"and {columns}"
            )
        n_columns = self.n_columns // columns
        margin = math.ceil((self.volume_width - self.n_columns) / 2 / columns)
        return replace(
            self,
            n_rows=self.n_rows // rows,
            n_columns=n_columns,
            center=binned_position(self.center, columns),
            volume_width=n_columns + 2 * margin,
            row_center=binned_position(self.row_center, rows),
        )

    def with_changes(self, **changes: Any) -> ScanGeometry:
        """Return a copy with some fields changed."""
        if "n_rows" in changes:
            changes.setdefault("row_center", math.nan)
        return replace(self, **changes)


def binned_position(position: float, binning: int) -> float:
    """Return where a row or column of the full image lies on binned pixels.

    A binned pixel ``i`` covers the pixels ``i b`` to ``i b + b - 1``, so its middle is the pixel
    ``i b + (b - 1) / 2``.
    """
    return (position - (binning - 1) / 2) / binning


def directions_of(views: ArrayLike) -> _Array:
    """Return `ScanGeometry.directions`, given them or the angles about a vertical axis.

    Parameters
    ----------
    views : (n_angles,) or (n_angles, 2, 3) array
        Radians; or directions.
    """
    given = np.asarray(views, dtype=np.float64)
    return _turned(given, (2, 1))[:, [0, 2]] if given.ndim == 1 else given


def _turned(angles: _Array, plane: tuple[int, int]) -> _Array:
    """Return rotations by angles in the plane of two axes, from the first towards the second.

    Of coordinates (a, b): ``a' = a cos - b sin`` and ``b' = b cos + a sin``.
    """
    a, b = plane
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, a, a] = turns[:, b, b] = np.cos(angles)
    turns[:, b, a] = np.sin(angles)
    turns[:, a, b] = -turns[:, b, a]
    return turns


def _checked(rotations: ArrayLike, axis_angle: float, axis_tilt: float) -> _Array:
    """Return rotations of our own, or say what is wrong with them."""
    given = np.array(rotations, dtype=np.float64)
    if axis_angle or axis_tilt:
        raise ValueError("rotations hold the axis: leave out axis_angle and axis_tilt")
    if given.ndim != 3 or given.shape[1:] != (3, 3) or not len(given):
        raise ValueError(f"rotations must have shape (n_angles, 3, 3), got {given.shape}")
    off = np.abs(given @ given.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    bad = ~(off < _ORTHOGONAL)
    if bad.any():
        raise ValueError(
            f"rotations must be orthogonal; {int(bad.sum())} of {len(given)} are not (the first at "
            f"index {int(np.argmax(bad))}, by {off[np.argmax(bad)]:.2g}): normalise them"
        )
    mirrored = np.linalg.det(given) < 0
    if mirrored.any():
        raise ValueError(
            f"rotations must not mirror; {int(mirrored.sum())} of {len(given)} do (the first at "
            f"index {int(np.argmax(mirrored))}): turn over one of the axes"
        )
    return given
