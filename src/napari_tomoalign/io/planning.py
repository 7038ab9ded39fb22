"""What is to be done to a scan's counts: found from the data, or asked for, and said in words."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .errors import ScanFileError
from .preparation import Background, Counts, Preparation
from .raw import RawScan, RawStack

__all__ = ["estimate_background", "open_beam", "planned"]

# Of the range of values, from the lowest: borders that the object leaves free lie there, with their
# noise; those that it reaches lie around its mean.
_DARK = 0.25
_CLOSE = 0.01  # of the range: the noise that ten flat fields of a thousand counts leave in it
_TRANSMISSION = 0.3
"""Absorbance by which the open beam of a transmission may be off 0: no flat field is that wrong."""


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
    in_view = level <= low + _DARK * (high - low)
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
    if low == high or abs(background) < _CLOSE * (high - low):
        return 0.0, f"{background:.6g}, close enough to 0, nothing subtracted"
    if background > low + _DARK * (high - low):
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
