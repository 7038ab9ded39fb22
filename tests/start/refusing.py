"""What tests of the checks share: a stack that is good, and a call that must be refused."""

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment

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
