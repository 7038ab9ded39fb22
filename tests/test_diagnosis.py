"""What seems wrong with a scan is named, and spoils nothing else."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.findings import Finding
from napari_tomoalign.geometry.gauge import gauge_part
from napari_tomoalign.loop.diagnosis import _background
from napari_tomoalign.simulation import cramer_rao_bound, simulate
from small_runs import QUICK, default_run, error, run, states


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.02, jitter=2.0, drift=1.0, seed=6)


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
    scan = simulate(32, 20, n_rows=24, noise=0.3, seed=5)
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


def test_a_background_that_is_left_is_said_with_what_was_taken_out():
    note = Finding("background", "an offset in each image was taken out")
    start, verdict = SimpleNamespace(notes=(note,)), SimpleNamespace(spoilt=(), background=0.0)
    assert _background(start, verdict) == [note]
    verdict = SimpleNamespace(spoilt=(3, 7), background=0.05)
    (both,) = _background(start, verdict)
    assert both.sentence == (
        "background: an offset in each image was taken out; what is left, of up to 5.0% of the "
        "data, differs from image to image (projection 3, 7) and pulls the shifts along"
    )


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


def test_few_angles_of_an_object_wider_than_the_images_are_not_called_converged():
    """They leave most of it undetermined: it then explains the noise, and wrong shifts."""
    scan = simulate(48, 12, kind="granular", truncation=1.6, noise=0.03, jitter=3.0, seed=2)
    options = {"backend": "builtin", "maxiter": 100}  # rounding says when it comes to rest
    result = align(scan.projections, scan.angles, progress=False, **options)
    assert error(scan, result) > 3 * cramer_rao_bound(scan)
    assert not result.converged
    assert result.message.startswith("not converged: nothing moves any more")
    assert any(text.startswith("uncertain: ") for text in result.diagnosis)
