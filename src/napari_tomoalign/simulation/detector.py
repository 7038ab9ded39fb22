"""What a detector counts behind a simulated object, with flat and dark fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .simulated_scan import SimulatedScan

__all__ = ["CountsScan", "as_counts"]

MOST_PHOTONS = 40_000
"""Photons of the unattenuated beam that 16 bits hold with room to spare."""

READ_NOISE = 2.0
"""Counts RMS that reading out adds."""


@dataclass(frozen=True, eq=False)
class CountsScan:
    """A scan as a detector writes it.

    Attributes
    ----------
    data : (n_angles, n_rows, n_columns) array of uint16
        Counts behind the object.
    data_white, data_dark : (n_fields, n_rows, n_columns) array of uint16
        Counts without the object, and without the beam.
    theta_degrees : (n_angles,) array of float64
        Angles, degrees.
    shifts : (n_angles, 2) array of float64
        True shifts (row, column), pixels.
    center : float
        Column of the rotation axis.
    """

    data: NDArray[np.uint16]
    data_white: NDArray[np.uint16]
    data_dark: NDArray[np.uint16]
    theta_degrees: NDArray[np.float64]
    shifts: NDArray[np.float64]
    center: float


def as_counts(
    scan: SimulatedScan,
    *,
    photons: float | None = None,
    n_white: int = 10,
    n_dark: int = 10,
    dark_level: float = 100.0,
    seed: int = 0,
) -> CountsScan:
    """Turn a noise-free scan into what a detector counts, with flat and dark fields.

    The beam is uneven, columns of the detector differ by a few per cent; the beam has counting
    noise, and reading out adds two counts RMS. Duplicated frames are exact copies. Masks and
    garbage of the scan are left out.

    Parameters
    ----------
    scan : SimulatedScan
        Its ``clean`` projections are attenuated.
    photons : float, optional
        Photons in the brightest pixel of the beam, at most 40000. Default: as many as give the
        scan's ``noise_sigma`` on average, or 40000 where that is more.
    n_white, n_dark : int
        Number of flat and dark fields.
    dark_level : float
        Mean counts without beam.
    seed : int
        Of the noise and of the beam's shape.

    Returns
    -------
    CountsScan

    Raises
    ------
    ValueError
        More photons or a dark level that 16 bits do not hold, or no photons.
    """
    for name, value in (("n_white", n_white), ("n_dark", n_dark)):
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if not 0 <= dark_level < np.iinfo(np.uint16).max:
        raise ValueError(f"dark_level must be a number of counts that 16 bits hold: {dark_level}")
    rng = np.random.default_rng([seed, 5])
    shape = scan.clean.shape[1:]
    beam = _beam(shape, rng)
    clean = scan.clean.astype(np.float64)
    if photons is None:
        variance = float(np.mean(np.exp(clean) / beam))
        photons = MOST_PHOTONS
        if scan.noise_sigma > 0:
            photons = min(photons, variance / scan.noise_sigma**2)
    if not 0 < photons <= MOST_PHOTONS:
        raise ValueError(f"photons must be above 0 and at most {MOST_PHOTONS}, got {photons}")
    beam *= photons
    data = _count(beam * np.exp(-clean), dark_level, rng)
    data[scan.duplicates] = data[scan.duplicate_sources]
    return CountsScan(
        data=data,
        data_white=_count(np.broadcast_to(beam, (n_white, *shape)), dark_level, rng),
        data_dark=_count(np.zeros((n_dark, *shape)), dark_level, rng),
        theta_degrees=np.degrees(scan.angles),
        shifts=scan.shifts,
        center=scan.center,
    )


def _count(
    mean: NDArray[np.float64], dark_level: float, rng: np.random.Generator
) -> NDArray[np.uint16]:
    counts = rng.poisson(mean) + rng.normal(dark_level, READ_NOISE, mean.shape)
    return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def _beam(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the brightness of the beam: a broad off-centre hill times stripes, at most 1."""
    middle = rng.uniform(-0.3, 0.3, 2)
    rows = np.linspace(-1, 1, shape[0])[:, None] - middle[0]
    columns = np.linspace(-1, 1, shape[1])[None, :] - middle[1]
    hill = np.exp(-0.25 * (rows**2 + columns**2))
    beam: NDArray[np.float64] = hill * (1 + 0.03 * rng.standard_normal(shape[1]))
    beam /= beam.max()
    return beam
