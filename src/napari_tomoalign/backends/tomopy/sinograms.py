"""Sinograms made fit for TomoPy: moved, padded, filtered.

Sinograms are ``(n_rows, n_angles, n_columns)`` float32; what comes in is never modified.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import fourier_shift

from ...geometry import ScanGeometry

__all__ = [
    "about_the_middle",
    "edge_continued",
    "grid_offset",
    "gridrec_background",
    "onto_grid",
    "padded_for_gridrec",
]

Array = NDArray[np.float32]


def about_the_middle(sinograms: Array, geometry: ScanGeometry) -> Array:
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


def edge_continued(sinograms: Array, width: int) -> tuple[Array, int]:
    """Return sinograms with the edge values repeated, and how many columns came to the left."""
    left = (width - sinograms.shape[-1] + 1) // 2
    return _padded(sinograms, left, width - sinograms.shape[-1] - left), left


def padded_for_gridrec(sinograms: Array, geometry: ScanGeometry) -> tuple[Array, float]:
    """Return sinograms, and their centre, with room to filter, moved to correct the volume.

    Without room gridrec's filter wraps round, and its interpolation is worse the further from the
    axis: with twice the columns volumes are 1 to 4 % too dense, which a run takes for an object
    that is not rigid; with four times 0.2 to 0.8 %. Gridrec puts the axis on voxel ``width // 2``,
    counted from the first column and from the last row, for an even width, and one further for an
    odd one. The axis is in the middle when the projections are those of an object that is
    moved back by as much.
    """
    width = geometry.volume_width
    wide, left = edge_continued(sinograms, _power_of_two(4 * width))
    excess = 0.5 if width % 2 == 0 else 1.0
    shifts = excess * (geometry.directions[:, 1] @ [0, 1, -1])
    return _fourier_shift(wide, shifts), geometry.center + left


def gridrec_background(sinograms: Array) -> Array:
    """Return the constant that each slice lacks, because gridrec leaves out the frequency 0.

    A ramp that is band-limited in real space has 2 / (pi^2 width) there, not 0.
    """
    total = sinograms.sum(axis=-1).mean(axis=-1)
    background: Array = total * np.float32(2 / np.pi / sinograms.shape[-1] ** 2)
    return background


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _padded(sinograms: Array, left: int, right: int) -> Array:
    return np.pad(sinograms, ((0, 0), (0, 0), (left, right)), mode="edge")


def _moved(sinograms: Array, shift: float) -> Array:
    """Return sinograms moved by `shift` columns, at most half a one, the edge values repeated."""
    if abs(shift) < 1e-3:
        return sinograms
    wide, left = edge_continued(sinograms, _power_of_two(2 * sinograms.shape[-1]))
    moved = _fourier_shift(wide, np.full(sinograms.shape[1], shift))
    return moved[..., left : left + sinograms.shape[-1]]


def _fourier_shift(sinograms: Array, shifts: NDArray[np.float64]) -> Array:
    """Move each angle's columns by `shifts` pixels, round the end."""
    width = sinograms.shape[-1]
    spectrum = scipy.fft.rfft(sinograms, axis=-1)
    for i, shift in enumerate(shifts):
        spectrum[:, i] = fourier_shift(spectrum[:, i], (0, shift), n=width, axis=1)
    moved: Array = scipy.fft.irfft(spectrum, width, axis=-1)
    return moved
