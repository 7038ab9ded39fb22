"""How well scans of any geometry are aligned, and what is found of it, against the bound.

    python tests/benchmarks/geometry.py [WORD ...]

prints the rows whose names hold one of the words, or all.
"""

import sys

import numpy as np

from napari_tomoalign import ScanGeometry, align
from napari_tomoalign.geometry.gauge import remove_gauge
from napari_tomoalign.simulation import cramer_rao_bound, simulate


def two_axes(n):
    angles = np.linspace(0, np.pi, n // 4, endpoint=False)
    tilts = np.deg2rad([0, 15, 30, 45])
    return np.concatenate([ScanGeometry(angles, 1, 1, axis_tilt=t).orientations for t in tilts])


TOLD = {
    "axis turned 5, told": {"size": 48, "n_angles": 40, "axis_angle": 5},
    "laminography 30": {"size": 28, "n_angles": 60, "axis_tilt": 30},
    **{
        f"two axes, {n} projections": {"size": 28, "rotations": two_axes(n), "noise": 0.01}
        for n in (12, 24, 60)
    },
}
FOUND = {
    **{
        f"axis turned {turn}": ({"size": 48, "n_angles": 40, "axis_angle": turn}, "axis_angle")
        for turn in (0.5, 2, 5)
    },
    **{
        f"axis tilt {tilt}": ({"size": 32, "n_angles": 30, "axis_tilt": tilt}, "axis_tilt")
        for tilt in (0.5, 2)
    },
}


def row(name, settings, unknown=None):
    """Align one scan and print its row."""
    scan = simulate(seed=1, **settings)
    told = scan.geometry
    axis = {"axis_angle": told.axis_angle, "axis_tilt": told.axis_tilt}
    if told.rotations is not None:
        axis = {"rotations": told.rotations}
    if unknown is not None:
        axis = {"refine": (unknown,)}
    angles = None if "rotations" in axis else scan.angles
    result = align(scan.projections, angles, backend="builtin", progress=False, **axis)
    off = result.shifts - scan.shifts + [0, result.center - scan.center]
    error = np.sqrt(np.mean(np.sum(remove_gauge(off, told.directions) ** 2, axis=1)))
    text = f"{name:28s}{error / cramer_rao_bound(scan):6.2f} x bound{len(result.history):4d} it."
    if unknown is not None:
        away = np.rad2deg(getattr(result.geometry, unknown) - getattr(told, unknown))
        known = np.rad2deg(result.geometry_error[unknown])
        text += f"   {unknown} off by {away:+.3f} +- {known:.3f} degrees"
    print(text, flush=True)


if __name__ == "__main__":
    rows = {name: (settings,) for name, settings in TOLD.items()} | FOUND
    for name, given in rows.items():
        if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
            row(name, *given)
