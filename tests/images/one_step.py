"""A step of whole images, as the loop puts it together from slabs of rows."""

import numpy as np

from napari_tomoalign.images.refining import NormalEquations, guarded, slopes, step_change


def one_step(measured: np.ndarray, reprojected: np.ndarray, weights: np.ndarray):
    """Return the guarded Gauss-Newton step of each pair, and how well it correlates before."""
    derivatives = [slopes(reprojected, axis) for axis in (1, 2)]
    equations = NormalEquations.of(measured, reprojected, weights, derivatives)

    def change(which: np.ndarray, steps: np.ndarray) -> np.ndarray:
        images = measured, reprojected, weights
        each = [
            step_change(step, *(one[i : i + 1] for one in images))
            for i, step in zip(which, steps, strict=True)
        ]
        return np.array(each)

    return guarded(equations, change)
