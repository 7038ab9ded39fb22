"""What the GPU engine does with a slab: as the built-in one, and what stays on the device."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.refining import COMPARED_HALO
from napari_tomoalign.loop.evaluating import evaluate
from napari_tomoalign.loop.kept import coarse_misfit_there
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.matching import match
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.standard_errors import standard_errors
from napari_tomoalign.loop.truncation import Whole
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.frames import coarse_misfit
from napari_tomoalign.start.prepare import prepare

wp = pytest.importorskip(
    "warp", reason='Warp is not installed (pip install "napari-tomoalign[gpu]")'
)

from on_device import CPU, close  # noqa: E402

from napari_tomoalign.backends.warp import engine  # noqa: E402
from napari_tomoalign.backends.warp.engine import WarpBackend  # noqa: E402


@pytest.fixture(scope="module")
def scan():
    # Of an object that leaves the images in some frames the loop takes the steps itself.
    return simulate(32, 24, n_rows=21, center_offset=0.6, jitter=2.0, drift=1.0, seed=1)


def test_a_run_ends_where_it_does_on_the_built_in_engine(scan):
    """With all defaults, the first step included, which is a capture and no refinement."""
    found = [
        align(scan.projections, scan.angles, backend=name, progress=False)
        for name in ("warp", "builtin")
    ]
    assert len(found[0].history) == len(found[1].history)
    np.testing.assert_allclose(found[0].shifts, found[1].shifts, atol=1e-4)
    assert found[0].center == pytest.approx(found[1].center, abs=1e-4)


def standing(backend, algorithm, **settings):
    """Return a run of a made scan, and where it stands near the true shifts, without a model."""
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
    return run, start, level, poses


def evaluated(backend, algorithm, trusted, *, height=None, **settings):
    """Evaluate a model at shifts near the true ones."""
    run, _, level, poses = standing(backend, algorithm, **settings)
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
    """Rounding, which fifty steps on subsets add up, decides whether single voxels are clipped."""
    algorithm, _ = get_backend("warp").default_for()
    trusted = np.ones(20, bool)
    mine, its = (evaluated(name, algorithm, trusted) for name in ("warp", "builtin"))
    apart = np.sqrt(np.mean((mine.volume - its.volume) ** 2, dtype=np.float64))
    assert apart < 1e-6 * its.volume.max()
    steps = [model.sums.equations.solve()[0] for model in (mine, its)]
    np.testing.assert_allclose(*steps, atol=1e-4)  # pixels


def test_slabs_are_dealt_out_to_devices_and_halved_where_memory_lacks(monkeypatch):
    taken, both = [], threading.Barrier(2, timeout=30)
    evaluate_slab = engine.evaluate_slab

    def small(work, *rest):
        n_rows = work.inner.stop - work.inner.start
        taken.append(n_rows)
        if n_rows > 16:
            both.wait()  # until the other device has taken a slab as well
            raise RuntimeError("Failed to allocate 123 bytes on device 'cuda:0'")
        return evaluate_slab(work, *rest)

    trusted = np.ones(20, bool)
    whole = evaluated("builtin", "gradient", trusted)
    monkeypatch.setattr(engine, "evaluate_slab", small)
    made = evaluated(WarpBackend([CPU, CPU]), "gradient", trusted)
    assert sorted(taken) == [1, 15, 15, 15, 15, 30, 31]
    compare_models(made, whole)


@pytest.mark.parametrize("settings", [{}, {"masked_fraction": 0.2}], ids=["whole", "masked"])
@pytest.mark.parametrize(
    ("devices", "slabs", "volumes"), [(1, 1, True), (2, 2, True), (2, 4, True), (2, 4, False)]
)
def test_what_devices_have_tells_the_same_of_the_shifts(
    devices, slabs, volumes, settings, monkeypatch
):
    """Blocks of 8 rows reach from one slab of the 61 rows to the next; four are made again."""
    monkeypatch.setattr(WarpBackend, "_holds_beside", lambda *_: volumes)
    if slabs > devices:
        height = -(-61 // slabs) + 2 * COMPARED_HALO
        monkeypatch.setattr(WarpBackend, "slab_height", lambda *_: height)
    trusted, drawn = np.arange(20) != 7, np.arange(20)
    confidence = trusted.astype(float)
    found = []
    for backend in (WarpBackend([CPU] * devices), get_backend("builtin")):
        run, start, level, poses = standing(backend, "gradient", **settings)
        poses = poses.displaced(np.where(drawn[:, None] % 3 == 0, 0.7, 0.0))  # long steps
        model = evaluate(run, level, Whole(), poses, trusted)
        assert len(model.kept) == (slabs if isinstance(backend, WarpBackend) else 0)
        known = standard_errors(run, start, level, model, confidence)
        found.append((known, match(run, level, model, drawn, confidence, True), model))
    (mine, moves, model), (its, others, here) = found
    some = np.array([2, 7, 19])
    expected = coarse_misfit(*here.frames(some))
    np.testing.assert_allclose(coarse_misfit_there(model.kept, some), expected, rtol=1e-4)
    assert all(callable(vars(model)[name]) for name in ("measured", "volume"))  # not fetched
    np.testing.assert_allclose(mine.errors, its.errors, rtol=1e-4)
    assert mine.misfit == pytest.approx(its.misfit, rel=1e-3, abs=1e-6)
    np.testing.assert_allclose(moves.shifts, others.shifts, atol=1e-4)
    assert np.hypot(*others.shifts.T).max() > 0.3


@pytest.fixture
def crossing(monkeypatch):
    """Count the bytes that cross to the device and back."""
    bytes_, numpy, init = {"there": 0, "back": 0}, wp.array.numpy, wp.array.__init__

    def counted(array):
        values = numpy(array)
        bytes_["back"] += values.nbytes
        return values

    def put(array, data=None, *rest, **more):
        bytes_["there"] += data.nbytes if isinstance(data, np.ndarray) else 0
        init(array, data, *rest, **more)

    monkeypatch.setattr(wp.array, "numpy", counted)
    monkeypatch.setattr(wp.array, "__init__", put)
    return bytes_


@pytest.mark.parametrize("copied", [False, True], ids=["plain", "a copied frame"])
def test_a_slab_crosses_to_the_device_once_an_iteration_and_sums_come_back(scan, crossing, copied):
    projections = scan.projections.copy()
    if copied:
        projections[9] = projections[2]
    stack, n = projections.nbytes, len(projections)
    told = {"initial_shifts": scan.shifts, "center": scan.center}
    run = iterate_alignment(
        projections, scan.angles, backend="warp", maxiter=6, shift_tolerance=1e-9, **told
    )
    # What does not fit is captured, here: three images of 672 numbers. How badly copies fit is told
    # by 11 by 16 blocks of each of them, and one more each way.
    copies = copied * (3 * 672 + 2 * 12 * 17)
    for state in run:
        if 1 + copied < state.iteration < 6:  # the first capture, the last one is looked at
            assert crossing["there"] < 1.2 * stack
            assert crossing["back"] < 8 * (80 * n + 4 * 40 + copies)  # a stack: 672 n numbers
        crossing.update(there=0, back=0)
    assert state.iteration == 6
    assert (state.record.confidence[[2, 9]] > 0).tolist() == [True, not copied]


@pytest.mark.parametrize("volumes", [True, False], ids=["volumes stay", "nothing stays"])
def test_of_slabs_that_a_device_does_not_hold_sums_come_back_too(volumes, crossing, monkeypatch):
    """They are made once, and again for each of two questions, with 15 rows more on each side."""
    solved, gradient = [], engine.ITERATIVE["gradient"]

    def counted(*images, **options):
        solved.append(1)
        return gradient(*images, **options)

    monkeypatch.setattr(WarpBackend, "_holds_beside", lambda *_: volumes)
    scan = simulate(24, 12, n_rows=61, center_offset=0.6, jitter=1.0, drift=0.5, seed=1)
    stack, n = scan.projections.nbytes, len(scan.projections)
    told = {"initial_shifts": scan.shifts, "center": scan.center, "shift_tolerance": 1e-9}
    told |= {"maxiter": 3, "reconstruction_pipeline": "gradient"}
    here = align(scan.projections, scan.angles, backend="builtin", progress=False, **told)
    monkeypatch.setattr(WarpBackend, "slab_height", lambda *_: 21 + 2 * COMPARED_HALO)
    monkeypatch.setitem(engine.ITERATIVE, "gradient", counted)
    around = (36 + 51 + 34 + 3 * 10) / 61  # shifts and splines reach 10 more in each
    for state in iterate_alignment(scan.projections, scan.angles, backend="warp", **told):
        if state.iteration == 2:  # the first capture, the last one is looked at
            assert crossing["there"] < (1 + 2) * 1.05 * around * stack
            assert crossing["back"] < 3 * 8 * 160 * n  # a stack: 1,464 n numbers
            assert len(solved) == 3 * (1 if volumes else 1 + 2)
        crossing.update(there=0, back=0)
        solved.clear()
    np.testing.assert_allclose(state.shifts, here.shifts, atol=1e-4)


def test_a_card_that_does_not_hold_all_keeps_the_volumes_if_it_can(monkeypatch):
    """Ten arrays at once; of 1,000 rows, a slice is as large as a row of the projections."""
    monkeypatch.setattr(wp, "synchronize_device", lambda _: None)
    geometry = ScanGeometry(np.linspace(0, np.pi, 24), 1000, 24, 11.5, 24)
    size = 24 * 24 * 4
    card = SimpleNamespace(is_cuda=True)
    heights = {}
    for slices in (20_000, 9_000, 2_000, 1_900, 1_000):
        card.free_memory = slices * size
        heights[slices] = WarpBackend([card]).slab_height(geometry)
    assert heights == {20_000: 1000, 9_000: 400, 2_000: 50, 1_900: 95, 1_000: 50}
    work = SimpleNamespace(geometry=geometry.rows_of(slice(0, 10)))
    image = SimpleNamespace(flat=SimpleNamespace(size=10 * 24 * 24))  # 40 slices in all
    images = dict.fromkeys(("measured", "weights", "reprojected", "template"), image)
    made = SimpleNamespace(work=work, device=card, **images)
    for slices, stays in ((160, True), (159, False)):  # the next one takes 200
        card.free_memory = slices * size
        assert WarpBackend([card])._holds_beside(made) is stays


def test_images_are_fetched_when_they_are_looked_at_and_made_again_once_they_are_gone(
    scan, crossing
):
    def states(look):
        run = iterate_alignment(scan.projections, scan.angles, backend="warp", maxiter=3)
        made = []
        for state in run:
            if look:
                assert state.reference.shape == scan.projections.shape
            made.append(state)
        return made

    names = ("reconstruction", "projections", "reference")
    now, later = states(True), states(False)
    crossing.update(there=0, back=0)
    for one, other in zip(now, later, strict=True):
        for name in names:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert not getattr(other, name).flags.writeable
    assert crossing["there"] > 1.9 * scan.projections.nbytes  # two of three were made again
    assert later[0].without_images().reference.size == 0
