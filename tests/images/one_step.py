"""A step of whole images, as the loop puts it together from slabs of rows."""

import numpy as np

from napari_tomoalign.images.refining import NormalEquations, guarded, slopes


def one_step(measured: np.ndarray, reprojected: np.ndarray, weights: np.ndarray):
    """Return the guarded Gauss-Newton step of each pair, and how well it correlates before."""
    derivatives = [slopes(reprojected, axis) for axis in (1, 2)]
    equations = NormalEquations.of(measured, reprojected, weights, derivatives)

    def pair(i: int) -> tuple[np.ndarray, ...]:
        return tuple(images[i : i + 1] for images in (measured, reprojected, weights))

    return guarded(equations, pair)
