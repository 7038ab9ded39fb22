"""What happens to registered shifts before they are added: cutoff, relaxation, centre of mass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry import ScanGeometry

__all__ = ["center_of_mass_term", "cut_off", "relaxation"]


def cut_off(moves: Array, longest: float | None) -> Array:
    """Scale moves longer (Euclidean) than ``longest`` pixels down to it."""
    if longest is None:
        return moves
    length = np.maximum(np.hypot(moves[:, 0], moves[:, 1]), 1e-12)
    cut: Array = moves * np.minimum(1.0, longest / length)[:, None]
    return cut


def relaxation(shifts: Array, weight: float, rng: np.random.Generator) -> Array:
    """Return the stochastic step towards the mean shift.

    With ``d = shifts - mean(shifts)`` and ``r = sign(d) max(0, |d| - |N(0, std(d))|)`` in each
    direction, the step is ``-weight * clip(r, -1, 1)``: far outliers come back by ``weight``
    pixels, what lies within the spread is mostly left alone.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        Current total shifts, pixels.
    weight : float
        Pixels.
    rng : numpy.random.Generator
        The run's own.
    """
    if weight == 0:
        return np.zeros_like(shifts)
    d = shifts - shifts.mean(axis=0)
    threshold = np.abs(rng.normal(0.0, 1.0, d.shape) * d.std(axis=0))
    r = np.sign(d) * np.maximum(0.0, np.abs(d) - threshold)
    step: Array = -weight * np.clip(r, -1.0, 1.0)
    return step


def center_of_mass_term(
    measured: NDArray[np.float32],
    weights: NDArray[np.float32],
    volume: NDArray[np.float32],
    geometry: ScanGeometry,
    weight: float,
) -> Array:
    """Return the step that brings the measured centre of mass onto the reconstruction's.

    The reconstruction's centre of mass is projected by the geometry; both are measured from the
    rotation axis. Each direction is clipped to 1 px. An image without positive mass gives 0.

    Parameters
    ----------
    measured, weights : (n_angles, n_rows, n_columns) array
        The aligned data and their weights.
    volume : (n_rows, volume_width, volume_width) array
    geometry : ScanGeometry
        Of the images.
    weight : float
        Factor of the step.
    """
    if weight == 0:
        return np.zeros((len(measured), 2))
    total = float(volume.sum())
    if not total > 0:
        return np.zeros((len(measured), 2))
    z, y, x = (
        float(np.dot(np.arange(n), volume.sum(axis=other)) / total)
        for n, other in zip(volume.shape, ((1, 2), (0, 2), (0, 1)), strict=True)
    )
    axis = geometry.volume_axis
    expected = np.column_stack(
        [
            np.full(len(measured), z),
            geometry.center
            + (x - axis) * np.cos(geometry.angles)
            - (y - axis) * np.sin(geometry.angles),
        ]
    )
    weighted = measured * weights
    mass = weighted.sum(axis=(1, 2), dtype=np.float64)
    safe = np.where(mass > 0, mass, 1.0)
    rows = weighted.sum(axis=2, dtype=np.float64) @ np.arange(measured.shape[1]) / safe
    columns = weighted.sum(axis=1, dtype=np.float64) @ np.arange(measured.shape[2]) / safe
    step: Array = np.clip(np.column_stack([rows, columns]) - expected, -1.0, 1.0)
    step[~(mass > 0)] = 0.0
    step *= weight
    return step
