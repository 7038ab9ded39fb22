"""What the position of the object accounts for goes; what projections can tell stays."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_tomoalign.geometry.gauge import alignment_error, axis_part, gauge_part, remove_gauge

ANGLES = np.linspace(0, np.pi, 37)
SAME = (18.0, 18.0)
"""Column of the axis of found and true shifts."""


def displaced(angles, row=0.0, a=0.0, b=0.0):
    """Shifts of an object that was put elsewhere."""
    columns = a * np.cos(angles) + b * np.sin(angles)
    return np.column_stack([np.full(len(angles), row), columns])


def test_a_displaced_object_is_removed():
    shifts = displaced(ANGLES, row=3.0, a=-2.0, b=5.0)
    np.testing.assert_allclose(remove_gauge(shifts, ANGLES), 0, atol=1e-9)
    np.testing.assert_allclose(gauge_part(shifts, ANGLES, ridge=0), shifts, atol=1e-9)


def test_a_constant_in_the_columns_over_a_full_turn_stays():
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shifts = np.column_stack([np.full(40, 2.0), np.full(40, 2.0)])
    np.testing.assert_allclose(remove_gauge(shifts, angles), [[0.0, 2.0]] * 40, atol=1e-9)


def test_a_constant_in_the_columns_counts_as_error():
    shifts = np.zeros((len(ANGLES), 2))
    assert alignment_error(shifts + np.array([0, 1.0]), shifts, ANGLES, centers=SAME) > 0.3
    assert alignment_error(
        shifts + np.array([1.0, 0]), shifts, ANGLES, centers=SAME
    ) == pytest.approx(0, abs=1e-9)


def test_error_is_the_rms_distance():
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 2))
    off = np.column_stack([0.3 * np.cos(5 * angles), 0.4 * np.cos(7 * angles)])
    found = truth + off + displaced(angles, 4.0, 1.0, -2.0)
    assert alignment_error(found, truth, angles, centers=SAME) == pytest.approx(
        np.sqrt((0.09 + 0.16) / 2)
    )


def test_error_over_a_subset_ignores_the_others():
    truth = np.zeros((len(ANGLES), 2))
    found = truth.copy()
    found[4] = 50.0
    sound = np.arange(len(ANGLES)) != 4
    assert alignment_error(found, truth, ANGLES, sound, centers=SAME) == pytest.approx(0, abs=1e-9)
    assert alignment_error(
        found, truth, ANGLES, np.flatnonzero(sound), centers=SAME
    ) == pytest.approx(0)
    assert alignment_error(found, truth, ANGLES, centers=SAME) > 5


def test_weights_keep_a_lost_frame_out_of_the_fit():
    shifts = displaced(ANGLES, 1.0, 2.0, -1.0)
    shifts[7] += [40.0, -60.0]
    weights = np.ones(len(ANGLES))
    weights[7] = 0
    kept = remove_gauge(shifts, ANGLES, weights)
    np.testing.assert_allclose(np.delete(kept, 7, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(kept[7], [40, -60], atol=1e-9)


def test_no_weight_anywhere_counts_as_all_alike():
    shifts = displaced(ANGLES, 1.0, 2.0, -1.0)
    np.testing.assert_allclose(
        gauge_part(shifts, ANGLES, np.zeros(len(ANGLES))), gauge_part(shifts, ANGLES)
    )


def test_the_ridge_keeps_amplitudes_small_in_a_narrow_wedge():
    wedge = np.deg2rad(np.linspace(-3, 3, 31))
    noise = np.random.default_rng(1).normal(0, 0.1, (31, 2))

    def sine(ridge):
        part = gauge_part(noise, wedge, ridge=ridge)[:, 1]
        return np.polyfit(np.sin(wedge), part, 1)[0]

    assert abs(sine(0.0)) > 5 * abs(sine(1e-2))
    assert abs(sine(1e-2)) < 0.2


@pytest.mark.parametrize("turn", [np.pi, 2 * np.pi])
def test_the_axis_is_told_from_the_position_of_the_object(turn):
    angles = np.linspace(0, turn, 60, endpoint=False)
    shifts = displaced(angles, row=1.0, a=-4.0, b=6.0) + np.array([0.0, 2.5])
    assert axis_part(shifts, angles, ridge=0) == pytest.approx(2.5)
    assert axis_part(shifts, angles) == pytest.approx(2.5, abs=0.1)
    shifts[7] += 300.0
    weights = np.ones(60)
    weights[7] = 0
    assert axis_part(shifts, angles, weights, ridge=0) == pytest.approx(2.5)
    assert axis_part(shifts, angles, 0 * weights) == axis_part(shifts, angles)


def test_shifts_count_together_with_the_column_of_the_axis():
    shifts = np.random.default_rng(3).normal(size=(37, 2))
    truth = SimpleNamespace(shifts=shifts, center=18.0, angles=ANGLES)
    elsewhere = SimpleNamespace(shifts=shifts - [0, 3.0], center=21.0, angles=ANGLES)
    forgotten = SimpleNamespace(shifts=shifts - [0, 3.0], center=18.0, angles=ANGLES)

    assert alignment_error(elsewhere, truth) == pytest.approx(0, abs=1e-9)
    assert alignment_error(forgotten, truth) > 1
    assert alignment_error(elsewhere.shifts, shifts, ANGLES, centers=(21.0, 18.0)) == pytest.approx(
        0, abs=1e-9
    )
    with pytest.raises(TypeError, match="give results, or centers="):
        alignment_error(shifts, shifts, ANGLES)
    with pytest.raises(TypeError, match="need views="):
        alignment_error(shifts, shifts, centers=SAME)
