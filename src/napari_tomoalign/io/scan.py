"""A scan as it was read, whatever the file was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis

__all__ = ["Scan"]


@dataclass(frozen=True, eq=False)
class Scan:
    """Projections with all that belongs to them.

    Attributes
    ----------
    projections : (n_angles, n_rows, n_columns) or (n_angles, n_rows, n_columns, n_channels) array
        Line integrals (absorbance), the rotation axis vertical. May be read only when asked for.
    angles : (n_angles,) array of float64
        Radians.
    weights : (n_angles, n_rows, n_columns) array of float32, optional
        0 where a pixel is to be ignored. None: all count.
    pixel_size : float, optional
        Edge of a pixel, in ``pixel_unit``.
    pixel_unit : str
        Such as ``"nm"``; empty where unknown.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the axis in the image as it was measured; a horizontal one was turned.
    channels : tuple of str
        Names of the channels of a 4-D stack.
    source : mapping of str to str
        Where each came from: file, dataset and unit of projections, angles, flats ...
    preparation : tuple of str
        What was done to the counts, one step a line.
    remarks : tuple of str
        What the user should know before anything is done with the scan: what was recognised where
        the file leaves room for doubt, what is missing, what was left out.
    initial_shifts : (n_angles, 2) array of float64, optional
        Row and column shifts in pixels that the file itself knows of, such as the translations
        of the sample; fit for ``initial_shifts`` of the alignment.
    true_shifts : (n_angles, 2) array of float64, optional
        Of a simulated scan.
    rotations : (n_angles, 3, 3) array of float64, optional
        Of a scan about more than one axis, see `ScanGeometry`; ``angles`` follow from them.
    """

    projections: NDArray[Any]
    angles: NDArray[np.float64]
    weights: NDArray[np.float32] | None = None
    pixel_size: float | None = None
    pixel_unit: str = ""
    rotation_axis: RotationAxis = "vertical"
    channels: tuple[str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    preparation: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    initial_shifts: NDArray[np.float64] | None = None
    true_shifts: NDArray[np.float64] | None = None
    rotations: NDArray[np.float64] | None = None

    @property
    def views(self) -> dict[str, Any]:
        """``angles`` and ``rotations`` as `iterate_alignment` takes them: one of them is None."""
        return {
            "angles": self.angles if self.rotations is None else None,
            "rotations": self.rotations,
        }
