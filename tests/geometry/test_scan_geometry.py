"""Where points land, for one axis and for any orientation, and what follows from it."""

import numpy as np
import pytest

from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.geometry.gauge import gauge_part, remove_gauge
from napari_tomoalign.simulation import cramer_rao_bound, simulate
from napari_tomoalign.simulation.bodies import ellipsoid, project_bodies, sub_pixels

ANGLES = np.deg2rad([0, 90, 200])


def test_a_point_lands_where_the_convention_says():
    """TomoPy's sense of rotation: column = center + x cos(angle) - r sin(angle)."""
    geometry = ScanGeometry(ANGLES, 20, 30, 13.0)
    z, y, x = 4.0, -3.0, 5.0
    rows, columns = geometry.lands([z, y, x]).T
    np.testing.assert_allclose(rows, 9.5 + z)
    np.testing.assert_allclose(columns, 13 + x * np.cos(ANGLES) - y * np.sin(ANGLES))
    assert geometry.lands(np.zeros((4, 5, 3))).shape == (3, 4, 5, 2)


def test_the_axis_turns_towards_larger_columns_and_leans_along_the_beam():
    geometry = ScanGeometry(ANGLES, 20, 30)
    below = [3.0, 0, 0]  # on the axis, below the middle
    turned = geometry.with_changes(axis_angle=0.1).lands(below)
    np.testing.assert_allclose(turned - [9.5, 14.5], [[3 * np.cos(0.1), 3 * np.sin(0.1)]] * 3)
    leaning = geometry.with_changes(axis_tilt=0.2)
    np.testing.assert_allclose(leaning.lands(below) - [9.5, 14.5], [[3 * np.cos(0.2), 0]] * 3)
    # downstream of the axis (at angle 0: larger y) is up where the axis' lower end is downstream
    row, column = (leaning.lands([0, 2.0, 0]) - [9.5, 14.5])[0]
    assert (row, column) == pytest.approx((-2 * np.sin(0.2), 0))
    rays = leaning.rays
    np.testing.assert_allclose(np.einsum("nki,ni->nk", leaning.directions, rays), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)


def test_rotations_say_the_same_as_angles_and_axis():
    one = ScanGeometry(ANGLES, 20, 30, 13.0, axis_angle=0.02, axis_tilt=-0.3)
    other = ScanGeometry(n_rows=20, n_columns=30, center=13.0, rotations=one.orientations)
    points = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_allclose(other.lands(points), one.lands(points), atol=1e-12)
    np.testing.assert_allclose(other.subset([2, 0]).lands(points), one.lands(points)[[2, 0]])
    vertical = ScanGeometry(ANGLES, 20, 30).orientations
    upright = ScanGeometry(n_rows=20, n_columns=30, rotations=vertical)
    np.testing.assert_allclose(np.mod(upright.angles, 2 * np.pi), ANGLES)
    assert upright.has_vertical_axis
    assert not other.has_vertical_axis


@pytest.mark.parametrize(
    ("rotations", "message"),
    [
        (np.eye(3), r"shape \(n_angles, 3, 3\), got \(3, 3\)"),
        (np.stack([np.eye(3), 1.1 * np.eye(3)]), "orthogonal; 1 of 2 are not .*index 1.*normalise"),
        (np.diag([1.0, 1, -1])[None], "must not mirror; 1 of 1.*index 0"),
        (np.full((1, 3, 3), np.nan), "orthogonal"),
    ],
)
def test_rotations_that_are_none_are_refused(rotations, message):
    with pytest.raises(ValueError, match=message):
        ScanGeometry(n_rows=4, n_columns=4, rotations=rotations)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rows": 4, "n_columns": 4}, "give angles or rotations"),
        ({"angles": ANGLES, "n_columns": 4}, "n_rows must be at least 1, got 0"),
        (
            {"n_rows": 4, "n_columns": 4, "rotations": np.eye(3)[None], "axis_tilt": 0.1},
            "leave out axis_angle and axis_tilt",
        ),
    ],
)
def test_a_geometry_that_says_too_little_or_too_much(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScanGeometry(**arguments)


def test_some_rows_keep_their_place():
    geometry = ScanGeometry(ANGLES, 20, 30, 13.0, axis_tilt=0.1)
    part = geometry.rows_of(slice(6, 10))
    assert part.projections_shape == (3, 4, 30)
    moved = geometry.lands([1, 2, 3]) - part.lands([1, 2, 3])
    np.testing.assert_allclose(moved, [[6, 0]] * 3, atol=1e-12)
    with pytest.raises(ValueError, match="rows must be a run of them, within 0 to 20"):
        geometry.rows_of(slice(0, 10, 2))


def test_a_binned_geometry_sees_the_same_object():
    """A point's place on binned pixels is that on the full ones, by the pixels' middles."""
    geometry = ScanGeometry(ANGLES, 24, 36, 13.0, volume_width=50, axis_tilt=0.1)
    binned = geometry.binned(3)
    assert binned.projections_shape == (3, 8, 12)
    assert binned.volume_width == 12 + 2 * 3
    point = np.array([3.0, -6.0, 9.0])
    np.testing.assert_allclose(binned.lands(point / 3), (geometry.lands(point) - 1) / 3)
    with pytest.raises(ValueError, match="binned alike where the axis is not vertical, got 1 and"):
        geometry.binned(3, 1)
    assert ScanGeometry(ANGLES, 24, 36).binned(3, 1).projections_shape == (3, 24, 12)


def test_the_halo_is_what_a_slice_reaches_beyond_its_row():
    assert ScanGeometry(ANGLES, 20, 30).halo == 0
    tilted = ScanGeometry(np.linspace(0, 6, 50), 20, 30, axis_tilt=0.1)
    corners = np.array([[z, 15 * np.sin(a), 15 * np.cos(a)] for z in (-10, 10) for a in range(7)])
    away = np.abs(tilted.lands(corners)[..., 0] - 9.5 - corners[:, 0]).max()
    assert away <= tilted.halo <= away + 1


def orientations(n):
    """About a vertical axis, then about one that is tilted by 40 degrees."""
    angles = np.linspace(0, np.pi, n, endpoint=False)
    one = ScanGeometry(angles, 4, 4).orientations
    return np.concatenate([one, ScanGeometry(angles, 4, 4, axis_tilt=0.7).orientations])


def test_a_displaced_object_is_gauge_in_any_geometry():
    geometry = ScanGeometry(n_rows=24, n_columns=24, rotations=orientations(9))
    shifts = geometry.lands([0.4, -1.2, 2.0]) - geometry.lands([0.0, 0.0, 0.0])
    np.testing.assert_allclose(remove_gauge(shifts, geometry.directions), 0, atol=1e-12)
    noise = np.random.default_rng(1).normal(size=shifts.shape)
    left = remove_gauge(noise, geometry.directions)
    position = geometry.directions.reshape(-1, 3)
    np.testing.assert_allclose(position.T @ left.ravel(), 0, atol=1e-12)
    np.testing.assert_allclose(gauge_part(left, geometry.directions), 0, atol=1e-12)


def test_an_analytic_body_is_seen_where_its_middle_lands_in_any_geometry():
    geometry = ScanGeometry(n_rows=40, n_columns=40, rotations=orientations(5))
    middle = np.array([3.0, -5.0, 6.0])
    body = ellipsoid(1.0, middle, (4.0, 3.0, 5.0))
    points, still = sub_pixels(4), np.zeros((10, 2))
    images = project_bodies(
        [body],
        geometry.directions,
        still,
        (40, 40),
        19.5,
        row_samples=points,
        column_samples=points,
    )
    mass = images.sum(axis=(1, 2))
    np.testing.assert_allclose(mass, 4 / 3 * np.pi * 60, rtol=0.01)
    places = [np.einsum("nij,i->n", images, np.arange(40.0)) / mass]
    places += [np.einsum("nij,j->n", images, np.arange(40.0)) / mass]
    np.testing.assert_allclose(np.column_stack(places), geometry.lands(middle), atol=0.05)


def test_a_scan_is_simulated_about_a_leaning_axis():
    """Seen along the beam, a tilted scan's derivative is its own: the bound is finite and alike."""
    upright, leaning = (simulate(32, 12, axis_tilt=tilt, seed=3) for tilt in (0, 30))
    assert leaning.geometry.axis_tilt == pytest.approx(np.deg2rad(30))
    assert np.abs(leaning.clean - upright.clean).max() > 0.2
    assert 0.7 < cramer_rao_bound(leaning) / cramer_rao_bound(upright) < 1.4
    same = simulate(32, rotations=leaning.geometry.orientations, seed=3)
    np.testing.assert_allclose(same.clean, leaning.clean, atol=1e-6)


def test_turned_images_land_as_those_of_an_upright_axis_do():
    """What lies at a place in an upright image lies at that place, turned about the middle."""
    in_plane = np.array([0.02, -0.3, 0.1])
    points = np.random.default_rng(1).normal(size=(6, 3)) * 5
    given = {
        "axis": ScanGeometry(ANGLES, 20, 30, 13.0, axis_angle=0.4, in_plane=in_plane),
        "leaning": ScanGeometry(ANGLES, 20, 30, 13.0, axis_angle=0.4, axis_tilt=0.2),
        "rotations": ScanGeometry(
            n_rows=20,
            n_columns=30,
            center=13.0,
            rotations=ScanGeometry(ANGLES, 20, 30, in_plane=in_plane).orientations,
        ),
    }
    for name, geometry in given.items():
        upright, turns = geometry.upright, geometry.turns
        assert upright.has_vertical_axis == (name != "leaning")
        away = upright.lands(points) - [9.5, 13.0]
        cos, sin = np.cos(turns)[:, None], np.sin(turns)[:, None]
        rows, columns = away[..., 0], away[..., 1]
        turned = np.stack([rows * cos - columns * sin, columns * cos + rows * sin], axis=-1)
        np.testing.assert_allclose(geometry.lands(points) - [9.5, 13.0], turned, atol=1e-9)
    kept = given["axis"].subset([2, 0])
    np.testing.assert_array_equal(kept.turns, 0.4 + in_plane[[2, 0]])
    with pytest.raises(ValueError, match=r"a turn for each of 3 projections.*shape \(2,\)"):
        ScanGeometry(ANGLES, 20, 30, in_plane=in_plane[:2])
