"""Where the loop starts: first estimates where they mean something, and nothing elsewhere."""

import numpy as np
import pytest

from napari_tomoalign import alignment, alignment_error, iterate_alignment
from napari_tomoalign.loop.backgrounds import prepared
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare


def start_of(scan, **options):
    return prepare(iterate_alignment(scan.projections, scan.angles, backend="builtin", **options))


def test_a_whole_object_gives_a_first_estimate():
    scan = simulate(40, 24, noise=0.01, seed=3)
    start = start_of(scan, center=scan.center)
    assert alignment_error(start.shifts, scan, scan.angles, centers=(scan.center, 0)) < 0.6
    assert alignment_error(0 * scan.shifts, scan, scan.angles, centers=(scan.center, 0)) > 2


def test_the_first_estimate_is_off_on_request():
    start = start_of(simulate(40, 24, noise=0.01, seed=3), initial_estimate=False)
    assert not start.shifts.any()
    assert start.geometry.center == 19.5


def test_a_direction_that_is_off_is_not_estimated():
    start = start_of(simulate(40, 24, noise=0.01, seed=3), align_vertical=False)
    assert not start.shifts[:, 0].any()
    assert start.shifts[:, 1].any()


def test_centres_of_mass_of_a_wider_object_are_not_used():
    start = start_of(simulate(40, 24, seed=0, truncation=1.6))
    np.testing.assert_array_equal(start.shifts, 0)
    assert start.geometry.center == 19.5


def test_what_noise_hides_is_not_used():
    """Of a mass that is known to 0.6 px in the columns the rows may still be known, or neither."""
    scan = simulate(40, 24, seed=0, noise=0.35)
    start = start_of(scan)
    np.testing.assert_array_equal(start.shifts[:, 1], 0)
    assert start.geometry.center == 19.5
    rows = start.shifts[:, 0] - scan.shifts[:, 0]
    assert not start.shifts[:, 0].any() or rows.std() < 0.5


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_few_rows_of_a_taller_object_are_held_and_that_is_said(rows):
    scan = simulate(48, 30, noise=0.05, jitter=3.0, seed=1)
    middle = scan.projections[:, 24 : 24 + rows]
    start = prepare(iterate_alignment(middle, scan.angles, backend="builtin"))
    np.testing.assert_array_equal(start.directions, [0, 1])
    assert not start.shifts[:, 0].any()
    assert start.notes[0].kind == "few rows"
    whole = start_of(scan)
    np.testing.assert_array_equal(whole.directions, [1, 1])
    assert whole.notes == ()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_finest_images_of_a_file_are_read_when_they_are_asked_for(tmp_path, weighted):
    scan = simulate(64, 20, noise=0.01, seed=3)
    np.save(tmp_path / "scan.npy", scan.projections)
    stack = np.load(tmp_path / "scan.npy", mmap_mode="r")
    weights = None
    if weighted:
        weights = np.ones(scan.projections.shape, np.float32)
        weights[5:9, 20:30, 20:30] = 0
    options = {"backend": "builtin", "weights": weights}
    whole = start_of(scan, weights=weights)
    start = prepare(iterate_alignment(stack, scan.angles, **options))
    for binning in ((2, 2), (1, 1)):  # coarse to fine, as in a run
        assert not start.images.held
        for images, expected in zip(
            start.images.at(binning), whole.images.at(binning), strict=True
        ):
            np.testing.assert_array_equal(images, expected)
    assert start.images.held
    assert prepare(iterate_alignment(stack, scan.angles, precision=0, **options)).images.held


def test_a_run_that_ends_on_binned_images_of_a_file_reads_no_finer_ones(tmp_path, monkeypatch):
    scan = simulate(64, 30, noise=0.01, seed=3)
    np.save(tmp_path / "scan.npy", scan.projections)
    starts = []
    monkeypatch.setattr(
        alignment, "prepared", lambda run: starts.append(prepared(run)) or starts[-1]
    )
    stack = np.load(tmp_path / "scan.npy", mmap_mode="r")
    result = alignment.align(stack, scan.angles, backend="builtin", precision=1.0, progress=False)
    assert result.converged
    assert result.binning > 1
    assert not starts[0].images.held
