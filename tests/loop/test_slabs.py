"""Slabs of rows: their sums are those of the whole images, whoever adds them up."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign import iterate_alignment
from napari_tomoalign._executors import in_order
from napari_tomoalign.images.refining import NormalEquations
from napari_tomoalign.loop import slabs as slabs_module
from napari_tomoalign.loop.evaluating import Evaluation, evaluate
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.slabs import slabs_of
from napari_tomoalign.loop.truncation import truncation_of
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare


def evaluation(settings, **options):
    """A scan with shifts near the true ones, evaluated in slabs; returns model and shifts."""
    scan = simulate(48, 20, n_rows=61, seed=4, **settings)
    run = iterate_alignment(
        scan.projections,
        scan.angles,
        weights=scan.weights,
        backend="builtin",
        center=scan.center,
        projection_cropping=((3, 55), (2, 47)),
    )
    start = prepare(run)
    truncation = truncation_of(run, start)
    level = level_of(start, 1, truncation.grid(start.geometry, last=True))
    shifts = scan.shifts + np.random.default_rng(0).uniform(-0.3, 0.3, scan.shifts.shape)
    poses = Poses(shifts, scan.geometry, turning=True)
    trusted = np.arange(20) != 7

    def evaluated(height=None, executor=None):
        there = replace(run, executor=executor)
        return evaluate(there, level, truncation, poses, trusted, height=height)

    return evaluated


@pytest.fixture(
    scope="module",
    params=[{}, {"truncation": 1.6}, {"masked_fraction": 0.2}],
    ids=["whole", "truncated", "masked"],
)
def evaluated(request):
    return evaluation(request.param)


@pytest.mark.parametrize("height", [1, 8, 17, 32, 60])
def test_slabs_add_up_to_the_whole(evaluated, height):
    whole, parts = evaluated(), evaluated(height)
    for mine, its in zip(parts.sums.equations.solve(), whole.sums.equations.solve(), strict=True):
        assert np.abs(mine - its).max() < 1e-6  # pixels
    correlation = whole.sums.equations.coefficient()
    np.testing.assert_allclose(parts.sums.equations.coefficient(), correlation, atol=1e-6)
    for name in ("difference", "power", "pixels", "moments", "volume"):
        mine, its = getattr(parts.sums, name), getattr(whole.sums, name)
        np.testing.assert_allclose(mine, its, rtol=1e-5)
    for name in ("measured", "weights", "reprojected", "volume"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-5)


def test_the_halo_is_what_makes_them_add_up(evaluated, monkeypatch):
    whole = evaluated().sums.equations.solve()[0]
    monkeypatch.setattr(slabs_module, "COMPARED_HALO", 0)
    assert np.abs(evaluated(8).sums.equations.solve()[0] - whole).max() > 1e-3


def test_an_executor_gives_the_same_bits(evaluated):
    with ThreadPoolExecutor(2) as executor:
        there = evaluated(17, executor)
    here = evaluated(17)
    np.testing.assert_array_equal(there.sums.equations.normal, here.sums.equations.normal)
    np.testing.assert_array_equal(there.reprojected, here.reprojected)


def test_an_evaluation_that_went_to_another_process_gives_the_same_bits():
    scan = simulate(32, 20, seed=4)
    run = iterate_alignment(scan.projections, scan.angles, backend="builtin")
    start = prepare(run)
    truncation = truncation_of(run, start)
    level = level_of(start, 1, truncation.grid(start.geometry, last=True))
    poses = Poses(scan.shifts, scan.geometry, turning=True)
    here = Evaluation(run, level, truncation, poses, np.ones(20, bool))
    there = pickle.loads(pickle.dumps(here))
    slab = slabs_of(32, 10)[1]
    found, expected = there(slab).sums, here(slab).sums
    np.testing.assert_array_equal(found.equations.normal, expected.equations.normal)
    np.testing.assert_array_equal(found.difference, expected.difference)


def test_slabs_cover_every_row_once_and_stay_inside():
    slabs = slabs_of(61, 17)
    assert [row for slab in slabs for row in range(61)[slab.rows]] == list(range(61))
    for slab in slabs:
        around = range(61)[slab.around]
        assert list(around[slab.inner]) == list(range(61)[slab.rows])
    (whole,) = slabs_of(61)
    assert whole.rows == whole.around == slice(0, 61)


def test_slabs_come_in_their_order_and_a_failure_ends_the_rest():
    slabs = slabs_of(40, 10)
    with ThreadPoolExecutor(2) as executor:
        assert list(in_order(lambda slab: slab.rows.start, slabs, executor)) == [0, 10, 20, 30]
        with pytest.raises(ZeroDivisionError):
            list(in_order(lambda slab: 1 / slab.rows.start, slabs, executor))
        assert executor.submit(int).result() == 0  # the caller's executor goes on


def test_any_number_of_derivative_images():
    """A third unknown, the in-plane turn about the middle, is found beside the shifts."""
    rng = np.random.default_rng(3)
    row, column = np.mgrid[:40, :50].astype(np.float32)
    spots = rng.uniform([8, 8], [32, 42], (7, 2))
    image = sum(np.exp(-((row - r) ** 2 + (column - c) ** 2) / 18) for r, c in spots)
    down, right = np.gradient(image)
    turn = (column - 24.5) * down - (row - 19.5) * right
    unknowns = 0.02, -0.01, 0.003
    measured = image + sum(u * d for u, d in zip(unknowns, (down, right, turn), strict=True))
    stacks = [np.float32(one)[None] for one in (measured, image, np.ones_like(image))]
    slopes = [np.float32(one)[None] for one in (down, right, turn)]
    found, error = NormalEquations.of(*stacks, slopes).solve()
    np.testing.assert_allclose(found, [unknowns], atol=1e-5)
    assert error.shape == (1, 3)
    two, _ = NormalEquations.of(*stacks, slopes[:2]).solve()
    assert np.abs(two - unknowns[:2]).max() > 1e-3
