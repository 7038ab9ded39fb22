"""The one logarithm: absorbance of transmission."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["absorbance"]


def absorbance(transmission: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return ``-log`` of transmission, 0 where there is none, and which pixels have one.

    Parameters
    ----------
    transmission : array
        ``I / I0``; a pixel of 0 or less has no absorbance.
    """
    lit = transmission > 0
    if transmission.dtype.kind == "f" and lit.all():
        values = np.log(transmission)
        return np.negative(values, out=values), lit
    kind = transmission.dtype if transmission.dtype.kind == "f" else np.dtype(np.float32)
    values = np.where(lit, transmission, 1).astype(kind, copy=False)
    return -np.log(values, out=values), lit
