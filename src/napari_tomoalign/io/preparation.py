"""From counts to line integrals: fields, logarithm, background, bad pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.absorbance import absorbance

__all__ = ["Background", "Counts", "Preparation", "fill_bad"]

Background = float | NDArray[np.float32]

_AT_ONCE = 2**20
"""Values that are prepared at once: what is made on the way is used again while it is in a cache,
where large arrays come from the system anew."""

_NEAR = 4
"""Pixels: single ones, lines and spots up to twice as wide are filled without looking farther."""

# Auto-contrast makes the largest 8-bit value common, so it says nothing about saturation there.
_SATURATING = {np.dtype(kind) for kind in ("i2", "u2", "i4", "u4")}


@dataclass
class Counts:
    """How many pixels were found bad, and why."""

    pixels: int = 0
    not_finite: int = 0
    saturated: int = 0
    dead_flat: int = 0
    no_transmission: int = 0

    def drop(
        self, good: NDArray[np.bool_] | None, passes: NDArray[np.bool_], kind: str
    ) -> NDArray[np.bool_] | None:
        """Return which of the good pixels pass, None: all; and count those that do not."""
        if passes.all():
            return good
        kept = passes if good is None else good & passes
        lost = kept.size if good is None else int(np.count_nonzero(good))
        setattr(self, kind, getattr(self, kind) + lost - int(np.count_nonzero(kept)))
        return kept

    def words(self) -> tuple[str, ...]:
        """Return one line for each kind of bad pixel that was met."""
        kinds = (
            (self.not_finite, "not finite (NaN or infinity)"),
            (self.saturated, "saturated (the largest value of the file's type)"),
            (self.dead_flat, "without light in the flat field"),
            (self.no_transmission, "of zero or negative transmission, which have no logarithm"),
        )
        return tuple(
            f"{count} of {self.pixels} pixels {what}: filled from the nearest good pixel, weight 0"
            for count, what in kinds
            if count
        )


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to a block of frames as stored.

    Attributes
    ----------
    white, dark : (n_rows, n_columns) array of float32, optional
        Mean fields; transmission is ``(counts - dark) / (white - dark)``.
    logarithm : bool
        Take ``-log``.
    background : float or (n_channels,) array of float32
        Counts subtracted.
    """

    white: NDArray[np.float32] | None = None
    dark: NDArray[np.float32] | None = None
    logarithm: bool = False
    background: Background = 0.0

    def cut(self, rows: slice, columns: slice) -> Preparation:
        """Return the same for a part of the image."""
        fields = [None if f is None else f[rows, columns] for f in (self.white, self.dark)]
        return Preparation(fields[0], fields[1], self.logarithm, self.background)

    def apply(
        self, block: NDArray[np.generic], counts: Counts
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Prepare frames.

        Parameters
        ----------
        block : (n, n_rows, n_columns[, n_channels]) array
            As stored, any real type; not modified.
        counts : Counts
            Added to.

        Returns
        -------
        values : array of float32
            The shape of ``block``; of no meaning where bad, see `fill_bad`.
        good : array of bool or None
            Where the values were measured; None: everywhere.
        """
        values, good = np.empty(block.shape, np.float32), None
        step = max(1, _AT_ONCE // max(1, block[:1].size))
        for first in range(0, len(block), step):
            part = slice(first, first + step)
            values[part], passed = self._applied(block[part], counts)
            if passed is not None:
                good = np.ones(block.shape, bool) if good is None else good
                good[part] = passed
        return values, good

    def _applied(
        self, block: NDArray[np.generic], counts: Counts
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Prepare some frames at once."""
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, thus bad
            values = block.astype(np.float32)
        counts.pixels += values.size
        good = None
        if block.dtype.kind == "f":
            good = counts.drop(good, np.isfinite(values), "not_finite")
        elif block.size and block.dtype.newbyteorder("=") in _SATURATING:
            most = np.iinfo(block.dtype.str).max
            if block.max() == most:
                good = counts.drop(good, np.asarray(block != most), "saturated")
        extra = (np.newaxis,) * (values.ndim - 3)
        dark = None if self.dark is None else self.dark[(..., *extra)]
        if self.white is not None:
            light = self.white[(..., *extra)]
            light = light if dark is None else light - dark
            lit = np.isfinite(light) & (light > 0)
            if not lit.all():
                good = counts.drop(good, np.broadcast_to(lit, values.shape), "dead_flat")
                light = np.where(lit, light, 1)
            if dark is not None:
                values -= dark
            values /= light
        elif dark is not None:
            values -= dark
        if self.logarithm:
            values, lit = absorbance(values)
            good = counts.drop(good, lit, "no_transmission")
        if np.any(self.background):
            values -= np.asarray(self.background, dtype=np.float32)
        return values, good


def fill_bad(
    values: NDArray[np.float32],
    good: NDArray[np.bool_],
    wanted: slice = slice(None),
    missing: tuple[bool, bool] = (False, False),
) -> bool:
    """Put the nearest good pixel's value into bad ones, frame by frame; 0 in a frame without any.

    Parameters
    ----------
    values : (n, n_rows, n_columns[, n_channels]) array
        Changed in place.
    good : array of bool
        The same shape.
    wanted : slice
        Of the rows: those that are asked about.
    missing : (bool, bool)
        Whether the images have rows before the first and after the last of these.

    Returns
    -------
    bool
        No missing row could hold a pixel nearer to a wanted one.
    """
    frames = values if values.ndim == 3 else np.moveaxis(values, -1, 1)
    masks = good if good.ndim == 3 else np.moveaxis(good, -1, 1)
    certain = True
    rows = np.arange(frames.shape[-2])
    to_edge = np.minimum(
        rows + 1 if missing[0] else np.inf, frames.shape[-2] - rows if missing[1] else np.inf
    ) * np.ones_like(rows)
    for index in np.ndindex(*frames.shape[:-2]):
        mask = masks[index]
        if mask.all():
            continue
        if not mask.any():
            frames[index] = 0
            certain = certain and not any(missing)
            continue
        farthest = _fill(frames[index], mask)
        certain = certain and bool(np.all((farthest < to_edge)[wanted]))
    return certain


def _fill(image: NDArray[np.float32], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fill an image, and return how far, row by row, the farthest pixel was that a value is of.

    Among pixels that are as near the same one is taken whatever rows the image is cut to.
    """
    from ..images._filling_kernels import fill_near

    offsets = _near()
    found, taken = np.empty(good.shape, bool), np.empty(len(good), np.intp)
    fill_near(image, good, offsets, found, taken)
    reach = np.hypot(*offsets.T)
    farthest: NDArray[np.float64] = np.where(taken < 0, 0.0, reach[taken])
    if not found.all():
        distance, nearest = ndimage.distance_transform_edt(~good, return_indices=True)
        image[~found] = image[tuple(nearest)][~found]
        farthest = np.maximum(farthest, np.where(found, 0, distance).max(axis=1))
    return farthest


@cache
def _near() -> NDArray[np.intp]:
    """Return the (row, column) offsets within `_NEAR` pixels, the nearest first."""
    side = np.arange(-_NEAR, _NEAR + 1)
    offsets = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    squares = (offsets**2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    near: NDArray[np.intp] = offsets[order][(squares[order] > 0) & (squares[order] <= _NEAR**2)]
    return near
