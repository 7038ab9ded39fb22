"""Whether orientations of images are those of one axis, and how that lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scan_geometry import ScanGeometry

__all__ = ["about_one_axis", "shared_turn"]

_Array = NDArray[np.float64]

_SAME = 1e-6  # radians: what the digits of a file leave of a turn that images share


def about_one_axis(orientations: _Array, angles: _Array) -> Mapping[str, Any] | None:
    """Return how the one axis lies that images were taken about at some angles.

    Parameters
    ----------
    orientations : (n_angles, 3, 3) array
        See `ScanGeometry.orientations`.
    angles : (n_angles,) array
        Radians.

    Returns
    -------
    mapping, or None
        ``axis_angle``, ``axis_tilt`` and ``in_plane`` of `ScanGeometry`. None: there is no such
        axis.
    """
    about = ScanGeometry(angles, 1, 1).orientations
    placed = orientations @ about.transpose(0, 2, 1)  # a turn in the plane after a lean
    leans = np.arctan2(placed[:, 1, 0], placed[:, 1, 1])
    tilt = float(np.median(leans))
    if max(np.abs(placed[:, 1, 2]).max(), np.abs(leans - tilt).max()) > _SAME:
        return None
    tilt = tilt if abs(tilt) > _SAME else 0.0
    return {**shared_turn(np.arctan2(-placed[:, 0, 2], placed[:, 2, 2])), "axis_tilt": tilt}


def shared_turn(turns: _Array) -> Mapping[str, Any]:
    """Return turns of images in their plane, radians, as the axis' and what is left beside it."""
    axis_angle = float(np.median(turns))
    axis_angle = axis_angle if abs(axis_angle) > _SAME else 0.0
    rest = turns - axis_angle
    return {
        "axis_angle": axis_angle,
        "in_plane": rest if np.abs(rest).max() > _SAME else None,
    }
