"""The contract, over every backend that is installed here and every algorithm of it.

The truth is a Gaussian blob: its line integrals are known in closed form.
"""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from engines import (
    N_ANGLES,
    R,
    X,
    backend_of,
    blob_projections,
    blob_volume,
    cases,
    centroid,
    columns_of,
    each_algorithm,
    each_backend,
    each_geometry,
    few,
    frozen,
    make_geometry,
    options_of,
)

from napari_tomoalign.backends import (
    Backend,
    base,
    get_backend,
    solvers,
)
from napari_tomoalign.backends.builtin.operators import BlockOperator, images_block, volume_block
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.simulation import simulate


@each_backend
def test_is_a_backend(name: str) -> None:
    backend = backend_of(name)
    assert isinstance(backend, Backend)
    assert backend.name == name
    for geometry in (None, make_geometry(), make_geometry(degrees=120)):
        algorithm, options = backend.default_for(geometry)
        assert algorithm in backend.algorithms
        backend.check_options(algorithm, options)


@each_backend
@each_geometry
def test_projection_of_a_blob(
    name: str, columns: int, off: float, degrees: float, width: int
) -> None:
    geometry = make_geometry(columns, off, degrees, width)
    images = backend_of(name).operator(geometry)(frozen(blob_volume(geometry)))
    assert images.shape == geometry.projections_shape
    assert images.dtype == np.float32
    expected = blob_projections(geometry)
    np.testing.assert_allclose(images, expected, atol=0.02 * expected.max())
    places = np.array([centroid(image)[1] for image in images])
    np.testing.assert_allclose(places, columns_of(geometry, X, R), atol=0.1)


@each_backend
@each_geometry
def test_a_point_on_the_axis_stays_put(
    name: str, columns: int, off: float, degrees: float, width: int
) -> None:
    geometry = make_geometry(columns, off, degrees, width)
    images = backend_of(name).operator(geometry)(blob_volume(geometry, 0, 0))
    places = np.array([centroid(image)[1] for image in images])
    np.testing.assert_allclose(places, geometry.center, atol=0.06)


@each_algorithm
@each_geometry
def test_blob_comes_back_where_and_as_it_was(
    name: str, algorithm: str, columns: int, off: float, degrees: float, width: int
) -> None:
    geometry = make_geometry(columns, off, degrees, width)
    backend, measured = backend_of(name), frozen(blob_projections(geometry))
    volume = backend.reconstruct(measured, geometry, algorithm=algorithm, **options_of(algorithm))
    assert volume.shape == geometry.volume_shape
    assert volume.dtype == np.float32
    expected = geometry.volume_axis + np.array([R, X])
    np.testing.assert_allclose(centroid(volume[0]), expected, atol=0.12)
    # the same unit as the projections, and nothing that a loop would walk after
    images = backend.operator(geometry)(volume)
    assert np.vdot(images, measured) / np.vdot(measured, measured) == pytest.approx(1, abs=0.08)
    walk = [centroid(a)[1] - centroid(b)[1] for a, b in zip(images, measured, strict=True)]
    assert abs(np.mean(walk)) < 0.03
    assert np.sqrt(np.mean(np.square(walk))) < 0.12


@each_algorithm
def test_rows_are_slices_of_their_own(name: str, algorithm: str) -> None:
    geometry = make_geometry(33, 0.4, n_rows=5)
    factors = np.array([1, 3, 0, 2, 0.5], np.float32)
    measured = blob_projections(geometry) * factors[:, None]
    backend = backend_of(name)
    volume = backend.reconstruct(measured, geometry, algorithm=algorithm, **few(algorithm))
    for row, factor in enumerate(factors):
        alone = backend.reconstruct(
            measured[:, row : row + 1],
            geometry.with_changes(n_rows=1),
            algorithm=algorithm,
            **few(algorithm),
        )
        np.testing.assert_allclose(volume[row], alone[0], atol=1e-3 * max(factor, 0.1))
    images = backend.operator(geometry)(volume)
    assert np.abs(images[:, 2]).max() < 1e-3
    only = backend.operator(geometry.with_changes(n_rows=1))(volume[1:2])
    np.testing.assert_allclose(images[:, 1], only[:, 0], atol=1e-4)


@each_algorithm
def test_inputs_stay_as_they_were(name: str, algorithm: str) -> None:
    geometry = make_geometry(n_rows=3)
    backend = backend_of(name)
    original = blob_projections(geometry)
    original[0, 0, 0] = -1  # what some algorithms do not take
    measured = frozen(np.repeat(original, 2, axis=1))[:, ::2]  # not contiguous
    start = frozen(blob_volume(geometry))
    more = {"initial": start} if backend.accepts_initial(algorithm) else {}
    strided = backend.reconstruct(measured, geometry, algorithm=algorithm, **more, **few(algorithm))
    writeable = {key: value.copy() for key, value in more.items()}
    contiguous = original.copy()
    volume = backend.reconstruct(
        contiguous, geometry, algorithm=algorithm, **writeable, **few(algorithm)
    )
    np.testing.assert_array_equal(volume, strided)
    np.testing.assert_array_equal(contiguous, original)
    for key, value in writeable.items():
        np.testing.assert_array_equal(value, more[key])


@each_backend
def test_projection_is_linear(name: str) -> None:
    geometry = make_geometry(33, 0.4, n_rows=2)
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, *geometry.volume_shape)).astype(np.float32)
    A = backend_of(name).operator(geometry)
    both = A(2 * one - 3 * other)
    separate = 2 * A(one) - 3 * A(other)
    np.testing.assert_allclose(both, separate, atol=1e-4 * np.abs(both).max())


@each_backend
def test_projections_agree_with_line_integrals_of_a_phantom(name: str) -> None:
    """Two engines that are each this close to the truth are as close to one another."""
    scan = simulate(48, N_ANGLES, n_rows=8, jitter=0, drift=0, noise=0, center_offset=0.75)
    geometry = ScanGeometry(scan.angles, 8, 48, scan.center)
    images = backend_of(name).operator(geometry)(scan.volume())
    assert np.sqrt(np.mean((images - scan.clean) ** 2)) < 0.01 * scan.clean.max()


@each_backend
@each_geometry
def test_the_transpose_is_the_transpose(
    name: str, columns: int, off: float, degrees: float, width: int
) -> None:
    """The dot test, of the whole operator and of some frames."""
    geometry = make_geometry(columns, off, degrees, width, n_rows=3)
    rng = np.random.default_rng(1)
    whole = backend_of(name).operator(geometry)
    for A in (whole, whole.subset([7, 3, 0, 12]), whole.subset(slice(1, None, 5))):
        volume = frozen(rng.normal(size=A.domain_shape).astype(np.float32))
        images = frozen(rng.normal(size=A.range_shape).astype(np.float32))
        there, back = A(volume), A.T(images)
        assert there.shape == A.range_shape == A.T.domain_shape
        assert back.shape == A.domain_shape == A.T.range_shape
        assert there.dtype == back.dtype == np.float32
        gap = np.vdot(there.astype(np.float64), images) - np.vdot(volume, back.astype(np.float64))
        assert abs(gap) < 1e-6 * np.linalg.norm(there) * np.linalg.norm(images)
        assert A.T.T is A


@pytest.mark.parametrize("radius", [np.inf, 18.5, 9.3])
def test_the_transpose_within_a_radius(radius: float) -> None:
    """In the kernels' own layout, where the solvers look for the object in a circle only."""
    A = BlockOperator(make_geometry(33, 0.4, 360, 37), 4, radius)
    rng = np.random.default_rng(1)
    volume = A.disc * volume_block(rng.normal(size=(4, 37, 37)))
    images = images_block(rng.normal(size=(N_ANGLES, 4, 33)))
    gap = np.vdot(A(volume).astype(np.float64), images) - np.vdot(
        volume, A.T(images).astype(np.float64)
    )
    assert abs(gap) < 1e-6 * np.linalg.norm(A(volume)) * np.linalg.norm(images)
    assert (A.T(images) != 0).any(axis=2).sum() == A.disc.sum()


@each_backend
def test_a_subset_is_some_of_the_projections(name: str) -> None:
    geometry = make_geometry(33, 0.4, n_rows=2)
    A = backend_of(name).operator(geometry)
    volume = np.random.default_rng(4).random(A.domain_shape, np.float32)
    images = A(volume)
    mask = np.arange(N_ANGLES) % 7 == 2
    for frames in (slice(3, 9), [5, 1, 1], np.array([2]), mask):
        np.testing.assert_allclose(A.subset(frames)(volume), images[frames], atol=1e-4)


@each_backend
def test_the_operator_refuses_another_shape(name: str) -> None:
    A = backend_of(name).operator(make_geometry())
    with pytest.raises(ValueError, match=r"volume must have .*\(1, 32, 32\), got \(32, 32\)"):
        A(np.zeros((32, 32)))
    with pytest.raises(ValueError, match=r"images must have .*\(24, 1, 32\), got \(1, 24, 32\)"):
        A.T(np.zeros((1, 24, 32)))


@pytest.mark.parametrize(("name", "algorithm"), cases("accepts_initial"))
def test_a_warm_start_helps(name: str, algorithm: str) -> None:
    geometry = make_geometry()
    backend, measured = backend_of(name), blob_projections(geometry)

    def residual(volume: np.ndarray) -> float:
        return float(np.linalg.norm(backend.operator(geometry)(volume) - measured))

    cold = backend.reconstruct(measured, geometry, algorithm=algorithm, num_iter=2)
    warm = backend.reconstruct(measured, geometry, algorithm=algorithm, num_iter=2, initial=cold)
    worse = backend.reconstruct(
        measured, geometry, algorithm=algorithm, num_iter=2, initial=blob_volume(geometry, -5, 6)
    )
    assert residual(warm) < 0.98 * residual(cold)
    assert residual(warm) < residual(worse)


@pytest.mark.parametrize(("name", "algorithm"), cases("accepts_weights"))
def test_what_weighs_nothing_changes_nothing(name: str, algorithm: str) -> None:
    geometry = make_geometry(n_rows=2)
    backend, measured = backend_of(name), blob_projections(geometry)
    weights = np.ones_like(measured)
    weights[::3, :, 10:14] = 0
    weights[5] = 0
    volumes = []
    for garbage in (0.0, 1e6):
        spoilt = np.where(weights == 0, np.float32(garbage), measured)
        volumes.append(
            backend.reconstruct(
                spoilt, geometry, algorithm=algorithm, weights=weights, **options_of(algorithm)
            )
        )
    np.testing.assert_allclose(volumes[1], volumes[0], atol=1e-6)
    expected = geometry.volume_axis + np.array([R, X])
    np.testing.assert_allclose(centroid(volumes[0][0]), expected, atol=0.1)


@each_algorithm
def test_unknown_option(name: str, algorithm: str) -> None:
    backend = backend_of(name)
    geometry = make_geometry()
    with pytest.raises(ValueError, match=f"{algorithm!r} of backend {name!r}.*'wrong'.*known are"):
        backend.check_options(algorithm, {"wrong": 1})
    with pytest.raises(ValueError, match="'wrong'"):
        backend.reconstruct(blob_projections(geometry), geometry, algorithm=algorithm, wrong=1)


@each_backend
def test_unknown_algorithm(name: str) -> None:
    known = ".*".join(backend_of(name).algorithms)
    with pytest.raises(ValueError, match=f"'nosuch' for backend {name!r}; known are .*{known}"):
        backend_of(name).check_options("nosuch", {})


@pytest.mark.parametrize("module", [base, solvers])
def test_the_examples_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 5


@pytest.mark.parametrize("algorithm", get_backend("builtin").algorithms)
def test_the_builtin_engine_reconstructs_the_circle_that_a_scan_can_tell(algorithm: str) -> None:
    geometry = make_geometry(n_rows=1)
    backend = get_backend("builtin")
    measured = blob_projections(geometry)
    distance = np.hypot(*np.indices(geometry.volume_shape[1:]) - geometry.volume_axis)
    outside = distance > geometry.support_radius
    assert outside.any()
    round_one = backend.reconstruct(measured, geometry, algorithm=algorithm)[0]
    square = backend.reconstruct(measured, geometry, algorithm=algorithm, circle=False)[0]
    assert not round_one[outside].any()
    assert square[outside].any()


@pytest.mark.parametrize(("center", "reach"), [(15.5, 16.0), (12.5, 19.0), (20.0, 20.5)])
def test_support_radius(center: float, reach: float) -> None:
    """Half the detector, or what lies on the farther side of the axis; or half a wider grid."""
    geometry = ScanGeometry(np.arange(3.0), 4, 32, center)
    assert geometry.support_radius == reach
    assert geometry.with_changes(volume_width=44).support_radius == 22


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_iter", "x"),
        ("num_iter", 2.5),
        ("num_iter", True),
        ("relaxation", "a"),
        ("non_negative", "no"),
        ("circle", None),
    ],
)
def test_a_wrong_value_of_an_option_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must "):
        get_backend("builtin").check_options("sirt", {option: value})


def test_the_first_call_says_that_it_compiles(tmp_path: Path) -> None:
    ask = (
        "from napari_tomoalign.backends import get_backend as g; print(g('builtin').startup_note())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    note = subprocess.run(
        [sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert note.startswith("compiling the kernels, once")
    engine = get_backend("builtin")
    engine.operator(make_geometry())(np.ones((1, 32, 32), np.float32))
    assert engine.startup_note() is None


@pytest.mark.parametrize(
    ("degrees", "covered"),
    [
        (np.arange(60) * 3, True),
        (np.arange(60) * 6, True),  # opposite views fall together
        (np.arange(61) * 3, True),
        (np.random.default_rng(0).permutation(60) * 3.0 - 90, True),
        (np.linspace(-60, 60, 60), False),
        (np.delete(np.arange(60) * 3, [30, 31, 32]), False),
        (np.arange(15) * 12, False),  # too few for 64 columns
    ],
)
def test_a_direct_inversion_needs_angles_all_round(degrees: np.ndarray, covered: bool) -> None:
    geometry = ScanGeometry(np.deg2rad(degrees), 1, 64, 31.5)
    assert geometry.has_angular_coverage == covered
