"""Patterns of the detector are taken out before the first iteration."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.alignment import Resume

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
if not (CASES / "foreign.py").is_file():
    pytest.skip(f"{CASES / 'foreign.py'} is not here", allow_module_level=True)
sys.path.insert(0, str(CASES))
import foreign  # noqa: E402


def test_a_resumed_run_cleans_the_images_as_the_first_run_did():
    case = foreign.make("porous", n=40, angles=24, seed=34, bound=False, rings=0.1)

    def run(**options):
        return list(
            iterate_alignment(case["prj"], case["theta"], backend="builtin", maxiter=4, **options)
        )

    whole = run()
    assert any("stripes" in note for note in whole[-1].diagnosis)
    second = whole[1]
    resumed = run(resume=Resume.of(second))
    np.testing.assert_array_equal(resumed[-1].shifts, whole[-1].shifts)


def test_edges_about_an_axis_that_is_not_told_are_not_taken_for_hits():
    case = foreign.make("porous", n=48, angles=40, i0=20000.0, seed=3, inplane=2.0, jitter=1.0)
    found = align(
        case["prj"], case["theta"], backend="builtin", refine=("axis_angle",), progress=False
    )
    # 0.085 where 87 pixels at edges were left out, at which the images contradict the axis.
    assert abs(np.rad2deg(found.geometry.axis_angle) + 2.0) < 0.03
