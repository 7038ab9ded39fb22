"""What belongs to the measurement is told from the images alone, and not seen where it is not."""

import numpy as np
import pytest
from surveyed import survey_of

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.borders import look_at_borders
from napari_tomoalign.start.prepare import prepare


@pytest.fixture(scope="module")
def scan():
    return simulate(48, 24, noise=0.02, seed=5)


def start_of(projections, scan, **options):
    return prepare(iterate_alignment(projections, scan.angles, backend="builtin", **options))


def borders_of(stack):
    return look_at_borders(survey_of(stack), np.ones(len(stack), bool))


def planes(scan, seed=0, size=0.3):
    """Offsets and slopes of a random plane in each frame, and the images of them."""
    n, n_rows, n_columns = scan.projections.shape
    coefficients = np.random.default_rng(seed).normal(0, size, (n, 3))
    down, across = np.linspace(-1, 1, n_rows)[:, None], np.linspace(-1, 1, n_columns)
    a, b, c = coefficients.T[..., None, None]
    return coefficients, (a + b * down + c * across).astype(np.float32)


@pytest.mark.parametrize("kind", ["ellipsoids", "granular", "fibrous", "shell", "soft"])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_a_clean_scan_has_nothing_to_take_out(kind, noise):
    scan = simulate(48, 24, noise=noise, kind=kind, seed=3)
    start = start_of(scan.projections, scan)
    assert start.notes == ()
    assert not start.measurement.changes
    assert start.projections is not None
    np.testing.assert_array_equal(start.projections, scan.projections)


def test_a_wider_object_leaves_no_vacuum():
    borders = borders_of(simulate(48, 24, truncation=1.6, seed=3).projections)
    assert not borders.vacuum
    assert borders.background == "none"
    assert not borders.dark


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_an_object_that_fades_out_under_the_noise_is_no_background(noise):
    line = (np.arange(64) - 31.5) / 32
    rng = np.random.default_rng(0)
    down, across = rng.uniform(-0.05, 0.05, (2, 60, 1, 1))
    distance = (line[:, None] - down) ** 2 + (line - across) ** 2
    images = np.exp(-2.7 * distance) + noise * rng.standard_normal((60, 64, 64))
    borders = borders_of(images.astype(np.float32))
    assert not borders.vacuum
    assert borders.background == "none"


@pytest.mark.parametrize("detector", [0.0, 0.1], ids=["flat", "striped"])
def test_planes_are_told_from_the_borders(scan, detector):
    true, images = planes(scan)
    stripes = detector * np.random.default_rng(1).normal(size=48).astype(np.float32)
    borders = borders_of(scan.projections + images + stripes)
    assert borders.background == "plane"
    departs = borders.planes - true
    assert (departs - np.median(departs, axis=0)).std() < 0.03
    if not detector:
        assert np.abs(departs).mean() < 0.03


def test_offsets_alone_are_no_planes(scan):
    offsets = np.random.default_rng(2).normal(0, 0.3, (24, 1, 1)).astype(np.float32)
    assert borders_of(scan.projections + offsets).background == "offset"
    assert borders_of(scan.projections + np.float32(0.5)).background == "offset"


def test_a_background_that_all_images_share_is_known_better_than_one_image_tells(scan):
    # The logarithm of few counts lies too low: by 1 / (2 counts), to first order.
    rng = np.random.default_rng(4)
    thin = 0.6 * scan.projections / scan.projections.max()
    counts = np.maximum(rng.poisson(100 * np.exp(-thin)), 1)
    start = start_of((-np.log(counts / 100)).astype(np.float32), scan)
    assert np.ptp(start.measurement.planes, axis=0).max() == 0
    np.testing.assert_allclose(start.measurement.planes[0, 0], 0.005, atol=0.002)


def test_what_is_taken_out_is_what_was_put_in(scan):
    _, images = planes(scan)
    start = start_of(scan.projections + images, scan)
    assert start.notes[0].kind == "background"
    assert np.abs(start.projections - scan.projections).mean() < 0.03
    kept = start_of(scan.projections + images, scan, background="none")
    np.testing.assert_array_equal(kept.projections, scan.projections + images)


def test_gains_follow_from_the_mass_of_a_whole_object(scan):
    gains = 1 + 0.1 * np.random.default_rng(3).normal(size=24)
    images = (scan.projections * gains[:, None, None]).astype(np.float32)
    start = start_of(images, scan)
    np.testing.assert_allclose(start.measurement.gains, gains / gains.mean(), rtol=0.02)
    assert any(note.kind == "gain" for note in start.notes)
    assert not start_of(images, scan, gain=False).measurement.changes


def test_masses_of_an_object_that_leaves_the_images_are_no_gains(scan):
    middle = np.ascontiguousarray(scan.projections[:, 18:30])
    assert (start_of(middle, scan).measurement.gains == 1).all()


def test_stuck_pixels_get_no_weight_and_vacuum_keeps_it(scan):
    images = scan.projections.copy()
    images[:, :, 20] = 1.0
    images[:, 30:33, 30:33] = images.max()
    start = start_of(images, scan)
    hidden = np.zeros((48, 48), bool)
    hidden[:, 20] = hidden[30:33, 30:33] = True
    np.testing.assert_array_equal(start.weights[0] == 0, hidden)
    clean = simulate(48, 24, noise=0.0, seed=5)
    assert start_of(clean.projections, clean).weights is None


def test_a_dead_column_at_a_border_makes_no_object_dark(scan):
    images = scan.projections.copy()
    images[:, :, [0, 47]] = images.max()
    start = start_of(images, scan)
    assert start.measurement.sign == 1
    assert [note.kind for note in start.notes] == ["stuck pixels"]


def test_a_dark_object_is_turned_over_and_back(scan):
    options = {"backend": "builtin", "maxiter": 3, "progress": False}
    bright = align(scan.projections, scan.angles, **options)
    dark = align(-scan.projections, scan.angles, **options)
    np.testing.assert_allclose(dark.shifts, bright.shifts, atol=1e-5)
    for name in ("reconstruction", "projections", "reference"):
        np.testing.assert_allclose(getattr(dark, name), -getattr(bright, name), atol=1e-4)
    assert any("inverted" in found for found in dark.diagnosis)
    assert not any("inverted" in found for found in bright.diagnosis)
    assert start_of(-scan.projections, scan, invert=False).measurement.sign == 1
    assert start_of(scan.projections, scan, invert=True).measurement.sign == -1


def test_counts_are_divided_by_the_open_beam_in_view(scan):
    beam = 2000 * (1 + 0.05 * np.random.default_rng(4).normal(size=(24, 1, 1)))
    counts = np.exp(-0.05 * scan.projections) * beam
    start = start_of(counts, scan, transmission=True)
    assert np.abs(start.projections - 0.05 * scan.projections).mean() < 0.002
    assert any(note.kind == "counts" for note in start.notes)


def test_counts_without_an_open_beam_are_refused():
    scan = simulate(48, 24, truncation=1.6, seed=3)
    counts = np.exp(-0.02 * scan.projections) * 2000
    with pytest.raises(ValueError, match=r"these are counts.*flat-field"):
        start_of(counts, scan, transmission=True)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("invert", "yes", TypeError), ("gain", 1, TypeError), ("background", "ramp", ValueError)],
)
def test_what_cannot_be_asked_for_is_refused(name, value, error):
    with pytest.raises(error, match=name):
        AlignmentParameters(**{name: value})
