"""Ask an engine, or the caller's own function, for a volume, and see that what comes is one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..geometry import ScanGeometry
from ..results import freeze
from ..start.run import Run
from .truncation import Truncation

__all__ = ["check_projections", "check_volume", "reconstruct"]


def reconstruct(
    run: Run,
    truncation: Truncation,
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
) -> Stack:
    """Reconstruct, each part of the rows on the grid that it needs."""
    if callable(run.algorithm):
        volume = _ask_callable(run.algorithm, measured, weights, geometry, run.options)
    else:
        volume = np.zeros(geometry.volume_shape, np.float32)
        for rows, width, options in truncation.parts(run, measured, weights, geometry):
            images, weight = measured[:, rows], weights[:, rows]
            part = geometry.with_changes(n_rows=images.shape[1], volume_width=width)
            margin = (geometry.volume_width - width) // 2
            within = slice(margin, margin + width)
            volume[rows, within, within] = _ask_backend(run, images, weight, part, options)
    check_volume(volume, geometry)
    return volume


def _ask_callable(
    pipeline: Callable[..., Any],
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
    options: Mapping[str, Any],
) -> Stack:
    """Let a caller's own function reconstruct; what it is given it cannot change.

    It gets the weights where it has an argument of this name.
    """
    settings = dict(options)
    with suppress(TypeError, ValueError):  # some callables have no signature
        if "weights" in inspect.signature(pipeline).parameters:
            settings.setdefault("weights", freeze(np.asarray(weights, np.float32)))
    found = pipeline(freeze(measured), geometry, **settings)
    if found is None:
        raise ValueError(
            "reconstruction_pipeline returned None, expected a volume of shape (slice, y, x) = "
            f"{geometry.volume_shape}: does it end with return?"
        )
    return np.asarray(found, np.float32)


def check_projections(images: Stack, geometry: ScanGeometry, name: str) -> None:
    """Refuse reprojections that are none.

    Raises
    ------
    ValueError
        Another shape, or values that are not finite.
    """
    if images.shape != geometry.projections_shape:
        raise ValueError(
            f"the projector of backend {name!r} returned shape {images.shape}, expected "
            f"(angle, row, column) = {geometry.projections_shape}"
        )
    if not np.isfinite(images.sum(dtype=np.float64)):
        raise ValueError(
            f"the projector of backend {name!r} returned NaN or infinite values for a finite "
            "volume: take another backend"
        )


def check_volume(volume: Stack, geometry: ScanGeometry) -> None:
    """Refuse a reconstruction that is none.

    Raises
    ------
    ValueError
        Another shape, or values that are not finite.
    """
    if volume.shape != geometry.volume_shape:
        raise ValueError(
            f"the reconstruction has shape {volume.shape}, expected (slice, y, x) = "
            f"{geometry.volume_shape}: see reconstruction_pipeline"
        )
    if not np.isfinite(volume.sum(dtype=np.float64)):
        raise ValueError(
            "the reconstruction holds NaN or infinite values: another algorithm, or other "
            "reconstruction_pipeline_kwargs (fewer iterations, weaker regularisation), may help"
        )


def _ask_backend(
    run: Run,
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
    options: dict[str, Any],
) -> Stack:
    algorithm = str(run.algorithm)
    volume = run.backend.reconstruct(
        measured,
        geometry,
        algorithm=algorithm,
        weights=weights if run.backend.accepts_weights(algorithm) else None,
        **options,
    )
    return np.asarray(volume, np.float32)
