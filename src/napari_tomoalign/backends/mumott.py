"""mumott's reconstruction pipelines and projector behind the protocol.

mumott's ``j`` is taken across the rotation axis (our columns) and its ``k`` along it (our rows),
which is how its own scans lie by default; ``x``, ``y``, ``z`` of its volumes are then ours. Its
projector counts pixels and voxels from their middles, as we do, and compiles the offsets in. So the
loop's data are moved, the offsets only hold the place of the axis, and what was compiled for a
geometry is kept.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry
from .base import Frames, Operator

__all__ = ["MumottBackend"]

Array = NDArray[np.float32]

_GEOMETRIES = 8  # whose compiled projectors are kept: the levels of a run, and subsets of frames


class MumottBackend:
    """A reconstruction pipeline of mumott, and its projector.

    Parameters
    ----------
    pipeline : callable
        Such as ``mumott.pipelines.run_mitra``: called with ``data_container``,
        ``use_absorbances=True``, ``absorbances``, ``use_gpu``, ``no_tqdm`` and, where it takes
        further keywords, ``Projector``; returns a dictionary with ``result["x"]``.
    use_gpu : bool
        Passed on; the pipeline's own projector is taken then.
    """

    name = "mumott"

    def __init__(self, pipeline: Callable[..., Any], *, use_gpu: bool = False) -> None:
        self._pipeline, self._use_gpu = pipeline, use_gpu
        self._projector_of = lru_cache(_GEOMETRIES)(_compiled)

    @property
    def algorithms(self) -> Sequence[str]:
        """The pipeline's name."""
        return (self._pipeline.__name__,)

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the pipeline, with its own defaults (see `Backend.default_for`)."""
        return self.algorithms[0], {}

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse another pipeline, or an option that this one does not take."""
        if algorithm not in self.algorithms:
            raise ValueError(
                f"unknown algorithm {algorithm!r} for backend 'mumott'; known are "
                f"{', '.join(self.algorithms)}"
            )
        parameters = inspect.signature(self._pipeline).parameters
        unknown = sorted(set(options) - set(parameters))
        if unknown and not self._takes_more:
            raise ValueError(
                f"algorithm {algorithm!r} of backend 'mumott' has no option "
                f"{', '.join(map(repr, unknown))}; known are {', '.join(parameters)}"
            )

    @property
    def _takes_more(self) -> bool:
        kinds = [one.kind for one in inspect.signature(self._pipeline).parameters.values()]
        return inspect.Parameter.VAR_KEYWORD in kinds

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are left out: mumott's weights do that."""
        return True

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume: mumott's start from 0."""
        return False

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return mumott's projector of a geometry (see `Backend.operator`)."""
        return _MumottOperator(geometry, self._projector)

    def _projector(self, geometry: ScanGeometry) -> Any:
        return self._projector_of(
            geometry.angles.tobytes(),
            geometry.n_rows,
            geometry.n_columns,
            geometry.volume_width,
            geometry.center,
        )

    def reconstruct(
        self,
        projections: Array,
        geometry: ScanGeometry,
        *,
        algorithm: str,
        weights: Array | None = None,
        initial: Array | None = None,
        **options: Any,
    ) -> Array:
        """Reconstruct a volume (see `Backend.reconstruct`)."""
        self.check_options(algorithm, options)
        projector = self._projector(geometry)
        images = _to_mumott(projections)
        settings: dict[str, Any] = copy.deepcopy(options)  # mumott fills in what is missing
        if self._takes_more and not self._use_gpu:
            settings.setdefault("Projector", lambda _: projector)
        done = self._pipeline(
            data_container=_container(projector, images, weights),
            use_absorbances=True,
            absorbances=images,
            use_gpu=self._use_gpu,
            no_tqdm=True,
            **settings,
        )
        volume: Array = done["result"]["x"][..., 0].transpose(2, 1, 0).astype(np.float32)
        return volume


class _MumottOperator(Operator):
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
        volume = self._projector_of(self._geometry).adjoint(_to_mumott(images))
        spread: Array = volume[..., 0].transpose(2, 1, 0).astype(np.float32)
        return spread

    def subset(self, frames: Frames) -> _MumottOperator:
        """Return the operator of some of the projections; it is compiled anew."""
        part = self._geometry.with_changes(angles=self._geometry.angles[frames])
        return _MumottOperator(part, self._projector_of)


def _to_mumott(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return images (angle, row, column) as (angle, j, k, 1)."""
    return np.ascontiguousarray(images.transpose(0, 2, 1)[..., None], np.float64)


def _compiled(angles: bytes, n_rows: int, n_columns: int, volume_width: int, center: float) -> Any:
    """Return mumott's projector of a geometry."""
    from mumott.core.geometry import Geometry, GeometryTuple
    from mumott.methods.projectors import SAXSProjector

    geometry = Geometry()
    geometry.projection_shape = np.array([n_columns, n_rows])
    geometry.volume_shape = np.array([volume_width, volume_width, n_rows])
    for angle in np.frombuffer(angles):
        cosine, sine = np.cos(angle), np.sin(angle)
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        offset = (n_columns - 1) / 2 - center
        geometry.append(GeometryTuple(rotation=rotation, j_offset=offset, k_offset=0.0))
    return SAXSProjector(geometry)


def _container(projector: Any, images: NDArray[np.float64], weights: Array | None) -> Any:
    """Return a data container of the projector's geometry."""
    from mumott.core.projection_stack import Projection
    from mumott.data_handling import DataContainer

    weight = np.ones_like(images) if weights is None else _to_mumott(weights)
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
