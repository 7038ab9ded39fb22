"""Every parameter of the loop does what it says: each test fails where the loop ignores it."""

import dataclasses
import inspect
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin.engine import BuiltinBackend
from napari_tomoalign.loop.steps import relaxation
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.simulation import cramer_rao_bound, simulate

PLAIN = {
    "backend": "builtin",
    "levels": (1,),
    "initial_estimate": False,
    "center_estimation": False,
    "gauss_newton": False,
    "down_weight": False,
    "reconstruction_pipeline": "fbp",
    "reconstruction_pipeline_kwargs": {"non_negative": True},
    "workers": 1,
}
"""Every refinement off: what is left moves by the cross-correlation alone."""
OWN = {"reconstruction_pipeline": None, "reconstruction_pipeline_kwargs": {}}
"""The backend's own choice of a reconstruction."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.01, jitter=2.0, drift=1.0, seed=6)


def states(scan, maxiter=2, **options):
    return list(run_of(scan.projections, scan.angles, maxiter=maxiter, **options))


def run_of(projections, angles, **options):
    return iterate_alignment(projections, angles, **{**PLAIN, "maxiter": 2, **options})


def error(scan, result, subset=None):
    """RMS distance to the truth; a wrong centre counts as a shift of the columns."""
    return alignment_error(result, scan, scan.angles, subset)


class Spy:
    """A reconstruction of one's own that remembers what it was given."""

    def __init__(self, **fixed):
        self.calls = []
        self.engine = get_backend("builtin", workers=1)
        self.fixed = fixed

    def __call__(self, projections, geometry, **kwargs):
        self.calls.append((projections.copy(), geometry, kwargs))
        return self.engine.reconstruct(projections, geometry, algorithm="fbp", **self.fixed)


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


def test_every_parameter_has_a_test_here():
    """A field that is added must be named in a test of this file."""
    here = Path(__file__).read_text(encoding="utf-8")
    tests = here.split("def test_every_parameter_has_a_test_here")[-1]
    missing = [
        f.name
        for f in dataclasses.fields(AlignmentParameters)
        if f"{f.name}=" not in tests and f'"{f.name}"' not in tests
    ]
    assert not missing


# --- how long ------------------------------------------------------------------------------------


def test_help_names_every_parameter_with_its_default():
    for function in (iterate_alignment, align):
        told = inspect.signature(function).parameters
        defaults = AlignmentParameters()
        for field in dataclasses.fields(AlignmentParameters):
            if field.default is not dataclasses.MISSING:
                assert told[field.name].default == getattr(defaults, field.name)
        assert {
            "center",
            "weights",
            "backend",
            *(f.name for f in dataclasses.fields(defaults)),
        } <= (set(told))
        assert not {"parameters", "arguments"} & set(told)
    assert {"callback", "progress", "resume"} <= set(inspect.signature(align).parameters)


@pytest.mark.parametrize("maxiter", [1, 2, 4])
def test_maxiter(scan, maxiter):
    last = states(scan, maxiter=maxiter, shift_tolerance=1e-9, upsampling=1000)[-1]
    assert len(last.history) == maxiter
    assert not last.converged
    assert f"limit of {maxiter} iterations" in last.message


def test_precision_ends_the_run_on_a_coarse_level(scan):
    """Tested for what it is worth in loop/test_precision.py."""
    options = {"levels": (2, 1), "maxiter": 12, "gauss_newton": True, **OWN}
    assert states(scan, precision=0.0, **options)[-1].binning == 1
    assert states(scan, precision=1.0, **options)[-1].binning == 2


def test_shift_tolerance_ends_the_run(scan):
    loose = states(scan, maxiter=12, shift_tolerance=0.5)[-1]
    tight = states(scan, maxiter=12, shift_tolerance=0.03)[-1]
    for state, tolerance in ((loose, 0.5), (tight, 0.03)):
        assert state.converged
        assert state.record.largest_move < tolerance
        assert all(r.largest_move >= tolerance for r in state.history[:-1])
        assert f"below {tolerance} px" in state.message
    assert loose.iteration < tight.iteration


def test_shift_tolerance_defaults_to_the_upsampled_pixel(scan):
    assert AlignmentParameters(upsampling=8).tolerance == 1 / 8
    last = states(scan, maxiter=12, upsampling=4)[-1]
    assert last.converged
    assert last.record.largest_move < 0.25
    assert all(r.largest_move >= 0.25 for r in last.history[:-1])


# --- which projections, and how many -------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "ignored", "share", "expected"),
    [
        (10, (), 0.25, 3),
        (10, (), 0.05, 1),
        (10, (), 0.3, 3),
        (10, (), 1.0, 10),
        (10, (0, 4), 0.5, 4),
        (10, (0, 4, 5), 0.5, 4),
        (20, (), 0.07, 2),
    ],
)
def test_relative_sample_size_rounds_up(n, ignored, share, expected):
    scan = simulate(24, n, seed=1)
    for state in states(scan, relative_sample_size=share, ignored_subset=ignored, maxiter=3):
        drawn = state.record.drawn
        assert len(drawn) == expected
        assert len(set(drawn)) == expected
        assert not set(drawn) & set(ignored)


def test_a_sample_of_one_does_not_converge_at_once():
    scan = simulate(24, 10, jitter=2.0, seed=1)
    run = states(scan, relative_sample_size=0.05, maxiter=9, shift_tolerance=1.0)
    # nine draws cannot have registered ten projections, however small their moves
    assert len(run) == 9
    assert not run[-1].converged


def test_a_sample_that_converges_has_registered_every_projection(scan):
    last = states(scan, relative_sample_size=0.4, maxiter=60, shift_tolerance=0.2)[-1]
    assert last.converged
    latest = np.full(20, np.inf)
    for record in last.history:
        latest[record.drawn] = np.hypot(*record.moves[record.drawn].T)
    assert latest.max() < 0.2
    assert error(scan, last) < 0.25


def test_only_what_is_drawn_is_moved(scan):
    for state in states(scan, relative_sample_size=0.3, relaxation_weight=0.2, maxiter=3):
        others = np.setdiff1d(np.arange(20), state.record.drawn)
        assert not state.record.moves[others].any()
        assert state.record.moves[state.record.drawn].any()


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

    # at the start and after each iteration; then the end, the beginning and what is given back,
    # for the limit came before anything was explained
    assert len(spy.calls) == 3 + 3
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
    assert backend.projected == len(backend.asked) == 3 + 3  # see the caller's own function
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


# --- what is aligned -----------------------------------------------------------------------------


def test_transmission_is_turned_into_absorbance(scan):
    transmission = np.exp(-scan.projections)
    given = states(scan)[-1]
    turned = list(run_of(transmission, scan.angles, transmission=True))[-1]
    np.testing.assert_allclose(turned.shifts, given.shifts, atol=0.011)
    np.testing.assert_allclose(turned.reference, given.reference, atol=0.03)
    left = list(run_of(transmission, scan.angles))[-1]
    assert left.reference.min() > 0.05
    assert not np.allclose(left.reference, given.reference, atol=0.1)


def test_use_absorbances_off_aligns_what_comes(scan):
    transmission = np.exp(-scan.projections)
    run = iterate_alignment(
        transmission, scan.angles, backend="builtin", transmission=True, use_absorbances=False
    )
    np.testing.assert_array_equal(run.projections, transmission)
    run = iterate_alignment(
        transmission, scan.angles, backend="builtin", transmission=True, use_absorbances=True
    )
    np.testing.assert_allclose(run.projections, scan.projections, atol=1e-5)
    run = iterate_alignment(scan.projections, scan.angles, backend="builtin", use_absorbances=False)
    np.testing.assert_array_equal(run.projections, scan.projections)


def test_transmission_of_nothing_is_ignored_and_said(scan):
    transmission = np.exp(-scan.projections)
    transmission[2, 3, 4], transmission[5, 6, 7] = 0.0, -0.1
    run = iterate_alignment(transmission, scan.angles, backend="builtin", transmission=True)
    assert np.isfinite(run.projections).all()
    assert run.weights[2, 3, 4] == run.weights[5, 6, 7] == 0
    assert run.weights.sum() == run.weights.size - 2
    result = align(
        transmission, scan.angles, transmission=True, progress=False, **{**PLAIN, "maxiter": 1}
    )
    assert "dark pixels: 2 pixels of transmission 0 or less are ignored" in result.diagnosis


def test_memory_is_told_in_bytes_and_refused_where_it_holds_nothing(scan):
    """What a run does with it is in test_memory."""
    assert AlignmentParameters(memory="2 kB").memory == 2000
    with pytest.raises(ValueError, match=r"takes .* and 2 kB may be taken: give more"):
        iterate_alignment(scan.projections, scan.angles, backend="builtin", memory="2 kB")
    with pytest.raises(ValueError, match="such as '4 GB', got 'much'"):
        AlignmentParameters(memory="much")


def test_channels_are_averaged(scan):
    rng = np.random.default_rng(0)
    share = rng.uniform(0.5, 1.5, 3)
    share *= 3 / share.sum()
    channels = (scan.projections[..., None] * share).astype(np.float32)
    averaged = list(run_of(channels, scan.angles))[-1]
    np.testing.assert_allclose(averaged.shifts, states(scan)[-1].shifts, atol=0.011)
    np.testing.assert_allclose(averaged.reference, states(scan)[-1].reference, atol=0.05)


def test_channels_of_transmission_are_averaged_before_the_logarithm(scan):
    transmission = np.exp(-scan.projections)
    channels = np.stack([0.5 * transmission, 1.5 * transmission], axis=3)
    run = iterate_alignment(channels, scan.angles, backend="builtin", transmission=True)
    np.testing.assert_allclose(run.projections, scan.projections, atol=1e-5)


# --- registration --------------------------------------------------------------------------------


@pytest.mark.parametrize("upsampling", [1, 4, 10])
def test_upsampling_is_the_grid_of_the_moves(scan, upsampling):
    for state in states(scan, upsampling=upsampling, shift_tolerance=1e-3):
        steps = state.record.moves * upsampling
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    if upsampling > 1:
        first = states(scan, upsampling=upsampling)[0].record.moves
        assert np.abs(first - np.round(first)).max() > 0.05


def test_upsampling_decides_how_well_correlation_aligns(scan):
    coarse, fine = (states(scan, upsampling=u, maxiter=6)[-1] for u in (1, 50))
    assert error(scan, fine) < 0.1 < error(scan, coarse)


def test_normalization_reaches_the_correlation(scan):
    plain = states(scan, maxiter=1)[-1].record.moves
    phase = states(scan, maxiter=1, normalization="phase")[-1].record.moves
    assert not np.allclose(plain, phase, atol=0.1)


def test_gauss_newton_refines_between_the_grid_of_the_correlation(scan):
    options = {"upsampling": 2, "shift_tolerance": 0.01, "maxiter": 8}
    off = states(scan, gauss_newton=False, **options)[-1]
    on = states(scan, gauss_newton=True, **options)[-1]
    assert np.abs(on.record.moves * 2 - np.round(on.record.moves * 2)).max() > 1e-3
    assert error(scan, on) < 0.06 < error(scan, off)


def test_without_gauss_newton_moves_stay_on_the_grid_after_capture(scan):
    near = scan.shifts + np.random.default_rng(0).uniform(-0.3, 0.3, (20, 2))
    options = {"upsampling": 25, "initial_shifts": near, "maxiter": 4}
    run = states(scan, gauss_newton=False, shift_tolerance=1e-9, **options)
    assert len(run) > 1
    assert np.hypot(*run[0].record.moves.T).max() < 0.5  # captured at once
    for state in run:
        steps = state.record.moves * 25
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


# --- moves ---------------------------------------------------------------------------------------


def test_shift_cutoff_is_the_longest_move(scan):
    free = states(scan, maxiter=1)[0].record
    cut = states(scan, maxiter=1, shift_cutoff=0.25)[0].record
    length = np.hypot(*free.moves.T)
    assert (length > 0.3).sum() > 5
    np.testing.assert_allclose(np.hypot(*cut.moves.T), np.minimum(length, 0.25), atol=1e-9)
    long = length > 0.3
    np.testing.assert_allclose(
        cut.moves[long] / 0.25, free.moves[long] / length[long, None], atol=1e-9
    )


def test_relaxation_weight_adds_the_step_of_the_formula(scan):
    start = np.random.default_rng(5).normal(0, 2, (20, 2))
    options = {"initial_shifts": start, "maxiter": 1, "seed": 9}
    plain = states(scan, **options)[0].record.moves
    relaxed = states(scan, relaxation_weight=0.4, **options)[0].record.moves

    noise = np.random.default_rng(9).normal(0.0, 1.0, (20, 2))
    d = start - start.mean(axis=0)
    r = np.sign(d) * np.maximum(0, np.abs(d) - np.abs(noise * d.std(axis=0)))
    np.testing.assert_allclose(relaxed - plain, -0.4 * np.clip(r, -1, 1), atol=1e-9)
    assert relaxation(start, 0.4, np.random.default_rng(9)) == pytest.approx(relaxed - plain)


def test_center_of_mass_shift_weight_adds_the_measured_displacement():
    scan = simulate(32, 20, noise=0.01, jitter=0.0, drift=0.0, seed=6)
    start = np.zeros((20, 2))
    start[4] = [0.6, -0.5]  # so this image is moved by that much in the wrong direction
    options = {"initial_shifts": start, "maxiter": 1, "shift_cutoff": 1e-6}
    options = {"backend": "builtin", "center": scan.center, **options}
    off, half, full = (
        states(scan, center_of_mass_shift_weight=w, **options)[0].record.moves
        for w in (0.0, 0.5, 1.0)
    )
    assert np.abs(off).max() < 1e-5
    np.testing.assert_allclose(half, full / 2, atol=1e-5)
    np.testing.assert_allclose(full[4], [-0.6, 0.5], atol=0.1)
    assert np.abs(np.delete(full, 4, axis=0)).max() < 0.1


@pytest.mark.parametrize(("off", "axis"), [("align_vertical", 0), ("align_horizontal", 1)])
def test_a_direction_that_is_off_stays_as_it_was(scan, off, axis):
    start = np.random.default_rng(1).normal(0, 1, (20, 2))
    options = {
        "backend": "builtin",
        "maxiter": 2,
        "workers": 1,
        "relaxation_weight": 0.1,
        "center_of_mass_shift_weight": 0.1,
    }
    for begin in (start, None):
        for state in iterate_alignment(
            scan.projections, scan.angles, initial_shifts=begin, **{off: False}, **options
        ):
            expected = np.zeros(20) if begin is None else start[:, axis]
            np.testing.assert_array_equal(state.shifts[:, axis], expected)
            assert not state.record.moves[:, axis].any()
            assert state.record.moves[:, 1 - axis].any()


def test_align_vertical_off_does_not_hold_up_the_stop_rule():
    scan = simulate(32, 20, noise=0.0, jitter=0.0, drift=0.0, seed=6)
    scan = dataclasses.replace(scan, projections=np.roll(scan.projections, 2, axis=1))
    start = np.column_stack([np.random.default_rng(1).integers(-2, 3, 20), np.zeros(20)])
    last = states(scan, maxiter=4, initial_shifts=start, align_vertical=False, shift_tolerance=0.2)[
        -1
    ]
    # Rows that lie where they were put fit no rigid object, so the run is at rest and no more.
    assert last.finished
    assert "nothing moves any more" in last.message


def test_align_horizontal_off_leaves_the_centre(scan):
    last = states(scan, align_horizontal=False, center_estimation=True, initial_estimate=True)[-1]
    assert last.center == 15.5


# --- chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"relative_sample_size": 0.5}, {"relaxation_weight": 0.3}], ids=str
)
def test_seed(scan, options):
    first, again, other = (states(scan, seed=s, **options)[-1] for s in (3, 3, 4))
    np.testing.assert_array_equal(first.shifts, again.shifts)
    np.testing.assert_array_equal(first.reconstruction, again.reconstruction)
    assert not np.array_equal(first.shifts, other.shifts)


def test_the_global_generator_is_neither_used_nor_moved(scan):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = states(scan, relative_sample_size=0.5, relaxation_weight=0.3)[-1]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    again = states(scan, relative_sample_size=0.5, relaxation_weight=0.3)[-1]
    np.testing.assert_array_equal(first.shifts, again.shifts)


# --- levels and the start ------------------------------------------------------------------------


def test_levels(scan):
    run = states(scan, levels=(4, 2, 1), maxiter=12, gauss_newton=True)
    binnings = [state.binning for state in run]
    assert set(binnings) == {4, 2, 1}
    assert binnings == sorted(binnings, reverse=True)
    for state in run:
        assert state.reconstruction.shape[1:] == (32 // state.binning,) * 2
        assert state.reference.shape[2] == 32 // state.binning
    assert error(scan, run[-1]) < 0.06


def test_levels_of_one_run_stay_there(scan):
    assert {state.binning for state in states(scan, levels=(2,), maxiter=3)} == {2}


def test_every_level_gets_a_turn_within_maxiter(scan):
    run = states(scan, levels=(4, 2, 1), maxiter=3, shift_tolerance=1e-6)
    assert [state.binning for state in run] == [4, 2, 1]
    assert [s.binning for s in states(scan, levels=(4, 2, 1), maxiter=1)] == [1]


def test_initial_estimate_starts_near_the_answer(scan):
    options = {"maxiter": 1, "shift_cutoff": 1e-9, "center_estimation": True}
    off = states(scan, initial_estimate=False, **options)[0]
    on = states(scan, initial_estimate=True, **options)[0]
    assert error(scan, off) > 1.0
    assert error(scan, on) < 0.5


def test_initial_estimate_gives_way_to_initial_shifts(scan):
    options = {"maxiter": 1, "shift_cutoff": 1e-9, "initial_estimate": True}
    start = scan.shifts + np.array([0.0, 0.01])
    state = states(scan, initial_shifts=start, **options)[0]
    np.testing.assert_allclose(
        state.shifts - state.shifts.mean(axis=0), start - start.mean(axis=0), atol=0.6
    )
    assert error(scan, state) < 0.3


def test_center_estimation():
    scan = simulate(32, 20, noise=0.01, jitter=1.0, drift=1.0, center_offset=2.0, seed=6)
    options = {"maxiter": 8, "gauss_newton": True, "initial_estimate": True, **OWN}
    on = states(scan, center_estimation=True, **options)[-1]
    off = states(scan, center_estimation=False, **options)[-1]
    given = list(
        run_of(scan.projections, scan.angles, center=17.0, center_estimation=True, **options)
    )[-1]
    assert error(scan, on) < 0.06
    assert abs(on.center - 15.5) > 1
    assert off.center == 15.5
    assert given.center == 17.0


def test_down_weight_keeps_foreign_frames_out_of_the_reconstruction(scan):
    other = simulate(32, 20, n_rows=24, kind="fibrous", noise=0.01, seed=99)
    stack = scan.projections.copy()
    stack[7] = other.projections[13]
    spoilt = dataclasses.replace(scan, projections=stack)
    sound = np.arange(20) != 7
    found = {}
    for weigh in (True, False):
        spy = Spy(non_negative=True)
        options = OWN | {"reconstruction_pipeline": spy, "gauss_newton": True, "maxiter": 8}
        last = states(spoilt, down_weight=weigh, **options)[-1]
        found[weigh] = (len(spy.calls[-1][0]), last.record.confidence, error(scan, last, sound))
    assert found[True][0] == 19
    assert found[False][0] == 20
    assert found[True][1][7] < 0.5
    assert (found[True][1][sound] >= 0.5).all()
    assert (found[False][1] == 1).all()


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


# --- together ------------------------------------------------------------------------------------


def test_many_parameters_at_once(scan):
    """None of them switches another one off."""
    channels = np.exp(-scan.projections)[..., None] * np.array([0.8, 1.2], np.float32)
    spy = Spy(non_negative=True)
    run = list(
        iterate_alignment(
            channels,
            scan.angles,
            backend="builtin",
            center=15.5,
            transmission=True,
            reconstruction_pipeline=spy,
            reconstruction_pipeline_kwargs={"a": 1},
            levels=(2, 1),
            maxiter=14,
            upsampling=20,
            shift_tolerance=1e-4,
            shift_cutoff=0.7,
            relative_sample_size=0.5,
            relaxation_weight=0.01,
            center_of_mass_shift_weight=0.02,
            ignored_subset=(0, 19),
            projection_cropping=((2, 22), (2, 30)),
            gauss_newton=False,
            down_weight=False,
            initial_estimate=False,
            workers=1,
            seed=3,
        )
    )
    last = run[-1]
    assert [r.iteration for r in last.history] == list(range(1, 15))
    assert {r.binning for r in last.history} == {2, 1}
    for record in last.history:
        assert len(record.drawn) == 9
        assert not set(record.drawn) & {0, 19}
        assert np.hypot(*record.moves.T).max() <= 0.7 + 0.01 * np.sqrt(2) + 0.02 * 2 * np.sqrt(2)
        assert record.center == 15.5
    assert spy.calls[0][2] == {"a": 1}
    assert error(scan, last, np.arange(1, 19)) < 0.35 * error(scan, run[0], np.arange(1, 19))


# --- what belongs to a measurement beside shifts --------------------------------------------------


def test_invert_turns_dark_objects_over_and_the_results_back(scan):
    dark = dataclasses.replace(scan, projections=-scan.projections)
    plain = states(scan, invert=False)[-1]
    for invert in (None, True):
        turned = states(dark, invert=invert)[-1]
        np.testing.assert_allclose(turned.shifts, plain.shifts, atol=1e-6)
        np.testing.assert_allclose(turned.reference, -plain.reference, atol=1e-5)
        np.testing.assert_allclose(turned.reconstruction, -plain.reconstruction, atol=1e-5)
    kept = states(dark, invert=False)[-1]
    assert not np.allclose(kept.shifts, plain.shifts, atol=0.1)


def test_background_and_gain_are_taken_out_of_the_data():
    """Planes from the borders, where vacuum is in view; gains from the mass of whole objects."""
    scan = simulate(48, 36, n_rows=32, seed=3)
    rng = np.random.default_rng(0)
    ramps = scan.projections + rng.normal(0, 0.1, (36, 1, 1)) * np.linspace(-1, 1, 48)
    gains = scan.projections * rng.uniform(0.8, 1.2, (36, 1, 1))

    def end(images, **options):
        result = align(images, scan.angles, backend="builtin", progress=False, **options)
        notes = {sentence.partition(":")[0] for sentence in result.diagnosis}
        return error(scan, result), notes

    limit = 2 * cramer_rao_bound(scan)
    for background in ("plane", "found"):
        left, notes = end(ramps, background=background)
        assert left < limit
        assert "background" in notes
    assert end(ramps, background="none")[0] > 2 * limit
    for gain in (True, None):
        left, notes = end(gains, gain=gain)
        assert left < limit
        assert "gain" in notes
    assert "gain" not in end(gains, gain=False)[1]


def test_the_axis_that_is_told_and_what_is_refined_reach_the_geometry(scan):
    options = {"axis_angle": 0.1, "axis_tilt": -0.2, "refine": ("in_plane", "axis_angle")}
    run = run_of(scan.projections, scan.angles, **{**options, "reconstruction_pipeline": "sirt"})
    assert (run.geometry.axis_angle, run.geometry.axis_tilt) == (0.1, -0.2)
    assert run.parameters.refine == ("shifts", "axis_angle", "in_plane")
    assert run.parameters.unknowns == ("axis_angle", "in_plane")
