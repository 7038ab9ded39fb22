"""What of the geometry was not told is found beside the shifts, with errors that are right."""

from itertools import islice

import numpy as np
import pytest

from napari_tomoalign.alignment import Resume, align, iterate_alignment
from napari_tomoalign.geometry.gauge import remove_gauge
from napari_tomoalign.simulation import cramer_rao_bound, simulate
from napari_tomoalign.simulation.bodies import ellipsoid


def error_of(result, scan):
    off = result.shifts - scan.shifts + [0, result.center - scan.center]
    return np.sqrt(np.mean(np.sum(remove_gauge(off, scan.geometry.directions) ** 2, axis=1)))


@pytest.fixture(scope="module")
def turned():
    scan = simulate(32, 24, axis_angle=5.0, angular_range=360, seed=3)
    run = iterate_alignment(
        scan.projections, scan.angles, backend="builtin", refine=("axis_angle",)
    )
    return scan, list(run)


def test_an_axis_that_is_turned_by_five_degrees_is_found(turned):
    scan, states = turned
    geometry, record = states[-1].measured_geometry, states[-1].record
    assert states[-1].converged
    off = np.rad2deg(geometry.axis_angle) - 5.0
    error = np.rad2deg(record.geometry_error["axis_angle"])
    assert abs(off) < 3 * error
    assert error < 0.3
    found = remove_gauge(
        record.shifts - scan.shifts + [0, record.center - scan.center], scan.geometry.directions
    )
    assert np.sqrt(np.mean(np.sum(found**2, axis=1))) < 1.4 * cramer_rao_bound(scan)
    assert not states[0].record.geometry["axis_angle"]  # not before shifts are captured


def test_a_refinement_goes_on_to_the_bit(turned):
    scan, states = turned
    stop = 3
    resume = Resume(states[stop - 1].history, dict(states[stop - 1].generator_state))
    run = iterate_alignment(
        scan.projections,
        scan.angles,
        backend="builtin",
        refine=("axis_angle",),
        resume=resume,
    )
    (again,) = islice(run, 1)
    np.testing.assert_array_equal(again.shifts, states[stop].shifts)
    for name in ("geometry", "geometry_moves", "geometry_error"):
        mine, its = getattr(again.record, name), getattr(states[stop].record, name)
        assert mine["axis_angle"] == its["axis_angle"]


def test_an_axis_that_leans_is_found():
    scan = simulate(24, 20, axis_tilt=2.0, angular_range=360, noise=0.005, seed=1)
    result = align(
        scan.projections, scan.angles, backend="builtin", progress=False, refine=("axis_tilt",)
    )
    off = np.rad2deg(result.geometry.axis_tilt) - 2.0
    assert abs(off) < max(3 * np.rad2deg(result.geometry_error["axis_tilt"]), 0.2)
    assert error_of(result, scan) < 2.0 * cramer_rao_bound(scan)


BALL = [ellipsoid(0.1, (0.0, 2.0, -1.0), (8.0, 8.0, 8.0))]


@pytest.mark.parametrize(
    ("settings", "n"), [({"kind": BALL}, 20), ({}, 4)], ids=["round object", "few projections"]
)
def test_what_cannot_be_told_is_left_and_said(settings, n):
    scan = simulate(28, n, seed=2, **settings)
    result = align(
        scan.projections,
        scan.angles,
        backend="builtin",
        progress=False,
        refine=("axis_angle",),
        maxiter=6,
    )
    assert result.geometry.axis_angle == 0.0
    assert np.isnan(result.geometry_error["axis_angle"])
    assert any("axis_angle cannot be told" in words for words in result.diagnosis)


def test_angles_stay_where_they_are_as_well_known_as_they_can_be():
    scan = simulate(28, 20, seed=4)
    result = align(
        scan.projections, scan.angles, backend="builtin", progress=False, refine=("angles",)
    )
    off = np.rad2deg(result.geometry.angles - scan.angles)
    assert off.std() < 0.3
    assert abs(off.mean()) < 1e-9


BAD = {
    "unknown": ({"refine": ("shift",)}, ValueError, "refine names 'shift'; known are 'shifts'"),
    "text": ({"refine": "axis_angle"}, TypeError, r"refine must be a sequence"),
    "rotations": (
        {"refine": ("axis_tilt",), "angles": None},
        ValueError,
        "rotations hold axis and angles, so 'axis_tilt' cannot be refined",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_refinement_that_is_none_is_refused_before_any_work(case):
    settings, kind, message = BAD[case]
    scan = simulate(16, 8, seed=1)
    arguments = {"angles": scan.angles, **settings}
    if arguments["angles"] is None:
        arguments["rotations"] = scan.geometry.orientations
    with pytest.raises(kind, match=message):
        iterate_alignment(scan.projections, **arguments)
