"""Scans whose axis is turned or leans, or that have two, told how: aligned as well as others."""

import numpy as np
import pytest

from napari_tomoalign import ScanGeometry, align, iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin.engine import BuiltinBackend
from napari_tomoalign.geometry.gauge import remove_gauge
from napari_tomoalign.simulation import cramer_rao_bound, simulate


def error_of(result, scan):
    """RMS distance of found and true shifts, the axis' place in them, but for the gauge."""
    off = result.shifts - scan.shifts + [0, result.center - scan.center]
    return np.sqrt(np.mean(np.sum(remove_gauge(off, scan.geometry.directions) ** 2, axis=1)))


def two_axes(n_each, tilts=(0, 15, 30, 45)):
    angles = np.linspace(0, np.pi, n_each, endpoint=False)
    tilted = [ScanGeometry(angles, 1, 1, axis_tilt=tilt) for tilt in np.deg2rad(tilts)]
    return np.concatenate([one.orientations for one in tilted])


SCANS = {
    "turned": ({"axis_angle": 20.0, "center_offset": 1.5}, 1.4),
    "leaning": ({"axis_tilt": 30.0}, 1.5),
    "two axes": ({"rotations": two_axes(8), "noise": 0.01}, 1.4),
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_aligned_in_the_geometry_that_is_told(name):
    settings, most = SCANS[name]
    scan = simulate(28, 32, seed=1, **settings)
    told = scan.geometry
    axis = {"axis_angle": told.axis_angle, "axis_tilt": told.axis_tilt}
    if told.rotations is not None:
        axis = {"rotations": told.rotations}
    angles = None if "rotations" in axis else scan.angles
    result = align(scan.projections, angles, backend="builtin", progress=False, **axis)
    assert result.converged
    assert len(result.history) <= 8
    assert error_of(result, scan) < most * cramer_rao_bound(scan)
    assert result.geometry.center == result.center
    np.testing.assert_allclose(result.geometry.orientations, told.orientations)
    if name == "turned":  # without the turn, nothing that is said above is true
        assert error_of(align(scan.projections, scan.angles, progress=False), scan) > 0.2
        aligned = result.apply(scan.clean)
        upright = ScanGeometry(scan.angles, 28, 28, scan.center)
        expected = get_backend("builtin").operator(upright)(scan.volume())
        inside = (slice(None), slice(8, -8), slice(8, -8))
        # the object is upright, and displaced by less than what the gauge allows: rows are sums
        spread = np.ptp(aligned[inside].sum(axis=2) - expected[inside].sum(axis=2), axis=0)
        assert spread.max() < 0.15 * expected.sum(axis=2).max()


def test_rotations_that_turn_images_only_need_no_engine_in_three_dimensions():
    scan = simulate(24, 16, seed=2, axis_angle=10.0)
    run = iterate_alignment(
        scan.projections, None, rotations=scan.geometry.orientations, backend="builtin"
    )
    assert run.independent_slices
    assert run.geometry.upright.has_vertical_axis


BAD = {
    "none": ({"angles": None}, TypeError, "angles is None and there are no rotations"),
    "both": ({"rotations": two_axes(2)}, ValueError, "angles and rotations are both given"),
    "few": ({"angles": None, "rotations": two_axes(1)}, ValueError, r"shape \(8, 3, 3\)"),
    "skew": (
        {"angles": None, "rotations": 1.1 * two_axes(2)},
        ValueError,
        "orthogonal; 8 of 8 are not",
    ),
    "degrees": (
        {"axis_tilt": 30.0},
        ValueError,
        r"axis_tilt must be between -90 and 90 degrees .*, got 1718.87 degrees \(30 radians\)",
    ),
    "text": ({"axis_angle": "5"}, TypeError, "axis_angle must be a number, got"),
    "fbp": (
        {"axis_tilt": 0.3, "reconstruction_pipeline": "fbp", "backend": "builtin"},
        ValueError,
        "reconstruction_pipeline='fbp' takes scans about a vertical axis only",
    ),
    "levels": (
        {"axis_tilt": 0.1, "levels": (2, 1)},
        ValueError,
        "levels starts at binning 2, which leaves 3 of 6 rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_geometry_that_is_none_is_refused_before_any_work(case):
    settings, kind, message = BAD[case]
    images = np.random.default_rng(0).normal(size=(8, 6, 20)).astype(np.float32)
    arguments = {"angles": np.linspace(0, 3, 8), **settings}
    with pytest.raises(kind, match=message):
        iterate_alignment(images, **arguments)


class VerticalOnly(BuiltinBackend):
    """The built-in engine, if it took no axis but a vertical one."""

    name = "plain"

    def supports(self, geometry):
        return geometry.has_vertical_axis


def test_an_engine_that_does_not_take_a_geometry_is_named_with_those_that_do():
    images = np.random.default_rng(0).normal(size=(8, 20, 20)).astype(np.float32)
    angles = np.linspace(0, 3, 8)
    with pytest.raises(ValueError, match=r"'plain' does not take.*backend='builtin'"):
        iterate_alignment(images, angles, axis_tilt=0.3, backend=VerticalOnly())
    assert iterate_alignment(images, angles, axis_angle=0.3, backend=VerticalOnly())
    assert iterate_alignment(images, angles, axis_tilt=0.3).backend.name != "tomopy"
