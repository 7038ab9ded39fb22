"""Engines that are installed here, and a blob whose line integrals are known in closed form."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from napari_tomoalign import backends
from napari_tomoalign.backends import (
    Backend,
    available_backends,
    get_backend,
)
from napari_tomoalign.geometry import ScanGeometry

N_ANGLES = 24


SIGMA = 2.5


X, R = 5.0, -3.0  # of the blob: columns right of the axis, rows below it


ABSENT = "TomoPy is not installed here (conda install -c conda-forge tomopy)"


# columns, centre from the middle, degrees, width of the volume
GEOMETRIES = [
    pytest.param(32, 0.0, 180, 32, id="even"),
    pytest.param(33, 0.0, 360, 33, id="odd-360"),
    pytest.param(32, 1.25, 360, 32, id="even-off-360"),
    pytest.param(33, -1.5, 180, 33, id="odd-off"),
    pytest.param(32, 0.3, 180, 43, id="wide-odd"),
    pytest.param(33, -0.7, 180, 44, id="wide-even"),
]


# What brings an algorithm close to its fixed point; the rest do by default.
ENOUGH = {"sirt": 60, "bart": 60, "tv": 100, "astra": 60, "gradient": 30}


@functools.cache
def backend_of(name: str) -> Backend:
    return get_backend(name, workers=2)


def installed() -> list[str]:
    return [name for name in backends.backend_names() if name in available_backends()]


tomopy_only = pytest.mark.skipif("tomopy" not in installed(), reason=ABSENT)


def absent() -> list[object]:
    if "tomopy" in installed():
        return []
    return [pytest.param("tomopy", "sirt", id="tomopy", marks=pytest.mark.skip(reason=ABSENT))]


def cases(which: str = "") -> list[object]:
    """Return all pairs of backend and algorithm, or those for which a method says so."""
    return [
        pytest.param(name, algorithm, id=f"{name}-{algorithm}")
        for name in installed()
        for algorithm in backend_of(name).algorithms
        if not which or getattr(backend_of(name), which)(algorithm)
    ] + absent()


def tomopy_algorithms() -> list[object]:
    return [case for case in cases() if case.values[0] == "tomopy"]


each_backend = pytest.mark.parametrize("name", installed())


each_algorithm = pytest.mark.parametrize(("name", "algorithm"), cases())


each_geometry = pytest.mark.parametrize(("columns", "off", "degrees", "width"), GEOMETRIES)


def make_geometry(
    columns: int = 32, off: float = 0.0, degrees: float = 180, width: int = 0, n_rows: int = 1
) -> ScanGeometry:
    angles = np.deg2rad(np.arange(N_ANGLES) * degrees / N_ANGLES)
    return ScanGeometry(angles, n_rows, columns, (columns - 1) / 2 + off, width)


def columns_of(geometry: ScanGeometry, x: float, r: float) -> np.ndarray:
    return geometry.center + x * np.cos(geometry.angles) - r * np.sin(geometry.angles)


def blob_projections(geometry: ScanGeometry, x: float = X, r: float = R) -> np.ndarray:
    """Return the line integrals of a blob of height 1, the same in each row."""
    u = np.arange(geometry.n_columns) - columns_of(geometry, x, r)[:, None]
    image = SIGMA * np.sqrt(2 * np.pi) * np.exp(-(u**2) / (2 * SIGMA**2))
    return np.repeat(image[:, None], geometry.n_rows, axis=1).astype(np.float32)


def blob_volume(geometry: ScanGeometry, x: float = X, r: float = R) -> np.ndarray:
    y_index, x_index = np.indices(geometry.volume_shape[1:]) - geometry.volume_axis
    blob = np.exp(-((y_index - r) ** 2 + (x_index - x) ** 2) / (2 * SIGMA**2))
    return np.repeat(blob[None], geometry.n_rows, axis=0).astype(np.float32)


def centroid(image: np.ndarray) -> np.ndarray:
    """Return the centre of mass of what stands out, along each axis."""
    image = np.clip(image - 0.25 * image.max(), 0, None)
    return np.array([(index * image).sum() for index in np.indices(image.shape)]) / image.sum()


def options_of(algorithm: str) -> dict[str, int]:
    return {"num_iter": ENOUGH[algorithm]} if algorithm in ENOUGH else {}


def few(algorithm: str) -> dict[str, int]:
    return {} if algorithm in ("fbp", "gridrec") else {"num_iter": 3}


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
