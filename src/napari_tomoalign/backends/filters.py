"""The ramp of filtered back projection and its windows, once for every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["WINDOWS", "filtered", "response"]

_Array = NDArray[np.float64]

WINDOWS: Mapping[str, Callable[[_Array, float], _Array]] = {
    "ramp": lambda f, order: np.ones_like(f),
    "shepp-logan": lambda f, order: np.sinc(f),
    "cosine": lambda f, order: np.cos(np.pi * f),
    "hamming": lambda f, order: 0.54 + 0.46 * np.cos(2 * np.pi * f),
    "hann": lambda f, order: 0.5 + 0.5 * np.cos(2 * np.pi * f),
    "parzen": lambda f, order: (1 - f) ** 3,
    "butterworth": lambda f, order: 1 / (1 + f ** (2 * order)),
}
"""Windows by name: their value at frequencies in cycles a pixel, 0 to 1/2. Only the last one has an
order."""


def response(size: int, window: str, cutoff: float = 1.0, order: float = 8.0) -> _Array:
    """Return the band-limited ramp, windowed.

    Kak and Slaney 1988 (doi 10.1137/1.9780898719277), chapter 3, equation 61: sampled in real
    space, so that the frequency 0 is not lost altogether.

    Parameters
    ----------
    size : int
        Columns, with room to filter.
    window : str
        One of `WINDOWS`.
    cutoff : float
        Frequencies are divided by it before hann, hamming, parzen and butterworth see them.
    order : float
        Of the butterworth window.

    Returns
    -------
    (size // 2 + 1,) array of float64
        At the frequencies of `scipy.fft.rfftfreq`.
    """
    n = np.fft.fftfreq(size, 1 / size)
    odd = n % 2 == 1
    kernel = np.where(n == 0, 0.25, 0.0)
    kernel[odd] = -1 / (np.pi * n[odd]) ** 2
    frequency: _Array = np.asarray(scipy.fft.rfftfreq(size))
    if window not in ("shepp-logan", "cosine"):
        frequency = frequency / cutoff
    windowed: _Array = np.fft.rfft(kernel).real * WINDOWS[window](frequency, order)
    return windowed


def filtered(
    images: NDArray[np.float32],
    window: str,
    *,
    cutoff: float = 1.0,
    order: float = 8.0,
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Return images whose columns, the last axis, went through the windowed ramp.

    Parameters
    ----------
    images : (..., n_columns) array of float32
        Taken as 0 beyond the borders: twice the columns keep the filter from wrapping round.
    window, cutoff, order
        As for `response`.
    workers : int, optional
        Number of threads.
    """
    n_columns = images.shape[-1]
    size: int = scipy.fft.next_fast_len(2 * n_columns, real=True)
    spectrum = scipy.fft.rfft(images, size, axis=-1, workers=workers)
    spectrum *= response(size, window, cutoff, order).astype(np.float32)
    result: NDArray[np.float32] = scipy.fft.irfft(spectrum, size, axis=-1, workers=workers)
    return result[..., :n_columns]
