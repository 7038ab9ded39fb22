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
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis, ScanGeometry, turn_projections, turn_volume
from ..images.binning import bin_stack
from ..images.shifting import SplineStack, shift_weights
from .base import Backend, Operator
from .builtin.engine import BuiltinBackend
from .mumott_projector import (
    MumottOperator,
    compiled_projector,
    container_of,
    images_to_mumott,
    keeping_projector,
)
from .slab import SlabDone, SlabWork

__all__ = ["MumottBackend", "TensorBackend", "Tensors"]

Array = NDArray[np.float32]

_OF_ALL = (  # a geometry's, beside its projections'
    "p_direction_0",
    "j_direction_0",
    "k_direction_0",
    "detector_direction_origin",
    "detector_direction_positive_90",
    "detector_angles",
    "two_theta",
    "full_circle_covered",
)
_GEOMETRIES = 8  # whose compiled projectors are kept: the levels of a run, and subsets of frames


class MumottBackend(Backend):
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
    whole_rows = True  # it compiles a projector for each shape: no rows by themselves

    def __init__(self, pipeline: Callable[..., Any], *, use_gpu: bool = False) -> None:
        self.pipeline, self._use_gpu = pipeline, use_gpu
        self._projector_of = lru_cache(_GEOMETRIES)(compiled_projector)

    @property
    def algorithms(self) -> Sequence[str]:
        """The pipeline's name."""
        return (self.pipeline.__name__,)

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
        parameters = inspect.signature(self.pipeline).parameters
        unknown = sorted(set(options) - set(parameters))
        if unknown and not self._takes_more:
            raise ValueError(
                f"algorithm {algorithm!r} of backend 'mumott' has no option "
                f"{', '.join(map(repr, unknown))}; known are {', '.join(parameters)}"
            )

    @property
    def _takes_more(self) -> bool:
        kinds = [one.kind for one in inspect.signature(self.pipeline).parameters.values()]
        return inspect.Parameter.VAR_KEYWORD in kinds

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are left out: mumott's weights do that."""
        return True

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume: mumott's start from 0."""
        return False

    def supports(self, geometry: ScanGeometry) -> bool:
        """Return True: mumott's projector is one in three dimensions."""
        return True

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return mumott's projector of a geometry (see `Backend.operator`)."""
        return MumottOperator(geometry, self._projector)

    def _projector(self, geometry: ScanGeometry) -> Any:
        return self._projector_of(
            geometry.orientations.tobytes(),
            geometry.n_rows,
            geometry.n_columns,
            geometry.volume_width,
            geometry.row_center,
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
        images = images_to_mumott(projections)
        settings: dict[str, Any] = copy.deepcopy(options)  # mumott fills in what is missing
        if self._takes_more and not self._use_gpu:
            settings.setdefault("Projector", lambda _: projector)
        done = self.pipeline(
            data_container=container_of(projector, images, weights),
            use_absorbances=True,
            absorbances=images,
            use_gpu=self._use_gpu,
            no_tqdm=True,
            **settings,
        )
        volume: Array = done["result"]["x"][..., 0].transpose(2, 1, 0).astype(np.float32)
        return volume


@dataclass(frozen=True, eq=False)
class Tensors:
    """What a tensor pipeline made of segments that were moved.

    Attributes
    ----------
    coefficients : (x, y, z, n_coefficients) array
    basis_set : mumott's
        What turns projected coefficients into segments.
    moved : (n_angles, n_rows, n_columns, n_segments) array of float32
    weights : (n_angles, n_rows, n_columns) array of float32
    """

    coefficients: NDArray[np.float64]
    basis_set: Any
    moved: Array
    weights: Array


class TensorBackend(MumottBackend):
    """A pipeline of mumott that reconstructs the detector segments, coefficients in each voxel.

    The loop sees their mean: of the measurements, of what the reconstruction predicts for them,
    and of the volume its first coefficient. The segments are moved here, by as much as the loop
    moves the mean.

    A pipeline that takes further keywords starts from what the mean alone gives, the same from all
    sides. A coefficient is seen by some of the projections, as in a wedge, and of slow trends of
    the shifts a pipeline that starts from nothing explains most by it: 28^3, 20 angles, 1 % noise,
    10 steps of ``run_mitra`` rest at 2.3 times the bound from nothing, at 1.5 from the mean.

    Parameters
    ----------
    pipeline, use_gpu
        As for `MumottBackend`; the pipeline is called with ``use_absorbances=False`` and gives
        ``basis_set`` as well.
    container : mumott.data_handling.DataContainer
        Geometry and measurements; not modified.
    rotation_axis : {"vertical", "horizontal"}
        Along which axis of its images (j, k) the rotation axis runs: the first, or the second.
    """

    n_devices = 1

    def __init__(
        self,
        pipeline: Callable[..., Any],
        container: Any,
        rotation_axis: RotationAxis,
        *,
        use_gpu: bool = False,
    ) -> None:
        super().__init__(pipeline, use_gpu=use_gpu)
        self._axis: RotationAxis = rotation_axis
        self._geometry = container.geometry
        self._segments = turn_projections(np.asarray(container.data, np.float32), rotation_axis)
        self._prepared = lru_cache(_GEOMETRIES)(self._prepare)
        self._even: dict[bytes, NDArray[np.float64]] = {}  # see `_evenly`

    def supports(self, geometry: ScanGeometry) -> bool:
        """Whether it can be the container's own geometry, which is what is reconstructed in."""
        return geometry.has_vertical_axis or geometry.rotations is not None

    def slab_height(self, geometry: ScanGeometry) -> int:
        """Return all rows: slices are no slices of their own to a tensor pipeline."""
        return geometry.n_rows

    def reconstruct(self, projections: Array, geometry: ScanGeometry, **options: Any) -> NoReturn:
        """Refuse to reconstruct from the mean alone.

        Raises
        ------
        ValueError
            Always: the loop asks for it where the object leaves the images.
        """
        raise ValueError(
            "the object leaves the images, where a tensor pipeline has no grid wide enough: align "
            "the absorbances (use_absorbances=True), or without reconstruction_pipeline"
        )

    def evaluate(self, work: SlabWork) -> SlabDone:
        """Move, reconstruct, reproject (see `SlabBackend.evaluate`)."""
        found = self.at(work.back, work.weights, work.trusted, work.geometry, work.options)
        geometry, projector = self._prepared(
            np.ones(len(work.back), bool).tobytes(), *_layout(work.geometry)
        )
        found.basis_set.probed_coordinates = geometry.probed_coordinates
        predicted = found.basis_set.forward(projector.forward(found.coefficients)).mean(axis=-1)
        volume = turn_volume(found.coefficients[..., 0], self._axis)
        return SlabDone(
            found.moved.mean(axis=-1),
            found.weights,
            np.ascontiguousarray(volume, np.float32),
            np.ascontiguousarray(turn_projections(predicted, self._axis), np.float32),
            None,
        )

    def at(
        self,
        back: NDArray[np.float64],
        weights: Array | None,
        trusted: NDArray[np.bool_],
        geometry: ScanGeometry,
        options: Mapping[str, Any],
    ) -> Tensors:
        """Return what the pipeline makes of the segments, moved by ``back``.

        Parameters
        ----------
        back, weights, trusted, options
            As in `SlabWork`; the geometry is that of whole images.
        """
        shape = geometry.projections_shape
        whole = self._segments.shape
        segments = bin_stack(self._segments, whole[1] // shape[1], whole[2] // shape[2])
        moved = np.stack(
            [SplineStack(segments[..., c]).moved(back) for c in range(whole[3])], axis=-1
        )
        shares = np.asarray(shift_weights(weights, back, shape), np.float32)
        done = self._run_pipeline(moved, shares, trusted, geometry, options)
        return Tensors(done["result"]["x"], done["basis_set"], moved, shares)

    def _run_pipeline(
        self,
        moved: Array,
        weights: Array,
        trusted: NDArray[np.bool_],
        seen: ScanGeometry,
        options: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        from mumott.core.projection_stack import Projection
        from mumott.data_handling import DataContainer

        geometry, projector = self._prepared(trusted.tobytes(), *_layout(seen))
        container = DataContainer()
        images, shares = (turn_projections(one[trusted], self._axis) for one in (moved, weights))
        for one, share, place in zip(images, shares, geometry, strict=True):
            container.append(
                Projection(
                    data=np.ascontiguousarray(one, np.float64),
                    diode=np.ones(one.shape[:2]),
                    weights=np.repeat(share[..., None], one.shape[2], axis=2).astype(np.float64),
                    **place._asdict(),
                )
            )
        for name in (*_OF_ALL, "volume_shape"):
            setattr(container.geometry, name, getattr(geometry, name))
        settings: dict[str, Any] = copy.deepcopy(dict(options))
        if self._takes_more and not self._use_gpu:
            settings.setdefault("Projector", lambda _: projector)

        def done(**optimizer: Any) -> Mapping[str, Any]:
            given = copy.deepcopy(settings)
            if optimizer:
                given["optimizer_kwargs"] = given.get("optimizer_kwargs", {}) | optimizer
            made: Mapping[str, Any] = self.pipeline(
                data_container=container,
                use_absorbances=False,
                use_gpu=self._use_gpu,
                no_tqdm=True,
                **given,
            )
            return made

        if not self._takes_more or "x0" in settings.get("optimizer_kwargs", {}):
            return done()
        volume = turn_volume(_of_mean(moved, weights, trusted, seen), self._axis)
        first = np.ascontiguousarray(volume)[..., None] * self._evenly(trusted, done)
        return done(x0=first)

    def _evenly(
        self, trusted: NDArray[np.bool_], run: Callable[..., Mapping[str, Any]]
    ) -> NDArray[np.float64]:
        """Return the coefficients of what is 1 in every segment, from every side.

        One step of the pipeline tells the basis set.
        """
        key = trusted.tobytes()
        if key not in self._even:
            basis_set = run(maxiter=1)["basis_set"]
            n, count = int(trusted.sum()), len(basis_set)
            each = np.tile(np.eye(count)[:, None], (n, 1, 1, 1))
            seen = basis_set.forward(each)[:, :, 0].swapaxes(1, 2).reshape(-1, count)
            self._even[key] = np.linalg.lstsq(seen, np.ones(len(seen)), rcond=None)[0]
        return self._even[key]

    def _prepare(
        self, trusted: bytes, n_rows: int, n_columns: int, row_center: float, center: float
    ) -> tuple[Any, Any]:
        """Return geometry and projector of some of the projections, offsets but for the axis 0."""
        from mumott.core.geometry import Geometry

        geometry, given = Geometry(), self._geometry
        off = (n_rows - 1) / 2 - row_center, (n_columns - 1) / 2 - center
        j_offset, k_offset = off if self._axis == "vertical" else off[::-1]
        for m in np.flatnonzero(np.frombuffer(trusted, bool)):
            geometry.append(given[m]._replace(j_offset=j_offset, k_offset=k_offset))
        for name in _OF_ALL:
            setattr(geometry, name, getattr(given, name))
        shape = (n_rows, n_columns) if self._axis == "vertical" else (n_columns, n_rows)
        geometry.projection_shape = np.array(shape)
        volume = (n_rows, n_columns, n_columns)
        geometry.volume_shape = np.array(volume if self._axis == "vertical" else volume[::-1])
        return geometry, keeping_projector(geometry)


def _of_mean(
    moved: Array, weights: Array, trusted: NDArray[np.bool_], geometry: ScanGeometry
) -> NDArray[np.float64]:
    """Return what the built-in engine makes of the mean over the segments, (z, y, x)."""
    engine = BuiltinBackend()
    algorithm, options = engine.default_for()
    images = np.ascontiguousarray(moved[trusted].mean(axis=-1), np.float32)
    part = geometry.subset(trusted)
    volume = engine.reconstruct(
        images, part, algorithm=algorithm, weights=weights[trusted], **options
    )
    return np.asarray(volume, np.float64)


def _layout(geometry: ScanGeometry) -> tuple[int, int, float, float]:
    """Return the size of an image, and where the volume's middle lands on it."""
    return geometry.n_rows, geometry.n_columns, geometry.row_center, geometry.center
