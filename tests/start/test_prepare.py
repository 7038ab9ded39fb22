"""Where the loop starts: first estimates where they mean something, and nothing elsewhere."""

import numpy as np
import pytest

from napari_tomoalign import alignment_error, iterate_alignment
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare


def start_of(scan, **options):
    return prepare(iterate_alignment(scan.projections, scan.angles, backend="builtin", **options))


def test_a_whole_object_gives_a_first_estimate():
    scan = simulate(40, 24, noise=0.01, seed=3)
    start = start_of(scan, center=scan.center)
    assert alignment_error(start.shifts, scan.shifts, scan.angles) < 0.6
    assert alignment_error(0 * scan.shifts, scan.shifts, scan.angles) > 2


def test_the_first_estimate_is_off_on_request():
    start = start_of(simulate(40, 24, noise=0.01, seed=3), initial_estimate=False)
    assert not start.shifts.any()
    assert start.geometry.center == 19.5


def test_a_direction_that_is_off_is_not_estimated():
    start = start_of(simulate(40, 24, noise=0.01, seed=3), align_vertical=False)
    assert not start.shifts[:, 0].any()
    assert start.shifts[:, 1].any()


@pytest.mark.parametrize(
    "settings", [{"truncation": 1.6}, {"noise": 0.35}], ids=["truncated", "noisy"]
)
def test_centres_of_mass_that_mean_nothing_are_not_used(settings):
    start = start_of(simulate(40, 24, seed=0, **settings))
    np.testing.assert_array_equal(start.shifts, 0)
    assert start.geometry.center == 19.5
