"""Medians over the angles leave out what was not seen, as NumPy's do pixel by pixel."""

import warnings

import numpy as np
import pytest

from napari_tomoalign.loop.cleaning import _medians


@pytest.mark.parametrize("n", [1, 6, 41])
def test_medians_are_those_without_nan(n):
    rng = np.random.default_rng(n)
    lines = rng.normal(size=(n, 30)).astype(np.float32)
    lines[rng.random(lines.shape) < 0.3] = np.nan
    lines[:, 4] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of nothing
        expected = np.nanmedian(lines, axis=0)
    np.testing.assert_array_equal(_medians(lines), expected)
