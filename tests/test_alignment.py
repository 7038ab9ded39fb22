"""The loop as its user meets it: states, stopping and resuming, and how well it aligns."""

import dataclasses
import functools

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign.alignment import Resume
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry.gauge import gauge_part, remove_gauge
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.simulation import cramer_rao_bound, simulate

QUICK = {"backend": "builtin", "workers": 1, "reconstruction_pipeline": "fbp"}
SLOW_TO_REST = {"shift_tolerance": 1e-9}


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.02, jitter=2.0, drift=1.0, seed=6)


def states(scan, **options):
    return iterate_alignment(scan.projections, scan.angles, **{**QUICK, **options})


def run(scan, **options):
    options = {"progress": False, **QUICK, **options}
    return align(scan.projections, scan.angles, weights=scan.weights, **options)


def error(scan, result, subset=None):
    """RMS distance to the truth; a wrong centre counts as a shift of the columns."""
    return alignment_error(result, scan, scan.angles, subset)


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


# --- stopping ------------------------------------------------------------------------------------


def test_the_callback_stops_the_run(scan):
    seen = []

    def two(state):
        seen.append(state)
        return len(seen) < 2  # only False stops

    result = run(scan, callback=two, maxiter=9, **SLOW_TO_REST)
    assert len(seen) == len(result.history) == 2
    assert not result.converged
    assert result.message == "stopped by the callback after iteration 2"
    np.testing.assert_array_equal(result.shifts, seen[-1].shifts)


def test_a_callback_that_returns_nothing_does_not_stop(scan):
    assert len(run(scan, callback=lambda state: None, maxiter=3, **SLOW_TO_REST).history) == 3


def test_control_c_returns_what_was_reached(scan):
    def interrupt(state):
        if state.iteration == 2:
            raise KeyboardInterrupt

    result = run(scan, callback=interrupt, maxiter=9, **SLOW_TO_REST)
    assert len(result.history) == 2
    assert not result.converged
    assert result.message == "interrupted after iteration 2"
    np.testing.assert_allclose(
        result.reference, shift_stack(scan.projections, -result.shifts), atol=1e-4
    )


def test_control_c_within_an_iteration_returns_images_that_belong_to_the_shifts(scan):
    engine, calls = get_backend("builtin"), []

    def interrupted_once(projections, geometry):
        calls.append(None)
        if len(calls) == 4:  # in the third iteration
            raise KeyboardInterrupt
        return engine.reconstruct(projections, geometry, algorithm="sirt", num_iter=4)

    result = run(
        scan,
        reconstruction_pipeline=interrupted_once,
        **{**SLOW_TO_REST, "levels": (1,), "maxiter": 9},
    )
    assert len(result.history) == 3
    assert result.message == "interrupted after iteration 3"
    np.testing.assert_allclose(
        result.reference, shift_stack(scan.projections, -result.shifts), atol=1e-4
    )


def test_control_c_before_anything_was_reached_is_passed_on(scan):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scan, reconstruction_pipeline=interrupt)


def test_an_error_of_the_callback_is_passed_on(scan):
    def fail(state):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(scan, callback=fail)


def test_the_progress_bar(scan, capsys):
    run(scan, maxiter=2, progress=True, **SLOW_TO_REST)
    shown = capsys.readouterr().err
    assert "align" in shown
    assert "2/2" in shown
    assert "move=" in shown
    assert "residual=" in shown
    run(scan, maxiter=2, progress=False)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"levels": (2, 1), "maxiter": 8},
        {"levels": (1,), "maxiter": 7, "relative_sample_size": 0.5, "relaxation_weight": 0.1},
        {"levels": (1,), "maxiter": 6, "gauss_newton": False, "center_of_mass_shift_weight": 0.1},
    ],
    ids=["levels", "chance", "momentum"],
)
def test_a_resumed_run_is_the_uninterrupted_one(scan, options):
    options = {**options, **SLOW_TO_REST}
    whole = list(states(scan, **options))
    final = whole[-1]
    for stopped in whole[:-1]:
        resume = Resume(stopped.history, dict(stopped.generator_state))
        resumed = list(states(scan, resume=resume, **options))
        assert len(resumed) == len(whole) - stopped.iteration
        last = resumed[-1]
        assert len(last.history) == len(final.history)
        np.testing.assert_array_equal(last.shifts, final.shifts)
        np.testing.assert_array_equal(last.reconstruction, final.reconstruction)
        np.testing.assert_array_equal(last.record.standard_error, final.record.standard_error)
        assert (last.center, last.binning, last.converged) == (
            final.center,
            final.binning,
            final.converged,
        )
        assert last.generator_state == final.generator_state


def test_a_converged_run_can_be_taken_up_with_a_finer_tolerance(scan):
    options = {"maxiter": 20, "reconstruction_pipeline": None, "initial_estimate": False}
    coarse = list(states(scan, shift_tolerance=0.2, **options))[-1]
    resume = Resume(coarse.history, dict(coarse.generator_state))
    fine = list(states(scan, shift_tolerance=0.02, resume=resume, **options))[-1]
    assert coarse.converged
    assert fine.converged
    assert fine.iteration > coarse.iteration


def test_a_run_remembers_nothing_but_the_shifts(scan):
    """What an iteration finds follows from the shifts it starts from, however they were reached."""
    options = {"levels": (1,), "gauss_newton": False, "center_estimation": False, **SLOW_TO_REST}
    first, second = states(scan, maxiter=2, **options)
    again = next(iter(states(scan, maxiter=2, initial_shifts=first.shifts, **options)))
    np.testing.assert_array_equal(again.record.moves, second.record.moves)


# --- accuracy ------------------------------------------------------------------------------------


@functools.cache
def default_run(**settings):
    scan = simulate(48, 36, n_rows=32, seed=3, **settings)
    result = align(
        scan.projections, scan.angles, weights=scan.weights, backend="builtin", progress=False
    )
    return scan, result


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


def test_sound_scans_get_no_diagnosis():
    _, result = default_run()
    assert result.diagnosis == ()


def test_bad_frames_are_named_and_not_moved():
    scan, result = default_run(blank_frames=2, duplicate_frames=1)
    text = "\n".join(result.diagnosis)
    assert f"blank frames: projection {scan.blank[0]}, {scan.blank[1]} shows no contrast" in text
    pair = sorted([int(scan.duplicates[0]), int(scan.duplicate_sources[0])])
    assert f"projections {pair[0]} and {pair[1]} are the same image" in text
    assert f"{scan.duplicates[0]} fits its angle worse" in text
    for record in result.history:
        assert not record.moves[scan.blank].any()
        assert not set(record.drawn) & set(scan.blank)
    assert not result.confidence[scan.blank].any()
    far = np.abs(result.shifts[scan.blank] - gauge_part(result.shifts, scan.angles)[scan.blank])
    assert far.max() < 1


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_copies_are_not_trusted_once_captured(noise):
    """One of them lies but one angle away from its original, and fits almost as well."""
    scan = simulate(64, 60, noise=noise, duplicate_frames=2, seed=1)
    assert np.abs(scan.duplicates - scan.duplicate_sources).min() == 1
    result = align(scan.projections, scan.angles, backend="builtin", progress=False)
    for record in result.history:
        if record.binning == 1:
            assert not record.confidence[scan.duplicates].any()
            assert (np.delete(record.confidence, scan.duplicates) > 0.5).all()
    assert result.converged
    assert error(scan, result, scan.sound) < 1.35 * cramer_rao_bound(scan)


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


def test_a_frame_of_another_object_is_named_and_spoils_no_other():
    scan = simulate(48, 36, n_rows=32, seed=3)
    stack = scan.projections.copy()
    stack[9] = simulate(48, 36, n_rows=32, kind="fibrous", seed=8).projections[20]
    spoilt = dataclasses.replace(scan, projections=stack)
    result = align(stack, scan.angles, backend="builtin", progress=False)
    others = np.arange(36) != 9
    assert error(spoilt, result, others) < 1.5 * cramer_rao_bound(scan, subset=others)
    assert any("do not fit: projection 9 differs" in text for text in result.diagnosis)


def test_frames_without_trust_have_no_say_in_the_reconstruction(scan):
    stack = scan.projections.copy()
    stack[[4, 13]] = 0.0
    state = list(iterate_alignment(stack, scan.angles, **QUICK, levels=(1,), maxiter=2))[-1]
    trusted = np.delete(np.arange(20), [4, 13])
    part = state.geometry.with_changes(angles=scan.angles[trusted])
    volume = get_backend("builtin", workers=1).reconstruct(
        state.reference[trusted], part, algorithm="fbp"
    )
    np.testing.assert_allclose(state.reconstruction, volume, atol=1e-4)


def test_saturated_frames_truncation_and_a_far_drift_are_named():
    scan = simulate(32, 20, n_rows=24, seed=4)
    stack = scan.projections.copy()
    stack[5] = np.minimum(stack[5], np.percentile(stack[5], 70))
    text = "\n".join(run(dataclasses.replace(scan, projections=stack), maxiter=1).diagnosis)
    assert "saturated frames: projection 5 has many pixels at its largest value" in text
    text = "\n".join(run(simulate(32, 20, truncation=1.6), maxiter=1).diagnosis)
    assert "truncation: the object, or a background offset, reaches the side borders" in text
    text = "\n".join(run(simulate(32, 20, jitter=14.0, seed=4), maxiter=3).diagnosis)
    assert "large drift: shifts reach" in text


def test_a_residual_that_stays_large_is_explained():
    scan = simulate(32, 20, n_rows=24, noise=0.01, seed=4)
    options = {"maxiter": 2, "reconstruction_pipeline": None}
    dimmed = np.random.default_rng(0).uniform(0.3, 2, (20, 1, 1)) * scan.projections
    text = "\n".join(run(dataclasses.replace(scan, projections=dimmed), **options).diagnosis)
    assert "poor fit: reprojections miss" in text
    assert "the background may have a ramp or an offset" in text
    text = "\n".join(run(scan, center=3.0, align_horizontal=False, **options).diagnosis)
    assert "poor fit: reprojections miss" in text
    assert "the rotation centre (given, and kept) may be wrong" in text


def test_noise_is_no_poor_fit():
    scan = simulate(32, 20, n_rows=24, noise=0.3, seed=4)
    result = run(scan, maxiter=2)
    assert result.residual > 0.5
    assert not any("poor fit" in text for text in result.diagnosis)


def test_what_rests_but_is_not_known_is_not_called_converged():
    scan = simulate(32, 20, n_rows=24, noise=0.3, seed=4)
    result = align(scan.projections, scan.angles, backend="builtin", progress=False)
    assert error(scan, result) > 0.2
    assert len(result.history) < 40
    assert not result.converged
    assert result.message.startswith("not converged: nothing moves any more after ")
    (text,) = (text for text in result.diagnosis if text.startswith("uncertain:"))
    assert "too noisy" in text
    assert not any("still moving" in text for text in result.diagnosis)


def test_few_angles_and_an_end_without_rest_are_said():
    scan = simulate(32, 8, n_rows=24, noise=0.01, seed=4)
    result = run(scan, maxiter=1)
    text = "\n".join(result.diagnosis)
    assert "few angles: 8 projections" in text
    assert "still moving: projection" in text
    assert "raise maxiter" in text


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_background_that_differs_from_image_to_image_is_taken_out_and_named(slope):
    scan = simulate(48, 36, n_rows=32, seed=3)
    across = slope * np.linspace(-1, 1, 48) + (1 - slope)
    size = np.random.default_rng(0).normal(0, 0.08, (36, 1, 1))
    spoilt = dataclasses.replace(scan, projections=(scan.projections + size * across).astype("f4"))
    result = align(spoilt.projections, scan.angles, backend="builtin", progress=False)
    (text,) = (text for text in result.diagnosis if text.startswith("background:"))
    assert "was told from the side borders and taken out" in text
    assert result.converged
    assert error(scan, result) < 2 * cramer_rao_bound(scan)


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


def test_what_filtered_back_projection_does_to_all_images_is_no_background():
    scan = simulate(48, 60, seed=2)
    result = align(
        scan.projections,
        scan.angles,
        backend="builtin",
        progress=False,
        reconstruction_pipeline="fbp",
        reconstruction_pipeline_kwargs={"non_negative": True},
    )
    assert result.diagnosis == ()


def test_constant_frames_do_not_spoil_the_residual():
    scan = simulate(48, 36, seed=2)
    spoilt = scan.projections.copy()
    spoilt[[5, 20]] = 100
    run = {"backend": "builtin", "progress": False}
    residual = align(scan.projections, scan.angles, **run).residual
    result = align(spoilt, scan.angles, **run)
    assert result.residual == pytest.approx(residual, rel=0.1)
    (text,) = result.diagnosis
    assert text.startswith("blank frames: projection 5, 20")


def test_a_frame_whose_shift_cannot_be_found_is_not_moved_and_named(scan, monkeypatch):
    """Whatever a registration answers: what is not finite counts as no move."""
    from napari_tomoalign.loop import matching

    correlate = matching.correlate

    def without_the_third(measured, *arguments, **options):
        found = correlate(measured, *arguments, **options)
        found.shifts[2] = np.nan
        return found

    monkeypatch.setattr(matching, "correlate", without_the_third)
    (state,) = states(scan, maxiter=1, levels=(1,), initial_estimate=False)
    assert np.flatnonzero(~state.record.moves.any(axis=1)).tolist() == [2, 10, 18]  # eight a call
    (note,) = state.record.notes
    assert note.startswith("projection 2, 10, 18: no shift could be found")


def test_a_noisy_centre_of_mass_is_no_first_estimate():
    """The first iteration then starts at no shift: what it finds is all there is."""
    starts = []
    for noise in (0.02, 0.8):
        scan = simulate(32, 20, n_rows=24, noise=noise, center_offset=0, seed=6)
        (state,) = states(scan, maxiter=1, levels=(1,), center=scan.center)
        starts.append(state.shifts - state.record.moves)
    assert np.abs(starts[0]).max() > 1
    assert np.abs(remove_gauge(starts[1], scan.angles)).max() < 1e-9


def test_few_angles_of_an_object_wider_than_the_images_are_not_called_converged():
    """They leave most of it undetermined: it then explains the noise, and wrong shifts."""
    scan = simulate(48, 12, kind="granular", truncation=1.6, noise=0.03, jitter=3.0, seed=2)
    options = {"backend": "builtin", "maxiter": 100}  # rounding says when it comes to rest
    result = align(scan.projections, scan.angles, progress=False, **options)
    assert error(scan, result) > 3 * cramer_rao_bound(scan)
    assert not result.converged
    assert result.message.startswith("not converged: nothing moves any more")
    assert any(text.startswith("uncertain: ") for text in result.diagnosis)
