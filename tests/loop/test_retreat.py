"""When a run gives back where it began: what it must explain for having gone there."""

import pytest

from napari_tomoalign.loop.retreat import Explained, explains_more

BEGUN = Explained(0.2, 1000.0)


@pytest.mark.parametrize(
    ("misfit", "pixels", "far", "wide", "more"),
    [
        (0.15, 1000.0, False, False, True),
        (0.19, 1000.0, False, False, False),  # hardly less is missed than where it began
        (0.15, 1000.0, True, False, False),  # others may fit as well
        (0.10, 1000.0, True, False, True),
        (0.15, 600.0, False, False, False),  # of what has left the images nothing is missed
        (0.10, 600.0, False, False, True),
        (0.10, 1000.0, False, True, False),  # what lies outside the images explains as much
        (0.05, 1000.0, False, True, True),
    ],
)
def test_what_a_run_must_explain(misfit, pixels, far, wide, more):
    assert explains_more(Explained(misfit, pixels), BEGUN, 0.0, far=far, wide=wide) is more


def test_noise_is_missed_everywhere():
    assert not explains_more(Explained(0.19, 1000.0), BEGUN, 0.1, far=False, wide=False)
    assert explains_more(Explained(0.19, 1000.0), BEGUN, 0.18, far=False, wide=False)
