"""How precise is precise enough: the run ends on the coarsest level that is."""

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign.alignment import result_from_state
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.results import Resume
from napari_tomoalign.simulation import simulate

QUICK = {"backend": "builtin", "progress": False}


@pytest.fixture(scope="module")
def scan():
    return simulate(64, 40, noise=0.02, oversampling=2, seed=1)


def rms(errors):
    return np.sqrt(np.nanmean(np.sum(errors**2, axis=1)))


def run(scan, precision, **options):
    return align(scan.projections, scan.angles, precision=precision, **QUICK, **options)


def test_a_coarse_level_is_enough_where_it_is_known_to_be(scan):
    result = run(scan, 0.05)
    assert result.binning == 2
    assert result.preview.shape == (32, 32, 32)
    assert result.converged
    assert rms(result.standard_error) <= 0.05
    assert alignment_error(result, scan) < 0.05
    assert result.history[-1].largest_move < 0.025
    assert result.message.endswith("is below 0.025 px")


def test_more_is_asked_for_than_a_coarse_level_knows(scan):
    fine = run(scan, 0.015)
    assert fine.binning == 1
    without = run(scan, 0.0)
    np.testing.assert_array_equal(fine.shifts, without.shifts)


def test_a_finer_level_is_not_run_for_less_than_a_tenth(scan):
    known = rms(run(scan, 0.05).standard_error)
    assert run(scan, known / 1.05).binning == 2
    assert run(scan, known / 1.3).binning == 1


def test_an_object_that_leaves_the_images_goes_to_the_last_level():
    wide = simulate(48, 30, truncation=1.5, seed=3)
    result = align(wide.projections, wide.angles, precision=5.0, levels=(2, 1), **QUICK)
    assert result.binning == 1


def test_a_run_that_ended_early_stays_ended_and_one_that_did_not_goes_on_as_before(scan):
    ended = run(scan, 0.05, maxiter=20)
    states = list(
        iterate_alignment(
            scan.projections,
            scan.angles,
            backend="builtin",
            precision=0.05,
            maxiter=20,
            resume=Resume.of(ended),
        )
    )
    assert len(states) == 1
    np.testing.assert_array_equal(states[0].shifts, ended.shifts)
    assert states[0].finished
    first = next(
        iter(
            iterate_alignment(
                scan.projections, scan.angles, backend="builtin", precision=0.05, maxiter=20
            )
        )
    )
    again = run(scan, 0.05, maxiter=20, resume=Resume.of(first))
    np.testing.assert_array_equal(again.shifts, ended.shifts)


def test_the_images_of_a_coarse_run_are_made_at_full_size_when_they_are_read(scan):
    run = iterate_alignment(scan.projections, scan.angles, backend="builtin", precision=0.05)
    *_, state = run
    assert state.binning == 2
    result = result_from_state(state)
    assert result.preview is state.reconstruction
    n, n_rows, n_columns = scan.projections.shape
    assert result.reference.shape == result.projections.shape == (n, n_rows, n_columns)
    assert result.reconstruction.shape == (n_rows, n_columns, n_columns)
    np.testing.assert_array_equal(result.reference, shift_stack(scan.projections, -result.shifts))
    ideal = shift_stack(scan.clean, -result.shifts)
    missed = (result.projections - ideal)[:, 8:-8, 8:-8]
    assert missed.std() < scan.noise_sigma
