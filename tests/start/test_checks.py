"""What bad input gets: an error before any work: what was expected, what came, what to do."""

import importlib.util
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.alignment import Resume
from napari_tomoalign.backends import BackendUnavailable
from napari_tomoalign.parameters import AlignmentParameters

N, ROWS, COLUMNS = 6, 10, 16
STACK = np.random.default_rng(0).uniform(0.5, 1, (N, ROWS, COLUMNS)).astype(np.float32)
ANGLES = np.linspace(0, np.pi, N, endpoint=False)


def refuse(error, match, projections=STACK, angles=ANGLES, **options):
    """Both faces refuse when they are called, before a state is asked for."""
    options = {"backend": "builtin", **options}
    with pytest.raises(error, match=match):
        iterate_alignment(projections, angles, **options)
    with pytest.raises(error, match=match):
        align(projections, angles, progress=False, **options)


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


# --- parameters that meet the data --------------------------------------------------------------


@pytest.mark.parametrize(
    ("cropping", "said"),
    [
        (((4, 4), (0, 16)), r"leaves 0 of 10 rows \(4:4\): at least 4"),
        (((0, 10), (9, 3)), r"leaves 0 of 16 columns \(9:3\)"),
        (((0, 10), (40, 50)), r"leaves 0 of 16 columns \(40:50\)"),
        (((0, 3), (0, 16)), r"leaves 3 of 10 rows"),
    ],
)
def test_an_empty_crop(cropping, said):
    refuse(ValueError, "projection_cropping " + said, projection_cropping=cropping)


def test_everything_ignored():
    refuse(ValueError, "ignored_subset names every projection", ignored_subset=range(N))


def test_ignoring_what_does_not_exist():
    refuse(
        ValueError,
        "ignored_subset names projection 6, but there are 6: 0 to 5",
        ignored_subset=(0, 6),
    )


def test_levels_that_leave_too_little():
    refuse(
        ValueError,
        "starts at binning 4, which leaves 4 of 16 columns: at least 8 are needed",
        levels=(4, 1),
    )


def test_nothing_that_shows_contrast():
    with pytest.raises(ValueError, match="no projection that may be registered shows any contrast"):
        align(np.ones_like(STACK), ANGLES, backend="builtin", progress=False)


# --- names --------------------------------------------------------------------------------------


def test_unknown_parameters_list_the_known_ones():
    refuse(
        TypeError,
        "unknown parameter 'max_iter', 'upsampleing'; known are maxiter, .*upsampling, .*seed",
        max_iter=3,
        upsampleing=3,
    )


def test_an_unknown_backend_lists_the_known_ones():
    refuse(
        ValueError,
        "unknown backend 'astra'; known are 'auto', 'tomopy', 'builtin'",
        backend="astra",
    )


def test_a_backend_of_another_type():
    refuse(TypeError, "a name or an object that fulfils the Backend protocol, got int", backend=3)


def test_a_backend_that_is_not_installed_says_how(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tomopy" else find(name, *a)
    )
    refuse(
        BackendUnavailable,
        "needs tomopy, which is not installed here: conda install -c conda-forge tomopy",
        backend="tomopy",
    )


def test_an_unknown_algorithm_lists_the_known_ones():
    refuse(
        ValueError,
        "unknown algorithm 'artist' for backend 'builtin'; known are fbp, sirt, gradient, ordered",
        reconstruction_pipeline="artist",
    )


def test_an_unknown_option_lists_the_known_ones():
    refuse(
        ValueError,
        "'sirt' of backend 'builtin' has no option 'iters'; known are num_iter, non_negative",
        reconstruction_pipeline="sirt",
        reconstruction_pipeline_kwargs={"iters": 3},
    )


def test_a_gpu_that_is_not_there():
    refuse(
        BackendUnavailable,
        "use_gpu=True, but the built-in engine runs on the CPU only: set use_gpu=False",
        use_gpu=True,
    )


# --- resume -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped():
    _, second, *_ = iterate_alignment(STACK, ANGLES, backend="builtin", maxiter=3)
    return second


def test_resuming_another_scan(stopped):
    refuse(
        ValueError,
        "resume belongs to a scan of 6 projections, this one has 5: it is another scan",
        projections=STACK[:5],
        angles=ANGLES[:5],
        resume=Resume(stopped.history, dict(stopped.generator_state)),
    )


def test_resuming_what_is_over(stopped):
    refuse(
        ValueError,
        "resume has 2 iterations behind it and maxiter is 1: raise maxiter to go on",
        maxiter=1,
        resume=Resume(stopped.history, dict(stopped.generator_state)),
    )


def test_resuming_a_narrower_scan(stopped):
    moved = replace(stopped.history[-1], center=STACK.shape[2] + 3.0)
    refuse(
        ValueError,
        "resume has the rotation axis at column .* this scan has .* columns: it is another scan",
        resume=Resume((*stopped.history[:-1], moved), dict(stopped.generator_state)),
    )


def test_resuming_at_other_levels(stopped):
    refuse(
        ValueError,
        "resume went through the binnings 1, levels are 2, 1: go on with the levels of that run",
        levels=(2, 1),
        resume=Resume(stopped.history, dict(stopped.generator_state)),
    )


@pytest.mark.parametrize("state", [{}, {"bit_generator": "MT19937"}, {"bit_generator": "PCG64"}])
def test_resuming_with_a_foreign_generator(stopped, state):
    refuse(
        ValueError,
        "resume has a generator state that is not the one of a PCG64 generator",
        resume=Resume(stopped.history, state),
    )


def test_resuming_nothing():
    refuse(ValueError, "resume has an empty history: start a new run", resume=Resume((), {}))


# --- values of parameters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"maxiter": 0}, ValueError, "maxiter must be between 1 and 1000000, got 0"),
        ({"maxiter": 2.5}, TypeError, "maxiter must be a whole number, got 2.5"),
        ({"maxiter": True}, TypeError, "maxiter must be a whole number"),
        ({"upsampling": 0}, ValueError, "upsampling must be between 1 and 1000, got 0"),
        ({"seed": -1}, ValueError, "seed must be between 0 and .*, got -1"),
        ({"workers": 0}, ValueError, "workers must be between 1 and 1024, got 0"),
        ({"workers": 10**30}, ValueError, "workers must be between 1 and 1024, got 1000"),
        (
            {"shift_tolerance": 0},
            ValueError,
            "shift_tolerance .* between 1e-12 and 100, got 0",
        ),
        ({"shift_tolerance": np.nan}, ValueError, "shift_tolerance must be between .*, got nan"),
        ({"shift_cutoff": -1}, ValueError, "shift_cutoff must be between 1e-12 and 1000, got -1"),
        ({"shift_cutoff": np.inf}, ValueError, "shift_cutoff must be between .*, got inf"),
        ({"relative_sample_size": 0}, ValueError, "must be between 0.01 and 1, got 0"),
        ({"relative_sample_size": 1.1}, ValueError, "must be between 0.01 and 1, got 1.1"),
        (
            {"relaxation_weight": -0.1},
            ValueError,
            "relaxation_weight .* between 0 and 10, got -0.1",
        ),
        ({"center_of_mass_shift_weight": 2}, ValueError, "must be between 0 and 1, got 2"),
        ({"align_vertical": 1}, TypeError, "align_vertical must be True or False, got 1"),
        (
            {"align_vertical": False, "align_horizontal": False},
            ValueError,
            "both off, so there is nothing to align: switch at least one of them on",
        ),
        ({"normalization": "Phase"}, ValueError, "must be None or 'phase', got 'Phase'"),
        ({"reconstruction_pipeline": 3}, TypeError, "name of an algorithm, a callable .*got int"),
        ({"reconstruction_pipeline_kwargs": [1]}, TypeError, "must be a mapping .* got list"),
        ({"ignored_subset": "3"}, TypeError, r"a sequence of indices such as \(0, 5, 6\), got '3'"),
        ({"ignored_subset": (1.5,)}, TypeError, "each index in ignored_subset must be a whole"),
        ({"ignored_subset": (-1,)}, ValueError, "each index in ignored_subset must be at least 0"),
        ({"projection_cropping": (3, 5)}, ValueError, r"must be \(rows, columns\), each a slice"),
        (
            {"projection_cropping": (slice(0, 8, 2), slice(None))},
            ValueError,
            "without a step",
        ),
        ({"levels": (1, 2)}, ValueError, r"must fall from coarse to fine, such as .* got \(1, 2\)"),
        ({"levels": ()}, ValueError, "must fall from coarse to fine"),
        ({"levels": 4}, TypeError, r"levels must be a sequence such as \(4, 2, 1\), got 4"),
        ({"levels": (2, 0)}, ValueError, "each binning in levels must be at least 1, got 0"),
    ],
)
def test_values_out_of_range(values, error, said):
    with pytest.raises(error, match=said):
        AlignmentParameters(**values)
    refuse(error, said, **values)


def test_every_stated_range_is_the_enforced_one():
    hints = get_type_hints(AlignmentParameters, include_extras=True)
    ranges = {name: get_args(hint) for name, hint in hints.items() if hasattr(hint, "__metadata__")}
    assert len(ranges) >= 8
    for name, (kind, limits) in ranges.items():
        step = 1 if int in (kind, *get_args(kind)) else 1e-6
        for end, outside in ((limits["min"], -step), (limits["max"], step)):
            assert getattr(AlignmentParameters(**{name: end}), name) == end
            with pytest.raises(ValueError, match=f"{name} must be between"):
                AlignmentParameters(**{name: end + outside})


def test_numpy_numbers_are_numbers():
    parameters = AlignmentParameters(
        maxiter=np.int64(3),
        shift_cutoff=np.float32(0.5),
        align_vertical=np.bool_(False),
        ignored_subset=np.array([3, 1, 3]),
        levels=np.array([2, 1]),
        projection_cropping=((1, 9), (None, 12)),
    )
    assert parameters.ignored_subset == (1, 3)
    assert parameters.levels == (2, 1)
    assert parameters.align_vertical is False
    assert parameters.projection_cropping == (slice(1, 9), slice(None, 12))
    assert AlignmentParameters.from_dict(parameters.to_dict()) == parameters


def test_values_beyond_single_precision_are_not_called_nan():
    huge = STACK.astype(np.float64) * 1e300
    refuse(ValueError, "more than single precision holds: divide them", projections=huge)


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


def test_a_callback_that_cannot_be_called():
    with pytest.raises(TypeError, match="callback must be callable with each state, got 3"):
        align(STACK, ANGLES, backend="builtin", callback=3, progress=False)


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
