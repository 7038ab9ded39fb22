"""What tests of the GPU engine share: Warp's CPU device, and how close its answers are to be."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tomoalign.backends import get_backend

pytest.importorskip("warp", reason='Warp is not installed (pip install "napari-tomoalign[gpu]")')

CPU = get_backend("warp").devices[0]


def close(found, expected, share=3e-6):
    np.testing.assert_allclose(found, expected, atol=share * np.abs(expected).max())
