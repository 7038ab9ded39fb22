"""Slabs of rows, and the sums over their pixels that add up to those of whole images.

Rows are slices of their own to a reconstruction about a vertical axis; what crosses them are the
filters that a comparison uses, and each slab has as many rows around it as those declare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._executors import on_threads
from .._typing import Array, Stack
from ..images.filtering import counted_pixels, smooth
from ..images.moments import image_moments, volume_moments
from ..images.refining import COMPARED_HALO, NormalEquations, slopes
from .refinement import Derivative

__all__ = ["BLURRED_MARGIN", "Slab", "Sums", "compare", "slab_of", "slabs_of"]

BLURRED_MARGIN = 2
"""Pixels along the borders where the smoothing lacks its surroundings: 2.5 standard deviations.

Of objects inside the images with 0 to 4 the errors are the same (``constants.py
loop.slabs.BLURRED_MARGIN 0,1,2,4``); of those that a border cuts, 0 and 1 are worse."""
_AT_ONCE = 2  # projections at least that are compared in one go, else one for each thread
_PIXELS = 2**15  # in one go, where images are small: as fast as any, and fewer cost more in calls


@dataclass(frozen=True)
class Slab:
    """Some rows, and those around them that are needed as well.

    Attributes
    ----------
    rows, around : slice
        Of the images.
    """

    rows: slice
    around: slice

    @property
    def inner(self) -> slice:
        """The rows among those around them."""
        first = self.rows.start - self.around.start
        return slice(first, first + self.rows.stop - self.rows.start)


def slabs_of(n_rows: int, height: int | None = None) -> tuple[Slab, ...]:
    """Cut images into slabs of ``height`` rows, the last one lower; None: one slab."""
    height = n_rows if height is None else height
    slabs = []
    for first in range(0, n_rows, height):
        last = min(first + height, n_rows)
        slabs.append(slab_of(slice(first, last), n_rows))
    return tuple(slabs)


def slab_of(rows: slice, n_rows: int) -> Slab:
    """Return some of the rows of images that have so many, with those around them."""
    first, last = rows.start - COMPARED_HALO, rows.stop + COMPARED_HALO
    return Slab(rows, slice(max(first, 0), min(last, n_rows)))


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over pixels, projection by projection; those of slabs add up.

    Attributes
    ----------
    equations : NormalEquations
        Of the smoothed reprojection's slopes along rows and columns, over the cropped window.
    difference, power, pixels : (n_angles,) array
        Weighted squares of measured minus reprojected, and of measured; weights.
    moments : (n_angles, 3) array
        Of the measured data: weighted mass, and its first moments along rows and columns.
    volume : (4,) array
        Mass of the volume, and its first moments along slices, y and x.
    """

    equations: NormalEquations
    difference: Array
    power: Array
    pixels: Array
    moments: Array
    volume: Array

    def __add__(self, other: Sums) -> Sums:
        """Add the sums over another slab."""
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def compare(
    measured: Stack,
    weights: NDArray[Any],
    reprojected: Stack,
    volume: Stack,
    slab: Slab,
    window: tuple[slice, slice],
    n_rows: int,
    workers: int | None,
    more: Sequence[Derivative] = (),
) -> Sums:
    """Return the sums over a slab.

    Parameters
    ----------
    measured, weights, reprojected, volume : array
        With the rows around the slab.
    window : tuple of slice
        Rows and columns of the whole images that are registered.
    n_rows : int
        Of the whole images.
    workers : int or None
        Number of threads.
    more : sequence of callables
        Make derivative images beside the slopes (see `refinement`).
    """
    from ..images._threads import available_threads, threads

    n, _, n_columns = measured.shape
    inner = slab.inner
    counted = counted_pixels((n_rows, n_columns), window, BLURRED_MARGIN)[slab.rows]
    difference, power, pixels = np.empty((3, n))
    moments = np.empty((n, 3))
    equations = []
    n_threads = workers or available_threads()
    at_once = max(_AT_ONCE, n_threads, _PIXELS // measured[0].size)
    parts = [slice(first, first + at_once) for first in range(0, n, at_once)]

    def look(part: slice) -> tuple[list[Stack], tuple[Stack, Stack, Stack]]:
        weight, image, shown = (one[part, inner] for one in (weights, measured, reprojected))
        template = smooth(reprojected[part])
        derivatives = [slopes(template, 1)[:, inner], slopes(template[:, inner], 2)]
        # Slopes are smoothed; the difference is not: what smoothing takes from an image has a slope
        # of its own where a border cuts the object, and would be taken for a shift.
        missed = image - shown
        difference[part] = np.einsum("nrc,nrc,nrc->n", weight, missed, missed, dtype=np.float64)
        power[part] = np.einsum("nrc,nrc,nrc->n", weight, image, image, dtype=np.float64)
        pixels[part] = weight.sum(axis=(1, 2), dtype=np.float64)
        moments[part] = image_moments(image, weight, slab.rows.start)
        return derivatives, (image, shown, weight * counted)

    # Numba's kernels have threads of their own, so the sums are added up here.
    made = on_threads(look, parts, n_threads, ahead=2 * n_threads)
    for part, (derivatives, images) in zip(parts, made, strict=True):
        derivatives += [derive(part, *derivatives[:2]) for derive in more]
        with threads(workers):
            equations.append(NormalEquations.of(*images, derivatives))
    joined = NormalEquations.joined(equations)
    mass = volume_moments(volume[inner], slab.rows.start)
    return Sums(joined, difference, power, pixels, moments, mass)
