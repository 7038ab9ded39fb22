"""Trends of the column shifts: measured and restored exactly where the answer is known."""

import numpy as np
import pytest

from napari_tomoalign import align, alignment_error
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.loop.weak_modes import measure_weak_modes
from napari_tomoalign.simulation import cramer_rao_bound, simulate

ANGLES = np.linspace(0, np.pi, 40, endpoint=False)


def weak(share: float, wave: np.ndarray):
    """Return an iteration that finds all of a displacement, but only a share of one wave of it."""

    def find_moves(shifts: np.ndarray) -> np.ndarray:
        moves = -shifts
        moves[:, 1] += (1 - share) * wave * (wave @ shifts[:, 1]) / (wave @ wave)
        return moves

    return find_moves


def modes_of(find_moves, counted=None):
    counted = np.ones(40, bool) if counted is None else counted
    return measure_weak_modes(find_moves, np.zeros((40, 2)), ScanGeometry(ANGLES, 8, 64), counted)


def test_the_basis_holds_smooth_waves_and_not_the_objects_position() -> None:
    basis = modes_of(np.negative).basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    position = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
    np.testing.assert_allclose(position.T @ basis, 0, atol=1e-12)
    for order in (2, 3):
        wave = np.sin(order * ANGLES)
        wave -= position @ np.linalg.lstsq(position, wave, rcond=None)[0]
        missed = wave - basis @ (basis.T @ wave)
        assert np.linalg.norm(missed) < 0.01 * np.linalg.norm(wave)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_weakly_found_trend_is_made_whole(share: float) -> None:
    wave = modes_of(np.negative).basis[:, 1]
    displaced = np.zeros((40, 2))
    displaced[:, 1] = 0.4 * wave
    find_moves = weak(share, wave)
    found = find_moves(displaced)
    np.testing.assert_allclose(found, -share * displaced)
    # the response is damped by 0.02
    np.testing.assert_allclose(
        modes_of(find_moves).restored(found), -displaced * share / (share + 0.02), atol=1e-9
    )


def test_a_trend_is_restored_by_a_pixel_at_most() -> None:
    """A response measured too small must not throw the images away."""
    wave = modes_of(np.negative).basis[:, 1]
    moves = np.zeros((40, 2))
    moves[:, 1] = 2.0 * wave
    whole = modes_of(weak(0.001, wave)).restored(moves)
    size = np.sqrt(modes_of(np.negative).basis.shape[0])
    np.testing.assert_allclose(whole[:, 1], size * wave, atol=1e-9)


def test_a_share_measured_below_nothing_turns_no_move_round() -> None:
    wave = modes_of(np.negative).basis[:, 1]
    moves = np.zeros((40, 2))
    moves[:, 1] = 0.1 * wave
    np.testing.assert_allclose(modes_of(weak(-0.05, wave)).restored(moves), moves, atol=1e-9)


def test_what_is_no_trend_and_the_rows_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    trends = modes_of(weak(0.05, np.cos(2 * ANGLES)))
    moves = rng.normal(size=(40, 2))
    rough = moves.copy()
    rough[:, 1] -= trends.basis @ (trends.basis.T @ moves[:, 1])
    np.testing.assert_allclose(trends.restored(rough), rough, atol=1e-9)
    np.testing.assert_array_equal(trends.restored(moves)[:, 0], moves[:, 0])


def test_frames_that_do_not_count_are_not_moved() -> None:
    counted = np.arange(40) % 7 != 0
    trends = modes_of(lambda shifts: -0.1 * shifts, counted)
    moves = np.zeros((40, 2))
    moves[:, 1] = 0.1 * trends.basis[:, 0]
    whole = trends.restored(moves)
    assert not whole[~counted].any()
    np.testing.assert_allclose(whole[counted], moves[counted] / 0.12)


def test_an_object_wider_than_the_images() -> None:
    """Without the trends the error is four times the bound, on the images' own grid five times."""
    scan = simulate(truncation=1.6)
    result = align(scan.projections, scan.angles, backend="builtin", progress=False)
    assert not result.converged  # what lies outside could explain other shifts, and it says so
    assert result.message.endswith("much of the object lies outside the images")
    assert alignment_error(result, scan) < 1.8 * cramer_rao_bound(scan)
