"""What is TomoPy's own: its options, its conventions, and ASTRA's GPU algorithms through it."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import numpy as np
import pytest
from engines import (
    backend_of,
    blob_projections,
    blob_volume,
    few,
    make_geometry,
    tomopy_algorithms,
    tomopy_only,
)

from napari_tomoalign import align, alignment_error
from napari_tomoalign.backends import (
    BackendUnavailable,
)
from napari_tomoalign.backends.tomopy import engine as _tomopy
from napari_tomoalign.simulation import cramer_rao_bound, simulate


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
