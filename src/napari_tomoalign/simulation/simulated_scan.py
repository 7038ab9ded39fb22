"""A simulated scan, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry
from .bodies import Body, voxelise

__all__ = ["SimulatedScan"]


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """A scan and the truth about it.

    Attributes
    ----------
    projections : (n_angles, n_rows, n_columns) array of float32
        Absorbance, with noise, blank and duplicated frames and garbage, as asked for.
    geometry : ScanGeometry
        Where the object's points land in the images that are not displaced.
    shifts : (n_angles, 2) array of float64
        How far each image is displaced, (row, column), pixels: exact.
    weights : (n_angles, n_rows, n_columns) array of float32, optional
        0 where a pixel is masked.
    clean : (n_angles, n_rows, n_columns) array of float32
        The projections without noise and garbage.
    noise_sigma : float
        Standard deviation of the noise; with photons, its root mean square over the stack.
    photons : float, optional
        Of the unattenuated beam in a pixel; None where the noise is the same everywhere.
    blank : (n_blank,) array of int
        Frames without the object.
    duplicates : (n_duplicates,) array of int
        Frames that hold a copy of another one, so that their shifts mean nothing.
    duplicate_sources : (n_duplicates,) array of int
        Which other one.
    bodies : tuple of Body
        The object, in pixels.
    kind : str
        Name of the kind of object.
    oversampling : int
        Points along each edge of a pixel over which line integrals are averaged.
    """

    projections: NDArray[np.float32]
    geometry: ScanGeometry
    shifts: NDArray[np.float64]
    weights: NDArray[np.float32] | None
    clean: NDArray[np.float32]
    noise_sigma: float
    photons: float | None
    blank: NDArray[np.intp]
    duplicates: NDArray[np.intp]
    duplicate_sources: NDArray[np.intp]
    bodies: tuple[Body, ...]
    kind: str
    oversampling: int

    @property
    def angles(self) -> NDArray[np.float64]:
        """Radians, (n_angles,)."""
        return self.geometry.angles

    @property
    def center(self) -> float:
        """Column of the rotation axis."""
        return self.geometry.center

    @property
    def sound(self) -> NDArray[np.bool_]:
        """True for the projections that are neither blank nor a duplicate, (n_angles,)."""
        sound = np.ones(len(self.angles), dtype=bool)
        sound[self.blank] = False
        sound[self.duplicates] = False
        return sound

    def volume(self, width: int | None = None, oversampling: int = 3) -> NDArray[np.float32]:
        """Return the object on a grid, the rotation axis in the middle of a slice.

        Parameters
        ----------
        width : int, optional
            Rows and columns of a slice. Default: columns of a projection.
        oversampling : int
            Points along each edge of a voxel.

        Returns
        -------
        (n_rows, width, width) array of float32
            Slice, y, x; its line integrals are the projections.
        """
        n_rows, n_columns = self.projections.shape[1:]
        width = n_columns if width is None else width
        return voxelise(self.bodies, (n_rows, width, width), oversampling)
