"""How well scans of any geometry are aligned, and what is found of it, against the bound.

    python tests/benchmarks/geometry.py [WORD ...]

prints the rows whose names hold one of the words, or all.
"""

import sys

import numpy as np

from napari_tomoalign import ScanGeometry, align
from napari_tomoalign.geometry.gauge import angles_part, remove_gauge
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
    "axis turned 2, 96^3": ({"size": 96, "n_angles": 90, "axis_angle": 2}, "axis_angle"),
    "axis tilt 2, 64^3": ({"size": 64, "n_angles": 60, "axis_tilt": 2}, "axis_tilt"),
    "angles wrong by 0.3": ({"size": 64, "n_angles": 60, "noise": 0.005}, "angles"),
    "images turned by 0.3": ({"size": 64, "n_angles": 60}, "in_plane"),
}


def rms(values):
    """Root mean square."""
    return np.sqrt(np.mean(np.square(values)))


def row(name, settings, unknown=None):
    """Align one scan and print its row."""
    scan = simulate(seed=1, **settings)
    wrong = np.deg2rad(0.3) * np.random.default_rng(0).normal(size=len(scan.angles))
    angles = scan.angles
    if unknown == "in_plane":
        turned = scan.geometry.with_changes(in_plane=wrong)
        scan = simulate(seed=1, rotations=turned.orientations, **settings)
    told = scan.geometry
    axis = {"axis_angle": told.axis_angle, "axis_tilt": told.axis_tilt}
    if unknown is not None:
        axis = {"refine": (unknown,)}
    elif told.rotations is not None:
        axis, angles = {"rotations": told.rotations}, None
    if unknown == "angles":
        angles = angles + wrong
    result = align(scan.projections, angles, backend="builtin", progress=False, **axis)
    off = result.shifts - scan.shifts + [0, result.center - scan.center]
    error = np.sqrt(np.mean(np.sum(remove_gauge(off, told.directions) ** 2, axis=1)))
    text = f"{name:28s}{error / cramer_rao_bound(scan):6.2f} x bound{len(result.history):4d} it."
    if unknown in ("angles", "in_plane"):
        away = result.geometry.angles - scan.angles
        if unknown == "angles":
            wrong, away = (one - angles_part(one, scan.angles) for one in (wrong, away))
        else:
            away = result.geometry.in_plane - wrong
        known = np.rad2deg(rms(np.nan_to_num(result.geometry_error[unknown])))
        text += f"   {unknown} wrong by {np.rad2deg(rms(wrong)):.3f} (RMS), found to be "
        text += f"off by {np.rad2deg(rms(away)):.3f} +- {known:.3f} degrees"
    elif unknown is not None:
        away = np.rad2deg(getattr(result.geometry, unknown) - getattr(told, unknown))
        known = np.rad2deg(result.geometry_error[unknown])
        text += f"   {unknown} off by {away:+.3f} +- {known:.3f} degrees"
    print(text, flush=True)


if __name__ == "__main__":
    rows = {name: (settings,) for name, settings in TOLD.items()} | FOUND
    for name, given in rows.items():
        if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
            row(name, *given)
