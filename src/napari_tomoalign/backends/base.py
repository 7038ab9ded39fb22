"""What a backend is: an operator for a geometry, and reconstructions, behind one small protocol."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import ScanGeometry

__all__ = [
    "Backend",
    "BackendUnavailable",
    "Frames",
    "Operator",
    "Transpose",
    "check_count",
    "check_switch",
    "check_vertical",
]

Frames = slice | NDArray[np.bool_] | NDArray[np.intp] | Sequence[int]
"""Some of the projections: a slice, a mask or indices."""


def check_count(name: str, value: Any) -> None:
    """Refuse an option that is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def check_switch(name: str, value: Any) -> None:
    """Refuse an option that is neither True nor False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_vertical(name: str, geometry: ScanGeometry) -> None:
    """Refuse a geometry whose slices are not independent, for an engine that takes no other."""
    if not geometry.has_vertical_axis:
        raise ValueError(
            f"{name} takes scans about a vertical axis only; here rows of the detector see up to "
            f"{geometry.halo} slices beyond their own: choose backend='builtin' and an iterative "
            "algorithm"
        )


class BackendUnavailable(RuntimeError):
    """A backend was asked for by name and cannot be used here; the message says how to get it."""


class Operator(ABC):
    """The projector of one geometry, as tomosipo and PyLops have it.

    ``A(x)`` projects a volume, ``A.T(y)`` back-projects images; ``A.T`` is the exact transpose:
    ``vdot(A(x), y) == vdot(x, A.T(y))`` but for rounding. Arrays are float32, in the axis order of
    ``domain_shape`` and ``range_shape``; what comes in is never modified, what comes out belongs
    to the caller.

    An engine implements `project`, `back_project` and `subset`.

    Attributes
    ----------
    domain_shape, range_shape : tuple of int
        Shapes of a volume and of its projections. The angle is the first axis of the latter.

    Examples
    --------
    A disc that is 2 pixels off the axis, projected, and reconstructed by Landweber's iteration:

    >>> import numpy as np
    >>> from napari_tomoalign.backends import get_backend
    >>> from napari_tomoalign.geometry import ScanGeometry
    >>> angles = np.linspace(0, np.pi, 40, endpoint=False)
    >>> A = get_backend("builtin").operator(ScanGeometry(angles, 1, 32, center=15.5))
    >>> A.domain_shape, A.range_shape
    ((1, 32, 32), (40, 1, 32))
    >>> y, x = np.indices((32, 32)) - 15.5
    >>> disc = (np.hypot(y, x - 2) < 9).astype(np.float32)[None]
    >>> measured = A(disc)
    >>> volume = np.zeros(A.domain_shape, np.float32)
    >>> for _ in range(30):
    ...     volume += A.T(measured - A(volume)) / (40 * 32)
    >>> bool(np.abs(volume - disc).mean() < 0.05)
    True

    Every fourth projection has an operator of its own, and making it costs next to nothing:

    >>> A.subset(slice(None, None, 4)).range_shape
    (10, 1, 32)
    """

    domain_shape: tuple[int, ...]
    range_shape: tuple[int, ...]

    def __call__(self, volume: ArrayLike) -> NDArray[np.float32]:
        """Project a volume of ``domain_shape``.

        Raises
        ------
        ValueError
            Another shape.
        """
        return self.project(_of_shape(volume, self.domain_shape, "volume"))

    @property
    def T(self) -> Transpose:
        """The transpose, which back-projects images of ``range_shape``."""
        return Transpose(self)

    @abstractmethod
    def project(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the projections of a volume whose shape is right."""

    @abstractmethod
    def back_project(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the back projection of images whose shape is right."""

    @abstractmethod
    def subset(self, frames: Frames) -> Operator:
        """Return the operator of some of the projections, in the order given."""

    def ray_sums(self) -> NDArray[np.float32]:
        """Return ``A`` of ones, of ``range_shape`` or broadcastable to it.

        Ones where the engine looks for the object. An engine whose slices are alike needs to
        project one of them only.
        """
        return self(np.ones(self.domain_shape, np.float32))

    def voxel_sums(self, weights: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return ``A.T`` of weights, or of ones; of ``domain_shape`` or broadcastable to it."""
        return self.T(np.ones(self.range_shape, np.float32) if weights is None else weights)

    def advance(
        self,
        step: NDArray[np.float32],
        voxels: NDArray[np.float32],
        point: NDArray[np.float32],
        volume: NDArray[np.float32],
        gain: float,
        non_negative: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Take an iteration's step from a point, and extrapolate: the arithmetic of a volume.

        An engine that does it in one pass over the memory overrides it.

        Parameters
        ----------
        step, voxels : arrays
            The step is scaled by ``voxels``.
        point, volume : arrays
            Where the step starts, and the volume of the step before.
        gain : float
            Of the extrapolation.
        non_negative : bool
            Clip the new volume at 0.

        Returns
        -------
        volume, point : arrays
            ``max(point + voxels step, 0)``, and from there on by ``gain`` times the way from the
            volume before; in the memory of the arrays that came, which are used up.
        """
        step *= voxels
        step += point
        if non_negative:
            np.maximum(step, 0, out=step)
        point = np.subtract(step, volume, out=volume)
        point *= np.float32(gain)
        point += step
        return step, point

    def spread(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the back projection of filtered images: the transpose, or a more even one.

        A transpose may weigh a pixel that lies midway between two voxels less than one that lies
        on a voxel. An iteration corrects for that, filtered back projection does not.
        """
        return self.back_project(images)


class Transpose:
    """The transpose of an operator: ``A.T(y)`` back-projects, and ``A.T.T`` is ``A``.

    Attributes
    ----------
    domain_shape, range_shape : tuple of int
        Shapes of the projections and of a volume.
    """

    def __init__(self, operator: Operator) -> None:
        self.T = operator
        self.domain_shape = operator.range_shape
        self.range_shape = operator.domain_shape

    def __call__(self, images: ArrayLike) -> NDArray[np.float32]:
        """Back-project images of ``domain_shape``.

        Raises
        ------
        ValueError
            Another shape.
        """
        return self.T.back_project(_of_shape(images, self.domain_shape, "images"))


def _of_shape(array: ArrayLike, shape: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Return an array as float32, or refuse its shape. One of that kind, on any device, passes."""
    right = getattr(array, "shape", None) == shape and getattr(array, "dtype", None) == np.float32
    values: NDArray[np.float32] = array if right else np.asarray(array, np.float32)  # type: ignore[assignment]
    if values.shape != shape:
        raise ValueError(
            f"{what} must have the operator's shape {shape}, got {values.shape}: make the operator "
            "from the geometry that they belong to"
        )
    return values


@runtime_checkable
class Backend(Protocol):
    """A tomography engine as the loop sees it.

    Arrays are float32, C-contiguous or not; what comes in is never modified. A backend never
    assumes that it sees all detector rows: every row is a slice of its own. One that derives from
    this class leaves out what has an answer here.
    """

    @property
    def name(self) -> str:
        """The name by which it is asked for."""
        ...

    @property
    def algorithms(self) -> Sequence[str]:
        """Names of the reconstructions that can take part in the loop here."""
        ...

    @property
    def whole_rows(self) -> bool:
        """Whether it is made for the images as they are: none of their rows are asked for alone."""
        return False

    def describe(self) -> str:
        """Return what it runs on."""
        return "CPU"

    def startup_note(self) -> str | None:
        """Return what the user should know before the first call, or None."""
        return None

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the algorithm that suits the loop best, and the options that suit it.

        Parameters
        ----------
        geometry : ScanGeometry, optional
            Of the scan. None: angles all round.
        """
        ...

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse what `reconstruct` would not take, before any work.

        Raises
        ------
        ValueError
            An unknown algorithm or option; the message says which are known.
        """
        ...

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are truly left out (else the loop fills them)."""
        ...

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume."""
        ...

    def supports(self, geometry: ScanGeometry) -> bool:
        """Return whether `operator` and `reconstruct` take this geometry."""
        ...

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return the projector of a geometry, ``A``, with its transpose, ``A.T``.

        ``A`` takes volumes ``(n_rows, volume_width, volume_width)``, slice, y, x, to projections
        ``(n_angles, n_rows, n_columns)``: line integrals, in the volume's unit times one voxel.
        """
        ...

    def reconstruct(
        self,
        projections: NDArray[np.float32],
        geometry: ScanGeometry,
        *,
        algorithm: str,
        weights: NDArray[np.float32] | None = None,
        initial: NDArray[np.float32] | None = None,
        **options: Any,
    ) -> NDArray[np.float32]:
        """Reconstruct a volume.

        Parameters
        ----------
        projections : (n_angles, n_rows, n_columns) array
            Line integrals.
        geometry : ScanGeometry
            Angles, centre and shapes.
        algorithm : str
            One of ``algorithms``.
        weights : (n_angles, n_rows, n_columns) array, optional
            0 (ignore the pixel) to 1. Only where ``accepts_weights(algorithm)``.
        initial : (n_rows, volume_width, volume_width) array, optional
            Where to start. Only where ``accepts_initial(algorithm)``.
        **options
            Of the algorithm.

        Returns
        -------
        (n_rows, volume_width, volume_width) array of float32
            Slice, y, x.
        """
        ...
