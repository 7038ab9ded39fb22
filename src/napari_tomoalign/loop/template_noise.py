"""How much of what a template tells of a shift is its own noise.

The information ``D' J`` of a registration sums squared slopes of the reprojection, and the slopes
of the reconstruction's noise are among them. They tell nothing of where the object lies: noise that
came with an image moves with it. With few photons and few angles they are half of the sum, and
stated errors lay below the Cramér-Rao bound of the true object.

How large they are is measured: a reconstruction of the data with as much noise again differs from
that of the data by noise like its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._typing import Array, Stack
from ..images.filtering import counted_pixels, smooth
from ..images.precision import information_of
from ..images.shifting import SplineStack
from ..start.run import Run
from .evaluating import Evaluation
from .level import Level
from .matching import AT_ONCE
from .slabs import BLURRED_MARGIN, Slab, slab_of, slabs_of
from .standing import Standing

__all__ = ["noise_share"]

# Of the level that are looked at: noise is alike in all, and this bounds the memory. With 64 rows
# stated errors change by 0 to 5 % on noisy foreign scans (rod, vial, porous at 50 photons), by 8 %
# where the middle rows hold more than the others (smooth field).
_ROWS = 16
_MOST = 0.9  # no share is told to be larger: what is left is uncertain by as much as it is


def noise_share(at: Standing) -> Array:
    """Return the share of noise in the information on each shift, (n_angles, 2), 0 to 1.

    Of the rows in the middle of a large image, the noise of a pixel is taken for that of all.
    """
    run, level, model, poses = at.run, at.level, at.model, at.poses
    slab = _middle(level)
    noise = at.start.frame_noise / np.sqrt(np.prod(level.pixel))
    rng = np.random.default_rng(run.parameters.seed)
    louder = replace(
        level, spline=_louder(level.spline, level.rows_under(poses, slab.around), noise, rng)
    )
    noisy = Evaluation(run, louder, at.truncation, poses, at.used)(slab)
    window = level.window(run.parameters.projection_cropping, run.geometry)
    weights = model.weights * counted_pixels(model.measured.shape[1:], window, BLURRED_MARGIN)
    whole = _information(run, model.reprojected, weights)
    change = noisy.reprojected - model.reprojected[:, slab.rows]
    own = _information(run, change, weights[:, slab.rows])
    pixels = [np.sum(part, axis=(1, 2)) for part in (weights, weights[:, slab.rows])]
    own *= (pixels[0] / np.maximum(pixels[1], 1.0))[:, None]
    share: Array = np.clip(own / np.maximum(whole, 1e-30), 0.0, _MOST)
    return share


def _middle(level: Level) -> Slab:
    """Return the rows that are looked at."""
    n_rows = level.geometry.n_rows
    if not level.geometry.has_vertical_axis or n_rows <= _ROWS:
        return slabs_of(n_rows)[0]
    first = (n_rows - _ROWS) // 2
    return slab_of(slice(first, first + _ROWS), n_rows)


def _louder(spline: SplineStack, rows: slice, size: Array, rng: np.random.Generator) -> SplineStack:
    """Return images with noise of a size (n,) added, in some rows; the others are left out."""
    known = spline.coefficients[:, rows]
    noise = rng.standard_normal(known.shape, np.float32)
    noise *= size.astype(np.float32)[:, None, None]
    added = np.zeros_like(spline.coefficients)
    np.add(known, SplineStack(noise).coefficients, out=added[:, rows])
    return SplineStack.of(added)


def _information(run: Run, images: Stack, weights: Stack) -> Array:
    parts = [slice(first, first + AT_ONCE) for first in range(0, len(images), AT_ONCE)]
    return np.concatenate(
        [
            information_of(
                smooth(images[part]), images[part], weights[part], workers=run.parameters.workers
            )
            for part in parts
        ]
    )
