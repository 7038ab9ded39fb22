"""One pass over the frames says the same however they come."""

from dataclasses import fields

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.survey import take_survey


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 20, n_rows=24, noise=0.03, seed=4)


def test_blocks_of_any_size_and_order_give_the_same(scan):
    stack = scan.projections
    usual = survey_of(stack)
    cuts = [(13, 20), (0, 1), (1, 13)]
    other = take_survey(((first, stack[first:last]) for first, last in cuts), stack.shape)
    for field in fields(usual):
        one, two = getattr(usual, field.name), getattr(other, field.name)
        if field.name in ("mean", "spread"):  # sums over the frames, in another order
            np.testing.assert_allclose(one, two, atol=1e-6)
        else:
            np.testing.assert_array_equal(one, two)


def test_sums_are_those_of_the_frames(scan):
    stack = scan.projections.astype(np.float64)
    survey = survey_of(scan.projections)
    columns = np.arange(32)
    np.testing.assert_allclose(survey.mass, stack.sum(axis=2), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(survey.moment, stack @ columns, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(survey.mean, stack.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(survey.spread, stack.std(axis=0), atol=1e-5)
    np.testing.assert_allclose(survey.strips[:, 1], stack[:, :, 2:4].mean(axis=2), atol=1e-6)
    np.testing.assert_allclose(survey.strips[:, 3], stack[:, :, -2:].mean(axis=2), atol=1e-6)
    np.testing.assert_allclose(survey.power, np.square(stack).sum(axis=(1, 2)), rtol=1e-5)


def test_the_noise_is_told_frame_by_frame(scan):
    survey = survey_of(scan.projections)
    assert np.median(survey.noise) == pytest.approx(scan.noise_sigma, rel=0.15)
    louder = scan.projections.copy()
    louder[7] += np.random.default_rng(0).normal(0, 0.5, louder[7].shape).astype(np.float32)
    noise = survey_of(louder).noise
    assert noise.argmax() == 7
    assert noise[7] == pytest.approx(0.5, rel=0.2)


def test_equal_frames_and_no_others_have_the_same_digest(scan):
    stack = scan.projections.copy()
    stack[11] = stack[4]
    digests = survey_of(stack).digests
    assert digests[11] == digests[4]
    assert len(set(digests)) == len(stack) - 1
    for change in ("a bit", "two pixels", "two rows"):
        other = stack[4:5].copy()
        if change == "a bit":
            other.view(np.uint32)[0, 9, 3] ^= 1
        elif change == "two pixels":  # the same values, so the same sum
            other[0, 9, [3, 4]] = other[0, 9, [4, 3]]
        else:
            other[0, [3, 9]] = other[0, [9, 3]]
        assert survey_of(other).digests[0] != digests[4], change
    narrow = stack[4:5, :, :31]
    assert survey_of(narrow).digests[0] != digests[4]


def test_the_share_at_the_largest_value_and_the_spikes_are_counted(scan):
    stack = np.zeros((2, 24, 32), np.float32)
    stack[0, 3, 5:9] = 2.0
    stack[1] = scan.projections[0]
    stack[1, 10, [4, 9, 20]] += 50.0
    survey = survey_of(stack)
    assert survey.at_largest[0] == pytest.approx(4 / (24 * 32))
    assert survey.spikes[1] == pytest.approx(3 / (22 * 30))


def test_spikes_have_no_say_in_what_the_rows_hold(scan):
    clean = survey_of(scan.projections)
    stack = scan.projections.copy()
    hit = np.random.default_rng(1).random(stack.shape) < 0.01
    stack[hit] -= 20 * scan.projections.max()
    survey = survey_of(stack)
    noise = scan.noise_sigma * np.sqrt(stack.shape[2])
    assert np.sqrt(np.mean((survey.mass - clean.mass) ** 2)) < noise
    assert np.abs(survey.strips - clean.strips).max() < 6 * scan.noise_sigma
    # What a pixel says at every angle is still seen.
    np.testing.assert_allclose(survey.mean, stack.mean(axis=0, dtype=np.float64), atol=1e-4)
