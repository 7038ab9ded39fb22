"""Tapers and filters that images go through before they are registered."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack

__all__ = [
    "SMOOTHING_HALO",
    "counted_pixels",
    "edge_window",
    "fill_ignored",
    "noise_level",
    "smooth",
    "taper",
]


_TRUNCATE = 4.0  # standard deviations, scipy's default: the Gaussian is 3e-4 of its middle there
_SMOOTHING = 0.8  # pixels, see `smooth`; 0.5 gains 1.5 % of the error and 1.2 loses 3 %:
# tests/benchmarks/constants.py images.filtering._SMOOTHING 0.5,0.8,1.2

_ENOUGH = 0.05  # of the weight under a window: with less, what surrounds a pixel is told from afar
_FAR = 2.0  # pixels: means under wider windows cost less over the whole image than pixel by pixel

SMOOTHING_HALO = int(_TRUNCATE * _SMOOTHING + 0.5)
"""Rows around a slab that its smoothed rows depend on: the radius of the Gaussian."""


def smooth(images: Stack, sigma: float | None = None) -> Stack:
    """Return images under a Gaussian of ``sigma`` pixels, by default 0.8, each by itself.

    Reprojections are smoothed by it, for their noise is the data's own.
    """
    from scipy.ndimage import gaussian_filter

    width = _SMOOTHING if sigma is None else sigma
    blurred: Stack = gaussian_filter(images, (0, width, width), mode="nearest", truncate=_TRUNCATE)
    return blurred


def counted_pixels(
    shape: tuple[int, ...], window: tuple[slice, slice], width: int
) -> NDArray[np.bool_]:
    """Return which pixels of an image lie in a window, and not along its borders.

    A border of ``width`` pixels is left out, fewer along sides so short that two thirds of them
    would be.
    """
    lines = []
    for n, part in zip(shape, window, strict=True):
        first, last, _ = part.indices(n)
        margin = max(0, min(width, (last - first - 2) // 3))
        line = np.zeros(n, bool)
        line[first + margin : last - margin] = True
        lines.append(line)
    return np.outer(*lines)


def noise_level(images: Stack) -> float:
    """Return the standard deviation of the noise, pixel by pixel, of images of something smooth.

    From second differences along rows and columns, which planes do not pass (Immerkaer 1996, doi
    10.1006/cviu.1996.0060), by their median, which edges hardly move. 0 where they are too small.
    (`skimage.restoration.estimate_sigma` takes wavelets, and PyWavelets for them.)
    """
    down = images[:, :-2] - 2 * images[:, 1:-1] + images[:, 2:]
    both = down[:, :, :-2] - 2 * down[:, :, 1:-1] + down[:, :, 2:]
    if not both.size:
        return 0.0
    from scipy.stats import median_abs_deviation

    # 1, -2, 1 along both sides: the squares of the nine factors sum to 36
    return float(median_abs_deviation(both, axis=None, scale="normal")) / 6


@lru_cache(maxsize=128)
def taper(n: int, width: int | None = None) -> NDArray[np.float32]:
    """Return Tukey's window of length n, which rises from 0 over ``width`` pixels at both ends.

    The zeros lie just outside, so that no pixel is lost. None: over a sixteenth of the length,
    which costs a sixteenth of the weight along a line.
    """
    from scipy.signal.windows import tukey

    width = max(1, n // 16) if width is None else width
    share = min(1.0, 2 * width / (n + 1))
    window: NDArray[np.float32] = tukey(n + 2, share)[1:-1].astype(np.float32)
    window.flags.writeable = False  # the next one who asks gets the same
    return window


def edge_window(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a window over an image that falls to 0 at its edges.

    Along rows and columns, where `skimage.filters.window` would be round and lose the corners.
    """
    return np.outer(*(taper(n) for n in shape))


def fill_ignored(images: Stack, weights: Stack) -> Stack:
    """Return images whose ignored pixels follow from the pixels around them.

    Normalised convolution (Knutsson and Westin 1993): a pixel of weight 0 becomes the weighted
    mean of its surroundings, taken as near as there is any. What garbage it held is forgotten, so
    that it cannot spread when the image is interpolated.

    `skimage.restoration.inpaint_biharmonic` follows the noise of a hole's border inwards: of noisy
    images it leaves nearly twice the error, in eight times the time
    (``tests/benchmarks/scikit_image.py``).
    """
    filled = np.array(images, dtype=np.float32)
    for image, weight in zip(filled, weights, strict=True):
        places = np.argwhere(weight < 1)
        if len(places):
            share = weight[tuple(places.T)]
            known = np.where(share > 0, share * image[tuple(places.T)], 0)
            image[tuple(places.T)] = known + (1 - share) * _means_around(image, weight, places)
    return filled


def _means_around(image: Stack, weight: Stack, places: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the weighted means of what surrounds pixels, as near as there is enough of any."""
    from scipy.ndimage import gaussian_filter

    from ._filling_kernels import mean_around

    means, sigma = np.full(len(places), np.nan, np.float32), 0.7
    while np.isnan(means).any() and sigma < max(image.shape):
        left = np.isnan(means)
        if sigma < _FAR:  # there, as a rule, and few: the rest of the image is not looked at
            found = np.empty(np.count_nonzero(left), np.float32)
            weights = np.asarray(weight, np.float32)
            mean_around(image, weights, places[left], _gaussian(sigma), _ENOUGH, found)
        else:
            at = tuple(places[left].T)
            known = np.where(weight > 0, image * weight, np.float32(0))
            share = gaussian_filter(weight, sigma, mode="nearest", truncate=_TRUNCATE)[at]
            total = gaussian_filter(known, sigma, mode="nearest", truncate=_TRUNCATE)[at]
            enough = share > _ENOUGH
            found = np.where(enough, total / np.where(enough, share, 1), np.float32(np.nan))
        means[left] = found
        sigma *= 2
    return np.nan_to_num(means)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Return the window that a Gaussian filter takes its means under."""
    radius = int(_TRUNCATE * sigma + 0.5)
    profile = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    found: NDArray[np.float64] = profile / profile.sum()
    return found
