"""What bad input gets: an error before any work: what was expected, what came, what to do."""

import numpy as np
import pytest
from refusing import ANGLES, COLUMNS, ROWS, STACK, N, refuse

from napari_tomoalign import align, iterate_alignment


def with_value(index, value):
    stack = STACK.copy()
    stack[index] = value
    return stack


# --- angles -------------------------------------------------------------------------------------


def test_degrees_for_radians():
    refuse(
        ValueError,
        r"must be radians; they reach 150, which looks like degrees: pass np\.deg2rad\(angles\)",
        angles=np.rad2deg(ANGLES),
    )


def test_two_turns_are_radians():
    iterate_alignment(STACK, np.linspace(0, 4 * np.pi, N), backend="builtin")


def test_fewer_angles_than_projections():
    refuse(
        ValueError, r"one for each projection, shape \(6,\); got shape \(5,\)", angles=ANGLES[:5]
    )


def test_angles_of_two_dimensions():
    refuse(ValueError, r"shape \(6,\); got shape \(6, 1\)", angles=ANGLES[:, None])


def test_angles_that_are_not_finite():
    angles = ANGLES.copy()
    angles[[2, 4]] = np.nan, np.inf
    refuse(ValueError, r"2 of 6 angles are not finite \(the first at index 2\)", angles=angles)


def test_angles_that_are_all_the_same():
    refuse(ValueError, r"all angles are the same \(0\.5 rad\)", angles=np.full(N, 0.5))


def test_angles_that_are_words():
    refuse(TypeError, "angles must be numbers in radians, got", angles=["a"] * N)


# --- projections --------------------------------------------------------------------------------


def test_nan_says_how_many_where_and_how_to_mask():
    stack = with_value((4, 2, 7), np.nan)
    stack[5, 3, 1] = np.inf
    refuse(
        ValueError,
        r"2 values of the projections are NaN or infinite, in 2 of 6 projections \(the first at "
        r"\(4, 2, 7\)\): mask them with weights=np\.isfinite\(projections\)",
        projections=stack,
    )


def test_nan_may_hide_under_a_mask_and_only_there():
    stack = with_value((4, 2, 7), np.nan)
    run = iterate_alignment(stack, ANGLES, weights=np.isfinite(stack), backend="builtin")
    assert np.isfinite(run.projections).all()
    weights = np.ones(STACK.shape)
    weights[4, 2, 6] = 0
    refuse(ValueError, r"1 values .* \(4, 2, 7\)", projections=stack, weights=weights)


def test_nan_in_one_channel():
    stack = np.repeat(STACK[..., None], 2, axis=3)
    stack[1, 2, 3, 0] = np.nan
    refuse(ValueError, r"NaN or infinite, in 1 of 6 projections .*\(1, 2, 3", projections=stack)


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3"])
def test_numbers_that_are_not_real(dtype):
    refuse(TypeError, "must be real numbers.*got dtype", projections=STACK.astype(dtype))


def test_complex_says_what_to_do():
    refuse(TypeError, "take the modulus or the phase", projections=STACK.astype(np.complex128))


@pytest.mark.parametrize("shape", [(16,), (10, 16), (0, 10, 16), (6, 0, 16), (6, 10, 16, 2, 2)])
def test_shapes_that_are_no_stack(shape):
    refuse(
        ValueError,
        r"must be \(n_angles, n_rows, n_columns\).*got shape \(" + str(shape[0]),
        projections=np.zeros(shape, np.float32),
    )


def test_too_few_projections():
    refuse(
        ValueError,
        "at least 3 projections are needed, got 2: is the first axis the angle",
        projections=STACK[:2],
        angles=ANGLES[:2],
    )


def test_too_narrow():
    refuse(
        ValueError,
        r"at least 8 columns wide, got 5: are the axes in the order \(n_angles, n_rows, n_columns",
        projections=STACK[:, :, :5],
    )


# --- weights, centre, shifts --------------------------------------------------------------------


def test_weights_of_another_shape():
    refuse(
        ValueError,
        r"the shape of the projections, \(6, 10, 16\), or of one image, \(10, 16\); got \(6, 16\)",
        weights=np.ones((6, 16)),
    )


@pytest.mark.parametrize(
    ("value", "said"), [(1.5, "1 to 1.5"), (-0.1, "-0.1 to 1"), (255, "to 255")]
)
def test_weights_out_of_range(value, said):
    weights = np.ones(STACK.shape)
    weights[0, 0, 0] = value
    refuse(
        ValueError, f"between 0 .ignore the pixel. and 1, got values from .*{said}", weights=weights
    )


def test_weights_that_are_nan():
    weights = np.ones(STACK.shape)
    weights[0, 0, :3] = np.nan
    refuse(
        ValueError,
        "weights must be finite, but 3 are NaN or infinite: set those to 0",
        weights=weights,
    )


def test_weights_that_leave_nothing():
    refuse(ValueError, "all weights are 0, so no pixel is left", weights=np.zeros((ROWS, COLUMNS)))


def test_weights_that_are_complex():
    refuse(
        TypeError, "weights must be real numbers or a boolean", weights=np.ones((10, 16), complex)
    )


def test_weights_of_one_image_stand_for_all():
    mask = np.ones((ROWS, COLUMNS), bool)
    mask[2, 3] = False
    run = iterate_alignment(STACK, ANGLES, weights=mask, backend="builtin")
    assert run.weights.shape == STACK.shape
    assert not run.weights[:, 2, 3].any()
    assert run.weights.sum() == N * (ROWS * COLUMNS - 1)


@pytest.mark.parametrize("center", [-0.5, 15.5, 400, np.nan])
def test_a_centre_outside_the_image(center):
    refuse(ValueError, r"center must lie inside the image, 0 to 15; got", center=center)


@pytest.mark.parametrize("center", ["7", True, [7.0]])
def test_a_centre_that_is_no_number(center):
    refuse(TypeError, "center must be a column, a number of pixels; got", center=center)


def test_initial_shifts_of_another_shape():
    refuse(
        ValueError,
        r"\(row, column\) for each projection, shape \(6, 2\); got \(2, 6\)",
        initial_shifts=np.zeros((2, 6)),
    )


def test_initial_shifts_that_are_not_finite():
    shifts = np.zeros((N, 2))
    shifts[3, 1] = np.nan
    refuse(ValueError, "must be finite; 1 of 6 are not: set those to 0", initial_shifts=shifts)


def test_nothing_that_shows_contrast():
    with pytest.raises(ValueError, match="no projection that may be registered shows any contrast"):
        align(np.ones_like(STACK), ANGLES, backend="builtin", progress=False)


def test_values_beyond_single_precision_are_not_called_nan():
    huge = STACK.astype(np.float64) * 1e300
    refuse(ValueError, "more than single precision holds: divide them", projections=huge)


def test_values_below_single_precision_are_not_aligned_by_what_is_left_of_them():
    for factor in (1e-20, 1e-44):
        with pytest.raises(ValueError, match="less than single precision holds: multiply them"):
            align(factor * STACK.astype(np.float64), ANGLES, backend="builtin", progress=False)


def test_projections_of_unequal_size():
    ragged = [np.ones((8, 8)), np.ones((8, 9)), np.ones((8, 8))]
    refuse(ValueError, "must be images of one size", projections=ragged, angles=ANGLES[:3])


def test_initial_shifts_that_are_no_numbers():
    refuse(TypeError, "initial_shifts must be numbers, pixels, got 'abc'", initial_shifts="abc")
    turned = np.zeros((N, 2), complex)
    refuse(TypeError, "initial_shifts must be real numbers, pixels; got", initial_shifts=turned)
    hidden = np.ma.masked_array(np.zeros((N, 2)), mask=False)
    hidden[2, 1] = np.ma.masked
    refuse(ValueError, "must be finite; 1 of 6 are not", initial_shifts=hidden)


# --- what makes no sense ------------------------------------------------------------------------


def test_complex_angles():
    refuse(TypeError, "angles must be real numbers, radians; got complex", angles=ANGLES + 0j)


def test_initial_shifts_beyond_the_image():
    shifts = np.zeros((N, 2))
    shifts[3] = 1, COLUMNS + 1
    refuse(
        ValueError,
        r"displace 1 of 6 projections by more than their 10 x 16 pixels \(projection 3: 1, 17\)",
        initial_shifts=shifts,
    )


def test_data_whose_squares_are_out_of_range():
    refuse(ValueError, r"reach .*e\+30, .* divide them", projections=1e30 * STACK)
    garbage = with_value((2, 3, 4), 1e30)
    weights = np.ones(STACK.shape)
    weights[2, 3, 4] = 0
    iterate_alignment(garbage, ANGLES, weights=weights, backend="builtin")
