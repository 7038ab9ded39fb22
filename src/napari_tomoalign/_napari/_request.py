"""What a run is asked to do, and the scan behind a layer; worked out away from the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis, turn_projections
from ..images.absorbance import absorbance
from ..io.scan import Scan
from ..parameters import AlignmentParameters
from ._frames import Placement

__all__ = ["RunRequest", "ScanSource"]

Mask = Callable[[tuple[int, int, int]], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ScanSource:
    """A scan as the widget knows it: nothing is read or copied before `load`.

    Attributes
    ----------
    data : array-like
        (n_angles, n_rows, n_columns), as measured; in memory or lazy.
    angles : (n_angles,) array
        Radians.
    place : Placement
        Where the layer lies, its name, and the direction of the axis.
    masks : tuple of callable
        Each takes the shape of the data and returns weights that broadcast to it; ValueError where
        it does not fit.
    weights : array, optional
        What came of the masks, like the data; see `settled`.
    file : str
        Where the scan was read from; empty where that is not known.
    options : mapping
        How the command line is told what the file itself does not say, such as its angles.
    rotations : (n_angles, 3, 3) array, optional
        Of a scan about more than one axis, in place of the angles, see `ScanGeometry`.
    in_plane : (n_angles,) array, optional
        By how much images are turned beside that, radians.
    """

    data: Any
    angles: NDArray[np.float64]
    place: Placement
    masks: tuple[Mask, ...] = ()
    weights: NDArray[np.float32] | None = None
    file: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    rotations: NDArray[np.float64] | None = None
    in_plane: NDArray[np.float64] | None = None

    @property
    def rotation_axis(self) -> RotationAxis:
        """Direction of the axis in the layer's images."""
        return self.place.rotation_axis

    def is_same(self, other: ScanSource) -> bool:
        """Whether both are the same data, seen the same way; masks are taken to differ."""
        return (
            self.data is other.data
            and np.array_equal(self.angles, other.angles)
            and np.array_equal(self.rotations, other.rotations)  # type: ignore[arg-type]  # or None
            and np.array_equal(self.in_plane, other.in_plane)  # type: ignore[arg-type]
            and self.rotation_axis == other.rotation_axis
            and not (self.masks or other.masks)
        )

    def settled(self) -> ScanSource:
        """Return the source with its masks worked out: what is painted later does not count."""
        if self.weights is not None or not self.masks:
            return self
        weights = np.ones(self.data.shape, dtype=np.float32)
        for mask in self.masks:
            weights *= mask(weights.shape)
        weights.flags.writeable = False
        return replace(self, weights=weights)

    def upright_weights(self) -> NDArray[np.float32] | None:
        """Return what came of the masks, the rotation axis vertical."""
        weights = self.settled().weights
        return None if weights is None else turn_projections(weights, self.rotation_axis)

    def load(self) -> Scan:
        """Return the scan with its axis vertical, read into memory where it was lazy."""
        unit = self.place.units[2]
        return Scan(
            projections=turn_projections(np.asarray(self.data), self.rotation_axis),
            angles=self.angles,
            weights=self.upright_weights(),
            pixel_size=None if unit == "pixel" else abs(self.place.scale[2]),
            pixel_unit="" if unit == "pixel" else unit,
            rotation_axis=self.rotation_axis,
            source={"layer": self.place.source, **({"file": self.file} if self.file else {})},
            rotations=self.rotations,
        )

    def line_integrals(self, parameters: AlignmentParameters) -> NDArray[Any]:
        """Return the images that the loop sees, the rotation axis vertical."""
        data = turn_projections(np.asarray(self.data), self.rotation_axis)
        logarithm = parameters.transmission and parameters.use_absorbances
        return absorbance(data)[0] if logarithm else data


@dataclass(frozen=True, eq=False)
class RunRequest:
    """Everything a run needs.

    Attributes
    ----------
    scan : ScanSource
        What is aligned.
    asked_center : float, optional
        Column of the axis (the row, where the axis is horizontal), as the user gave it.
    backend : str
        By name.
    parameters : AlignmentParameters
        Of the loop.
    start : mapping
        ``initial_shifts``, with the ``center`` that goes with them and what was found of the
        geometry, or ``resume``, or nothing.
    """

    scan: ScanSource
    asked_center: float | None
    backend: str
    parameters: AlignmentParameters
    start: Mapping[str, Any] = field(default_factory=dict)

    def is_same(self, other: RunRequest) -> bool:
        """Whether scan, centre and engine are the same."""
        asked, others = ((one.asked_center, one.backend) for one in (self, other))
        return asked == others and self.scan.is_same(other.scan)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `iterate_alignment`, the data apart."""
        values = {name: getattr(self.parameters, name) for name in self.parameters.to_dict()}
        scan = self.scan
        views = {"angles": scan.angles if scan.rotations is None else None}
        told = {"center": self.asked_center, "backend": self.backend}
        turned = {"rotations": scan.rotations, "in_plane": scan.in_plane}
        return {**values, **told, **views, **turned, **self.start}
