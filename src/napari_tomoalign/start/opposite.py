"""Where the axis lies, from opposite projections: for scans that show half of the object at a time.

In half an acquisition the axis lies near a border, so that a full turn shows each half in turn. A
projection and the one half a turn later are mirror images, of which only a strip about the axis is
in both: how wide it is says where the axis lies. It is registered, as for half-acquired scans that
are stitched (Vo et al. 2021, doi 10.1364/OE.418448), pair by pair, for shifts are not known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from .._typing import Array, Stack
from ..images.binning import bin_stack

__all__ = ["axis_from_opposite", "opposite_pairs"]

# Of 36 scans of foreign.py and other objects, 48 columns, shifts of 3 to 5 pixels, the axis 10 to
# 20 columns off the middle, it is found to 0.7 pixels (RMS), 1.7 at most.
_COARSE = 48  # columns: a strip of a tenth of the width still has five
_NARROWEST = 3  # columns of a strip
_ROWS = 0.25  # of an image: as far apart may the frames of a pair lie
_SCATTER = 0.1  # of the width: by how much pairs are displaced against each other
_NEAR = 0.5  # of the step between frames: so near to half a turn lie the angles of a pair


def opposite_pairs(angles: Array, used: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices (n_pairs, 2) of frames that lie half a turn apart.

    Each frame of the first half comes once, with the one nearest to half a turn later, if that is
    nearer than half of the usual step.
    """
    which = np.flatnonzero(used)
    order = which[np.argsort(angles[which], kind="stable")]
    steps = np.diff(angles[order])
    if not (steps > 0).any():
        return np.empty((0, 2), np.intp)
    near = _NEAR * float(np.median(steps[steps > 0])) + 1e-6
    off = np.abs(angles[order][None, :] - angles[order][:, None] - np.pi)
    best = np.argmin(off, axis=1)
    found = off[np.arange(len(order)), best] <= near
    pairs: NDArray[np.intp] = np.column_stack([order, order[best]])[found]
    return pairs


def axis_from_opposite(projections: Stack, pairs: NDArray[np.intp], *, left: bool) -> float:
    """Return the column of the axis.

    Of a strip of ``w`` columns from the border on, seen from both sides, the mean square difference
    ``d`` is held against that of frames which are no pair, ``v``: what costs least in
    ``w log(d / v)``, summed over all pairs, each displaced by some columns, is taken, and of the
    pairs their mean.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns) array of float32
        Line integrals.
    pairs : (n_pairs, 2) array of int
        See `opposite_pairs`; a few are enough.
    left : bool
        The axis is near the left border.
    """
    size = max(1, projections.shape[2] // _COARSE)
    images = bin_stack(projections, min(size, projections.shape[1]), size)
    images = images if left else images[:, :, ::-1]
    first, second = images[pairs[:, 0]], images[pairs[:, 1]]
    n_columns = images.shape[2]
    widths = np.arange(_NARROWEST, n_columns + 1)
    cost = np.array([_cost(first[:, :, :w], second[:, :, w - 1 :: -1], int(w)) for w in widths])
    reach = max(1, round(_SCATTER * n_columns))
    shared = minimum_filter1d(cost, 2 * reach + 1, axis=0, mode="nearest").sum(axis=1)
    best = int(np.argmin(shared))
    around = slice(max(best - reach, 0), best + reach + 1)
    each = widths[around][np.argmin(cost[around], axis=0)]
    place = (float(each.mean()) - 1) / 2
    place = place if left else n_columns - 1 - place
    return float(size * place + (size - 1) / 2)


def _cost(ahead: Stack, mirrored: Stack, width: int) -> Array:
    """Return what a strip costs in each pair, in the rows in which the two agree best."""
    n_pairs, n_rows, _ = ahead.shape
    reach = int(_ROWS * n_rows)
    others = np.roll(mirrored, n_pairs // 3 + 1, axis=0)
    unlike = float(np.mean((ahead - others) ** 2, dtype=np.float64))
    least = np.full(n_pairs, np.inf)
    for rows in range(-reach, reach + 1):
        one = ahead[:, max(rows, 0) : n_rows + min(rows, 0)]
        other = mirrored[:, max(-rows, 0) : n_rows - max(rows, 0)]
        least = np.minimum(least, np.mean((one - other) ** 2, axis=(1, 2), dtype=np.float64))
    found: Array = width * np.log(np.maximum(least, 1e-12 * unlike) / max(unlike, 1e-300))
    return found
