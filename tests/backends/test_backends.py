"""The contract, over every backend that is installed here and every algorithm of it.

The truth is a Gaussian blob: its line integrals are known in closed form.
"""

from __future__ import annotations

import doctest
import functools
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, backends
from napari_tomoalign.backends import (
    Backend,
    BackendUnavailable,
    available_backends,
    base,
    get_backend,
    solvers,
)
from napari_tomoalign.backends.builtin.operators import BlockOperator, images_block, volume_block
from napari_tomoalign.backends.tomopy import engine as _tomopy
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.simulation import cramer_rao_bound, simulate

N_ANGLES = 24
SIGMA = 2.5
X, R = 5.0, -3.0  # of the blob: columns right of the axis, rows below it
ABSENT = "TomoPy is not installed here (conda install -c conda-forge tomopy)"

# columns, centre from the middle, degrees, width of the volume
GEOMETRIES = [
    pytest.param(32, 0.0, 180, 32, id="even"),
    pytest.param(33, 0.0, 360, 33, id="odd-360"),
    pytest.param(32, 1.25, 360, 32, id="even-off-360"),
    pytest.param(33, -1.5, 180, 33, id="odd-off"),
    pytest.param(32, 0.3, 180, 43, id="wide-odd"),
    pytest.param(33, -0.7, 180, 44, id="wide-even"),
]
# What brings an algorithm close to its fixed point; the rest do by default.
ENOUGH = {"sirt": 60, "bart": 60, "tv": 100, "astra": 60, "gradient": 30}


@functools.cache
def backend_of(name: str) -> Backend:
    return get_backend(name, workers=2)


def installed() -> list[str]:
    return [name for name in backends.backend_names() if name in available_backends()]


tomopy_only = pytest.mark.skipif("tomopy" not in installed(), reason=ABSENT)


def absent() -> list[object]:
    if "tomopy" in installed():
        return []
    return [pytest.param("tomopy", "sirt", id="tomopy", marks=pytest.mark.skip(reason=ABSENT))]


def cases(which: str = "") -> list[object]:
    """Return all pairs of backend and algorithm, or those for which a method says so."""
    return [
        pytest.param(name, algorithm, id=f"{name}-{algorithm}")
        for name in installed()
        for algorithm in backend_of(name).algorithms
        if not which or getattr(backend_of(name), which)(algorithm)
    ] + absent()


def tomopy_algorithms() -> list[object]:
    return [case for case in cases() if case.values[0] == "tomopy"]


each_backend = pytest.mark.parametrize("name", installed())
each_algorithm = pytest.mark.parametrize(("name", "algorithm"), cases())
each_geometry = pytest.mark.parametrize(("columns", "off", "degrees", "width"), GEOMETRIES)


def make_geometry(
    columns: int = 32, off: float = 0.0, degrees: float = 180, width: int = 0, n_rows: int = 1
) -> ScanGeometry:
    angles = np.deg2rad(np.arange(N_ANGLES) * degrees / N_ANGLES)
    return ScanGeometry(angles, n_rows, columns, (columns - 1) / 2 + off, width)


def columns_of(geometry: ScanGeometry, x: float, r: float) -> np.ndarray:
    return geometry.center + x * np.cos(geometry.angles) - r * np.sin(geometry.angles)


def blob_projections(geometry: ScanGeometry, x: float = X, r: float = R) -> np.ndarray:
    """Return the line integrals of a blob of height 1, the same in each row."""
    u = np.arange(geometry.n_columns) - columns_of(geometry, x, r)[:, None]
    image = SIGMA * np.sqrt(2 * np.pi) * np.exp(-(u**2) / (2 * SIGMA**2))
    return np.repeat(image[:, None], geometry.n_rows, axis=1).astype(np.float32)


def blob_volume(geometry: ScanGeometry, x: float = X, r: float = R) -> np.ndarray:
    y_index, x_index = np.indices(geometry.volume_shape[1:]) - geometry.volume_axis
    blob = np.exp(-((y_index - r) ** 2 + (x_index - x) ** 2) / (2 * SIGMA**2))
    return np.repeat(blob[None], geometry.n_rows, axis=0).astype(np.float32)


def centroid(image: np.ndarray) -> np.ndarray:
    """Return the centre of mass of what stands out, along each axis."""
    image = np.clip(image - 0.25 * image.max(), 0, None)
    return np.array([(index * image).sum() for index in np.indices(image.shape)]) / image.sum()


def options_of(algorithm: str) -> dict[str, int]:
    return {"num_iter": ENOUGH[algorithm]} if algorithm in ENOUGH else {}


def few(algorithm: str) -> dict[str, int]:
    return {} if algorithm in ("fbp", "gridrec") else {"num_iter": 3}


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


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
    with pytest.raises(ValueError, match=f"'nosuch' for backend {name!r}; known are .*fbp.*sirt"):
        backend_of(name).check_options("nosuch", {})


@pytest.mark.parametrize("algorithm", get_backend("builtin").algorithms)
def test_any_number_of_threads_gives_the_same_bits(algorithm: str) -> None:
    geometry = make_geometry(columns=64, n_rows=33)
    images = np.random.default_rng(0).random(geometry.projections_shape, np.float32)
    engines = [get_backend("builtin", workers=workers) for workers in (1, 2)]
    volumes = [engine.reconstruct(images, geometry, algorithm=algorithm) for engine in engines]
    assert np.array_equal(*volumes)
    assert np.array_equal(*(engine.operator(geometry)(volumes[0]) for engine in engines))


PRINT_BITS = """
import hashlib, numpy as np
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin import kernels
from napari_tomoalign.geometry import ScanGeometry
geometry = ScanGeometry(np.linspace(0, np.pi, 24, endpoint=False), 24, 24, 11.5)
images = np.random.default_rng(0).random((24, 24, 24), np.float32)
engine = get_backend("builtin")
volume = engine.reconstruct(images, geometry, algorithm="sirt", num_iter=2)
print(hashlib.sha256(volume.tobytes() + engine.operator(geometry)(volume).tobytes()).hexdigest())
print(bool(kernels.project.stats.cache_misses), bool(kernels.project.stats.cache_hits))
"""


def test_kernels_just_compiled_and_from_the_cache_give_the_same_bits(tmp_path: Path) -> None:
    """Else a run that was resumed in another process would not be the run that was not stopped."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PRINT_BITS]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first.split()[1:] == ["True", "False"]
    assert second.split()[1:] == ["False", "True"]
    assert first.split()[0] == second.split()[0]


@each_backend
def test_callers_in_several_threads(name: str) -> None:
    geometry = make_geometry(n_rows=4)
    backend, measured = backend_of(name), blob_projections(geometry)

    def work() -> np.ndarray:
        volume = backend.reconstruct(measured, geometry, algorithm="sirt", num_iter=3)
        return backend.operator(geometry)(volume)

    expected, answers = work(), []
    threads = [threading.Thread(target=lambda: answers.append(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_a_missing_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tomopy" else find(name)
    )
    assert available_backends()[0] == "builtin"
    assert "tomopy" not in available_backends()
    assert get_backend("auto").name == "builtin"
    with pytest.raises(BackendUnavailable, match=r"'tomopy'.*not installed.*conda install"):
        get_backend("tomopy")


def test_a_backend_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomopy", None)
    with pytest.raises(BackendUnavailable, match=r"does not load.*tomopy.*backend='builtin'"):
        _tomopy.create()


def register(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str) -> None:
    """Put a distribution on the path that registers an engine "theirs"."""
    metadata = folder / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[napari_tomoalign.backends]\ntheirs = {value}\nbuiltin = nosuch:create\n"
    )
    (folder / "their_engine.py").write_text(
        "from napari_tomoalign.backends.builtin.engine import BuiltinBackend\n"
        "class Theirs(BuiltinBackend):\n"
        "    name = 'theirs'\n"
        "def create(*, workers=None, use_gpu=False):\n"
        "    return Theirs(workers)\n"
        "def nothing(**_):\n"
        "    return None\n"
    )
    monkeypatch.syspath_prepend(folder)


def test_another_distribution_can_register_an_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, tmp_path, "their_engine:create")
    assert backends.backend_names()[-1] == available_backends()[-1] == "theirs"
    engine = get_backend("theirs", workers=1)
    assert (engine.name, engine.workers) == ("theirs", 1)
    assert get_backend("builtin").name == "builtin"  # nobody takes its place
    assert get_backend("auto").name != "theirs"
    scan = simulate(32, 12, n_rows=8)
    result = align(scan.projections, scan.angles, backend="theirs", maxiter=1, progress=False)
    assert result.backend == "theirs"


def test_a_registered_engine_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch, tmp_path, "their_engine:nothing")
    with pytest.raises(TypeError, match=r"'theirs' \(their_engine:nothing\) gives a NoneType"):
        get_backend("theirs")


def test_a_registered_engine_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, tmp_path, "their_engine:missing")
    with pytest.raises(BackendUnavailable, match=r"'theirs'.*does not load.*missing.*builtin"):
        get_backend("theirs")


@pytest.mark.parametrize("module", [base, solvers])
def test_the_examples_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 5


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="'nosuch'; known are 'auto', 'tomopy', 'builtin'"):
        get_backend("nosuch")


@pytest.mark.parametrize("name", [name for name in installed() if name != "warp"])
def test_no_gpu(name: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"use_gpu=True.*CPU.*use_gpu=False"):
        get_backend(name, use_gpu=True)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Put a recorder in TomoPy's place, and an ASTRA that has a GPU."""
    calls: list[dict[str, object]] = []

    def recon(sinograms: np.ndarray, theta: np.ndarray, **given: object) -> np.ndarray:
        calls.append({"shape": sinograms.shape, **given})
        width = given["num_gridx"]
        return np.ones((len(sinograms), width, width), np.float32)

    tomopy, recon_package, algorithm, astra = map(
        ModuleType, ("tomopy", "tomopy.recon", "tomopy.recon.algorithm", "astra")
    )
    tomopy.recon, tomopy.astra = recon, "tomopy's astra"
    algorithm.allowed_recon_kwargs = {"sirt": ["num_iter"]}
    algorithm.allowed_accelerated_kwargs = {"sirt": ["accelerated"]}
    recon_package.algorithm = algorithm
    astra.use_cuda = lambda: True
    for module in (tomopy, recon_package, algorithm, astra):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(_tomopy, "_has_astra", lambda: True)
    return calls


def test_use_gpu_passes_astras_gpu_algorithms_through_tomopy(
    recorded: list[dict[str, object]],
) -> None:
    geometry = make_geometry(32, 1.25, n_rows=2)
    backend = _tomopy.create(workers=2, use_gpu=True)
    assert backend.algorithms == ("astra",)
    algorithm, options = backend.default_for(geometry)
    backend.reconstruct(
        blob_projections(geometry), geometry, algorithm=algorithm, **options, gpu_list=[0, 1]
    )
    (call,) = recorded
    assert call["algorithm"] == "tomopy's astra"
    expected = {"method": "SIRT_CUDA", "proj_type": "cuda", "num_iter": 20, "gpu_list": [0, 1]}
    assert call["options"] == expected
    assert call["center"] == call["shape"][2] / 2  # ASTRA's middle
    backend.check_options("astra", {"method": "FBP_CUDA"})
    for wrong in ({"method": "SIRT"}, {"proj_type": "linear"}):
        with pytest.raises(ValueError, match=r"needs.*_CUDA.*proj_type='cuda'; got.*use_gpu=False"):
            backend.check_options("astra", wrong)


def test_tomopy_on_a_gpu_says_what_is_missing(
    recorded: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["astra"], "use_cuda", lambda: False)
    with pytest.raises(BackendUnavailable, match=r"finds no CUDA device.*use_gpu=False"):
        _tomopy.create(use_gpu=True)
    monkeypatch.setattr(_tomopy, "_has_astra", lambda: False)
    with pytest.raises(
        BackendUnavailable, match=r"not installed here: conda install.*backend='warp'"
    ):
        _tomopy.create(use_gpu=True)


@tomopy_only
def test_tomopy_offers_what_it_has() -> None:
    algorithms = set(backend_of("tomopy").algorithms) - {"astra"}
    names = "gridrec fbp sirt mlem osem art bart tv grad tikh"
    assert algorithms == {
        *names.split(), "ospml_hybrid", "ospml_quad", "pml_hybrid", "pml_quad"
    }  # fmt: skip
    assert "accelerated" not in str(backend_of("tomopy")._options)


@tomopy_only
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_projector_is_tomopys() -> None:
    import tomopy

    geometry = make_geometry(33, n_rows=3)
    volume = np.random.default_rng(2).random(geometry.volume_shape, np.float32)
    theirs = tomopy.project(volume, geometry.angles, center=16.5, pad=False, ncore=1)
    np.testing.assert_array_equal(backend_of("tomopy").operator(geometry)(volume), theirs)


CHANGES = {
    "gridrec": {"filter_name": "parzen"},
    "fbp": {"filter_name": "parzen"},
    "tv": {"reg_par": [1.0]},
    "tikh": {"reg_par": [-1, 0.5]},
    "grad": {"reg_par": [0.01]},
    "osem": {"num_block": 4},
    "bart": {"num_block": 4},
    "ospml_quad": {"reg_par": [50.0]},
    "ospml_hybrid": {"reg_par": [50.0, 0.01]},
    "pml_quad": {"reg_par": [50.0]},
    "pml_hybrid": {"reg_par": [50.0, 0.01]},
}


@pytest.mark.parametrize(("name", "algorithm"), tomopy_algorithms())
def test_tomopys_options_have_an_effect(name: str, algorithm: str) -> None:
    geometry = make_geometry()
    backend, measured = backend_of(name), blob_projections(geometry)
    plain = backend.reconstruct(measured, geometry, algorithm=algorithm, **few(algorithm))
    other = {**few(algorithm), **CHANGES.get(algorithm, {"num_iter": 7})}
    changed = backend.reconstruct(measured, geometry, algorithm=algorithm, **other)
    assert np.abs(changed - plain).max() > 1e-3
    clipped = backend.reconstruct(
        measured, geometry, algorithm=algorithm, non_negative=True, **few(algorithm)
    )
    np.testing.assert_array_equal(clipped, np.maximum(plain, 0))


FILTERS = ("shepp", "cosine", "hann", "hamming", "ramlak", "parzen", "butterworth")


@tomopy_only
@pytest.mark.parametrize("filter_name", FILTERS)
def test_a_filter_is_the_same_in_fbp_and_gridrec(filter_name: str) -> None:
    geometry = make_geometry(48)
    fbp, gridrec = (
        backend_of("tomopy").reconstruct(
            blob_projections(geometry), geometry, algorithm=algorithm, filter_name=filter_name
        )
        for algorithm in ("fbp", "gridrec")
    )
    assert np.abs(fbp - gridrec).max() < 0.08 * gridrec.max()


@tomopy_only
@pytest.mark.parametrize("algorithm", ["fbp", "gridrec"])
def test_hann_smooths_most(algorithm: str) -> None:
    geometry = make_geometry(48)
    noise = np.random.default_rng(3).normal(size=geometry.projections_shape).astype(np.float32)
    spread = {
        name: backend_of("tomopy")
        .reconstruct(noise, geometry, algorithm=algorithm, filter_name=name)
        .std()
        for name in ("ramlak", "shepp", "cosine", "hamming", "hann")
    }
    assert list(spread) == sorted(spread, key=spread.__getitem__, reverse=True)
    assert spread["hann"] < 0.6 * spread["ramlak"]


@tomopy_only
@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        ("sirt", {"num_iter": 0}, "num_iter must be an integer of at least 1, got 0"),
        ("sirt", {"num_iter": 2.5}, "num_iter must be an integer.*2.5"),
        ("sirt", {"accelerated": True}, "no option 'accelerated'; known are num_iter"),
        ("gridrec", {"filter_name": "custom"}, "unknown filter_name 'custom'; known are none"),
        ("fbp", {"filter_name": "butterworth", "filter_par": [0.5]}, "at least 2 numbers"),
        ("tikh", {"reg_par": [-1]}, "reg_par.*at least 2 numbers, got"),
        ("osem", {"num_block": 99}, "num_block must be at most.*24, got 99"),
        ("osem", {"num_block": 2, "ind_block": [0, 1]}, "ind_block must hold.*0 to 23 once"),
        ("tikh", {"reg_data": np.zeros((1, 2, 2))}, "reg_data must have the volume's shape"),
        ("fbp", {"initial": np.zeros((1, 32, 32), np.float32)}, "'fbp' cannot start from"),
        ("sirt", {"weights": np.ones((24, 1, 32), np.float32)}, "TomoPy has no weights"),
    ],
)
def test_what_tomopy_does_not_take(
    algorithm: str, options: dict[str, object], message: str
) -> None:
    geometry = make_geometry()
    with pytest.raises(ValueError, match=message):
        backend_of("tomopy").reconstruct(
            blob_projections(geometry), geometry, algorithm=algorithm, **options
        )


@tomopy_only
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_is_an_error() -> None:
    geometry = make_geometry()
    with pytest.raises(FloatingPointError, match=r"'grad'.*diverged.*reg_par=\[1e\+?10\]|1 of 1"):
        backend_of("tomopy").reconstruct(
            blob_projections(geometry), geometry, algorithm="grad", reg_par=[1e10], num_iter=50
        )


@tomopy_only
def test_what_fails_leaves_tomopys_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    variable, backend, geometry = "TOMOPY_PYTHON_THREADS", backend_of("tomopy"), make_geometry()

    def fail(*args: object, **kwargs: object) -> None:
        os.environ[variable] = "1"  # as TomoPy does, until it has finished
        raise KeyboardInterrupt

    before = os.environ.get(variable)
    monkeypatch.setattr(backend._tomopy, "recon", fail)
    with pytest.raises(KeyboardInterrupt):
        backend.reconstruct(blob_projections(geometry), geometry, algorithm="sirt")
    assert os.environ.get(variable) == before
    monkeypatch.undo()
    backend.reconstruct(blob_projections(geometry), geometry, algorithm="sirt", num_iter=1)


@tomopy_only
def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = make_geometry(n_rows=9)
    measured = blob_projections(geometry) * np.arange(1, 10, dtype=np.float32)[:, None]
    backend = backend_of("tomopy")
    for algorithm in ("gridrec", "sirt"):
        whole = backend.reconstruct(measured, geometry, algorithm=algorithm)
        with monkeypatch.context() as patch:
            patch.setattr(_tomopy, "_BLOCK_BYTES", 1)
            parts = backend.reconstruct(measured, geometry, algorithm=algorithm)
        np.testing.assert_allclose(parts, whole, atol=1e-4)


@tomopy_only
def test_reg_data_is_what_tikh_is_drawn_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tomopy, "_BLOCK_BYTES", 1)
    geometry = make_geometry(n_rows=5)
    target = blob_volume(geometry) * np.arange(1, 6, dtype=np.float32)[:, None, None]
    volume = backend_of("tomopy").reconstruct(
        np.zeros(geometry.projections_shape, np.float32),
        geometry,
        algorithm="tikh",
        reg_par=[-1, 10.0],
        reg_data=target,
        num_iter=5,
    )
    peaks = volume.max(axis=(1, 2))
    np.testing.assert_allclose(peaks / peaks[0], np.arange(1, 6), atol=0.02)


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


@tomopy_only
@pytest.mark.parametrize("size", [48, 64])
def test_gridrecs_volume_has_the_density_of_the_object(size: int) -> None:
    scan = simulate(size, 60, n_rows=4, jitter=0, drift=0, noise=0, seed=3)
    backend = backend_of("tomopy")
    volume = backend.reconstruct(
        scan.projections, scan.geometry, algorithm="gridrec", filter_name="ramlak"
    )
    images = backend.operator(scan.geometry)(volume)
    assert np.vdot(images, scan.clean) / np.vdot(images, images) == pytest.approx(1, abs=0.015)


@tomopy_only
@pytest.mark.parametrize("kind", ["ellipsoids", "granular", "soft"])
def test_a_run_with_tomopys_default_knows_what_it_found(kind: str) -> None:
    scan = simulate(64, 60, kind=kind, seed=5)
    result = align(scan.projections, scan.angles, backend="tomopy", progress=False)
    assert result.converged, result.message
    stated = np.sqrt(np.mean(np.sum(result.standard_error**2, axis=1)))
    assert stated / 2 < alignment_error(result, scan) < 2 * stated


@tomopy_only
def test_where_angles_are_missing_tomopys_default_is_iterative() -> None:
    scan = simulate(48, 48, wedge=60.0, seed=2)
    result = align(scan.projections, scan.angles, backend="tomopy", progress=False)
    assert alignment_error(result, scan) < 2 * cramer_rao_bound(scan)
