"""Counts become line integrals; bad pixels get no weight and are counted."""

import numpy as np
import pytest

from napari_tomoalign.io import ScanFileError, read_scan, write_scan

RNG = np.random.default_rng(3)
ANGLES = np.linspace(0, 3, 20)
TRUTH = RNG.uniform(0.1, 2.0, (20, 16, 18))
WHITE = RNG.uniform(900, 1100, (16, 18))
DARK = RNG.uniform(90, 110, (16, 18))


def scan_of(tmp_path, counts, **fields):
    return write_scan(tmp_path / "scan.h5", counts, ANGLES, **fields)


def beamline(tmp_path, change=lambda counts, white: None, kind=np.float64):
    """A scan with flat and dark fields, in which something may be changed first."""
    counts = np.exp(-TRUTH) * (WHITE - DARK) + DARK
    white = np.stack([WHITE - 5, WHITE + 5])
    change(counts, white)
    return scan_of(tmp_path, counts.astype(kind), white=white, dark=np.stack([DARK, DARK]))


def test_flat_and_dark_fields_and_logarithm(tmp_path):
    scan = read_scan(beamline(tmp_path))

    np.testing.assert_allclose(scan.projections, TRUTH, atol=1e-5)
    assert scan.preparation == (
        "divided by the flat field, dark field removed",
        "-log of the transmission",
    )


def test_normalise_off_gives_the_counts(tmp_path):
    scan = read_scan(beamline(tmp_path), normalise=False, background=None)

    np.testing.assert_allclose(scan.projections, np.exp(-TRUTH) * (WHITE - DARK) + DARK, rtol=1e-5)
    assert scan.preparation == ()


@pytest.mark.parametrize("transmission", [True, False])
def test_transmission_can_be_stated(tmp_path, transmission):
    scan = read_scan(scan_of(tmp_path, np.exp(-TRUTH)), transmission=transmission, background=None)

    expected = TRUTH if transmission else np.exp(-TRUTH)
    np.testing.assert_allclose(scan.projections, expected, atol=1e-5)


def test_bad_pixels_have_no_weight_are_counted_and_filled(tmp_path):
    def spoil(counts, white):
        counts[0, 0, 0] = np.nan
        counts[1, 2, 3] = -np.inf
        counts[2, 4, 5] = DARK[4, 5]  # no transmission
        counts[3, 6, 7] = 0.0  # negative transmission
        white[:, 8, 9] = DARK[8, 9]  # a dead pixel in every frame

    path = beamline(tmp_path, spoil)

    scan = read_scan(path)

    bad = np.zeros(TRUTH.shape, bool)
    bad[0, 0, 0] = bad[1, 2, 3] = bad[2, 4, 5] = bad[3, 6, 7] = True
    bad[:, 8, 9] = True
    np.testing.assert_array_equal(scan.weights, 1.0 - bad)
    np.testing.assert_allclose(scan.projections[~bad], TRUTH[~bad], atol=1e-5)
    assert np.isfinite(scan.projections).all()
    # filled with one of the neighbours
    assert scan.projections[0, 0, 0] in (scan.projections[0, 0, 1], scan.projections[0, 1, 0])
    words = "\n".join(scan.preparation)
    assert "2 of 5760 pixels not finite" in words
    assert "20 of 5760 pixels without light in the flat field" in words
    assert "2 of 5760 pixels of zero or negative transmission" in words


def test_a_blank_frame_is_filled_with_nothing(tmp_path):
    def spoil(counts, white):
        counts[7] = np.nan

    scan = read_scan(beamline(tmp_path, spoil))

    assert not scan.weights[7].any()
    assert not scan.projections[7].any()
    assert np.delete(scan.weights, 7, axis=0).all()


def test_saturated_counts_have_no_weight(tmp_path):
    counts = RNG.integers(0, 60000, (20, 6, 6)).astype(np.uint16)
    counts[4, 1, 2] = 65535

    scan = read_scan(scan_of(tmp_path, counts), background=None)

    assert np.argwhere(scan.weights == 0).tolist() == [[4, 1, 2]]
    assert "1 of 720 pixels saturated" in "\n".join(scan.preparation)


def test_8_bit_images_are_not_called_saturated(tmp_path):
    counts = RNG.integers(0, 256, (20, 6, 6)).astype(np.uint8)

    assert read_scan(scan_of(tmp_path, counts), background=None).weights is None


def test_binning_averages_the_good_pixels_only(tmp_path):
    def spoil(counts, white):
        counts[0, 0, 0] = np.nan
        counts[1, 2:4, 2:4] = np.nan

    scan = read_scan(beamline(tmp_path, spoil), binning=2)

    expected = TRUTH.reshape(20, 8, 2, 9, 2).mean(axis=(2, 4))
    expected[0, 0, 0] = (TRUTH[0, 0, 1] + TRUTH[0, 1, 0] + TRUTH[0, 1, 1]) / 3
    inside = scan.weights > 0
    np.testing.assert_allclose(scan.projections[inside], expected[inside], atol=1e-5)
    assert scan.weights[0, 0, 0] == pytest.approx(0.75)
    assert np.argwhere(scan.weights == 0).tolist() == [[1, 1, 1]]


def needle(noise=4.0, level=-31890.0):
    """A bright bar on a dark background of counts."""
    images = np.zeros((20, 40, 40))
    images[:, :, 15:24] = 20000
    return images + level + RNG.normal(0, noise, images.shape)


def test_background_of_counts_is_found_and_subtracted(tmp_path):
    scan = read_scan(scan_of(tmp_path, needle().round().astype(np.int16)))

    assert abs(np.median(scan.projections[:, :, :12])) < 3.0
    assert np.median(scan.projections[:, :, 17:22]) == pytest.approx(20000, abs=5)
    assert "counts, the mode at the borders, subtracted" in scan.preparation[0]


def test_background_as_asked_for_or_not_at_all(tmp_path):
    path = scan_of(tmp_path, needle(level=500.0).round().astype(np.int16))

    asked = read_scan(path, background=100)
    none = read_scan(path, background=None)

    np.testing.assert_allclose(none.projections - asked.projections, 100.0)
    assert asked.preparation == ("background: 100 subtracted, as asked for",)
    assert none.preparation == ()


@pytest.mark.parametrize("level", [0.0, 3000.0])
def test_line_integrals_keep_a_positive_background(tmp_path, level):
    path = scan_of(tmp_path, needle(level=level))

    np.testing.assert_allclose(
        read_scan(path).projections, read_scan(path, background=None).projections
    )


def test_bright_borders_are_no_background(tmp_path):
    scan = read_scan(scan_of(tmp_path, (30000 - needle(level=0.0)).round().astype(np.int32)))

    assert "nothing was subtracted" in scan.preparation[0]
    assert "transmission=True" in scan.preparation[0]
    assert np.median(scan.projections) == pytest.approx(30000, abs=5)


def test_each_channel_has_its_own_background(tmp_path):
    counts = np.stack([needle(level=1500.0), needle(level=-5000.0)], axis=-1)

    scan = read_scan(scan_of(tmp_path, counts.round().astype(np.int32)))

    medians = np.median(scan.projections[:, :, :12], axis=(0, 1, 2))
    np.testing.assert_allclose(medians, [0.0, 0.0], atol=3.0)


def test_the_file_is_not_touched(tmp_path):
    path = beamline(tmp_path)
    before = path.read_bytes()

    read_scan(path, binning=2, rotation_axis="horizontal")

    assert path.read_bytes() == before


@pytest.mark.parametrize("with_dark", [False, True])
def test_counts_without_flats_are_divided_by_the_open_beam_in_view(tmp_path, with_dark):
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:40, :50]
    lines = np.exp(-((rows - 20) ** 2 + (columns - 25) ** 2) / 60.0) * np.ones((8, 1, 1))
    dark = np.full((3, 40, 50), 100.0 if with_dark else 0.0)
    counts = rng.normal(20000 * np.exp(-lines), 100) + dark[0]
    fields = {"dark": dark} if with_dark else {}
    path = write_scan(tmp_path / "scan.h5", counts, np.arange(8.0), **fields)

    scan = read_scan(path, transmission=True)

    np.testing.assert_allclose(scan.projections, lines, atol=0.05)
    assert abs(np.median(scan.projections[:, :3] - lines[:, :3])) < 0.003
    said = next(line for line in scan.preparation if line.startswith("divided by the open beam"))
    assert float(said.rpartition(", ")[2]) == pytest.approx(20000, rel=0.003)


def test_a_transmission_stays_as_it_is_and_counts_without_open_beam_are_refused(tmp_path):
    rows, columns = np.mgrid[:40, :50]
    lines = np.exp(-((rows - 20) ** 2 + (columns - 25) ** 2) / 60.0) * np.ones((8, 1, 1))
    np.save(tmp_path / "transmission.npy", np.exp(-lines))
    np.save(tmp_path / "inside.npy", 5000 * np.exp(lines - 2))  # the object fills the borders

    scan = read_scan(tmp_path / "transmission.npy", first_last=(0, 90), transmission=True)

    np.testing.assert_allclose(scan.projections, lines, atol=1e-6)
    with pytest.raises(ScanFileError, match=r"no open beam is in view .*--flats"):
        read_scan(tmp_path / "inside.npy", first_last=(0, 90), transmission=True)
