"""How much of what a template tells of a shift is its own noise.

The information ``D' J`` of a registration sums squared slopes of the reprojection, and the slopes
of the reconstruction's noise are among them. They tell nothing of where the object lies: noise that
came with an image moves with it. With few photons and few angles they are half of the sum, and
stated errors lay below the Cramér-Rao bound of the true object.

How large they are is measured: a reconstruction of the data with as much noise again differs from
that of the data by noise like its own.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from .slabs import BLURRED_MARGIN, Slab
from .standing import Standing

__all__ = ["noise_share"]

# Bands of rows that are looked at, at even distances: slices are independent, so all are evaluated
# as one image of as many rows as a processor works on well. Noise is not alike in all rows: where
# values may not be negative there is less of it beside the object. Of one band in the middle, 10 %
# noise on the object of `simulate` (64^3, 60 angles) states 0.20 px in place of 0.14. Of three,
# standard errors of ten scans of storm_foreign.py (developing, 40 to 96 columns, 14 to 75 angles,
# 30 to 1,000 photons) are those of all rows to 11 %; of two they are up to 1.8 times as large (a
# nearly symmetric object), of four bands of 8 rows 1.4 times: what lies beside a band is missing.
_BANDS, _ROWS = 3, 16
_MOST = 0.9  # no share is told to be larger: what is left is uncertain by as much as it is


def noise_share(at: Standing) -> Array:
    """Return the share of noise in the information on each shift, (n_angles, 2), 0 to 1.

    Of a large image some bands of rows are looked at, and a pixel's noise there is taken for that
    of all.
    """
    run, level, model = at.run, at.level, at.model
    window = level.window(run.parameters.projection_cropping, run.geometry)
    weights = model.weights * counted_pixels(model.measured.shape[1:], window, BLURRED_MARGIN)
    bands = _bands(run, level)
    own, pixels = np.zeros((len(weights), 2)), np.zeros(len(weights))
    for rows, reprojected in zip(bands, _reprojected(at, bands), strict=True):
        change = reprojected - model.reprojected[:, rows]
        own += _information(run, change, weights[:, rows])
        pixels += np.sum(weights[:, rows], axis=(1, 2))
    own *= (np.sum(weights, axis=(1, 2)) / np.maximum(pixels, 1.0))[:, None]
    whole = _information(run, model.reprojected, weights)
    share: Array = np.clip(own / np.maximum(whole, 1e-30), 0.0, _MOST)
    return share


def _bands(run: Run, level: Level) -> list[slice]:
    """Return the rows that are looked at.

    All, where a backend is made for the images as they are (`Backend.whole_rows`): mumott compiles
    a projector for each shape, and its tensors are those of whole images.
    """
    n_rows = level.geometry.n_rows
    whole = run.backend.whole_rows or not level.geometry.has_vertical_axis
    if whole or n_rows <= _BANDS * _ROWS:
        return [slice(0, n_rows)]
    firsts = [round((k + 0.5) * n_rows / _BANDS - _ROWS / 2) for k in range(_BANDS)]
    return [slice(first, first + _ROWS) for first in firsts]


def _reprojected(at: Standing, bands: Sequence[slice]) -> list[Stack]:
    """Return the reprojections of bands of the data with as much noise again."""
    run, level, poses = at.run, at.level, at.poses
    noise = at.start.frame_noise / np.sqrt(np.prod(level.pixel))
    rng = np.random.default_rng(run.parameters.seed)
    task = Evaluation(run, level, at.truncation, poses, at.used)
    moved = []
    for rows in bands:
        spline = _louder(level.spline, level.rows_under(poses, rows), noise, rng)
        louder = replace(level, spline=spline)
        if task.engine is not None and run.backend.whole_rows:  # it may know more than the images
            return [replace(task, level=louder)(Slab(rows, rows)).reprojected]
        moved.append(louder.moved(poses, run.parameters.workers, rows))
    measured, weights = (np.concatenate(images, axis=1) for images in zip(*moved, strict=True))
    geometry = level.placed(poses)
    if len(bands) > 1:
        geometry = geometry.with_changes(n_rows=measured.shape[1])
    reprojected = task.predicted(measured, weights, geometry)[1]
    heights = [rows.stop - rows.start for rows in bands]
    return np.split(reprojected, np.cumsum(heights)[:-1], axis=1)


def _louder(spline: SplineStack, rows: slice, size: Array, rng: np.random.Generator) -> SplineStack:
    """Return images with noise of a size (n,) added, in some rows; the others are left out."""
    known = spline.coefficients[:, rows]
    noise = rng.standard_normal(known.shape, np.float32)
    noise *= size.astype(np.float32)[:, None, None]
    added = np.zeros(spline.coefficients.shape, np.float32)  # takes no memory where it stays 0
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
