"""mumott's ``run_phase_matching_alignment``, by signature, on this package's loop.

In a script that uses it, only the import changes::

    from napari_tomoalign.compat.mumott import align as run_phase_matching_alignment

What is different, on purpose: the README's table of differences to mumott's loop; the defaults,
which are this package's (`AlignmentParameters`); and without a ``reconstruction_pipeline`` this
package's own engine reconstructs, which is faster and finds the shifts better.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alignment import align as align_projections
from ..backends import Backend, get_backend
from ..backends.mumott import MumottBackend, TensorBackend
from ..geometry import RotationAxis, turn_projections, turn_volume
from ..images.shifting import shift_stack
from ..io import from_mumott, to_mumott
from ..io.formats.mumott import diode_absorbance, views_of
from ..results import TRUSTED, AlignmentResult

__all__ = ["align"]

Array = NDArray[np.float64]


def align(
    data_container: Any,
    ignored_subset: Iterable[int] | None = None,
    projection_cropping: tuple[slice, slice] | None = None,
    reconstruction_pipeline: str | Callable[..., Any] | None = None,
    reconstruction_pipeline_kwargs: Mapping[str, Any] | None = None,
    use_gpu: bool = False,
    use_absorbances: bool = True,
    maxiter: int = 40,
    upsampling: int = 100,
    shift_tolerance: float | None = None,
    shift_cutoff: float | None = None,
    relative_sample_size: float = 1.0,
    relaxation_weight: float = 0.0,
    center_of_mass_shift_weight: float = 0.0,
    align_j: bool = True,
    align_k: bool = True,
    **more: Any,
) -> dict[str, NDArray[Any]]:
    """Align a data container, called as mumott's ``run_phase_matching_alignment``.

    Parameters
    ----------
    data_container : mumott.data_handling.DataContainer
        Its geometry's ``j_offsets`` and ``k_offsets`` are where the search starts, unless all are
        0, and are set to what is found; nothing else of it is changed.
    ignored_subset : iterable of int, optional
        Projections that keep their offsets exactly and take part in the reconstruction.
    projection_cropping : (slice, slice), optional
        The window, in j and k, that is registered.
    reconstruction_pipeline : callable or str, optional
        A pipeline of mumott (``run_mitra``, ``run_sirt`` ...), told by its parameter
        ``data_container``; or what `napari_tomoalign.align` takes.
    reconstruction_pipeline_kwargs : mapping, optional
        For the pipeline; not modified. ``use_gpu``, ``use_absorbances`` and ``absorbances`` in it
        take the place of this function's.
    use_gpu : bool
        Reconstruct on a GPU.
    use_absorbances : bool
        Align the absorbances of the diode, as mumott's ``get_absorbances`` has them. False: the
        mean over the detector segments; a pipeline of mumott reconstructs the segments
        themselves.
    maxiter, upsampling, shift_tolerance, shift_cutoff, relative_sample_size, relaxation_weight,
    center_of_mass_shift_weight
        As in `AlignmentParameters`.
    align_j, align_k : bool
        Find offsets along j and along k.
    **more
        Further arguments of `napari_tomoalign.align`: ``callback``, ``progress``, ``seed`` ...

    Returns
    -------
    dict
        ``reconstruction``, (x, y, z, 1), of the offsets that were found; its last axis counts the
        coefficients where a pipeline of mumott reconstructed the segments. ``projections`` and
        ``reference``, (n, j, k, 1): what it predicts for each measured image, and the measured
        images.

    Raises
    ------
    ValueError
        Rotations that are none, or a container without what is to be aligned.
    """
    options = dict(reconstruction_pipeline_kwargs or {})
    use_gpu = options.pop("use_gpu", use_gpu)
    use_absorbances = options.pop("use_absorbances", use_absorbances)
    if options.pop("data_container", data_container) is not data_container:
        raise ValueError(
            "reconstruction_pipeline_kwargs has another data_container than the one to be aligned: "
            "give one"
        )
    upright = _upright(data_container, use_absorbances, options.pop("absorbances", None))
    along_j = upright.axis == "vertical"
    window = projection_cropping
    if window is not None and not along_j:
        window = window[1], window[0]
    backend, pipeline = _engine(reconstruction_pipeline, use_gpu)
    if isinstance(backend, MumottBackend) and not use_absorbances:
        _check_only_shifts(more.get("refine"))
        backend = TensorBackend(backend.pipeline, data_container, upright.axis, use_gpu=use_gpu)
    result = align_projections(
        upright.images,
        upright.angles,
        rotations=upright.rotations,
        center=upright.middle,  # what is left of the axis' place goes into the offsets
        weights=upright.weights,
        initial_shifts=upright.shifts if upright.shifts.any() else None,
        **{"backend": backend, "precision": 0.0, **more},  # as mumott does: to the limit
        ignored_subset=() if ignored_subset is None else tuple(ignored_subset),
        projection_cropping=window,
        reconstruction_pipeline=pipeline,
        reconstruction_pipeline_kwargs=options,
        use_gpu=use_gpu,
        maxiter=maxiter,
        upsampling=upsampling,
        shift_tolerance=shift_tolerance,
        shift_cutoff=shift_cutoff,
        relative_sample_size=relative_sample_size,
        relaxation_weight=relaxation_weight,
        center_of_mass_shift_weight=center_of_mass_shift_weight,
        align_vertical=align_j if along_j else align_k,
        align_horizontal=align_k if along_j else align_j,
    )
    offsets = to_mumott(turn_projections(result.shifts, upright.axis))
    data_container.geometry.j_offsets, data_container.geometry.k_offsets = offsets
    reconstruction = turn_volume(result.reconstruction, upright.axis)[..., None]
    if isinstance(backend, TensorBackend):
        trusted = result.history[-1].confidence >= TRUSTED
        found = backend.at(-result.shifts, upright.weights, trusted, result.geometry, options)
        reconstruction = found.coefficients
    predicted = shift_stack(_as_measured(result), result.shifts)
    return {
        "reconstruction": reconstruction,
        "projections": turn_projections(predicted, upright.axis)[..., None],
        "reference": turn_projections(upright.images, upright.axis)[..., None],
    }


@dataclass(frozen=True, eq=False)
class _Upright:
    """What a container holds of what is aligned, the rotation axis along the rows.

    Attributes
    ----------
    axis : {"vertical", "horizontal"}
        Its direction in the container's images (j, k).
    angles, rotations : array or None
        See `views_of`.
    images : (n, n_rows, n_columns) array
    weights : (n, n_rows, n_columns) array, optional
    shifts : (n, 2) array
        Those of the container's offsets.
    """

    axis: RotationAxis
    angles: Array | None
    rotations: Array | None
    images: Array
    weights: NDArray[np.float32] | None
    shifts: Array

    @property
    def middle(self) -> float:
        """Column in the middle of the images."""
        return float(self.images.shape[2] - 1) / 2


def _upright(container: Any, use_absorbances: bool, absorbances: NDArray[Any] | None) -> _Upright:
    """Return what a container holds of what is aligned, see `_measured`."""
    geometry = container.geometry
    axis, angles, rotations = views_of(
        geometry.rotations_as_array, geometry.j_direction_0, geometry.k_direction_0
    )
    images, weights = _measured(container, use_absorbances, absorbances)
    return _Upright(
        axis,
        angles,
        rotations,
        turn_projections(images, axis),
        None if weights is None else turn_projections(weights, axis),
        turn_projections(from_mumott(geometry.j_offsets, geometry.k_offsets), axis),
    )


def _check_only_shifts(refine: Iterable[str] | None) -> None:
    """Refuse to find more than shifts where the segments themselves are reconstructed."""
    if refine is not None and set(refine) != {"shifts"}:
        raise ValueError(
            f"refine is {refine!r}, but a tensor pipeline reconstructs in the container's "
            "geometry, where only shifts can be found: leave refine out, or align the absorbances "
            "(use_absorbances=True)"
        )


def _as_measured(result: AlignmentResult) -> NDArray[np.float32]:
    """Return what is predicted for the images as they were measured, but for the shifts.

    Those of a result are turned upright, where the rotations turn images in their plane.
    """
    if result.geometry.turning() is None:
        return result.projections
    return get_backend("builtin").operator(result.geometry)(result.reconstruction)


def _measured(
    container: Any, use_absorbances: bool, absorbances: NDArray[Any] | None
) -> tuple[Array, NDArray[np.float32] | None]:
    """Return what is aligned, (n, j, k), and its weights.

    Raises
    ------
    ValueError
        The container has none.
    """
    known: NDArray[np.bool_] | None = None
    if not use_absorbances:
        if not container.data.size:
            raise ValueError(
                "use_absorbances=False, but the container has no data: read the file with "
                "skip_data=False, or set use_absorbances=True"
            )
        images = np.mean(container.data, axis=-1)
    elif absorbances is not None:
        images = np.asarray(absorbances, np.float64)
        images = images[..., 0] if images.ndim == 4 else images
    else:
        if not container.diode.size:
            raise ValueError(
                "use_absorbances=True, but the container has no diode: set use_absorbances=False "
                "to align the mean over the detector segments, or give absorbances in "
                "reconstruction_pipeline_kwargs"
            )
        images, known = map(np.array, zip(*map(diode_absorbance, container.diode), strict=True))
    weights = container.weights
    if weights.size:
        shown = weights > 0 if weights.ndim == 3 else np.all(weights > 0, axis=-1)
        known = shown if known is None else known & shown
    return images, None if known is None or known.all() else known.astype(np.float32)


def _engine(
    pipeline: str | Callable[..., Any] | None, use_gpu: bool
) -> tuple[str | Backend, str | Callable[..., Any] | None]:
    """Return the backend, and what it is asked for."""
    if callable(pipeline) and "data_container" in inspect.signature(pipeline).parameters:
        return MumottBackend(pipeline, use_gpu=use_gpu), None
    return "auto", pipeline
