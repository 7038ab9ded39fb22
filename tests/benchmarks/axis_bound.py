"""How well the axis' turn or lean can be known beside the shifts, of a known and an unknown object.

    python tests/benchmarks/axis_bound.py [SIZE N_ANGLES NAME DEGREES RANGE]...

The unknown object is one of which the spectrum is known and nothing else: voxels that are normally
distributed with the object's own mean power at each frequency. An estimate that takes it for
positive, or for something that fits into the images, may know a little more.
"""

import sys

import numpy as np

from napari_tomoalign.backends import get_backend
from napari_tomoalign.simulation import axis_bound, simulate
from napari_tomoalign.simulation.bound import axis_derivative, shift_derivatives

ROUNDS = 300  # of conjugate gradients; the bound still rises by 1 % from there to 1500 (32^3)
ROWS = [
    (48, 40, "axis_angle", 2, 180),
    (32, 30, "axis_tilt", 2, 180),
    (32, 30, "axis_tilt", 2, 360),
    (64, 60, "axis_tilt", 2, 180),
    (64, 60, "axis_tilt", 2, 360),
]
SEEDS = (1, 2, 3)


def amplitudes(volume):
    """Return the root of a volume's mean power at each frequency."""
    power = np.abs(np.fft.rfftn(volume)) ** 2 / volume.size
    axes = [np.fft.fftfreq(n) for n in volume.shape[:2]] + [np.fft.rfftfreq(volume.shape[2])]
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    ring = np.round(radius * max(volume.shape)).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    mean[0] = max(mean[:2])
    return np.sqrt(np.maximum(mean, 1e-12 * mean.max()))[ring]


def bound_of_unknown(scan, name):
    """Return the standard error, radians: of what neither shifts nor object follow."""
    sigma, operator = scan.noise_sigma, get_backend("builtin").operator(scan.geometry)
    free = axis_derivative(scan, name) / sigma
    moves = np.stack(shift_derivatives(scan, np.arange(len(scan.angles))), axis=1) / sigma
    moves /= np.sqrt(np.sum(moves**2, axis=(2, 3)))[:, :, None, None]
    root, shape = amplitudes(scan.volume()), scan.geometry.volume_shape

    def shown(u, s):
        volume = np.fft.irfftn(np.fft.rfftn(u) * root, s=shape, axes=(0, 1, 2))
        images = operator(volume.astype(np.float32)) / sigma
        return images + np.einsum("nkij,nk->nij", moves, s)

    def back(images):
        volume = operator.T((images / sigma).astype(np.float32))
        u = np.fft.irfftn(np.fft.rfftn(volume) * root, s=shape, axes=(0, 1, 2))
        return u, np.einsum("nkij,nij->nk", moves, images)

    right = back(free)
    found = [np.zeros_like(one) for one in right]
    rest, way = list(right), list(right)
    square = sum(np.vdot(one, one) for one in rest)
    for _ in range(ROUNDS):
        u, s = back(shown(*way))
        answer = (u + way[0], s)  # the object's prior is of unit variance; shifts have none
        step = square / sum(np.vdot(w, a) for w, a in zip(way, answer, strict=True))
        found = [f + step * w for f, w in zip(found, way, strict=True)]
        rest = [r - step * a for r, a in zip(rest, answer, strict=True)]
        before, square = square, sum(np.vdot(one, one) for one in rest)
        way = [r + square / before * w for r, w in zip(rest, way, strict=True)]
    followed = sum(np.vdot(r, f) for r, f in zip(right, found, strict=True))
    return (np.vdot(free, free) - followed) ** -0.5


if __name__ == "__main__":
    given = np.array(sys.argv[1:]).reshape(-1, 5)
    rows = [(int(a), int(b), c, float(d), float(e)) for a, b, c, d, e in given] or ROWS
    for size, n_angles, name, degrees, angular_range in rows:
        still = {"jitter": 0, "drift": 0, "angular_range": angular_range}
        scans = [simulate(size, n_angles, seed=seed, **{name: degrees}, **still) for seed in SEEDS]
        known, unknown = (
            np.rad2deg([bound(scan, name) for scan in scans])
            for bound in (axis_bound, bound_of_unknown)
        )
        print(
            f"{name} {degrees:g}, {size}^3, {n_angles} over {angular_range:g} degrees: known "
            f"object {np.round(known, 3)}, unknown {np.round(unknown, 3)} degrees",
            flush=True,
        )
