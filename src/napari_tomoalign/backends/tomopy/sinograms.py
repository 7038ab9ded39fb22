"""Sinograms made fit for TomoPy: moved, padded, filtered.

Sinograms are ``(n_rows, n_angles, n_columns)`` float32; what comes in is never modified.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ...geometry import ScanGeometry

__all__ = [
    "centred",
    "filtered",
    "golden_order",
    "grid_offset",
    "gridrec_background",
    "onto_grid",
    "padded_for_gridrec",
    "widened",
]

Array = NDArray[np.float32]


def centred(sinograms: Array, geometry: ScanGeometry) -> Array:
    """Return sinograms whose axis is in the middle: with ASTRA, TomoPy can only roll pixels."""
    excess = 2 * geometry.center - (geometry.n_columns - 1)
    whole = round(excess)
    sinograms = _padded(sinograms, max(-whole, 0), max(whole, 0))
    return _moved(sinograms, (whole - excess) / 2)


def onto_grid(sinograms: Array, geometry: ScanGeometry) -> tuple[Array, float]:
    """Return sinograms, and their centre, whose rays at 0 pass through the middles of the voxels.

    A traced ray along the grid sees one line of voxels, wherever it passes through them, so the
    projections near 0 and 90 degrees would be displaced by up to half a pixel.
    """
    offset = grid_offset(geometry)
    return _moved(sinograms, offset), geometry.center + offset


def grid_offset(geometry: ScanGeometry) -> float:
    """Return how far, to the nearest, the centre is from where rays pass through the middles."""
    offset = geometry.volume_axis - geometry.center
    return offset - round(offset)


def widened(sinograms: Array, width: int) -> tuple[Array, int]:
    """Return sinograms with the edge values repeated, and how many columns came to the left."""
    left = (width - sinograms.shape[-1] + 1) // 2
    return _padded(sinograms, left, width - sinograms.shape[-1] - left), left


def padded_for_gridrec(sinograms: Array, geometry: ScanGeometry) -> tuple[Array, float]:
    """Return sinograms, and their centre, with room to filter, moved to correct the volume.

    Without room gridrec's filter wraps round. Gridrec puts the axis on voxel ``width // 2``,
    counted from the first column and from the last row, for an even width, and one further for
    an odd one. The axis is in the middle when the projections are those of an object that is
    moved back by as much.
    """
    width = geometry.volume_width
    wide, left = widened(sinograms, max(128, _power_of_two(2 * width)))
    excess = 0.5 if width % 2 == 0 else 1.0
    shifts = -excess * (np.cos(geometry.angles) + np.sin(geometry.angles))
    return _fourier_shift(wide, shifts), geometry.center + left


def gridrec_background(sinograms: Array) -> Array:
    """Return the constant that each slice lacks, because gridrec leaves out the frequency 0.

    A ramp that is band-limited in real space has 2 / (pi^2 width) there, not 0.
    """
    total = sinograms.sum(axis=-1).mean(axis=-1)
    background: Array = total * np.float32(2 / np.pi / sinograms.shape[-1] ** 2)
    return background


def golden_order(angles: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return an order in which no projection follows its neighbour: steps by the golden ratio.

    Art corrects for one projection at a time; in their own order the last ones displace what the
    others agree on by a fraction of a pixel.
    """
    steps = np.mod(np.arange(len(angles)) * (np.sqrt(5) - 1) / 2, 1)
    return np.argsort(angles)[np.argsort(np.argsort(steps))]


def filtered(sinograms: Array, filter_name: str, filter_par: Any) -> Array:
    """Return sinograms filtered for back projection, which TomoPy's fbp leaves undone."""
    n_angles, width = sinograms.shape[1:]
    size = _power_of_two(2 * width)
    spectrum = scipy.fft.rfft(sinograms, size, axis=-1)
    spectrum *= (np.pi / n_angles * _response(size, filter_name, filter_par)).astype(np.float32)
    result: Array = scipy.fft.irfft(spectrum, size, axis=-1)[..., :width]
    return result


def _response(size: int, filter_name: str, filter_par: Any) -> NDArray[np.float64]:
    """Return the band-limited ramp (Kak and Slaney 1988, chapter 3, equation 61), windowed.

    The windows are gridrec's, so that a name means the same in both.
    """
    x = np.asarray(scipy.fft.rfftfreq(size))
    if filter_name == "none":
        return np.ones_like(x)
    n = np.fft.fftfreq(size, 1 / size)
    odd = n % 2 == 1
    kernel = np.where(n == 0, 0.25, 0.0)
    kernel[odd] = -1 / (np.pi * n[odd]) ** 2
    window = np.ones_like(x)
    scaled = x / np.ravel(filter_par)[0]
    if filter_name == "shepp":
        window = np.sinc(x)
    elif filter_name == "cosine":
        window = np.cos(np.pi * x)
    elif filter_name == "hann":
        window = 0.5 + 0.5 * np.cos(2 * np.pi * scaled)
    elif filter_name == "hamming":
        window = 0.54 + 0.46 * np.cos(2 * np.pi * scaled)
    elif filter_name == "parzen":
        window = (1 - scaled) ** 3
    elif filter_name == "butterworth":
        window = 1 / (1 + scaled ** (2 * np.ravel(filter_par)[1]))
    response: NDArray[np.float64] = np.fft.rfft(kernel).real * window
    return response


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _padded(sinograms: Array, left: int, right: int) -> Array:
    return np.pad(sinograms, ((0, 0), (0, 0), (left, right)), mode="edge")


def _moved(sinograms: Array, shift: float) -> Array:
    """Return sinograms moved by `shift` columns, at most half a one, the edge values repeated."""
    if abs(shift) < 1e-3:
        return sinograms
    wide, left = widened(sinograms, _power_of_two(2 * sinograms.shape[-1]))
    moved = _fourier_shift(wide, np.full(sinograms.shape[1], shift))
    return moved[..., left : left + sinograms.shape[-1]]


def _fourier_shift(sinograms: Array, shifts: NDArray[np.float64]) -> Array:
    """Move each angle's columns by `shifts` pixels, round the end."""
    width = sinograms.shape[-1]
    spectrum = scipy.fft.rfft(sinograms, axis=-1)
    phase = np.exp(-2j * np.pi * shifts[:, None] * scipy.fft.rfftfreq(width))
    spectrum *= phase.astype(np.complex64)
    moved: Array = scipy.fft.irfft(spectrum, width, axis=-1)
    return moved
