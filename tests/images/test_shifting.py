"""Moving a stack: as SciPy does inside, edge values outside, weights that know where data end."""

import numpy as np
import pytest
import scipy.ndimage

from napari_tomoalign.images.applying import common_view, move
from napari_tomoalign.images.moving import move_rows
from napari_tomoalign.images.shifting import (
    SplineStack,
    fetch_weights,
    places_of,
    shift_stack,
    shift_weights,
)
from napari_tomoalign.images.source import as_source

SHIFTS = np.array([[0.0, 0.0], [2.0, -3.0], [0.4, -1.7], [-3.25, 2.5]])


@pytest.fixture(scope="module")
def stack():
    return np.random.default_rng(0).normal(size=(4, 21, 26)).astype(np.float32)


def test_same_as_scipy_inside(stack):
    moved = shift_stack(stack, SHIFTS)

    assert moved.dtype == np.float32
    for image, shift, found in zip(stack, SHIFTS, moved, strict=True):
        expected = scipy.ndimage.shift(image.astype(np.float64), shift, order=3, mode="mirror")
        inside = (slice(4, -4), slice(4, -4))
        np.testing.assert_allclose(found[inside], expected[inside], atol=2e-5)


def test_positive_shift_goes_towards_larger_index():
    stack = np.zeros((1, 12, 12), np.float32)
    stack[0, 4, 5] = 1
    moved = shift_stack(stack, [[2, -3]])
    assert np.unravel_index(moved[0].argmax(), (12, 12)) == (6, 2)


def test_whole_shift_copies_pixels_and_repeats_the_edge(stack):
    moved = shift_stack(stack[:1], [[3, -2]])[0]

    np.testing.assert_allclose(moved[3:, :-2], stack[0, :-3, 2:], atol=1e-5)
    np.testing.assert_allclose(moved[:3, :-2], np.tile(stack[0, :1, 2:], (3, 1)), atol=1e-5)
    np.testing.assert_allclose(moved[3:, -2:], np.tile(stack[0, :-3, -1:], (1, 2)), atol=1e-5)


@pytest.mark.parametrize("shift", [[0, 7.3], [0, -7.3], [6.6, 0], [-6.6, 0], [300, -300]])
def test_never_wraps_round(shift):
    # 1 in the first half along each axis: what wraps would bring the other value in
    ramp = np.zeros((1, 20, 24), np.float32)
    ramp[0, :, :12] = 1
    if shift[0]:
        ramp = np.ascontiguousarray(ramp[:, :, :20].transpose(0, 2, 1))
    moved = shift_stack(ramp, [shift])[0]

    if shift[0]:
        moved = moved.T
    along = shift[0] or shift[1]
    edge = moved[:, 0] if along > 0 else moved[:, -1]
    np.testing.assert_allclose(edge, 1.0 if along > 0 else 0.0, atol=1e-3)


def test_moves_a_smooth_image_by_a_fraction_of_a_pixel():
    def gaussian(row, column):
        r, c = np.mgrid[:32, :40]
        return np.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * 3.0**2))

    moved = shift_stack(gaussian(15, 18)[None], [[0.37, -2.61]])[0]
    np.testing.assert_allclose(moved, gaussian(15.37, 15.39), atol=2e-4)


def test_a_single_row_moves_along_its_columns_only():
    line = np.exp(-((np.arange(30) - 14.0) ** 2) / 8)
    moved = shift_stack(line[None, None], [[0.8, 1.5]])
    expected = np.exp(-((np.arange(30) - 15.5) ** 2) / 8)
    np.testing.assert_allclose(moved[0, 0], expected, atol=2e-3)


def test_every_move_starts_from_the_original(stack):
    spline = SplineStack(stack)
    spline.moved(np.full((4, 2), 5.3))
    np.testing.assert_array_equal(spline.moved(SHIFTS), shift_stack(stack, SHIFTS))


@pytest.mark.parametrize("dtype", [np.float64, np.uint16, np.int8, bool])
def test_takes_any_real_dtype_and_leaves_it_alone(stack, dtype):
    original = (10 * np.abs(stack)).astype(dtype)
    kept = original.copy()
    moved = shift_stack(original, SHIFTS, workers=1)
    np.testing.assert_array_equal(original, kept)
    np.testing.assert_allclose(moved, shift_stack(kept.astype(np.float32), SHIFTS), atol=2e-5)


def test_weights_end_where_the_image_ends():
    weights = shift_weights(None, [[2.0, 0.0], [0.0, -1.5], [-30, 0]], (3, 8, 10))

    expected = np.ones((3, 8, 10))
    expected[0, :2] = 0
    expected[1, :, 8:] = 0
    expected[2] = 0
    np.testing.assert_array_equal(weights, expected)


def test_given_weights_move_with_the_image_and_end_with_it():
    given = np.ones((2, 8, 10), np.float32)
    given[:, 3, 4] = 0
    whole, half = shift_weights(given, [[2.0, -1.0], [0.0, 0.5]], given.shape)

    expected = np.ones((8, 10))
    expected[5, 3] = 0
    expected[:2] = 0
    expected[:, 9] = 0
    np.testing.assert_array_equal(whole, expected)
    # between two pixels of which one is ignored, a pixel must not count in full
    assert (half[3, 4:6] < 1).all()
    assert (half[:, 0] == 0).all()
    assert half.min() >= 0
    assert half[6, 2] == 1


def test_an_image_is_turned_about_a_point_and_displaced_in_one_interpolation():
    """A spot, seen on pixels that are twice as high as wide, goes where trigonometry says."""

    def spot(row, column):
        r, c = np.mgrid[:24, :40]
        return np.exp(-((2 * (r - row)) ** 2 + (c - column) ** 2) / (2 * 3.0**2))

    turn, pivot, shift = 0.3, np.array([11.0, 18.5]), np.array([0.7, -1.2])
    upright = np.array([9.0, 24.0])  # where it is to come to lie
    down, along = (upright - pivot) * [2, 1]
    away = [down * np.cos(turn) - along * np.sin(turn), along * np.cos(turn) + down * np.sin(turn)]
    measured = spot(*(pivot + shift + np.array(away) / [2, 1]))
    places = places_of(shift[None], [turn], tuple(pivot), (2.0, 1.0))
    fetched = SplineStack(measured[None]).fetched(places)[0]
    np.testing.assert_allclose(fetched, spot(*upright), atol=2e-3)
    rows = SplineStack(measured[None]).fetched(places, rows=slice(5, 12))[0]
    np.testing.assert_array_equal(rows, fetched[5:12])


def test_what_is_not_turned_comes_from_where_a_shift_says(stack):
    places = places_of(-SHIFTS, np.zeros(4), (10.0, 12.5))
    fetched = SplineStack(stack).fetched(places)
    np.testing.assert_allclose(fetched, shift_stack(stack, SHIFTS), atol=2e-5)
    weights = np.random.default_rng(1).uniform(size=stack.shape).astype(np.float32)
    for given in (None, weights):
        found = fetch_weights(given, places, stack.shape)
        assert found.dtype == (np.uint8 if given is None else np.float32)
        np.testing.assert_allclose(found, shift_weights(given, SHIFTS, stack.shape), atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_turned_images_are_those_of_the_whole(weighted):
    random = np.random.default_rng(2)
    images = random.normal(size=(3, 90, 30)).astype(np.float32)
    weights = random.uniform(0.2, 1, images.shape).astype(np.float32) if weighted else None
    shifts, turning = random.uniform(-4, 4, (3, 2)), (np.array([0.1, -0.2, 0.3]), (44.5, 13.0))
    places = places_of(shifts, *turning)
    known = None if weights is None else as_source(weights)
    for rows in (slice(0, 9), slice(40, 55), slice(80, 90)):
        found, left = move_rows(as_source(images), known, shifts, rows, turning=turning)
        np.testing.assert_allclose(left, fetch_weights(weights, places, images.shape)[:, rows])
        if not weighted:
            whole = SplineStack(images).fetched(places)[:, rows]
            np.testing.assert_allclose(found, whole, atol=1e-5)
    view = common_view(shifts, images.shape[1:], places)
    assert fetch_weights(None, places, images.shape)[:, *view].all()
    assert view[0].stop - view[0].start > 60
    with pytest.raises(ValueError, match=r"'fourier' displaces images and turns none"):
        move(images, shifts, order="fourier", turning=turning)
