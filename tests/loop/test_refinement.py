"""What of the geometry was not told is found beside the shifts, with errors that are right."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from napari_tomoalign.alignment import Resume, align, iterate_alignment
from napari_tomoalign.geometry.gauge import angles_part, remove_gauge
from napari_tomoalign.simulation import axis_bound, cramer_rao_bound, simulate
from napari_tomoalign.simulation.bodies import ellipsoid


def error_of(result, scan):
    off = result.shifts - scan.shifts + [0, result.center - scan.center]
    return np.sqrt(np.mean(np.sum(remove_gauge(off, scan.geometry.directions) ** 2, axis=1)))


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def found_by(scan, *names, **options):
    options = {"backend": "builtin", "progress": False, "refine": names, **options}
    return align(scan.projections, scan.angles, **options)


@pytest.fixture(scope="module")
def turned():
    scan = simulate(24, 20, axis_angle=5.0, noise=0.01, seed=3)
    run = iterate_alignment(
        scan.projections, scan.angles, backend="builtin", refine=("axis_angle",)
    )
    return scan, list(run)


def test_an_axis_that_is_turned_by_five_degrees_is_found(turned):
    scan, states = turned
    geometry, record = states[-1].measured_geometry, states[-1].record
    assert states[-1].converged
    assert len(states) <= 8
    off = np.rad2deg(geometry.axis_angle) - 5.0
    error = np.rad2deg(record.geometry_error["axis_angle"])
    assert abs(off) < 2 * error
    assert error < 0.4
    found = remove_gauge(
        record.shifts - scan.shifts + [0, record.center - scan.center], scan.geometry.directions
    )
    assert np.sqrt(np.mean(np.sum(found**2, axis=1))) < 1.4 * cramer_rao_bound(scan)
    assert not states[0].record.geometry["axis_angle"]  # not before shifts are captured


def test_a_refinement_goes_on_to_the_bit(turned):
    scan, states = turned
    stop = 3
    resume = Resume.of(states[stop - 1])
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


@pytest.mark.parametrize("angular_range", [180, 360])
def test_an_axis_that_leans_is_found(angular_range):
    """Over half a turn a turned object looks much like it, so it is known less well."""
    scan = simulate(24, 20, axis_tilt=2.0, angular_range=angular_range, noise=0.006, seed=1)
    result = found_by(scan, "axis_tilt")
    off = np.rad2deg(result.geometry.axis_tilt) - 2.0
    error = np.rad2deg(result.geometry_error["axis_tilt"])
    assert abs(off) < 2 * error
    assert error < (0.5 if angular_range == 180 else 0.3)
    assert error_of(result, scan) < 1.5 * cramer_rao_bound(scan)


def test_a_lean_that_cannot_be_told_from_none_is_not_called_found():
    scan = simulate(24, 20, axis_tilt=0.5, noise=0.02, seed=1)
    assert axis_bound(scan, "axis_tilt") > np.deg2rad(0.15)  # of a known object
    result = found_by(scan, "axis_tilt")
    assert not result.converged
    assert "axis_tilt is known to" in result.message
    off = result.geometry.axis_tilt - scan.geometry.axis_tilt
    assert abs(off) < 2 * result.geometry_error["axis_tilt"]


BALL = [ellipsoid(0.1, (0.0, 2.0, -1.0), (8.0, 8.0, 8.0))]


@pytest.mark.parametrize(
    ("settings", "n", "name"),
    [({"kind": BALL}, 20, "axis_angle"), ({"kind": BALL}, 20, "axis_tilt"), ({}, 4, "axis_angle")],
    ids=["turned round object", "leaning round object", "few projections"],
)
def test_what_cannot_be_told_is_left_and_said(settings, n, name):
    scan = simulate(28, n, seed=2, **settings)
    result = found_by(scan, name, maxiter=6)
    assert abs(getattr(result.geometry, name)) < 1e-5
    assert np.isnan(result.geometry_error[name])
    assert any(f"{name} cannot be told" in words for words in result.diagnosis)


def test_angles_that_are_right_stay_where_they_are():
    scan = simulate(28, 20, seed=4)
    result = found_by(scan, "angles")
    assert rms(np.rad2deg(result.geometry.angles - scan.angles)) < 0.1


def test_of_angles_a_stretched_or_bent_object_is_not_told():
    angles = np.linspace(0, np.pi, 12, endpoint=False)
    bent = 0.1 + 0.01 * np.cos(2 * angles - 0.4) + 0.01 * np.sin(4 * angles)
    np.testing.assert_allclose(angles_part(bent, angles), bent)
    np.testing.assert_allclose(angles_part(np.cos(8 * angles), angles), 0, atol=1e-12)
    some = np.arange(12) != 5  # what does not count has no say
    np.testing.assert_allclose(angles_part(np.where(some, bent, 9.0), angles, some), bent)


def test_angles_that_are_wrong_are_halved():
    scan = simulate(48, 40, jitter=1, drift=1, noise=0.003, seed=1)
    wrong = np.deg2rad(0.3) * np.random.default_rng(0).normal(size=40)
    result = align(
        scan.projections,
        scan.angles + wrong,
        backend="builtin",
        progress=False,
        refine=("angles",),
    )
    off, error = result.geometry.angles - scan.angles, result.geometry_error["angles"]
    before, after = (rms(one - angles_part(one, scan.angles)) for one in (wrong, off))
    assert after < before / 2
    assert after < 1.5 * rms(error)
    moved = angles_part(off - wrong, scan.angles)
    assert rms(moved) < 0.02 * rms(wrong)  # what is gauge is left


def test_turns_of_images_are_found_and_right_ones_are_left():
    scan = simulate(28, 40, jitter=1, drift=1, noise=0.003, seed=1)
    assert rms(np.rad2deg(found_by(scan, "in_plane").geometry.in_plane)) < 0.05
    turns = np.deg2rad(0.5) * np.random.default_rng(0).normal(size=40)
    rotations = replace(scan.geometry, in_plane=turns).orientations
    turned = simulate(28, 40, jitter=1, drift=1, noise=0.003, seed=1, rotations=rotations)
    result = align(
        turned.projections,
        scan.angles,
        backend="builtin",
        progress=False,
        refine=("in_plane",),
    )
    off, error = result.geometry.in_plane - turns, result.geometry_error["in_plane"]
    assert rms(off) < rms(turns) / 2
    assert rms(off) < 1.5 * rms(error)


def test_a_level_where_angles_are_known_less_well_than_asked_for_is_not_the_last():
    scan = simulate(64, 30, n_rows=16, noise=0.01, seed=1)
    assert found_by(scan, precision=0.021).history[-1].binning == 2
    result = found_by(scan, "angles", precision=0.021)
    assert result.history[-1].binning == 1
    coarse = [record for record in result.history if record.binning == 2][-1]
    assert rms(np.hypot(*coarse.standard_error.T)) < 0.021
    error = np.nan_to_num(coarse.geometry_error["angles"])  # of some it is not told
    assert rms(error) * 32 / np.sqrt(3) > 0.021


BAD = {
    "unknown": ({"refine": ("shift",)}, ValueError, "refine names 'shift'; known are 'shifts'"),
    "text": ({"refine": "axis_angle"}, TypeError, r"refine must be a sequence"),
    "no steps": (
        {"refine": ("axis_tilt",), "gauss_newton": False},
        ValueError,
        "refine names 'axis_tilt', which only steps of least squares find: leave gauss_newton on",
    ),
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
