"""Parameters that say what the data are: each test fails where the loop ignores it."""

import dataclasses

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.simulation import cramer_rao_bound, simulate
from parameter_runs import PLAIN, error, run_of, states

"""Every refinement off: what is left moves by the cross-correlation alone."""


"""The backend's own choice of a reconstruction."""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.01, jitter=2.0, drift=1.0, seed=6)


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
    assert "dark pixels: 2 pixels of transmission 0 or less ignored" in result.diagnosis


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
    options |= {"reconstruction_pipeline": "sirt", "gauss_newton": True}
    run = run_of(scan.projections, scan.angles, **options)
    assert (run.geometry.axis_angle, run.geometry.axis_tilt) == (0.1, -0.2)
    assert run.parameters.refine == ("shifts", "axis_angle", "in_plane")
    assert run.parameters.unknowns == ("axis_angle", "in_plane")
