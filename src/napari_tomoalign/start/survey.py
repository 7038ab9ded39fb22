"""One pass over the frames, before the loop: all that is asked of them there.

Frames come in blocks, one after the other, and none is looked at twice, so that a stack that is
read from a file need not be held for it. What is kept are sums along the columns of each row and
over the borders, from which outline, first shifts and background follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from .._typing import Array, Stack
from ..images._survey_kernels import count_spikes, look_at_frames
from ..images.binning import bin_stack
from ..images.filtering import noise_level
from ..images.source import blocks_of

__all__ = [
    "NOISELESS",
    "SPIKED",
    "Survey",
    "blocks_in_memory",
    "border_width",
    "read_blocks",
    "take_survey",
]

NOISELESS = 1e-3
"""Noise of the contrast, below which images are simulated: no detector has as little."""

SPIKED = 2e-4
"""Share of the pixels that are spikes; thin walls and beads of clean scans have 3e-5 at most."""

_COARSE = 16  # pixels along the longer side of the image in which contrast is measured
_FRAMES_AT_ONCE = 16  # enough for whole-array arithmetic, and as deep as most files' chunks
_SPIKE = 10.0  # times the noise: of noise alone, no pixel stands out as far
_NOISE_ROWS = 96  # of a frame, in the middle, at most
_FEWEST_NOISE_ROWS = 12
"""Where a row alone has more than enough pixels: a bad row or two of a detector decide nothing.

4 to 24 give the same in small images (``tests/benchmarks/constants.py
start.survey._FEWEST_NOISE_ROWS 4,12,24 --cases noise5``)."""
_NOISE_PIXELS = 96 * 256  # some ten thousand pixels tell its noise to a percent


@dataclass(frozen=True, eq=False)
class Survey:
    """What the frames of a scan show, each by itself.

    Attributes
    ----------
    shape : tuple of int
        (n_angles, n_rows, n_columns) of the scan.
    mass, moment : (n_angles, n_rows) array
        Sums over the columns of each row: of the values, and of the values times the column. These,
        ``strips`` and ``power`` are without the spikes of frames that have many: a spike outweighs
        a row.
    strips : (n_angles, 4, n_rows) array
        Means over the columns along the left and the right border, see `border_width`: outermost
        left, beside it, beside the outermost right, outermost right.
    mean, spread : (n_rows, n_columns) array
        Over the frames, of each pixel: mean and standard deviation.
    power : (n_angles,) array
        Sum of squares.
    contrast : (n_angles,) array
        Standard deviation after averaging over blocks, which takes most of the noise away.
    at_largest : (n_angles,) array
        Share of the pixels at exactly the frame's largest value.
    spikes : (n_angles,) array
        Share of the pixels that stand out of all four neighbours, by ten times the noise.
    varies : (n_angles,) array of bool
        The pixels are not all equal.
    noise : (n_angles,) array
        Standard deviation of a pixel's noise, see `noise_level`.
    digests : tuple of bytes
        By which frames that are equal to the bit are told.
    """

    shape: tuple[int, int, int]
    mass: Array
    moment: Array
    strips: Array
    mean: Array
    spread: Array
    power: Array
    contrast: Array
    at_largest: Array
    spikes: Array
    varies: NDArray[np.bool_]
    noise: Array
    digests: tuple[bytes, ...]

    def noise_of(self, used: NDArray[np.bool_]) -> float:
        """Return the standard deviation of a pixel's noise in the usual one of some frames."""
        return float(np.median(self.noise[used]))


def blocks_in_memory(stack: Stack) -> Iterator[tuple[int, Stack]]:
    """Yield a stack in memory as the index of a first frame and the frames from there on."""
    for part in read_blocks(stack.shape):
        yield part.start, stack[part]


def read_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the frames that are read, and looked at, at once."""
    for start, stop in blocks_of(shape, most=_FRAMES_AT_ONCE):
        yield slice(start, stop)


def border_width(n_pixels: int) -> int:
    """Return how many columns (or rows) along a border stand for what lies at it."""
    return 2 if n_pixels < 64 else n_pixels // 32


def take_survey(blocks: Iterable[tuple[int, Stack]], shape: tuple[int, int, int]) -> Survey:
    """Look once at every frame.

    Parameters
    ----------
    blocks : iterable of (int, (n, n_rows, n_columns) array of float32)
        The index of a first frame, and the frames from there on: line integrals, ignored pixels
        filled from their surroundings. Every frame once, in any order.
    shape : (n_angles, n_rows, n_columns)
        Of the whole.
    """
    n, n_rows, n_columns = shape
    width = border_width(n_columns)
    binning = max(1, -(-max(n_rows, n_columns) // _COARSE))
    band = min(_NOISE_ROWS, max(_FEWEST_NOISE_ROWS, _NOISE_PIXELS // n_columns))
    middle = slice(max(0, (n_rows - band) // 2), (n_rows + band) // 2)
    keys = np.random.default_rng(0).integers(2**64, size=n_columns, dtype=np.uint64)
    sums = np.empty((n, 3, n_rows))
    strips = np.empty((n, 4, n_rows))
    cuts = [slice(k * width, (k + 1) * width) for k in (0, 1)]
    cuts += [slice(n_columns - (k + 1) * width, n_columns - k * width) for k in (1, 0)]
    total, squares = np.zeros((2, n_rows, n_columns))
    origin: Stack | None = None  # of the squares: an image, so that they do not cancel
    contrast, at_largest, noise, spikes = np.empty((4, n))
    digests = [b""] * n
    columns = np.arange(n_columns)
    for first, block in blocks:
        part = slice(first, first + len(block))
        for k, cut in enumerate(cuts):
            strips[part, k] = block[:, :, cut].mean(axis=2)
        origin = block[0].copy() if origin is None else origin
        coarse = bin_stack(block, min(binning, n_rows), min(binning, n_columns))
        contrast[part] = coarse.std(axis=(1, 2))
        frames = np.ascontiguousarray(block)
        hashes, equal = np.empty((len(frames), n_rows), np.uint64), np.empty(len(frames), np.intp)
        bits = frames.view(np.uint32)
        look_at_frames(frames, bits, keys, origin, sums[part], hashes, equal, total, squares)
        at_largest[part] = equal / (n_rows * n_columns)
        for i, frame in enumerate(frames, start=first):
            noise[i] = noise_level(frame[None, middle])
            spikes[i] = _spikes(frame, _SPIKE * noise[i])
            if spikes[i] > SPIKED:
                calm = _without_spikes(frame, _SPIKE * noise[i])
                sums[i] = calm.sum(axis=1), calm @ columns, np.sum(calm**2, axis=1)
                strips[i] = [calm[:, cut].mean(axis=1) for cut in cuts]
            digests[i] = hashlib.blake2b(hashes[i - first].data, digest_size=16).digest()
    return Survey(
        shape=shape,
        mass=sums[:, 0],
        moment=sums[:, 1],
        strips=strips,
        mean=total / n + (0 if origin is None else origin),
        spread=np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0)),
        power=sums[:, 2].sum(axis=1),
        contrast=contrast,
        at_largest=at_largest,
        spikes=spikes,
        varies=at_largest < 1,
        noise=noise,
        digests=tuple(digests),
    )


def _spikes(frame: Stack, height: float) -> float:
    """Return the share of the pixels that stand out of all four neighbours by more than that."""
    n_inner = (frame.shape[0] - 2) * (frame.shape[1] - 2)
    if min(frame.shape) < 3 or height == 0:
        return 0.0
    return float(count_spikes(frame, np.float32(height)) / n_inner)


def _without_spikes(frame: Stack, height: float) -> Array:
    """Return a frame with what stands out of the median around it by ``height`` put back to it."""
    usual = median_filter(frame, 3, mode="nearest")
    return np.where(np.abs(frame - usual) > height, usual, frame).astype(np.float64)
