"""The projector for rays in any direction, and what engines say that have none."""

import numpy as np
import pytest

from napari_tomoalign.backends import available_backends, get_backend, solvers
from napari_tomoalign.backends.builtin.space import SpaceOperator
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.simulation import simulate

ANGLES = np.linspace(0, np.pi, 18, endpoint=False)


def two_axes():
    """Rotations about an axis at four tilts, as a scan with two axes has them."""
    at = [ScanGeometry(ANGLES[::3], 4, 4, axis_tilt=t).orientations for t in (0, 0.3, 0.6, 0.9)]
    return np.concatenate(at)


GEOMETRIES = [
    pytest.param({"angles": ANGLES}, id="vertical"),
    pytest.param({"angles": ANGLES, "axis_tilt": 0.5}, id="laminography"),
    pytest.param({"angles": ANGLES, "axis_angle": 0.1, "axis_tilt": -1.2}, id="turned-steep"),
    pytest.param({"rotations": two_axes()}, id="two-axes"),
]


@pytest.mark.parametrize("radius", [np.inf, 9.3])
@pytest.mark.parametrize("where", GEOMETRIES)
def test_the_transpose_is_the_transpose(where, radius):
    whole = SpaceOperator(ScanGeometry(n_rows=14, n_columns=21, center=9.3, **where), 1, radius)
    rng = np.random.default_rng(1)
    for A in (whole, whole.subset([7, 3, 0]), whole.subset(slice(1, None, 5))):
        volume = rng.normal(size=A.domain_shape).astype(np.float32)
        images = rng.normal(size=A.range_shape).astype(np.float32)
        there, back = A(volume), A.T(images)
        gap = np.vdot(there.astype(np.float64), images) - np.vdot(volume, back.astype(np.float64))
        assert abs(gap) < 1e-6 * np.linalg.norm(there) * np.linalg.norm(images)


def test_about_a_vertical_axis_it_is_the_projector_of_slices():
    geometry = ScanGeometry(ANGLES, 6, 21, 9.3, 26)
    volume = np.random.default_rng(0).random(geometry.volume_shape, np.float32)
    A = get_backend("builtin").operator(geometry)
    assert not isinstance(A, SpaceOperator)
    images = A(volume)
    np.testing.assert_allclose(SpaceOperator(geometry, 1)(volume), images, atol=1e-4)
    np.testing.assert_allclose(SpaceOperator(geometry, 1).T(images), A.T(images), atol=2e-3)


@pytest.mark.parametrize("where", GEOMETRIES[1:])
def test_a_blob_lands_where_the_geometry_says(where):
    """Its line integrals along any direction are those of the blob itself."""
    geometry = ScanGeometry(n_rows=30, n_columns=32, center=16.2, **where)
    middle, sigma = np.array([2.0, -3.0, 2.0]), 3.5  # wide: voxels are interpolated linearly
    z, y, x = np.indices(geometry.volume_shape).astype(np.float64)
    z, y, x = z - geometry.row_center, y - geometry.volume_axis, x - geometry.volume_axis
    far = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2
    images = get_backend("builtin").operator(geometry)(np.exp(-far / (2 * sigma**2)))
    row, column = np.indices((30, 32))
    place = geometry.lands(middle)
    expected = (
        np.sqrt(2 * np.pi)
        * sigma
        * np.exp(
            -((row - place[:, 0, None, None]) ** 2 + (column - place[:, 1, None, None]) ** 2)
            / (2 * sigma**2)
        )
    )
    np.testing.assert_allclose(images, expected, atol=0.02 * expected.max())


def test_reprojections_of_a_phantom_about_a_leaning_axis_are_its_line_integrals():
    scan = simulate(40, 18, axis_tilt=30, axis_angle=3, jitter=0, drift=0, noise=0)
    images = get_backend("builtin").operator(scan.geometry)(scan.volume())
    assert np.sqrt(np.mean((images - scan.clean) ** 2)) < 0.01 * scan.clean.max()


def test_a_slab_with_its_halo_is_projected_as_in_the_whole():
    geometry = ScanGeometry(ANGLES, 40, 21, axis_tilt=0.15)
    y, x = np.indices((21, 21)) - geometry.volume_axis
    inside = np.hypot(y, x) <= geometry.support_radius
    volume = np.random.default_rng(0).random(geometry.volume_shape, np.float32) * inside
    halo = geometry.halo
    around = slice(18 - halo, 22 + halo)
    part = geometry.rows_of(around)
    backend = get_backend("builtin")
    whole = backend.operator(geometry)(volume)[:, 18:22]
    slab = backend.operator(part)(volume[around])[:, halo : halo + 4]
    np.testing.assert_allclose(slab, whole, atol=1e-4)


@pytest.mark.parametrize("algorithm", ["sirt", "gradient", "ordered_subsets"])
def test_a_phantom_comes_back_in_laminography(algorithm):
    scan = simulate(32, 36, axis_tilt=30, jitter=0, drift=0, noise=0, angular_range=360)
    backend = get_backend("builtin")
    options = {} if algorithm == "ordered_subsets" else {"num_iter": 40}
    volume = backend.reconstruct(scan.clean, scan.geometry, algorithm=algorithm, **options)
    truth = scan.volume()
    assert np.linalg.norm(volume - truth) < 0.35 * np.linalg.norm(truth)
    again = solvers.ordered_subsets(
        backend.operator(scan.geometry), scan.clean, scan.angles
    )  # by the public operator
    assert np.linalg.norm(again - truth) < 0.35 * np.linalg.norm(truth)


def test_engines_say_which_geometries_they_take():
    leaning = ScanGeometry(ANGLES, 8, 16, axis_tilt=0.2)
    assert get_backend("builtin").supports(leaning)
    assert get_backend("builtin").supports(leaning.with_changes(axis_tilt=0))
    images = np.zeros(leaning.projections_shape, np.float32)
    with pytest.raises(
        ValueError, match=r"'fbp' takes scans about a vertical axis only; .* slices"
    ):
        get_backend("builtin").reconstruct(images, leaning, algorithm="fbp")
    if "warp" in available_backends():
        assert get_backend("warp").supports(leaning)
        with pytest.raises(ValueError, match=r"'fbp' takes scans about a vertical axis only"):
            get_backend("warp").reconstruct(images, leaning, algorithm="fbp")
    if "tomopy" in available_backends():
        backend = get_backend("tomopy")
        assert not backend.supports(leaning)
        with pytest.raises(ValueError, match=r"tomopy' takes scans about a vertical.*'builtin'"):
            backend.operator(leaning)
        with pytest.raises(ValueError, match=r"tomopy' takes scans about a vertical"):
            backend.reconstruct(images, leaning, algorithm="sirt")


def test_threads_make_no_difference():
    geometry = ScanGeometry(ANGLES, 9, 16, axis_tilt=0.4)
    volume = np.random.default_rng(0).random(geometry.volume_shape, np.float32)
    one, two = (SpaceOperator(geometry, workers) for workers in (1, 2))
    images = one(volume)
    np.testing.assert_array_equal(two(volume), images)
    np.testing.assert_array_equal(two.T(images), one.T(images))
