"""Where the axis lies, from projections half a turn apart that share a strip."""

import numpy as np
import pytest

from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.opposite import axis_from_opposite, opposite_pairs


@pytest.mark.parametrize("left", [True, False])
def test_the_axis_of_half_an_acquisition(left):
    scan = simulate(72, 72, angular_range=360, noise=0.02, jitter=2.0, drift=0.0, seed=4)
    cut = slice(30, 72) if left else slice(0, 42)
    pairs = opposite_pairs(scan.angles, np.ones(72, bool))
    found = axis_from_opposite(scan.projections[:, :, cut], pairs, left=left)
    assert found == pytest.approx(scan.center - cut.start, abs=1)


def test_pairs_lie_half_a_turn_apart():
    angles = np.random.default_rng(1).permutation(np.deg2rad(np.arange(0.0, 360.0, 10.0)))
    used = np.ones(36, bool)
    pairs = opposite_pairs(angles, used)
    np.testing.assert_allclose(np.diff(angles[pairs], axis=1), np.pi)
    assert len(pairs) == 18
    used[pairs[3, 1]] = False
    assert len(opposite_pairs(angles, used)) == 17
    assert not len(opposite_pairs(np.linspace(0, 3, 20), np.ones(20, bool)))
