"""Offsets and ramps that differ from frame to frame, where no vacuum shows them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
if not (CASES / "foreign.py").is_file():
    pytest.skip(f"{CASES / 'foreign.py'} is not here", allow_module_level=True)
sys.path.insert(0, str(CASES))
import foreign  # noqa: E402

TWICE_THE_BOUND_OR = 0.05  # pixels


def filling(**systematics):
    """Return a scan of an object that fills the images, and its alignment with defaults."""
    case = foreign.make("porous", n=40, angles=40, seed=34, bound=False, **systematics)
    found = align(case["prj"], case["theta"], backend="builtin", progress=False)
    return case, found


def told(found):
    return [note for note in found.diagnosis if "background" in note and "was told" in note]


@pytest.mark.parametrize(
    ("systematics", "word"), [({"ramp": 0.05}, "a plane"), ({"intensity": 0.1}, "an offset")]
)
def test_backgrounds_are_found_and_taken_out_where_the_object_fills_the_images(systematics, word):
    case, found = filling(**systematics)
    assert foreign.error(case, np.zeros_like(found.shifts))[2] > 2
    assert foreign.error(case, found.shifts, found.center)[2] < TWICE_THE_BOUND_OR
    assert found.converged
    assert word in told(found)[0]


def test_what_the_borders_tell_is_mended_where_the_object_reaches_them():
    case = foreign.make("porous", n=40, angles=40, seed=33, bound=False, ramp=0.1)
    found = align(case["prj"], case["theta"], backend="builtin", progress=False)
    assert foreign.error(case, found.shifts, found.center)[2] < TWICE_THE_BOUND_OR
    assert found.converged


def test_nothing_is_taken_out_where_there_is_no_background():
    _, found = filling()
    assert found.converged
    assert not told(found)


def test_they_stay_where_the_caller_wants_none_taken_out():
    case = foreign.make("porous", n=40, angles=40, seed=34, bound=False, ramp=0.05)
    found = align(case["prj"], case["theta"], backend="builtin", background="none", progress=False)
    assert not told(found)
    assert not found.converged


def test_planes_of_images_that_the_object_fills_are_taken_out_when_asked_for():
    case = foreign.make(
        "porous", n=48, angles=50, width=1.5, height=1.5, ramp=0.1, seed=22, bound=False
    )
    found = align(
        case["prj"],
        case["theta"],
        backend="builtin",
        background="plane",
        maxiter=12,
        progress=False,
    )
    start = foreign.error(case, np.zeros_like(found.shifts))[2]
    assert start > 2.5
    assert foreign.error(case, found.shifts, found.center)[2] < 0.2
