"""What an engine with memory of its own is asked for: a whole slab, moved to compared, there.

Without it, each step of a slab's evaluation would cross to that memory and back; and an engine that
has more measurements than the loop sees would not know by how much to move them. Any engine may go
without: the loop then takes the steps itself (`loop.evaluating`, `loop.slabs`).

What was made may stay there, too, or be made there again (`SlabKept`): an iteration then brings
back sums, and those images that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry

__all__ = ["ImageName", "SlabBackend", "SlabDone", "SlabKept", "SlabSums", "SlabWork"]

ImageName = Literal["measured", "weights", "reprojected"]
"""The moved data, their weights moved alike, and what the reconstruction predicts of them."""


@dataclass(frozen=True, eq=False)
class SlabWork:
    """A slab to be evaluated.

    Attributes
    ----------
    coefficients : (n_angles, n_rows, n_columns) array of float32
        Cubic-spline coefficients of the whole original images.
    weights : array of that shape, or None
        Of the original images.
    back : (n_angles, 2) array
        By how many pixels (row, column) the images are moved.
    around : slice
        The rows to be made: the slab's and those around it.
    inner : slice
        The slab's rows among those.
    geometry : ScanGeometry
        Of the rows around the slab.
    trusted : (n_angles,) array of bool
        Which images take part in the reconstruction.
    algorithm : str
    options : mapping
        Of the algorithm.
    window : tuple of slice
        Rows and columns of whole images that are registered.
    counted : (n_around, n_columns) array of bool
        Pixels that the normal equations count.
    asked : bool
        The slab is asked later for what is wanted of it (`SlabKept`); else its images are wanted
        at once (`SlabDone`), as where it is sent to another process.
    room : bool
        Each device has this slab only, so what is made of it may stay there; else it is made again
        when it is asked.
    """

    coefficients: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    back: NDArray[np.float64]
    around: slice
    inner: slice
    geometry: ScanGeometry
    trusted: NDArray[np.bool_]
    algorithm: str
    options: Mapping[str, Any]
    window: tuple[slice, slice]
    counted: NDArray[np.bool_]
    asked: bool
    room: bool


@dataclass(frozen=True, eq=False)
class SlabSums:
    """Sums over the pixels of a slab's own rows, projection by projection.

    Attributes
    ----------
    normal, right, squares, count : array of float64
        As in `images.refining.NormalEquations`: for the slopes along rows and columns.
    difference, power, pixels : (n_angles,) array of float64
        Weighted squares of measured minus reprojected, and of measured; weights.
    moments : (n_angles, 3) array of float64
        As of `images.moments.image_moments`.
    """

    normal: NDArray[np.float64]
    right: NDArray[np.float64]
    squares: NDArray[np.float64]
    count: NDArray[np.float64]
    difference: NDArray[np.float64]
    power: NDArray[np.float64]
    pixels: NDArray[np.float64]
    moments: NDArray[np.float64]
    volume: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlabDone:
    """What came of it, with the rows around the slab.

    Attributes
    ----------
    measured, weights, reprojected : (n_angles, n_around, n_columns) array of float32
    volume : (n_around, volume_width, volume_width) array of float32
        What the loop is to see of it: mass in voxels.
    sums : SlabSums or None
        None: the loop adds them up.
    """

    measured: NDArray[np.float32]
    weights: NDArray[np.float32]
    volume: NDArray[np.float32]
    reprojected: NDArray[np.float32]
    sums: SlabSums | None


class SlabKept(Protocol):
    """What came of a slab, to be asked of its device: sums over its own rows, and their images."""

    @property
    def sums(self) -> SlabSums:
        """Sums over the slab's own rows."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of whole images."""
        ...

    @property
    def window_shape(self) -> tuple[int, int]:
        """Rows and columns of the window of whole images that is registered."""
        ...

    def images(self, name: ImageName, which: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Return images of some projections, None: all, ``(n, n_inner, n_columns)``."""
        ...

    def volume(self) -> NDArray[np.float32]:
        """Return the volume, ``(n_inner, volume_width, volume_width)``."""
        ...

    def cross(self) -> NDArray[np.float64]:
        """Return the first sums that `images.precision.scatter_from` needs, (n_angles, 4, 5)."""
        ...

    def scatter(self, solution: NDArray[np.float64], block: int) -> NDArray[np.float64]:
        """Return the second, (n_angles, 3, 4, 4), at a solution (n_angles, 4).

        Blocks are counted from the window's first row and column. Those that begin in the slab's
        own rows are the slab's, and end in the rows around them.
        """
        ...

    def blocks(
        self, which: NDArray[np.intp], size: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weighted sums of measured minus reprojected over blocks, and the weights' sums.

        Of some projections: ``(n, n_down, n_across)``, over the whole blocks of ``size`` rows and
        columns of whole images, the slab's own pixels of each; and ``(n,)``, over all its pixels.
        """
        ...

    def squares(self, which: NDArray[np.intp], steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weighted squares, (n,), of measured minus the template after steps ``(n, 2)``.

        Of some projections; the template is what each is registered with.
        """
        ...


@runtime_checkable
class SlabBackend(Protocol):
    """A `Backend` that can evaluate whole slabs, ``n_devices`` of them at once."""

    @property
    def n_devices(self) -> int:
        """How many slabs it evaluates at once."""
        ...

    def evaluate(self, work: SlabWork) -> SlabDone | SlabKept:
        """Evaluate a slab; what was made of it stays only where the work says so.

        Raises
        ------
        MemoryError
            It does not fit; lower ones may.
        """
        ...

    def slab_height(self, geometry: ScanGeometry) -> int:
        """Return how many rows, those around a slab included, fit at once."""
        ...
