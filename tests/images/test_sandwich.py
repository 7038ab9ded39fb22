"""Standard errors against the scatter of shifts that were really found."""

import numpy as np
import pytest
from one_step import one_step
from scipy.ndimage import gaussian_filter

from napari_tomoalign.images.precision import scatter_of
from napari_tomoalign.images.shifting import shift_stack

BLUR = 0.8
REPEATS = 400


def image(rng: np.random.Generator, shape=(40, 48), detail=1.2) -> np.ndarray:
    field = gaussian_filter(rng.standard_normal(shape), detail)
    window = np.outer(np.hanning(shape[0]), np.hanning(shape[1]))
    return (window * (1 + field / field.std())).astype(np.float32)


def stacks(model: np.ndarray, noise: np.ndarray):
    measured = (model + noise).astype(np.float32)
    template = np.broadcast_to(gaussian_filter(model, BLUR), measured.shape)
    weights = np.ones_like(measured)
    return measured, np.ascontiguousarray(template), np.broadcast_to(model, measured.shape), weights


def at_rest(measured, template, weights) -> np.ndarray:
    """Return the shifts that steps lead to, each from the original."""
    shifts = np.zeros((len(measured), 2))
    for _ in range(8):
        shifts += one_step(shift_stack(measured, -shifts), template, weights).shifts
    return shifts


@pytest.mark.parametrize("detail", [1.0, 1.5, 3.0])
def test_white_noise_is_stated_as_it_scatters_whatever_the_template_is_smoothed_with(detail):
    rng = np.random.default_rng(1)
    model = image(rng, detail=detail)
    measured, template, sharp, weights = stacks(model, rng.normal(0, 0.05, (REPEATS, 40, 48)))
    true = at_rest(measured, template, weights).std(axis=0)
    scatter = scatter_of(measured, template, sharp, weights)
    np.testing.assert_allclose(0.05 * scatter.unit.mean(axis=0), true, rtol=0.15)
    for view in (scatter.pixels, scatter.blocks):
        np.testing.assert_allclose(np.sqrt(np.mean(view**2, axis=0)), true, rtol=0.15)


def test_misfit_that_neighbours_share_shows_in_blocks_and_not_in_pixels():
    rng = np.random.default_rng(2)
    model = image(rng)
    smooth = np.stack([gaussian_filter(rng.standard_normal(model.shape), 2) for _ in range(100)])
    measured, template, sharp, weights = stacks(model, 0.05 * smooth / smooth.std())
    found = at_rest(measured, template, weights).std(axis=0)
    scatter = scatter_of(measured, template, sharp, weights)
    pixels, blocks = (np.sqrt(np.mean(v**2, axis=0)) for v in (scatter.pixels, scatter.blocks))
    assert (blocks > 2 * pixels).all()
    assert (pixels < found / 2).all()
    np.testing.assert_allclose(blocks, found, rtol=0.35)


def test_what_weights_hide_has_no_say():
    rng = np.random.default_rng(3)
    measured, template, sharp, weights = stacks(image(rng), rng.normal(0, 0.05, (1, 40, 48)))
    weights[:, :, 30:] = 0
    before = scatter_of(measured, template, sharp, weights)
    measured[:, :, 34:] = 1e3
    after = scatter_of(measured, template, sharp, weights)
    np.testing.assert_array_equal(before.pixels, after.pixels)
    np.testing.assert_array_equal(before.blocks, after.blocks)


def test_a_direction_that_shows_nothing_has_no_error():
    rng = np.random.default_rng(4)
    line = np.broadcast_to(image(rng)[20], (1, 48)).astype(np.float32)
    measured, template, sharp, weights = stacks(line, rng.normal(0, 0.05, (3, 1, 48)))
    scatter = scatter_of(measured, template, sharp, weights)
    assert np.isnan(scatter.unit[:, 0]).all()
    assert np.isfinite(scatter.unit[:, 1]).all()
    blank = np.zeros((2, 20, 20), np.float32)
    scatter = scatter_of(blank, blank, blank, np.ones_like(blank))
    assert np.isnan(scatter.unit).all()
