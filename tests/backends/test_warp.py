"""What the GPU engine adds to the contract: devices, slabs, and the built-in engine's answers.

Everything runs on Warp's CPU device, which compiles and runs the same kernels.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.backends import BackendUnavailable, get_backend
from napari_tomoalign.backends.builtin.space import SpaceOperator as BuiltinSpace
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.loop.evaluating import evaluate
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.truncation import Whole
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare

wp = pytest.importorskip(
    "warp", reason='Warp is not installed (pip install "napari-tomoalign[gpu]")'
)

from napari_tomoalign.backends.warp import (  # noqa: E402
    engine,
    kernels,
    slab_kernels,
    slabs,
    space_kernels,
)
from napari_tomoalign.backends.warp.arrays import DeviceArray  # noqa: E402
from napari_tomoalign.backends.warp.engine import WarpBackend  # noqa: E402
from napari_tomoalign.backends.warp.space import SpaceOperator  # noqa: E402

CPU = get_backend("warp").devices[0]


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, n_rows=21, center_offset=0.6, seed=1)


@pytest.fixture(scope="module")
def geometry(scan):
    return ScanGeometry(scan.angles, 21, 32, scan.center, 40)


def close(found, expected, share=3e-6):
    np.testing.assert_allclose(found, expected, atol=share * np.abs(expected).max())


@pytest.mark.parametrize("algorithm", get_backend("warp").algorithms)
def test_it_reconstructs_what_the_built_in_engine_does(scan, geometry, algorithm):
    weights = np.ones_like(scan.projections)
    weights[::5, :, 10:14] = 0
    start = np.random.default_rng(0).random(geometry.volume_shape, np.float32)
    engine = get_backend("builtin")
    more = {"weights": weights} if engine.accepts_weights(algorithm) else {}
    more |= {"initial": start} if engine.accepts_initial(algorithm) else {}
    # rounding grows with every accelerated step, so few of them are compared
    few = {"num_iter": 6} if algorithm == "ordered_subsets" else {}
    for options in (few, {"circle": False, **few, **more}):
        one, other = (
            get_backend(name).reconstruct(
                scan.projections, geometry, algorithm=algorithm, **options
            )
            for name in ("warp", "builtin")
        )
        close(one, other)


def test_its_operator_is_the_built_in_one(geometry):
    volume = np.random.default_rng(0).random(geometry.volume_shape, np.float32)
    A, B = (get_backend(name).operator(geometry) for name in ("warp", "builtin"))
    images = B(volume)
    close(A(volume), images)
    close(A.T(images), B.T(images))
    some = np.array([3, 20, 7])
    close(A.subset(some)(volume), images[some])
    close(A.subset(some).T(images[some]), B.subset(some).T(images[some]))


@pytest.mark.parametrize("rows", [slice(0, 14), slice(3, 9)], ids=["whole", "slab"])
@pytest.mark.parametrize("tilt", [0.0, 0.5, -1.2])
def test_its_operator_for_any_direction_is_the_built_in_one(tilt, rows):
    angles = np.linspace(0, np.pi, 18, endpoint=False)
    geometry = ScanGeometry(angles, 14, 21, 9.3, axis_angle=0.1, axis_tilt=tilt).rows_of(rows)
    device, here = SpaceOperator(geometry, CPU), BuiltinSpace(geometry, 1)
    rng = np.random.default_rng(1)
    some = [7, 3, 0]
    for A, B in ((device, here), (device.subset(some), here.subset(some))):
        volume = rng.normal(size=A.domain_shape).astype(np.float32)
        images = rng.normal(size=A.range_shape).astype(np.float32)
        # places are float32 here, float64 there, and white noise is as steep as can be
        close(A(volume), B(volume), 1e-5)
        close(A.T(images), B.T(images), 1e-5)


@pytest.mark.parametrize("algorithm", ["sirt", "gradient", "ordered_subsets"])
def test_it_reconstructs_in_laminography_what_the_built_in_engine_does(algorithm):
    scan = simulate(24, 18, axis_tilt=30, jitter=0, drift=0, angular_range=360, seed=2)
    weights = np.ones_like(scan.projections)
    weights[::5, :, 10:14] = 0
    one, other = (
        get_backend(name).reconstruct(
            scan.projections, scan.geometry, algorithm=algorithm, weights=weights, num_iter=4
        )
        for name in ("warp", "builtin")
    )
    close(one, other)


def test_a_run_ends_where_it_does_on_the_built_in_engine(scan):
    """With all defaults, the first step included, which is a capture and no refinement."""
    found = [
        align(scan.projections, scan.angles, backend=name, progress=False)
        for name in ("warp", "builtin")
    ]
    assert len(found[0].history) == len(found[1].history)
    np.testing.assert_allclose(found[0].shifts, found[1].shifts, atol=1e-4)
    assert found[0].center == pytest.approx(found[1].center, abs=1e-4)


def evaluated(backend, algorithm, trusted, *, height=None, **settings):
    """Evaluate a model at shifts near the true ones."""
    scan = simulate(48, 20, n_rows=61, seed=4, **settings)
    run = iterate_alignment(
        scan.projections,
        scan.angles,
        weights=scan.weights,
        backend=backend,
        center=scan.center,
        axis_tilt=scan.geometry.axis_tilt,
        reconstruction_pipeline=algorithm,
        projection_cropping=((3, 55), (2, 47)),
    )
    start = prepare(run)
    level = level_of(start, 1, start.geometry)
    shifts = scan.shifts + np.random.default_rng(0).uniform(-0.3, 0.3, scan.shifts.shape)
    poses = Poses(shifts, scan.geometry, turning=True)
    return evaluate(run, level, Whole(), poses, trusted, height=height)


def compare_models(one, other, share=3e-6):
    np.testing.assert_array_equal(one.weights > 0, other.weights > 0)
    for name in ("measured", "weights", "reprojected", "volume"):
        close(getattr(one, name), getattr(other, name), share)
    for name in ("difference", "power", "pixels", "moments", "volume"):
        expected = getattr(other.sums, name)
        np.testing.assert_allclose(getattr(one.sums, name), expected, rtol=2e-5)
    for mine, its in zip(one.sums.equations.solve(), other.sums.equations.solve(), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5)  # pixels
    np.testing.assert_allclose(
        one.sums.equations.coefficient(), other.sums.equations.coefficient(), atol=1e-6
    )


@pytest.mark.parametrize("settings", [{}, {"masked_fraction": 0.2}], ids=["whole", "masked"])
@pytest.mark.parametrize("algorithm", ["gradient", "fbp"])
def test_a_slab_evaluated_on_the_device_is_the_one_evaluated_here(algorithm, settings):
    trusted = np.arange(20) != 7
    mine, its = (evaluated(name, algorithm, trusted, **settings) for name in ("warp", "builtin"))
    compare_models(mine, its)
    parts = evaluated("warp", algorithm, trusted, height=20, **settings)
    compare_models(parts, its)


@pytest.mark.parametrize("settings", [{}, {"masked_fraction": 0.2}], ids=["whole", "masked"])
def test_where_the_axis_leans_the_whole_is_evaluated_as_here(settings):
    trusted = np.arange(20) != 7
    mine, its = (
        evaluated(name, "gradient", trusted, axis_tilt=20, **settings)
        for name in ("warp", "builtin")
    )
    compare_models(mine, its, 1e-5)  # places are float32 here, float64 there


def test_the_default_algorithm_gives_the_same_step():
    """Forty steps on subsets add up what rounding does, to 1e-5 of the volume."""
    algorithm, _ = get_backend("warp").default_for()
    trusted = np.ones(20, bool)
    mine, its = (evaluated(name, algorithm, trusted) for name in ("warp", "builtin"))
    np.testing.assert_allclose(mine.volume, its.volume, atol=1e-5 * its.volume.max())
    steps = [model.sums.equations.solve()[0] for model in (mine, its)]
    np.testing.assert_allclose(*steps, atol=1e-4)  # pixels


def test_slabs_are_dealt_out_to_devices_and_halved_where_memory_lacks(monkeypatch):
    taken, threads = [], set()
    evaluate_slab = engine.evaluate_slab

    def small(work, *rest):
        n_rows = work.inner.stop - work.inner.start
        taken.append(n_rows)
        threads.add(threading.get_ident())
        if n_rows > 16:
            raise RuntimeError("Failed to allocate 123 bytes on device 'cuda:0'")
        return evaluate_slab(work, *rest)

    trusted = np.ones(20, bool)
    whole = evaluated("builtin", "gradient", trusted)
    monkeypatch.setattr(engine, "evaluate_slab", small)
    compare_models(evaluated(WarpBackend([CPU, CPU]), "gradient", trusted), whole)
    assert max(taken[:2]) == 31  # by two threads, in any order
    assert sorted(taken[-5:]) == [1, 15, 15, 15, 15]
    assert len(threads) > 1


@pytest.mark.parametrize("arch", [80, 90])
def test_the_kernels_compile_for_a_card_that_is_not_here(arch, tmp_path):
    entries = set()
    for module in (kernels, slab_kernels, space_kernels):
        wp.compile_aot_module(module, arch=arch, module_dir=tmp_path, use_ptx=True)
    for ptx in tmp_path.glob("*.ptx"):
        text = ptx.read_text()
        assert re.search(rf"^\.target sm_{arch}\b", text, re.M)
        entries.update(re.findall(r"\.entry ([a-z_]+)_[0-9a-f]+_cuda", text))
    assert {"project", "back_project", "move", "add_up", "project_space"} < entries


def test_several_devices_share_the_rows(scan, geometry, monkeypatch):
    """Two names of the CPU device stand in for two cards."""
    workers, both = {}, threading.Barrier(2, timeout=30)
    images_on = engine.images_on

    def watched(device, images):
        if threading.get_ident() not in workers:
            both.wait()  # until the other one has taken rows as well
        workers.setdefault(threading.get_ident(), []).append(images.shape[1])
        return images_on(device, images)

    monkeypatch.setattr(engine, "images_on", watched)
    two = WarpBackend([CPU, CPU]).reconstruct(scan.projections, geometry, algorithm="sirt")
    assert sorted(sum(rows) for rows in workers.values()) == [10, 11]
    monkeypatch.undo()
    one = WarpBackend([CPU]).reconstruct(scan.projections, geometry, algorithm="sirt")
    np.testing.assert_array_equal(two, one)


def test_a_slab_that_does_not_fit_is_halved(scan, geometry, monkeypatch):
    sizes = []
    images_on = engine.images_on

    def small(device, images):
        sizes.append(images.shape[1])
        if images.shape[1] > 6:
            raise RuntimeError("Failed to allocate 123 bytes on device 'cuda:0'")
        return images_on(device, images)

    whole = get_backend("warp").reconstruct(scan.projections, geometry, algorithm="gradient")
    monkeypatch.setattr(engine, "images_on", small)
    parts = get_backend("warp").reconstruct(scan.projections, geometry, algorithm="gradient")
    np.testing.assert_array_equal(parts, whole)
    assert sizes == [21, 10, 5, 5, 5, 5, 1]


def test_what_fits_in_no_way_is_said(scan, geometry, monkeypatch):
    def none(device, images):
        raise RuntimeError("Failed to allocate 123 bytes on device 'cuda:0'")

    monkeypatch.setattr(engine, "images_on", none)
    with pytest.raises(
        MemoryError, match=r"one row of 24 projections of 32 columns.*use_gpu=False"
    ):
        get_backend("warp").reconstruct(scan.projections, geometry, algorithm="gradient")


def test_another_error_is_not_taken_for_a_lack_of_memory(scan, geometry, monkeypatch):
    def broken(device, images):
        raise RuntimeError("CUDA error 700: an illegal memory access was encountered")

    monkeypatch.setattr(engine, "images_on", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        get_backend("warp").reconstruct(scan.projections, geometry, algorithm="gradient")


def test_how_warp_says_that_memory_is_lacking():
    with pytest.raises(RuntimeError, match="^" + slabs._NO_MEMORY):
        wp.empty((2**31 - 1, 2**31 - 1), dtype=wp.float32, device="cpu")


def test_the_memory_of_a_card_bounds_the_slab(geometry):
    class Card:
        is_cuda, name = True, "a card"
        free_memory = 4 * 5 * 6 * (geometry.volume_width**2 + geometry.n_angles * 32)

    taken = []
    slabs.in_slabs(geometry, [Card()], 5, lambda rows, _: taken.append(rows.stop - rows.start))
    assert taken == [6, 6, 6, 3]


def test_use_gpu_takes_it(monkeypatch):
    monkeypatch.setattr(wp, "get_cuda_devices", lambda: [CPU])
    assert get_backend("auto", use_gpu=True).name == "warp"
    assert get_backend("warp", use_gpu=True).name == "warp"


def test_without_a_card_the_error_says_so(monkeypatch):
    monkeypatch.setattr(wp, "get_cuda_devices", list)
    for name in ("auto", "warp"):
        with pytest.raises(BackendUnavailable, match=r"no CUDA device.*NVIDIA card.*driver"):
            get_backend(name, use_gpu=True)


def test_without_the_extra_the_error_says_so(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "warp" else find(name)
    )
    with pytest.raises(
        BackendUnavailable, match=r"needs warp.*pip install .napari-tomoalign\[gpu\]"
    ):
        get_backend("auto", use_gpu=True)


def test_without_a_card_it_says_that_it_is_slow(monkeypatch):
    monkeypatch.setattr(wp, "get_cuda_devices", list)
    assert "slow and meant for tests" in get_backend("warp").startup_note()


def test_a_card_and_its_memory_are_named():
    class Card:
        is_cuda, name, total_memory = True, "NVIDIA H100 80GB HBM3", 85_000_000_000

    backend = WarpBackend([Card(), Card()])
    assert backend.describe() == ", ".join(["NVIDIA H100 80GB HBM3 (79 GiB)"] * 2)
    assert backend.startup_note() is None


def test_warp_prints_nothing_into_our_output(tmp_path: Path):
    script = (
        "import warp, numpy as np\n"
        f"warp.config.kernel_cache_dir = {str(tmp_path)!r}\n"
        "from napari_tomoalign.backends import get_backend\n"
        "from napari_tomoalign.geometry import ScanGeometry\n"
        "A = get_backend('warp').operator(ScanGeometry(np.arange(3.0), 2, 8, 3.5))\n"
        "A(np.ones(A.domain_shape, np.float32))\n"
        "print(warp.config.log_level == warp.LOG_INFO)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert done.stderr == ""


def test_what_others_say_while_warp_starts_is_not_lost(capfd, monkeypatch):
    def starts():
        os.write(2, engine._NO_DRIVER + b". GPU execution will not be available.\nanother thread\n")

    monkeypatch.setattr(wp, "init", starts)
    get_backend("warp")
    assert capfd.readouterr().err == "another thread\n"


def on_host(array: DeviceArray) -> np.ndarray:
    return array.host((0, 1, 2))


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.divide, np.maximum])
def test_arrays_on_a_device_combine_as_numpys(ufunc):
    a = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    b = np.random.default_rng(1).normal(size=(3, 4, 1)).astype(np.float32)
    A, B = DeviceArray.of(a, CPU), DeviceArray.of(b, CPU)
    for mine, theirs in (((A, B), (a, b)), ((B, A), (b, a)), ((A, 3), (a, 3)), ((2.0, B), (2, b))):
        np.testing.assert_allclose(on_host(ufunc(*mine)), ufunc(*theirs), rtol=1e-6)
    np.testing.assert_allclose(on_host(ufunc(A, b)), ufunc(a, b), rtol=1e-6)
    out = np.zeros_like(A)
    assert ufunc(A, B, out=out, where=A > 0.5) is out
    np.testing.assert_allclose(
        on_host(out), ufunc(a, b, out=np.zeros_like(a), where=a > 0.5), rtol=1e-6
    )


def test_what_arrays_on_a_device_cannot_do_is_refused():
    array = DeviceArray.of(np.ones((2, 3, 4)), CPU)
    with pytest.raises(TypeError, match="sin"):
        np.sin(array)
    with pytest.raises(TypeError, match="fft"):
        np.fft.fft(array)
    with pytest.raises(ValueError, match=r"does not broadcast to \(2, 3, 1\)|broadcast"):
        np.add(array, array, out=DeviceArray.empty((2, 3, 1), CPU))


def test_arrays_go_to_a_device_and_back_in_any_order_of_axes():
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    for view in (values, values.transpose(1, 2, 0), values[::2, 1:4].transpose(0, 2, 1)):
        np.testing.assert_array_equal(on_host(DeviceArray.of(view, CPU)), view)
        back = DeviceArray.of(view, CPU).host((2, 0, 1))
        np.testing.assert_array_equal(back, view.transpose(2, 0, 1))
    array = DeviceArray.of(values, CPU)
    assert array.max(initial=0.0) == values.max()
    assert array.max(initial=2.0) == 2.0
    copy = array.copy()
    copy += 1
    np.testing.assert_array_equal(on_host(array), values)
