"""The loop as its user meets it: states, stopping and resuming, and how well it aligns."""

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry.gauge import gauge_part, remove_gauge
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.simulation import cramer_rao_bound, simulate
from small_runs import QUICK, SLOW_TO_REST, default_run, error, run, states


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.02, jitter=2.0, drift=1.0, seed=6)


# --- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(1,), (2, 1)])
def test_one_state_for_each_iteration(scan, levels):
    run = list(states(scan, maxiter=3, levels=levels, **SLOW_TO_REST))
    assert len(run) == 3
    for i, state in enumerate(run, start=1):
        assert state.iteration == len(state.history) == i
        assert state.history[:-1] == (run[i - 2].history if i > 1 else ())
        assert [r.iteration for r in state.history] == list(range(1, i + 1))
    assert not run[-1].converged
    assert "not converged: the limit of 3 iterations" in run[-1].message


def test_one_iteration_is_one(scan):
    result = run(scan, maxiter=1)
    assert "the limit of 1 iteration was" in result.message
    assert "after 1 iteration," in repr(result)


def test_only_the_last_state_is_converged(scan):
    run = list(states(scan, maxiter=30, reconstruction_pipeline=None))
    assert [s.converged for s in run] == [False] * (len(run) - 1) + [True]
    assert run[-1].message.startswith(f"converged after {len(run)} iterations: the largest move, ")
    assert all(not s.diagnosis for s in run[:-1])


def test_states_are_read_only(scan):
    state = next(iter(states(scan, maxiter=2)))
    record = state.record
    for array in (
        state.reconstruction,
        state.projections,
        state.reference,
        state.shifts,
        state.geometry.angles,
        record.moves,
        record.drawn,
        record.residuals,
        record.standard_error,
        record.confidence,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_earlier_states_keep_their_values(scan):
    kept = []
    for state in states(scan, maxiter=4, relative_sample_size=0.5, **SLOW_TO_REST):
        kept.append((state, fingerprint(state)))
    for state, before in kept:
        assert fingerprint(state) == before
    assert len({before for _, before in kept}) == 4


def fingerprint(state):
    record = state.record
    arrays = (state.reconstruction, state.projections, state.reference, state.shifts, record.moves)
    arrays += (record.standard_error, record.confidence, record.residuals)
    return b"".join(a.tobytes() for a in arrays) + repr(state.generator_state).encode()


@pytest.mark.parametrize("levels", [(1,), (2,)])
def test_images_belong_to_the_shifts(scan, levels):
    engine = get_backend("builtin", workers=1)
    for state in states(scan, maxiter=3, levels=levels, **SLOW_TO_REST):
        binning = levels[0]
        rows, columns = np.array(scan.projections.shape[1:]) // state.reference.shape[1:]
        n, height, width = scan.projections.shape
        binned = scan.projections.reshape(n, height // rows, rows, width // columns, columns)
        pixel = np.array([rows, columns])
        reference = shift_stack(binned.mean(axis=(2, 4)), -state.shifts / pixel)
        np.testing.assert_allclose(state.reference, reference, atol=1e-4)
        assert state.binning == columns == binning
        assert state.geometry.center == pytest.approx((state.center - (binning - 1) / 2) / binning)
        volume = engine.reconstruct(reference, state.geometry, algorithm="fbp")
        np.testing.assert_allclose(state.reconstruction, volume, atol=1e-4)
        np.testing.assert_allclose(
            state.projections, engine.operator(state.geometry)(volume), atol=1e-3
        )


def test_the_result_is_the_last_state(scan):
    seen = []
    result = run(scan, callback=seen.append, maxiter=6)
    last = seen[-1]
    assert len(result.history) == len(seen)
    for name in ("shifts", "reconstruction", "projections", "reference", "center", "message"):
        assert getattr(result, name) is getattr(last, name)
    assert result.parameters.maxiter == 6
    assert result.backend == "builtin"
    assert {"python", "numpy", "napari-tomoalign"} <= set(result.versions)
    np.testing.assert_allclose(
        result.apply(scan.projections), shift_stack(scan.projections, -result.shifts), atol=1e-6
    )


def test_the_residual_is_that_of_the_images(scan):
    state = list(states(scan, maxiter=2))[-1]
    inside = np.ones_like(state.reference)
    for weight, (down, right) in zip(inside, -state.shifts, strict=True):
        rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
        weight[(rows - down < 0) | (rows - down > weight.shape[0] - 1)] = 0
        weight[(columns - right < 0) | (columns - right > weight.shape[1] - 1)] = 0
    missed = np.sum(inside * (state.reference - state.projections) ** 2, dtype=np.float64)
    power = np.sum(inside * state.reference**2, dtype=np.float64)
    assert state.record.residual == pytest.approx(np.sqrt(missed / power), rel=1e-4)


def test_the_object_stays_where_it_is(scan):
    first = list(states(scan, maxiter=5, center=scan.center, initial_estimate=False))
    for state in first:
        assert np.abs(gauge_part(state.shifts, scan.angles)).max() < 0.01


# --- what belongs to the caller ------------------------------------------------------------------


def test_inputs_are_not_modified(scan):
    inputs = {
        "projections": scan.projections.copy(),
        "angles": scan.angles.copy(),
        "weights": np.ones_like(scan.projections),
        "initial_shifts": np.zeros((20, 2)),
        "reconstruction_pipeline_kwargs": {"filter_name": "hann"},
    }
    inputs["projections"][3, 4, 5] = np.nan
    inputs["weights"][3, 4, 5] = 0
    kept = {k: v.copy() for k, v in inputs.items()}
    for option in ({}, {"transmission": True}):
        align(**inputs, **QUICK, **option, maxiter=3, progress=False)
        for name, value in kept.items():
            np.testing.assert_equal(inputs[name], value)


def test_read_only_inputs_and_other_layouts_will_do(scan):
    turned = np.asfortranarray(scan.projections.astype(np.float64))
    turned.flags.writeable = False
    result = align(turned, scan.angles.tolist(), maxiter=3, progress=False, **QUICK)
    np.testing.assert_allclose(result.shifts, run(scan, maxiter=3).shifts, atol=0.011)


@pytest.mark.parametrize(
    ("settings", "times"),
    [
        ({}, 1.5),
        ({"noise": 0.06}, 1.5),
        ({"center_offset": 3.0}, 1.5),
        ({"angular_range": 360.0}, 1.5),
        ({"jitter": 8.0}, 1.7),
        ({"wedge": 60.0}, 2.0),
        ({"masked_fraction": 0.2}, 1.6),
        ({"blank_frames": 2, "duplicate_frames": 1}, 1.5),
    ],
    ids=str,
)
def test_default_parameters_come_close_to_the_physical_limit(settings, times):
    scan, result = default_run(**settings)
    start = np.zeros_like(scan.shifts)
    centers = (scan.center, scan.center)
    assert alignment_error(start, scan, scan.angles, scan.sound, centers=centers) > 1
    assert error(scan, result, scan.sound) < times * cramer_rao_bound(scan)
    assert result.converged


def test_without_noise_the_answer_is_exact():
    scan, result = default_run(noise=0.0, jitter=1.5)
    assert error(scan, result) < 0.01


def test_a_centre_off_the_middle_is_found():
    scan, result = default_run(center_offset=3.0, angular_range=360.0)
    # over a full turn a constant of the columns is the centre's alone
    assert result.center == pytest.approx(scan.center, abs=1.0)
    assert result.center + result.shifts[:, 1].mean() == pytest.approx(
        scan.center + scan.shifts[:, 1].mean(), abs=0.03
    )


def test_a_centre_is_refined_from_a_start_without_estimates():
    scan = simulate(48, 36, n_rows=32, center_offset=3.0, angular_range=360.0, seed=3)
    options = {"backend": "builtin", "progress": False, "initial_estimate": False}
    found = align(scan.projections, scan.angles, **options)
    assert found.center == pytest.approx(scan.center, abs=1.0)
    kept = align(scan.projections, scan.angles, center_estimation=False, **options)
    assert kept.center == 23.5


def test_a_given_centre_stays():
    scan = simulate(32, 20, n_rows=24, noise=0.01, center_offset=1.3, seed=2)
    result = run(scan, center=scan.center, maxiter=12)
    assert result.center == scan.center


def test_the_stated_error_is_about_the_true_one():
    scan, result = default_run()
    stated = np.sqrt(np.mean(np.sum(result.standard_error**2, axis=1)))
    assert 0.6 < stated / error(scan, result) < 1.5


@pytest.mark.parametrize("kind", ["ellipsoids", "soft", "fibrous", "asymmetric"])
def test_the_stated_errors_cover_the_true_ones_as_often_as_they_say(kind):
    """68 % within one and 95 % within two; shells and grains are stated too large."""
    within = []
    for seed in (1, 2):
        scan = simulate(48, 48, kind=kind, noise=0.05, seed=seed)
        result = align(scan.projections, scan.angles, backend="builtin", progress=False)
        found = result.shifts + np.array([0.0, result.center])
        truth = scan.shifts + np.array([0.0, scan.center])
        missed = np.abs(remove_gauge(found - truth, scan.angles)) / result.standard_error
        within.append([missed < 1, missed < 2])
    one, two = np.mean(within, axis=(0, 2, 3))
    assert 0.58 < one < 0.85
    assert two > 0.9


def test_shifts_of_a_quarter_of_the_image_are_captured():
    scan = simulate(48, 36, jitter=12.0, drift=0.0, seed=5)
    result = align(scan.projections, scan.angles, backend="builtin", progress=False)
    assert np.abs(scan.shifts).max(axis=0).min() > 11.5
    assert error(scan, result) < 2 * cramer_rao_bound(scan)


@pytest.mark.parametrize("scale", [1e-15, 1e12])
def test_data_of_any_scale_are_aligned(scale):
    scan = simulate(32, 30, noise=0.01, seed=1)
    result = align(
        scan.projections * np.float32(scale),
        scan.angles,
        center=scan.center,
        backend="builtin",
        progress=False,
        initial_estimate=False,
    )
    assert alignment_error(result, scan) < 0.1


def test_a_noisy_centre_of_mass_is_no_first_estimate():
    """The first iteration then starts at no shift: what it finds is all there is."""
    starts = []
    for noise in (0.02, 0.8):
        scan = simulate(32, 20, n_rows=24, noise=noise, center_offset=0, seed=6)
        (state,) = states(scan, maxiter=1, levels=(1,), center=scan.center)
        starts.append(state.shifts - state.record.moves)
    assert np.abs(starts[0]).max() > 1
    assert np.abs(remove_gauge(starts[1], scan.angles)).max() < 1e-9
