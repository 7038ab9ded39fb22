"""What the loop keeps of an iteration, and what a state and a result are made of."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .images.source import Source

__all__ = ["TRUSTED", "Images", "IterationRecord", "Measured", "freeze", "versions_of"]

TRUSTED = 0.5
"""Confidence from which a frame takes part in the reconstruction and moves freely: it departs from
the others' fit by less than half of what makes it foreign (`start.frames.fit_confidence`)."""


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def versions_of(backend: str) -> dict[str, str]:
    """Return the versions of what takes part in a run, by their packages' names."""
    versions = {"python": platform.python_version()}
    for name in ("napari-tomoalign", "numpy", "scipy", "numba", backend):
        if (found := _version(name)) is not None:
            versions[name] = found
    return versions


@cache
def _version(name: str) -> str | None:
    """Return a package's version, None where there is none of that name."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True, eq=False)
class IterationRecord:
    """One iteration, without its images: what the history keeps.

    Attributes
    ----------
    iteration : int
        Counted from 1, over all levels.
    binning : int
        Binning of the level the iteration ran at.
    center : float
        Column of the rotation axis, pixels of the full image.
    shifts : (n_angles, 2) array
        Total shifts after the iteration, (row, column), pixels of the full image.
    moves : (n_angles, 2) array
        What the iteration found, before acceleration and the gauge; 0 where nothing was drawn.
    drawn : (n_drawn,) array of int
        The projections that were registered.
    largest_move, rms_move : float
        Euclidean, over the drawn projections, pixels of the full image, without the gauge: what
        the stop rule looks at.
    residual : float
        ``||measured - reprojection|| / ||measured||`` at these shifts, weighted, over the
        trusted frames.
    residuals : (n_angles,) array
        The same for each projection.
    standard_error : (n_angles, 2) array
        Estimated standard error of each shift, pixels of the full image; NaN where unknown.
    confidence : (n_angles,) array
        0 (does not fit, not moved, not used) to 1 (fits as well as the others do).
    seconds : float
        Wall time of the iteration.
    notes : tuple of str
        What deserves a word: non-finite answers, frames that were frozen.
    geometry : mapping of str to array
        What ``refine`` names beside the shifts, after the iteration, radians: () for the scan's,
        (n_angles,) for each projection's.
    geometry_moves : mapping of str to array
        What the iteration found of them, before acceleration.
    geometry_error : mapping of str to array
        Their standard errors, radians; NaN where unknown.
    """

    iteration: int
    binning: int
    center: float
    shifts: NDArray[np.float64]
    moves: NDArray[np.float64]
    drawn: NDArray[np.intp]
    largest_move: float
    rms_move: float
    residual: float
    residuals: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    confidence: NDArray[np.float64]
    seconds: float
    notes: tuple[str, ...] = ()
    geometry: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    geometry_moves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    geometry_error: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was aligned, at full size, as it was measured: not moved, and read piece by piece.

    Attributes
    ----------
    projections : Source
        ``(n_angles, n_rows, n_columns)`` line integrals, larger where the object is; what is no
        object is taken out.
    weights : Source, optional
        0 (ignore) to 1. None: all 1.
    sign : int
        -1 where the images were turned over for that, so that what comes out is to be turned back.
    """

    projections: Source
    weights: Source | None
    sign: int


Images = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Reconstruction, reprojections and reference that belong together."""
