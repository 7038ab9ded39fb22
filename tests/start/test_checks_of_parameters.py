"""What bad parameters get: an error before any work: what was expected, what came, what to do."""

import importlib.util
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
from refusing import ANGLES, STACK, N, refuse

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.alignment import Resume
from napari_tomoalign.backends import BackendUnavailable
from napari_tomoalign.parameters import AlignmentParameters

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
        resume=Resume.of(stopped),
    )


def test_resuming_what_is_over(stopped):
    refuse(
        ValueError,
        "resume has 2 iterations behind it and maxiter is 1: raise maxiter to go on",
        maxiter=1,
        resume=Resume.of(stopped),
    )


@pytest.mark.parametrize("part", [np.s_[:, :, :-4], np.s_[:, 1:]], ids=["narrower", "lower"])
def test_resuming_a_scan_that_was_cut(stopped, part):
    refuse(
        ValueError,
        r"resume belongs to images of .* pixels, these have .*: it is another scan, or .* cut",
        projections=STACK[part],
        resume=Resume.of(stopped),
    )


def test_resuming_at_other_levels(stopped):
    refuse(
        ValueError,
        "resume went through the binnings 1, levels are 2, 1: go on with the levels of that run",
        levels=(2, 1),
        resume=Resume.of(stopped),
    )


PCG64 = np.random.default_rng().bit_generator.state


@pytest.mark.parametrize(
    "state",
    [{}, {"bit_generator": "MT19937"}, {"bit_generator": "PCG64"}]
    + [PCG64 | {"state": {"state": number, "inc": 1}} for number in (-1, 2**200, "x")],
)
def test_resuming_with_a_foreign_generator(stopped, state):
    refuse(
        ValueError,
        "resume has a generator state that is not the one of a PCG64 generator",
        resume=replace(Resume.of(stopped), generator_state=state),
    )


def test_resuming_nothing():
    refuse(TypeError, "resume must be a Resume, or None; got tuple", resume=((), {}))
    refuse(
        ValueError, "resume has an empty history: start a new run", resume=Resume((), {}, (8, 8))
    )
    refuse(TypeError, "resume must have the history of a state", resume=Resume([1], {}, (8, 8)))


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


def test_a_callback_that_cannot_be_called():
    with pytest.raises(TypeError, match="callback must be callable with each state, got 3"):
        align(STACK, ANGLES, backend="builtin", callback=3, progress=False)
