"""Stripes and zingers are suspected where they are, and not where they are not."""

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.detector import Detector, look_at_detector


def suspected(stack):
    stack = np.asarray(stack, np.float32)
    used, hidden = np.ones(len(stack), bool), np.zeros(stack.shape[1:], bool)
    return look_at_detector(survey_of(stack), used, hidden)


@pytest.mark.parametrize("kind", ["ellipsoids", "granular", "fibrous", "shell", "soft"])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_nothing_in_a_clean_scan(kind, noise):
    assert suspected(simulate(48, 30, noise=noise, kind=kind, seed=2).projections) == Detector(
        striped=False, hit=False
    )


def test_stripes_and_patterns():
    scan = simulate(48, 30, noise=0.02, seed=2)
    rng, largest = np.random.default_rng(0), scan.projections.max()
    stripes = 0.03 * largest * rng.normal(size=48)
    pattern = 0.05 * largest * rng.normal(size=(48, 48))
    assert suspected(scan.projections + stripes) == Detector(striped=True, hit=False)
    assert suspected(scan.projections + pattern) == Detector(striped=True, hit=False)


def test_zingers_are_no_stripes():
    scan = simulate(48, 30, noise=0.02, seed=2)
    rng = np.random.default_rng(0)
    hit = rng.random(scan.projections.shape) < 0.002
    images = np.where(hit, scan.projections - scan.projections.max(), scan.projections)
    assert suspected(images) == Detector(striped=False, hit=True)


def test_what_ten_flat_fields_leave_is_too_little_to_move_frames():
    scan = simulate(32, 400, noise=0.02, seed=2)
    noise = 0.02 * scan.projections.max()
    pattern = np.random.default_rng(0).normal(size=(32, 32))
    assert suspected(scan.projections + 0.3 * noise * pattern) == Detector(striped=False, hit=False)
    assert suspected(scan.projections + noise * pattern) == Detector(striped=True, hit=False)
