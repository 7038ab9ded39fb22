"""Where a voxel lands: angles, rotation centre, shapes and the direction of the axis.

This is the one place that knows. Everything else asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScanGeometry"]


@dataclass(frozen=True, eq=False)
class ScanGeometry:
    """Parallel-beam geometry of a scan with a vertical rotation axis.

    A voxel ``x`` columns to the right of the axis and ``r`` rows below it (larger index) in a
    slice lands at column ``center + x cos(angle) - r sin(angle)``.

    Parameters
    ----------
    angles : (n_angles,) array of float64
        Radians, in any order and range.
    n_rows, n_columns : int
        Shape of one projection.
    center : float
        Column of the rotation axis in a projection, in pixels, pixel centres at integers.
    volume_width : int, optional
        Rows and columns of a slice, at least ``n_columns``. A grid wider than the detector holds
        an object that leaves the field of view. Default ``n_columns``.

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
    """

    angles: NDArray[np.float64]
    n_rows: int
    n_columns: int
    center: float
    volume_width: int = field(default=0)

    def __post_init__(self) -> None:
        """Own the angles, so that nobody can change them."""
        angles = np.array(self.angles, dtype=np.float64)
        angles.flags.writeable = False
        object.__setattr__(self, "angles", angles)
        object.__setattr__(self, "center", float(self.center))
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
    def reach(self) -> float:
        """How far from the axis, in voxels, an object can be told: the rest of a slice stays 0.

        Half the grid; or, where the axis is off the detector's middle, its farther border.
        """
        farther = max(self.center, self.n_columns - 1 - self.center) + 0.5
        return max(self.volume_width / 2, farther)

    @property
    def complete(self) -> bool:
        """Whether the angles go all round, in steps that a direct inversion can bear.

        Opposite views count as one. No step of the half turn is longer than three times the
        median one, nor than ``12 / n_columns`` radians, which are six pixels at the border.
        """
        folded = np.sort(np.mod(self.angles, np.pi))
        steps = np.diff(folded, append=folded[0] + np.pi)
        steps = steps[steps > 1e-5]  # repeated and opposite views
        longest = float(steps.max())
        return longest <= 3 * float(np.median(steps)) and longest <= 12 / self.n_columns

    def with_changes(self, **changes: Any) -> ScanGeometry:
        """Return a copy with some fields changed."""
        return replace(self, **changes)
