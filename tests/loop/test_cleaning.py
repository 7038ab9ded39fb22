"""What only a reconstruction tells from the object is taken out of the images."""

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


def test_planes_of_images_that_the_object_fills_are_taken_out_when_asked_for() -> None:
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
