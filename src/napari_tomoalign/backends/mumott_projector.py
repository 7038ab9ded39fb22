"""mumott's projector: as an operator, and for its pipelines; compiled once and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry
from .base import Frames, Operator

__all__ = [
    "MumottOperator",
    "compiled_projector",
    "container_of",
    "images_to_mumott",
    "keeping_projector",
]

Array = NDArray[np.float32]


class MumottOperator(Operator):
    """mumott's projector and its adjoint: (slice, y, x) to (angle, row, column)."""

    def __init__(self, geometry: ScanGeometry, projector_of: Callable[..., Any]) -> None:
        self.domain_shape, self.range_shape = geometry.volume_shape, geometry.projections_shape
        self._geometry, self._projector_of = geometry, projector_of

    def project(self, volume: Array) -> Array:
        """Project a volume."""
        field = np.ascontiguousarray(volume.transpose(2, 1, 0)[..., None], np.float64)
        images = self._projector_of(self._geometry).forward(field)
        projected: Array = images[..., 0].transpose(0, 2, 1).astype(np.float32)
        return projected

    def back_project(self, images: Array) -> Array:
        """Back-project images."""
        volume = self._projector_of(self._geometry).adjoint(images_to_mumott(images))
        spread: Array = volume[..., 0].transpose(2, 1, 0).astype(np.float32)
        return spread

    def subset(self, frames: Frames) -> MumottOperator:
        """Return the operator of some of the projections; it is compiled anew."""
        return MumottOperator(self._geometry.subset(frames), self._projector_of)


def images_to_mumott(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return images (angle, row, column) as (angle, j, k, 1)."""
    return np.ascontiguousarray(images.transpose(0, 2, 1)[..., None], np.float64)


def compiled_projector(
    orientations: bytes,
    n_rows: int,
    n_columns: int,
    volume_width: int,
    row_center: float,
    center: float,
) -> Any:
    """Return mumott's projector of a geometry.

    Its rotations take (x, y, z) to (j, p, k), ours (z, y, x) to (row, depth, column).
    """
    from mumott.core.geometry import Geometry, GeometryTuple

    geometry = Geometry()
    geometry.projection_shape = np.array([n_columns, n_rows])
    geometry.volume_shape = np.array([volume_width, volume_width, n_rows])
    offsets = {"j_offset": (n_columns - 1) / 2 - center, "k_offset": (n_rows - 1) / 2 - row_center}
    for rotation in np.frombuffer(orientations).reshape(-1, 3, 3):
        geometry.append(GeometryTuple(rotation=rotation[::-1, ::-1], **offsets))
    return keeping_projector(geometry)


def keeping_projector(geometry: Any) -> Any:
    """Return mumott's projector, which compiles once for each number of channels and keeps all.

    mumott's own keeps the last one only, and pipelines of tensors take turns.
    """
    from mumott.core.hashing import list_to_hash
    from mumott.methods.projectors import SAXSProjector

    class KeepingProjector(SAXSProjector):  # type: ignore[misc]
        def _kept(self, field: Any, projections: Any, args: Any) -> tuple[Any, Any]:
            key = list_to_hash([field.shape[-1], *args])
            if key not in kept:
                self._compile_john_transform(field, projections, *args)
                kept[key] = self._compiled_john_transform, self._compiled_john_transform_adjoint
            return kept[key]

        def _john_transform(self, field: Any, projections: Any, *args: Any) -> Any:
            return self._kept(field, projections, args)[0](field, projections)

        def _john_transform_adjoint(self, field: Any, projections: Any, *args: Any) -> Any:
            return self._kept(field, projections, args)[1](field, projections)

    kept: dict[str, tuple[Any, Any]] = {}
    return KeepingProjector(geometry)


def container_of(projector: Any, images: NDArray[np.float64], weights: Array | None) -> Any:
    """Return a data container of the projector's geometry."""
    from mumott.core.projection_stack import Projection
    from mumott.data_handling import DataContainer

    weight = np.ones_like(images) if weights is None else images_to_mumott(weights)
    container = DataContainer()
    for one, share, place in zip(images, weight, projector._geometry, strict=True):
        container.append(
            Projection(
                data=one,
                diode=np.ones(one.shape[:2]),
                weights=share,
                rotation=place.rotation,
                j_offset=place.j_offset,
                k_offset=place.k_offset,
            )
        )
    container.geometry.volume_shape = projector._geometry.volume_shape
    container.geometry.detector_angles = np.zeros(1)
    return container
