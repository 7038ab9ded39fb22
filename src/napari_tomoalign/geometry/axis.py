"""Turn scans whose rotation axis is horizontal, so that everything else sees a vertical one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["RotationAxis", "turn_projections", "turn_volume"]

RotationAxis = Literal["vertical", "horizontal"]


def turn_projections(stack: NDArray[Any], rotation_axis: RotationAxis) -> NDArray[Any]:
    """Swap rows and columns of a stack whose axis is horizontal; its own inverse.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns, ...) array
        Or shifts, ``(n_angles, 2)``, whose two columns are swapped.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the axis in the image as it was measured.
    """
    if rotation_axis == "vertical":
        return stack
    return stack[:, ::-1] if stack.ndim == 2 else np.swapaxes(stack, 1, 2)


def turn_volume(volume: NDArray[Any], rotation_axis: RotationAxis) -> NDArray[Any]:
    """Swap slice and x of a volume, so that its axes follow the measured image's; its own inverse.

    Parameters
    ----------
    volume : (n_slices, n_y, n_x) array
        A reconstruction about a vertical axis.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the axis in the image as it was measured.
    """
    return volume if rotation_axis == "vertical" else np.swapaxes(volume, 0, 2)
