"""From counts to line integrals: fields, logarithm, background, bad pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.absorbance import absorbance
from .errors import ScanFileError
from .raw import RawScan, RawStack

__all__ = [
    "Background",
    "Counts",
    "Preparation",
    "estimate_background",
    "fill_bad",
    "open_beam",
    "planned",
]

Background = float | NDArray[np.float32]

_TRANSMISSION = 0.3
"""Absorbance by which the open beam of a transmission may be off 0: no flat field is that wrong."""

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


def estimate_background(stack: RawStack) -> tuple[Background, tuple[str, ...]]:
    """Find the counts outside the object, as the most frequent value near the image borders.

    Parameters
    ----------
    stack : RawStack
        As stored; up to 16 frames of it are read.

    Returns
    -------
    float or (n_channels,) array of float32
        0 where nothing should be subtracted.
    tuple of str
        What was found, in words, a line for each channel.
    """
    samples = [_sample(stack.read(one)[0]) for one in _some(stack)]
    everywhere = np.concatenate([sample for sample, _ in samples])
    borders = np.concatenate([border for _, border in samples])
    counts = stack.dtype.kind != "f"
    if everywhere.ndim == 1:
        level, words = _background_of(everywhere, borders, counts)
        return level, (f"background: {words}",)
    found = [
        _background_of(everywhere[:, channel], borders[:, channel], counts)
        for channel in range(everywhere.shape[1])
    ]
    return (
        np.array([level for level, _ in found], dtype=np.float32),
        tuple(f"background of channel {i}: {words}" for i, (_, words) in enumerate(found)),
    )


def _some(stack: RawStack) -> list[slice]:
    """Return up to 16 frames that lie evenly in a stack, each as a slice."""
    n_frames = stack.shape[0]
    picked = np.unique(np.linspace(0, n_frames - 1, min(n_frames, 16)).round().astype(int))
    return [slice(int(index), int(index) + 1) for index in picked]


def open_beam(stack: RawStack, dark: NDArray[np.float32] | None) -> tuple[float, tuple[str, ...]]:
    """Find what counts without flat fields are to be divided by to become a transmission.

    Parameters
    ----------
    stack : RawStack
        Counts, or a transmission; up to 16 frames of it are read.
    dark : (n_rows, n_columns) array, optional
        Mean dark field.

    Returns
    -------
    float
        ``-log`` of the open beam, to be subtracted from ``-log`` of the counts; 0 where the
        values are a transmission already.
    tuple of str
        What was found, in words.

    Raises
    ------
    ScanFileError
        These are counts, and no open beam is in view at the borders.
    """
    logarithms = Preparation(None, dark, logarithm=True)
    samples = []
    for one in _some(stack):
        values, good = logarithms.apply(stack.read(one), Counts())
        samples.append(_sample((values if good is None else np.where(good, values, np.nan))[0]))
    everywhere = np.concatenate([sample.ravel() for sample, _ in samples])
    borders = np.concatenate([border.ravel() for _, border in samples])
    everywhere, borders = (part[np.isfinite(part)] for part in (everywhere, borders))
    if not borders.size:
        return 0.0, ()
    low, high = np.percentile(everywhere, [1, 99])
    level = _mode(borders)
    in_view = level <= low + 0.25 * (high - low)
    if abs(level) < _TRANSMISSION or (not in_view and low > -_TRANSMISSION):
        return 0.0, ()  # nothing is brighter than what it was divided by
    counts = float(np.exp(-level))
    if not in_view:
        raise ScanFileError(
            f"{stack.where} has values of up to {np.exp(-low):.6g}, so these are counts, and the "
            "borders are darker than the rest, so no open beam is in view to divide by; give the "
            "flat fields (flats=, --flats), or divide by them first"
        )
    return level, (f"divided by the open beam at the borders, {counts:.6g}",)


def _sample(image: NDArray[np.generic]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixels of all of an image and of its borders, some ten thousand of each."""
    n_rows, n_columns = image.shape[:2]
    edge = max(1, min(n_rows, n_columns) // 20)
    border = np.ones((n_rows, n_columns), dtype=bool)
    border[edge : n_rows - edge, edge : n_columns - edge] = False
    pixels = image.reshape(n_rows * n_columns, *image.shape[2:])
    parts = [pixels, pixels[border.ravel()]]
    with np.errstate(invalid="ignore"):  # a NaN that signals
        everywhere, borders = (part[:: 1 + len(part) // 30000].astype(np.float64) for part in parts)
    return everywhere, borders


def _background_of(
    everywhere: NDArray[np.float64], borders: NDArray[np.float64], counts: bool
) -> tuple[float, str]:
    borders = borders[np.isfinite(borders)]
    if not borders.size:
        return 0.0, "no finite pixel at the borders, nothing subtracted"
    low, high = np.percentile(everywhere[np.isfinite(everywhere)], [1, 99])
    background = _mode(borders)
    if low == high or abs(background) < 0.01 * (high - low):
        return 0.0, f"{background:.6g}, close enough to 0, nothing subtracted"
    if background > low + 0.25 * (high - low):
        return 0.0, (
            f"the borders, at {background:.6g}, are not darker than the rest "
            f"({low:.6g} to {high:.6g}), so nothing was subtracted; give background=COUNTS, or "
            "transmission=True if these are transmission images"
        )
    if not counts and background > 0:
        return 0.0, (
            f"{background:.6g} at the borders, left as it is because the data are not "
            "counts; give background=VALUE to subtract it"
        )
    return background, f"{background:.6g} counts, the mode at the borders, subtracted"


def _mode(values: NDArray[np.float64]) -> float:
    """Return the centre of the shortest interval that holds half of the values, repeatedly."""
    ordered = np.sort(values)
    while ordered.size > 3:
        half = (ordered.size + 1) // 2
        start = int(np.argmin(ordered[half - 1 :] - ordered[: ordered.size - half + 1]))
        ordered = ordered[start : start + half]
    return float(ordered.mean())


def planned(
    raw: RawScan,
    normalise: bool,
    transmission: bool | None,
    background: float | str | None,
) -> tuple[Preparation, tuple[str, ...]]:
    """Decide what is done to the counts, and say it."""
    lines: list[str] = []
    white, dark = (raw.white, raw.dark) if normalise else (None, None)
    if white is not None:
        lines.append(f"divided by the flat field{'' if dark is None else ', dark field removed'}")
    elif dark is not None:
        lines.append("dark field removed")
    logarithm = white is not None if transmission is None else transmission
    if logarithm:
        lines.append("-log of the transmission")
    level: Background = 0.0
    if logarithm and white is None:
        level, words = open_beam(raw.stack, dark)
        lines.extend(words)
    if isinstance(background, str):
        if background != "auto":
            raise ValueError(f"background must be a number, 'auto' or None, got {background!r}")
        if not logarithm and white is None:
            level, words = estimate_background(raw.stack)
            lines.extend(words)
    elif background:
        if not math.isfinite(background):
            raise ValueError(f"background must be a finite number of counts, got {background}")
        level = level + float(background)
        lines.append(f"background: {level:g} subtracted, as asked for")
    return Preparation(white, dark, logarithm, level), tuple(lines)
