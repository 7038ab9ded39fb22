"""Ask an engine, or a caller's own function, for a volume: the one way of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..geometry import ScanGeometry
from ..images.arrays import require_real
from ..records import freeze
from .base import Backend

__all__ = ["as_images", "check_mass", "check_volume", "volume_of"]


def volume_of(
    backend: Backend,
    algorithm: str | Callable[..., Any],
    options: Mapping[str, Any],
    images: Stack,
    weights: NDArray[Any] | None,
    geometry: ScanGeometry,
) -> Stack:
    """Reconstruct; weights go where they are taken.

    Parameters
    ----------
    backend : Backend
        Not asked where ``algorithm`` is a function.
    algorithm : str or callable
        A name of the backend's; or a function of images and geometry, which cannot change what it
        is given, and gets the weights where it has an argument of this name.
    options : mapping
        Of the algorithm.
    images : (n_angles, n_rows, n_columns) array of float32
    weights : array of that shape, optional
        0 (ignore) to 1. None: all 1.
    geometry : ScanGeometry

    Raises
    ------
    TypeError, ValueError
        No volume comes of it, or one of another shape or with values that are not finite or not
        real.
    """
    if callable(algorithm):
        volume = _ask_callable(algorithm, images, weights, geometry, options)
    else:
        given = None
        if weights is not None and backend.accepts_weights(algorithm):
            given = np.asarray(weights, np.float32)
        found = backend.reconstruct(images, geometry, algorithm=algorithm, weights=given, **options)
        volume = as_images(found, f"algorithm {algorithm!r} of backend {backend.name!r}")
    check_volume(volume, geometry)
    return volume


def _ask_callable(
    pipeline: Callable[..., Any],
    images: Stack,
    weights: NDArray[Any] | None,
    geometry: ScanGeometry,
    options: Mapping[str, Any],
) -> Stack:
    settings = dict(options)
    with suppress(TypeError, ValueError):  # some callables have no signature
        if "weights" in inspect.signature(pipeline).parameters:
            known = np.ones_like(images) if weights is None else np.asarray(weights, np.float32)
            settings.setdefault("weights", freeze(known))
    found = pipeline(freeze(images), geometry, **settings)
    if found is None:
        raise ValueError(
            "reconstruction_pipeline returned None, expected a volume of shape (slice, y, x) = "
            f"{geometry.volume_shape}: does it end with return?"
        )
    return as_images(found, "reconstruction_pipeline")


def as_images(found: Any, who: str) -> Stack:
    """Return what somebody's code gave back in single precision.

    Raises
    ------
    TypeError
        It is not of real numbers.
    """
    images = np.asarray(found)
    require_real(images, f"{who} returned something else than")
    return images.astype(np.float32, copy=False)


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
    check_mass(float(volume.sum(dtype=np.float64)))


def check_mass(mass: float) -> None:
    """Refuse a reconstruction by its sum.

    Raises
    ------
    ValueError
        Some values are not finite.
    """
    if not np.isfinite(mass):
        raise ValueError(
            "the reconstruction holds NaN or infinite values: another algorithm, or other "
            "reconstruction_pipeline_kwargs (fewer iterations, weaker regularisation), may help"
        )
