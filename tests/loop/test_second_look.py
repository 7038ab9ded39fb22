"""The share of a displacement that an iteration finds, where it is known, and what it says."""

import numpy as np
import pytest

from napari_tomoalign.loop.second_look import measure_shares, widened

ANGLES = np.linspace(0, np.pi, 40, endpoint=False)
ALL = np.ones(40, bool)
ERRORS, NONE = np.full((40, 2), 0.02), np.zeros((40, 2))


def weak(share: float, wave: np.ndarray):
    """Return an iteration that finds all of a displacement, but a share of one wave of columns."""

    def find_moves(step: np.ndarray) -> np.ndarray:
        moves = -step
        moves[:, 1] += (1 - share) * wave * (wave @ step[:, 1]) / (wave @ wave)
        return moves

    return find_moves


def test_all_of_a_displacement_that_comes_back_widens_nothing() -> None:
    shares = measure_shares(np.negative, ANGLES, ALL)
    for share in shares:
        np.testing.assert_allclose(share.modes, 1)
        assert share.rest == pytest.approx(1)
    np.testing.assert_allclose(widened(ERRORS, NONE, shares), 0.02)


@pytest.mark.parametrize("share", [0.06, 0.3, 1.0])
def test_the_standard_error_holds_what_is_left_of_a_trends_information(share: float) -> None:
    """A weakly found trend by itself, drawn with the variance ``1 / share`` of the others."""
    wave = measure_shares(np.negative, ANGLES, ALL)[1].basis[:, 1]
    stated = widened(ERRORS, NONE, measure_shares(weak(share, wave), ANGLES, ALL))
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 0.02, (20000, 40))
    errors += (1 / np.sqrt(share) - 1) * (errors @ wave)[:, None] * wave
    np.testing.assert_allclose(stated[:, 1], errors.std(axis=0), rtol=0.03)
    np.testing.assert_allclose(stated[:, 0], 0.02)


def test_what_is_found_of_nothing_smooth_is_the_share_of_the_rest() -> None:
    shares = measure_shares(lambda step: -0.25 * step, ANGLES, ALL)
    np.testing.assert_allclose(widened(ERRORS, NONE, shares), 0.04)


def test_what_coarse_pixels_bring_is_carried_by_a_weak_trend() -> None:
    """Half of each trend is found, so a bias that is found at every angle makes twice itself."""
    shares = measure_shares(np.negative, ANGLES, ALL)
    basis = shares[1].basis

    def half(step: np.ndarray) -> np.ndarray:
        return -step + 0.5 * basis @ (basis.T @ step)

    grid = np.full((40, 2), 0.01)
    weak = measure_shares(half, ANGLES, ALL)
    extra = widened(ERRORS, grid, weak)[:, 1] ** 2 - widened(ERRORS, NONE, weak)[:, 1] ** 2
    np.testing.assert_allclose(np.sqrt(0.01**2 + extra), 0.02, rtol=0.02)
    np.testing.assert_allclose(widened(ERRORS, grid, shares), 0.02)


def test_frames_that_do_not_count_are_not_displaced() -> None:
    counted = ALL.copy()
    counted[[3, 17]] = False
    steps = []

    def find_moves(step: np.ndarray) -> np.ndarray:
        steps.append(step)
        return -step

    measure_shares(find_moves, ANGLES, counted)
    assert not steps[-1][~counted].any()
    assert steps[-1][counted].all()


@pytest.mark.parametrize("n", [3, 4, 5])
def test_few_frames_leave_some_to_the_rest(n: int) -> None:
    shares = measure_shares(np.negative, ANGLES[:: 40 // n][:n], np.ones(n, bool))
    np.testing.assert_allclose(widened(ERRORS[:n], NONE[:n], shares), 0.02)
