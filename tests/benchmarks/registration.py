"""Our cross-correlation beside scikit-image's, on images whose shifts are known.

    python tests/benchmarks/registration.py

Sixty projections of a phantom, displaced by up to 4 px, with noise, all pixels and with a masked
border and corner: error (RMS, pixels) and seconds of `images.capturing.correlate` and of
`skimage.registration.phase_cross_correlation`, which with masks finds whole pixels only.
"""

from __future__ import annotations

import time

import numpy as np
from machine import facts, table
from skimage.registration import phase_cross_correlation

from napari_tomoalign.images.capturing import correlate
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.simulation import simulate


def ours(measured: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return correlate(measured, reference, weights, upsampling=100, workers=1).shifts


def theirs(measured: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    options: dict[str, object] = {"upsample_factor": 100, "normalization": None}
    found = []
    for image, expected, weight in zip(measured, reference, weights, strict=True):
        if not weight.all():
            options = {"reference_mask": np.ones_like(weight, bool), "moving_mask": weight > 0}
        found.append(phase_cross_correlation(expected, image, **options)[0])
    return -np.array(found)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    reference = simulate(64, 60, noise=0, jitter=0, drift=0).projections
    shifts = rng.uniform(-4, 4, (60, 2))
    moved = shift_stack(reference, shifts)
    rows = [("noise", "masked", "who", "error px", "seconds")]
    ours(moved[:2], reference[:2], np.ones_like(moved[:2]))  # compiled and planned
    for noise in (0.02, 0.1):
        measured = moved + noise * moved.max() * rng.normal(size=moved.shape).astype(np.float32)
        for masked in (False, True):
            weights = np.ones_like(measured)
            if masked:
                weights[:, :, :12] = weights[:, 20:30, 40:] = 0
            for who in (ours, theirs):
                began = time.perf_counter()
                found = who(measured * weights, reference, weights)
                seconds = time.perf_counter() - began
                error = np.sqrt(np.mean(np.sum((found - shifts) ** 2, axis=1)))
                name = "ours" if who is ours else "scikit-image"
                rows.append((f"{noise:.0%}", str(masked), name, f"{error:.3f}", f"{seconds:.2f}"))
    print(facts())
    print(table(rows))


if __name__ == "__main__":
    main()
