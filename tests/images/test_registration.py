"""Capture and refinement of shifts, on images whose shifts are known in closed form."""

import numpy as np
import pytest
from one_step import one_step
from skimage.registration import phase_cross_correlation

from napari_tomoalign.images.capturing import correlate
from napari_tomoalign.images.refining import slopes

SPOTS = np.random.default_rng(7).uniform([0.25, 0.25, 2.0, 0.4], [0.75, 0.75, 4.0, 1.0], (6, 4))


def image(shape=(40, 48), shift=(0.0, 0.0)):
    """Gaussian spots, displaced by a shift: no interpolation takes part."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    out = np.zeros(shape)
    for r, c, sigma, height in SPOTS:
        r, c = r * shape[0] + shift[0], c * shape[1] + shift[1]
        out += height * np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * sigma**2))
    return out.astype(np.float32)


def texture(shape, shift, seed=0):
    """Fine texture on a large field, cut out at a whole shift: new content comes in at the edge."""
    field = np.random.default_rng(seed).normal(size=(shape[0] + 60, shape[1] + 60))
    top, left = 30 - shift[0], 30 - shift[1]
    return field[top : top + shape[0], left : left + shape[1]].astype(np.float32)


def pair(shifts, shape=(40, 48)):
    """The displaced images, the reference each, and weights of 1."""
    measured = np.stack([image(shape, s) for s in shifts])
    reference = np.stack([image(shape)] * len(shifts))
    return measured, reference, np.ones_like(measured)


@pytest.mark.parametrize("shape", [(40, 48), (37, 51), (48, 33)])
def test_whole_shifts(shape):
    shifts = np.array([[0, 0], [3, -5], [-7, 2], [-1, 9]])
    found = correlate(*pair(shifts, shape))
    np.testing.assert_array_equal(found.shifts, shifts)
    assert (found.peak > 0.99).all()


@pytest.mark.parametrize("shape", [(40, 48), (37, 51)])
def test_sub_pixel_shifts(shape):
    shifts = np.array([[0.37, -0.81], [2.64, 3.13], [-4.45, -0.08]])
    found = correlate(*pair(shifts, shape), upsampling=100)
    np.testing.assert_allclose(found.shifts, shifts, atol=0.03)


def test_a_peak_between_the_multiples_does_not_depend_on_rounding():
    """Midway between two multiples rounding takes either; the tops seen from both are one place,
    to a tenth of what lies between them."""
    measured, reference, weights = pair(np.array([[0.345, -0.205], [1.115, 2.005]]))
    noise = 1e-6 * np.random.default_rng(0).standard_normal(reference.shape).astype(np.float32)
    one, other = (
        correlate(measured, images, weights, upsampling=100, between=True).shifts
        for images in (reference, reference + noise * np.abs(reference).max())
    )
    np.testing.assert_allclose(one, other, atol=1e-3)
    coarse = correlate(measured, reference, weights, upsampling=100).shifts
    assert 0 < np.abs(one - coarse).max() < 1 / 100


@pytest.mark.parametrize("upsampling", [1, 2, 5, 7, 40])
def test_shifts_are_multiples_of_the_upsampled_pixel(upsampling):
    shifts = np.array([[0.37, -0.81], [2.64, 3.13]])
    found = correlate(*pair(shifts), upsampling=upsampling).shifts
    np.testing.assert_allclose(found * upsampling, np.round(found * upsampling), atol=1e-6)
    np.testing.assert_allclose(found, shifts, atol=0.5 / upsampling + 0.03)


def test_half_of_the_image_is_captured():
    measured = texture((40, 48), (14, -17))[None]
    reference = texture((40, 48), (0, 0))[None]
    found = correlate(measured, reference, np.ones_like(measured))
    np.testing.assert_array_equal(found.shifts, [[14, -17]])


def test_gain_and_offset_do_not_matter():
    measured, reference, weights = pair([[1.25, -2.5]])
    found = correlate(4 * measured + 100, reference, weights, upsampling=20)
    np.testing.assert_allclose(found.shifts, [[1.25, -2.5]], atol=0.05)


def test_garbage_under_a_mask_does_not_matter():
    shifts = np.array([[1.3, -2.4], [-0.6, 3.2]])
    measured, reference, weights = pair(shifts)
    weights[:, 5:14, 28:44] = 0
    weights[:, 30:, :10] = 0
    weights[np.random.default_rng(1).uniform(size=weights.shape) < 0.1] = 0
    measured = np.where(weights > 0, measured, np.float32(20.0))

    masked = correlate(measured, reference, weights, upsampling=100).shifts
    blind = correlate(measured, reference, np.ones_like(weights), upsampling=100).shifts
    assert np.abs(masked - shifts).max() < 0.05
    assert (np.abs(blind - shifts).max(axis=1) > 0.5).all()


def test_the_edge_of_a_mask_that_stays_put_is_no_edge_in_the_image():
    # a large mask at the same place in every image pulls a plain correlation towards no shift
    shifts = np.array([[4.0, -5.5]])
    measured, reference, weights = pair(shifts)
    weights[:, :, :16] = 0
    measured *= weights
    found = correlate(measured, reference, weights, upsampling=50)
    np.testing.assert_allclose(found.shifts, shifts, atol=0.05)


def test_same_as_scikit_image_where_both_can():
    shifts = np.array([[1.3, -2.4], [-3.7, 0.9]])
    measured, reference, weights = pair(shifts)
    found = correlate(measured, reference, weights, upsampling=50).shifts
    for first, second, mine in zip(reference, measured, found, strict=True):
        theirs, _, _ = phase_cross_correlation(
            first, second, upsample_factor=50, normalization=None
        )
        np.testing.assert_allclose(mine, -theirs, atol=0.041)  # two upsampled pixels


def test_phase_normalisation_finds_fine_texture():
    measured = np.stack([texture((40, 48), s) for s in [(5, -4), (0, 7)]])
    reference = np.stack([texture((40, 48), (0, 0))] * 2)
    found = correlate(measured, reference, np.ones_like(measured), normalization="phase")
    np.testing.assert_array_equal(found.shifts, [(5, -4), (0, 7)])


def test_phase_normalisation_whitens():
    # a stripe that is much stronger than the texture and stands still
    measured, reference = texture((40, 48), (5, -4))[None], texture((40, 48), (0, 0))[None]
    stripe = 30 * np.cos(2 * np.pi * np.arange(48) / 24).astype(np.float32)
    weights = np.ones_like(measured)
    phase = correlate(measured + stripe, reference + stripe, weights, normalization="phase")
    plain = correlate(measured + stripe, reference + stripe, weights)
    np.testing.assert_array_equal(phase.shifts, [(5, -4)])
    assert plain.shifts[0, 1] != -4


@pytest.mark.parametrize("normalization", [None, "phase"])
def test_a_blank_image_has_no_shift_and_spoils_no_other(normalization):
    measured, reference, weights = pair([[2, 1], [0, 0], [-3, 4]])
    measured[1] = 5.0
    found = correlate(measured, reference, weights, normalization=normalization, upsampling=10)
    assert np.isnan(found.shifts[1]).all()
    assert found.peak[1] == -1
    assert np.isfinite(found.shifts[[0, 2]]).all()
    if normalization is None:
        np.testing.assert_allclose(found.shifts[[0, 2]], [[2, 1], [-3, 4]], atol=0.05)


def test_an_image_that_is_masked_altogether_has_no_shift():
    measured, reference, weights = pair([[2, 1], [1, 1]])
    weights[0] = 0
    found = correlate(measured, reference, weights, upsampling=10)
    assert np.isnan(found.shifts[0]).all()
    np.testing.assert_allclose(found.shifts[1], [1, 1], atol=0.05)


def test_inputs_stay_as_they_are():
    inputs = pair([[0.4, -0.3]])
    kept = [a.copy() for a in inputs]
    correlate(*inputs, upsampling=10)
    correlate(*inputs, upsampling=10, normalization="phase")
    one_step(*inputs)
    for now, before in zip(inputs, kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_gauss_newton_finds_small_shifts():
    shifts = np.array([[0.2, -0.3], [0.0, 0.0], [-0.15, 0.05]])
    found = one_step(*pair(shifts))
    np.testing.assert_allclose(found.shifts, shifts, atol=0.03)


def test_gauss_newton_takes_gain_and_offset_for_what_they_are():
    measured, reference, weights = pair([[0.2, -0.3]])
    found = one_step(1.05 * measured + 0.02, reference, weights)
    np.testing.assert_allclose(found.shifts, [[0.2, -0.3]], atol=0.05)


def test_gauss_newton_moves_what_a_border_cuts_though_another_gain_would_hide_it():
    """At unit gain the step raises the difference: it takes the gain that is found with it."""
    row, column = np.mgrid[:40, :48]
    reference, measured = (
        np.exp(-((row + 3 - shift) ** 2 + (column - 20) ** 2) / 50).astype(np.float32)[None]
        for shift in (0.0, 0.05)
    )
    weights = np.ones_like(reference)
    weights[:, [0, -1]] = 0  # as the loop leaves a margin
    found = one_step(0.9 * measured, reference, weights)
    np.testing.assert_allclose(found.shifts, [[0.05, 0.0]], atol=0.01)


def test_gauss_newton_leaves_masked_garbage_out():
    shifts = np.array([[0.2, -0.3]])
    measured, reference, weights = pair(shifts)
    weights[:, 8:20, 20:34] = 0
    measured = np.where(weights > 0, measured, np.float32(50))
    np.testing.assert_allclose(one_step(measured, reference, weights).shifts, shifts, atol=0.03)
    assert np.abs(one_step(measured, reference, np.ones_like(weights)).shifts - shifts).max() > (
        0.15
    )


def test_gauss_newton_scales_a_long_step_down():
    found = one_step(*pair([[1.8, -2.4]]))
    assert np.hypot(*found.shifts[0]) == pytest.approx(1.0)
    assert found.shifts[0, 0] > 0 > found.shifts[0, 1]


@pytest.mark.parametrize(("period", "step"), [(20, 1.0), (2.3, 0.0)])
def test_a_step_that_raises_the_difference_is_not_taken(period, step):
    # The difference is twice the slope, so that the linear fit asks for two pixels and gets one:
    # of a long wave a part of its slope, of a short one nearly half a period the wrong way.
    wave = np.cos(2 * np.pi * np.arange(64) / period) * np.hanning(64)
    reference = np.tile(wave, (1, 24, 1)).astype(np.float32)
    measured = reference - 2 * slopes(reference, 2)
    found = one_step(measured, reference, np.ones_like(measured))
    np.testing.assert_allclose(found.shifts, [[0.0, step]], atol=0.01)


def test_blank_images_do_not_move_in_gauss_newton():
    measured, reference, weights = pair([[0.2, -0.3]] * 3)
    measured[0], reference[1] = 0, 0
    found = one_step(measured, reference, weights)
    assert not found.shifts[1].any()
    assert np.isfinite(found.shifts).all()
    np.testing.assert_allclose(found.shifts[2], [0.2, -0.3], atol=0.03)


def test_many_images_are_registered_in_parts_as_in_one(monkeypatch):
    shifts = np.random.default_rng(0).uniform(-2, 2, (9, 2))
    inputs = pair(shifts)
    whole = correlate(*inputs, upsampling=20)
    monkeypatch.setattr("napari_tomoalign.images._pairs._CHUNK_BYTES", 1)
    single = correlate(*inputs, upsampling=20)
    np.testing.assert_allclose(whole.shifts, single.shifts, atol=1e-3)
