"""What scikit-image has for what is done here by hand: as good? As fast? In as much memory?

    python tests/benchmarks/scikit_image.py

Of `registration.phase_cross_correlation`, see `registration.py`; `restoration.estimate_sigma` needs
PyWavelets besides. Times are those of one thread, of
32 images of 256 x 256 pixels of a simulated scan; noise is 2 % of the largest value.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from machine import facts, table
from skimage.restoration import inpaint_biharmonic
from skimage.transform import downscale_local_mean

from napari_tomoalign.images.binning import bin_stack
from napari_tomoalign.images.filtering import fill_ignored
from napari_tomoalign.simulation import simulate


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Return what comes of it the second time, when all is compiled, and the seconds."""
    work()
    begin = time.process_time()
    found = work()
    return found, time.process_time() - begin


def main() -> None:
    """Run both and print the table."""
    scan = simulate(256, 32, noise=0.0, oversampling=1, seed=1)
    clean = scan.projections
    sigma = 0.02 * float(clean.max())
    rng = np.random.default_rng(0)
    noisy = clean + rng.normal(0, sigma, clean.shape).astype(np.float32)
    weights = (rng.random(clean.shape) > 0.01).astype(np.float32)
    weights[:, 100:106, 120:126] = 0
    gaps = weights == 0
    rows = []

    def compare(
        what: str, quality: Callable[[np.ndarray], float], **ways: Callable[[], np.ndarray]
    ) -> None:
        for name, work in ways.items():
            found, seconds = timed(work)
            rows.append([what, name, f"{quality(found):.3g}", f"{seconds:.3f}"])

    exact = noisy.astype(np.float64).reshape(32, 128, 2, 128, 2).mean(axis=(2, 4))
    compare(
        "binning by 2: largest error",
        lambda found: float(np.abs(found - exact).max() / sigma),
        ours=lambda: bin_stack(noisy, 2, 2),
        skimage=lambda: downscale_local_mean(noisy, (1, 2, 2)),
    )
    compare(
        "filling 1 % and a hole of 6 x 6: RMS error / noise",
        lambda found: float(np.sqrt(np.mean((found - clean)[gaps] ** 2)) / sigma),
        ours=lambda: fill_ignored(noisy, weights),
        skimage=lambda: np.stack(
            [inpaint_biharmonic(image, gap) for image, gap in zip(noisy, gaps, strict=True)]
        ),
    )
    print(facts())
    print(table([["what", "by", "error", "CPU s"], *rows]))


if __name__ == "__main__":
    main()
