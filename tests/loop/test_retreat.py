"""When a run gives back where it began: what it must explain for having gone there."""

import numpy as np
import pytest

from napari_tomoalign.loop.retreat import Explained, _shared, explains_more

BEGUN = Explained(0.2, 0.1, 1000.0)


@pytest.mark.parametrize(
    ("misfit", "shared", "pixels", "far", "wide", "more"),
    [
        (0.15, 0.08, 1000.0, False, False, True),
        (0.19, 0.08, 1000.0, False, False, False),  # hardly less is missed than where it began
        (0.15, 0.10, 1000.0, False, False, False),  # less, but of the noise only
        (0.15, 0.08, 1000.0, True, False, False),  # others may fit as well
        (0.10, 0.05, 1000.0, True, False, True),
        (0.15, 0.08, 600.0, False, False, False),  # of what has left the images nothing is missed
        (0.10, 0.05, 600.0, False, False, True),
        (0.10, 0.09, 1000.0, False, True, False),  # what lies outside the images explains as much
        (0.19, 0.08, 1000.0, False, True, True),
        (0.05, 0.02, 1000.0, True, True, False),  # and any shifts
    ],
)
def test_what_a_run_must_explain(misfit, shared, pixels, far, wide, more):
    ended = Explained(misfit, shared, pixels)
    assert explains_more(ended, BEGUN, 0.0, far=far, wide=wide) is more


def test_noise_is_missed_everywhere():
    ended = Explained(0.19, 0.08, 1000.0)
    assert not explains_more(ended, BEGUN, 0.1, far=False, wide=False)
    assert explains_more(ended, BEGUN, 0.18, far=False, wide=False)


@pytest.mark.parametrize("shape", [(40, 41), (2, 64), (1, 64)])
def test_what_neighbours_miss_alike_is_told_from_noise(shape):
    rng = np.random.default_rng(0)
    weights = np.where(rng.random(shape) < 0.1, 0.0, 1.0)
    noise = [_shared(rng.standard_normal(shape), weights) for _ in range(300)]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(300)
    same = _shared(np.full(shape, 0.5), np.ones(shape))
    np.testing.assert_allclose(same, 0.25 * np.prod([n - n % min(n, 4) for n in shape]))
