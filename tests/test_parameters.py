"""Every parameter of the loop does what it says: each test fails where the loop ignores it."""

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.simulation import simulate
from parameter_runs import OWN, Spy, error, run_of, states

"""Every refinement off: what is left moves by the cross-correlation alone."""


"""The backend's own choice of a reconstruction."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.01, jitter=2.0, drift=1.0, seed=6)


def test_every_parameter_has_a_test_here():
    """A field that is added must be named in a test of this file, or of those beside it."""
    here = Path(__file__)
    texts = [path.read_text(encoding="utf-8") for path in here.parent.glob(f"{here.stem}*.py")]
    tests = "".join(text.split("def test_every_parameter_has_a_test_here")[-1] for text in texts)
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
    assert f"limit of {maxiter} iteration" in last.message


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
