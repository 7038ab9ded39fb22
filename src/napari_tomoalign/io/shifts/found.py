"""What a file of another program says of the images of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry.one_axis import about_one_axis, shared_turn
from ..scan import Scan

__all__ = ["Found"]

_UPRIGHT = 1e-10  # of a cosine: turns of a hundred-thousandth


@dataclass(frozen=True, eq=False)
class Found:
    """What a file says of the images.

    Attributes
    ----------
    shifts : (n_angles, 2) array
    turns : (n_angles,) array, optional
        Radians, the axis vertical: see `ScanGeometry.turns`.
    orientations : (n_angles, 3, 3) array, optional
        The axis vertical: see `ScanGeometry.orientations`. In place of turns.
    """

    shifts: NDArray[np.float64]
    turns: NDArray[np.float64] | None = None
    orientations: NDArray[np.float64] | None = None

    @property
    def is_turned(self) -> bool:
        """Whether the images are not those of an upright axis."""
        if self.orientations is not None:
            return bool(np.abs(self.orientations[:, 0, 0] - 1).max() > _UPRIGHT)
        return self.turns is not None and bool(self.turns.any())

    def lies(self, scan: Scan) -> Mapping[str, Any]:
        """Return how the images of a scan lie by it, by the names of `ScanGeometry`."""
        if self.orientations is None:
            return {} if self.turns is None else shared_turn(self.turns)
        if len(self.orientations) == len(scan.angles) and scan.rotations is None:
            told = about_one_axis(self.orientations, scan.angles)
            if told is not None:
                return told
        return {"rotations": self.orientations}
