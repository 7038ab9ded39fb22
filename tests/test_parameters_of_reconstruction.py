"""Parameters that decide how it is reconstructed: each test fails where the loop ignores it."""

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from napari_tomoalign import iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin.engine import BuiltinBackend
from napari_tomoalign.simulation import simulate
from parameter_runs import OWN, Spy, states

"""Every refinement off: what is left moves by the cross-correlation alone."""


"""The backend's own choice of a reconstruction."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.01, jitter=2.0, drift=1.0, seed=6)


class SpyBackend(BuiltinBackend):
    """An engine of one's own, with a record of what it is asked for."""

    name = "spy"

    def __init__(self, weighted=True):
        super().__init__(1)
        self.asked = []
        self.projected = 0
        self.weighted = weighted

    def default_for(self, geometry=None):
        return "sirt", MappingProxyType({"num_iter": 7})

    def accepts_weights(self, algorithm):
        return self.weighted

    def operator(self, geometry):
        self.projected += 1
        return super().operator(geometry)

    def reconstruct(
        self, projections, geometry, *, algorithm, weights=None, initial=None, **options
    ):
        self.asked.append((algorithm, options, weights))
        return super().reconstruct(
            projections, geometry, algorithm=algorithm, weights=weights, initial=initial, **options
        )


def test_excluded_subset_is_neither_moved_nor_reconstructed_from(scan):
    spy = Spy()
    excluded = [3, 8, 11, 16]
    left = np.setdiff1d(np.arange(20), excluded)
    for state in states(scan, excluded_subset=excluded, **OWN | {"reconstruction_pipeline": spy}):
        np.testing.assert_array_equal(state.record.drawn, left)
        assert len(state.shifts) == len(state.reference) == 20
    for projections, geometry, _ in spy.calls:
        assert len(projections) == 16
        np.testing.assert_array_equal(geometry.angles, scan.angles[left])


def test_ignored_subset_is_never_moved_and_still_reconstructed_from(scan):
    spy = Spy()
    ignored = [3, 8, 11, 16]
    for state in states(scan, ignored_subset=ignored, **OWN | {"reconstruction_pipeline": spy}):
        assert not set(state.record.drawn) & set(ignored)
        assert not state.record.moves[ignored].any()
        assert not state.shifts[ignored].any()  # as they were given: nowhere
        assert np.ptp(state.shifts[:, 0]) > 1
    for projections, geometry, _ in spy.calls:
        assert len(projections) == 20
        np.testing.assert_array_equal(geometry.angles, scan.angles)


def test_projection_cropping_leaves_garbage_outside_of_the_registration(scan):
    # above and below the crop the images hold stripes that move with nothing
    garbage = scan.projections.copy()
    noise = np.random.default_rng(0).normal(0, 3, (20, 4, 32)).astype(np.float32)
    garbage[:, :4], garbage[:, -4:] = noise, noise[::-1]
    window = (slice(6, -6), slice(None))
    options = {"align_vertical": False, "maxiter": 3}

    clean = states(scan, projection_cropping=window, **options)[-1]
    spoilt = dataclasses.replace(scan, projections=garbage)
    cropped = states(spoilt, projection_cropping=window, **options)[-1]
    whole = states(spoilt, **options)[-1]
    np.testing.assert_allclose(cropped.shifts, clean.shifts, atol=0.02)
    assert np.abs(whole.shifts - clean.shifts).max() > 0.5


# --- reconstruction ------------------------------------------------------------------------------


def test_reconstruction_pipeline_by_name(scan):
    by_name = [
        states(scan, reconstruction_pipeline=n, reconstruction_pipeline_kwargs={})[-1]
        for n in get_backend("builtin").algorithms
    ]
    for i, first in enumerate(by_name):
        for second in by_name[i + 1 :]:
            assert not np.array_equal(first.reconstruction, second.reconstruction)
    default = states(scan, **OWN)[-1]
    name, options = get_backend("builtin").default_for()
    np.testing.assert_array_equal(  # the backend's own choice, with its own options
        default.reconstruction,
        states(
            scan,
            reconstruction_pipeline=name,
            reconstruction_pipeline_kwargs=options,
        )[-1].reconstruction,
    )


def test_reconstruction_pipeline_of_ones_own(scan):
    spy = Spy(filter_name="cosine")
    options = {"reconstruction_pipeline": spy, "reconstruction_pipeline_kwargs": {"strength": 3}}
    run = states(scan, **options)

    # at the start and after each iteration; then the beginning and what is given back,
    # for the limit came before anything was explained
    assert len(spy.calls) == 3 + 2
    assert all(kwargs == {"strength": 3} for _, _, kwargs in spy.calls)
    by_name = states(
        scan,
        reconstruction_pipeline="fbp",
        reconstruction_pipeline_kwargs={"filter_name": "cosine"},
    )
    np.testing.assert_array_equal(run[-1].shifts, by_name[-1].shifts)


def test_a_reconstruction_of_the_wrong_shape_says_so(scan):
    with pytest.raises(ValueError, match=r"has shape \(3, 3, 3\), expected .* \(24, 32, 32\)"):
        states(scan, **OWN | {"reconstruction_pipeline": lambda p, g: np.zeros((3, 3, 3))})


def test_a_reconstruction_that_is_not_finite_says_so(scan):
    with pytest.raises(ValueError, match="holds NaN or infinite values: another algorithm, or"):
        states(
            scan,
            **OWN | {"reconstruction_pipeline": lambda p, g: np.nan * np.zeros(g.volume_shape)},
        )


def test_an_own_backend(scan):
    backend = SpyBackend()
    state = states(scan, backend=backend, **OWN)[-1]
    assert state.backend == "spy"
    assert backend.projected == len(backend.asked) == 3 + 2  # see the caller's own function
    algorithm, options, weights = backend.asked[0]
    assert (algorithm, options) == ("sirt", {"num_iter": 7})
    assert weights.shape == scan.projections.shape


def test_reconstruction_pipeline_kwargs_reach_the_backend(scan):
    backend = SpyBackend()
    states(
        scan,
        backend=backend,
        reconstruction_pipeline="sirt",
        reconstruction_pipeline_kwargs={"num_iter": 3, "relaxation": 0.5},
    )
    assert all(asked[1] == {"num_iter": 3, "relaxation": 0.5} for asked in backend.asked)
    backend = SpyBackend()
    states(
        scan,
        backend=backend,
        reconstruction_pipeline="fbp",
        reconstruction_pipeline_kwargs={"filter_name": "hann"},
    )
    assert backend.asked[0][:2] == ("fbp", {"filter_name": "hann"})


def test_a_backend_that_takes_no_weights_gets_none(scan):
    backend = SpyBackend(weighted=False)
    states(scan, backend=backend, maxiter=1, **OWN)
    assert backend.asked[0][2] is None


# --- machine -------------------------------------------------------------------------------------


def test_use_gpu_reaches_the_backend(monkeypatch):
    asked = {}

    def create(**options):
        asked.update(options)
        return get_backend("builtin")

    stack = np.random.default_rng(0).uniform(size=(4, 8, 8))
    with monkeypatch.context() as patch:
        patch.setattr("napari_tomoalign.start.checks.get_backend", lambda name, **o: create(**o))
        iterate_alignment(stack, np.arange(4.0), use_gpu=True, workers=1)
    assert asked == {"use_gpu": True, "workers": 1}


def test_workers_reach_the_backend_and_change_nothing(scan):
    assert (
        iterate_alignment(
            scan.projections, scan.angles, backend="builtin", workers=1
        ).backend.workers
        == 1
    )
    one, two = (states(scan, workers=n)[-1] for n in (1, 2))
    np.testing.assert_allclose(one.shifts, two.shifts, atol=0.02)  # two steps of the grid
