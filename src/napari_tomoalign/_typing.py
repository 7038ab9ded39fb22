"""The arrays that pass through the rooms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Stack"]

Array = NDArray[np.float64]
"""Numbers that are reckoned with: shifts, errors, sums."""

Stack = NDArray[np.float32]
"""Images or slices, one after the other; or a volume."""
