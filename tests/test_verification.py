"""Known shifts, injected into an aligned scan, come back."""

import numpy as np
import pytest

from napari_tomoalign import align, verify
from napari_tomoalign.cli import main
from napari_tomoalign.io import Checkpoint, read_scan, write_scan
from napari_tomoalign.simulation import simulate


@pytest.fixture(scope="module")
def scan():
    return simulate(48, 36, n_rows=32, jitter=2, drift=2, seed=4)


@pytest.fixture(scope="module")
def result(scan):
    return align(scan.projections, scan.angles, backend="builtin", progress=False)


def test_injected_shifts_come_back(scan, result):
    before = scan.projections.copy()
    checked = verify(result, scan.projections, jitter=1.5, seed=3, progress=False)
    assert checked.error_before > 0.8  # uniform in two directions: 1.5 * sqrt(2 / 3)
    assert checked.error < 0.03
    assert checked.converged
    np.testing.assert_array_equal(scan.projections, before)
    assert "are recovered" in checked.message
    assert f"{checked.subset.sum()} projections" in checked.message


def test_shifts_that_cannot_be_found_do_not_come_back(scan, result):
    checked = verify(
        result,
        scan.projections,
        progress=False,
        maxiter=1,
        initial_estimate=False,
        shift_cutoff=0.1,
    )
    assert checked.error > 0.5 * checked.error_before
    assert "cannot be trusted" in checked.message


def test_garbage_under_a_mask_does_not_matter():
    scan = simulate(48, 36, n_rows=32, jitter=2, drift=2, masked_fraction=0.2, seed=4)
    options = {"weights": scan.weights, "progress": False}
    result = align(scan.projections, scan.angles, backend="builtin", **options)
    checked = verify(result, scan.projections, **options)
    assert checked.error < 0.05
    assert "are recovered" in checked.message


def test_noise_that_both_runs_share_is_stated(scan, result):
    checked = verify(result, scan.projections, progress=False)
    stated = np.sqrt(np.mean(np.sum(result.standard_error**2, axis=1)))
    assert checked.noise == pytest.approx(stated)


def test_a_scan_by_rotations_is_verified_by_them():
    scan = simulate(28, 24, axis_angle=8.0, noise=0.01, jitter=1, drift=1, seed=4)
    turns = scan.geometry.orientations
    options = {"backend": "builtin", "progress": False}
    result = align(scan.projections, None, rotations=turns, **options)
    checked = verify(result, scan.projections, **options)
    assert checked.error < 0.05
    assert "are recovered" in checked.message


def test_a_jitter_of_nothing_is_refused(scan, result):
    with pytest.raises(ValueError, match="jitter must be above 0 px and finite, got 0"):
        verify(result, scan.projections, jitter=0)
    with pytest.raises(ValueError, match="jitter must be above 0 px and finite, got inf"):
        verify(result, scan.projections, jitter=np.inf)


def test_what_says_nothing_is_refused(scan):
    options = {"ignored_subset": tuple(range(3, 36)), "maxiter": 1, "progress": False}
    result = align(scan.projections, scan.angles, backend="builtin", **options)
    with pytest.raises(ValueError, match="3 of 36 projections are registered and fit, at least 4"):
        verify(result, scan.projections)


def test_the_scan_of_another_run_is_refused(scan, result):
    with pytest.raises(ValueError, match="one for each projection"):
        verify(result, scan.projections[:20])


def test_from_the_command_line(scan, result, tmp_path, capsys):
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    run = tmp_path / "run"
    run.mkdir()
    checkpoint = Checkpoint(run / "shifts.h5", read_scan(path))
    lines = read_scan(path).projections
    align(lines, scan.angles, backend="builtin", progress=False, callback=checkpoint)
    assert main(["verify", str(run), str(path), "--no-progress"]) == 0
    assert "are recovered" in capsys.readouterr().out
    assert main(["verify", str(run), str(path), "--jitter", "-1"]) == 2
    assert "jitter must be above 0 px" in capsys.readouterr().err
