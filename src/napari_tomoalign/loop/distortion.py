"""What misfit looks like that a shift cannot take away: a turn in the plane, a growing object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..images.filtering import counted_pixels, smooth
from .model import Model
from .slabs import BLURRED_MARGIN

__all__ = ["Distortion", "measure_distortion"]

_CLEAR = 4.0  # standard errors: one in 16,000 is so large by chance


@dataclass(frozen=True)
class Distortion:
    """Each 0 where it is not clear. Both are too small: the reconstruction follows in part.

    Attributes
    ----------
    turn : float
        Mean turn of the images in their plane, rows into columns, radians.
    growth : float
        How much larger the object is at the end than at the beginning, relative.
    """

    turn: float
    growth: float


def measure_distortion(model: Model, counted: NDArray[np.bool_]) -> Distortion:
    """Fit a turn and a scale to what remains in each image, beside shift, gain and offset."""
    which = np.flatnonzero(counted)
    n = len(which)
    if n < 8 or min(model.measured.shape[1:]) < 8:
        return Distortion(0.0, 0.0)
    found = np.array([_turn_and_scale(model, int(i)) for i in which])
    turn, scale = found.T
    order = which - which.mean()
    slope = float(order @ scale / (order @ order))
    spread = scale - scale.mean() - slope * order
    growth = slope * np.ptp(which)
    growth_error = spread.std() / np.sqrt(order @ order) * np.ptp(which)
    mean, error = float(turn.mean()), float(turn.std() / np.sqrt(n))
    return Distortion(
        turn=mean if abs(mean) > _CLEAR * error else 0.0,
        growth=float(growth) if abs(growth) > _CLEAR * growth_error else 0.0,
    )


def _turn_and_scale(model: Model, i: int) -> Array:
    """Return the turn and the growth of an image against its reprojection."""
    template = smooth(model.reprojected[i : i + 1])[0]
    everywhere = (slice(None), slice(None))
    weights = model.weights[i] * counted_pixels(template.shape, everywhere, BLURRED_MARGIN)
    down, along = np.gradient(template.astype(np.float64))
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in template.shape)
    turned = along * rows[:, None] - down * columns
    grown = along * columns + down * rows[:, None]
    design = np.stack([down, along, template, np.ones_like(down), turned, -grown], axis=-1)
    root = np.sqrt(weights).ravel()
    misfit = (model.measured[i] - model.reprojected[i]).ravel()
    solution = np.linalg.lstsq(design.reshape(-1, 6) * root[:, None], misfit * root, rcond=None)[0]
    found: Array = solution[4:]
    return found
