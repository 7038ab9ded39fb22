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

from napari_tomoalign.backends import BackendUnavailable, get_backend
from napari_tomoalign.backends.builtin.space import SpaceOperator as BuiltinSpace
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.simulation import simulate

wp = pytest.importorskip(
    "warp", reason='Warp is not installed (pip install "napari-tomoalign[gpu]")'
)

from on_device import CPU, close  # noqa: E402

from napari_tomoalign.backends.warp import (  # noqa: E402
    engine,
    kernels,
    precision_kernels,
    slab_kernels,
    slabs,
    space_kernels,
)
from napari_tomoalign.backends.warp.engine import WarpBackend  # noqa: E402
from napari_tomoalign.backends.warp.space import SpaceOperator  # noqa: E402


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, n_rows=21, center_offset=0.6, seed=1)


@pytest.fixture(scope="module")
def geometry(scan):
    return ScanGeometry(scan.angles, 21, 32, scan.center, 40)


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


@pytest.mark.parametrize("arch", [80, 90])
def test_the_kernels_compile_for_a_card_that_is_not_here(arch, tmp_path):
    entries = set()
    for module in (kernels, precision_kernels, slab_kernels, space_kernels):
        wp.compile_aot_module(module, arch=arch, module_dir=tmp_path, use_ptx=True)
    for ptx in tmp_path.glob("*.ptx"):
        text = ptx.read_text(encoding="utf-8")
        assert re.search(rf"^\.target sm_{arch}\b", text, re.M)
        entries.update(re.findall(r"\.entry ([a-z_]+)_[0-9a-f]+_cuda", text))
    assert {"project", "back_project", "move", "add_up", "add_scatter", "project_space"} < entries


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
