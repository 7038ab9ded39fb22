"""The picture of a run and its words, on a run whose numbers are made up or known."""

from __future__ import annotations

import base64
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign.findings import Finding
from napari_tomoalign.io.scan import Scan
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.report import compare, describe, flagged_projections, plot_run, write_report
from napari_tomoalign.results import AlignmentResult, IterationRecord
from napari_tomoalign.simulation import SimulatedScan, simulate


@pytest.fixture(scope="module")
def scan() -> SimulatedScan:
    return simulate(24, 30, jitter=3, drift=2, blank_frames=1, seed=3)


@pytest.fixture(scope="module")
def result(scan: SimulatedScan) -> AlignmentResult:
    """Return a run that ends 0.02 px beside the truth in each direction."""
    n_angles = len(scan.angles)
    confidence = np.ones(n_angles)
    confidence[scan.blank] = 0
    error = np.full((n_angles, 2), 0.02)
    error[scan.blank] = np.nan
    history = tuple(
        IterationRecord(
            iteration=number,
            binning=2 if number < 4 else 1,
            center=scan.center,
            shifts=scan.shifts + 0.02 * np.where(np.arange(n_angles) % 2, 1, -1)[:, None],
            moves=np.full((n_angles, 2), 0.5**number),
            drawn=np.arange(n_angles),
            largest_move=0.5**number,
            rms_move=0.3**number,
            residual=0.1 + 0.5**number,
            residuals=np.full(n_angles, 0.1),
            standard_error=error,
            confidence=confidence,
            seconds=0.25,
            notes=(f"note of iteration {number}",),
        )
        for number in range(1, 9)
    )
    return AlignmentResult(
        shifts=history[-1].shifts,
        reconstruction=np.ones((24, 24, 24), np.float32) * np.arange(24)[:, None, None],
        projections=scan.projections,
        reference=scan.projections,
        angles=scan.angles,
        center=scan.center,
        history=history,
        converged=True,
        message="largest move 0.004 px",
        findings=(Finding("blank frames", "projection <7> is blank & was left out"),),
        parameters=AlignmentParameters(),
        backend="builtin",
        versions={"python": "3.11"},
    )


def test_the_words_say_what_the_numbers_are(result: AlignmentResult, scan: SimulatedScan) -> None:
    words = dict(describe(result, scan.shifts))
    assert words["result"] == "largest move 0.004 px"
    assert words["run"] == "8 iterations in 2.0 s with builtin"
    assert words["center"].startswith("rotation axis at pixel 11.50")
    assert "standard error 0.020 px" in words["along axis"]
    assert words["flagged"].startswith(f"1 of 30 projections do not fit: {scan.blank[0]} ")
    assert words["note"] == "note of iteration 8"
    assert words["diagnosis"] == result.diagnosis[0]
    # 0.02 px in each direction is 0.028 px; the gauge takes a little of it.
    found = float(re.search(r"are ([0-9.]+) px", words["truth"]).group(1))
    assert found == pytest.approx(0.028, abs=0.002)
    assert "truth" not in dict(describe(result))


def test_what_was_found_of_the_geometry_is_said_in_degrees(result: AlignmentResult) -> None:
    found = {"axis_angle": np.array(np.deg2rad(0.5)), "in_plane": np.deg2rad([3.0, -4.0] * 10)}
    error = {"axis_angle": np.array(np.deg2rad(0.02)), "in_plane": np.deg2rad(np.full(20, 0.1))}
    record = replace(result.history[-1], geometry=found, geometry_error=error)
    said = [s for h, s in describe(replace(result, history=(record,))) if h == "geometry"]
    assert said == [
        "the axis is turned in the images by 0.500 degrees, standard error 0.02 degrees",
        "images are turned in their plane by 3.536 degrees (RMS), standard error 0.1 degrees",
    ]


def test_drift_and_jitter_are_told_apart(result: AlignmentResult) -> None:
    steady = np.zeros((30, 2))
    steady[:, 0] = np.linspace(-4, 4, 30)
    words = dict(describe(replace(result, shifts=steady)))
    assert words["along axis"].startswith("drift 8.00 px, jitter 0.00 px")
    restless = np.zeros((30, 2))
    restless[:, 0] = np.where(np.arange(30) % 2, 1.0, -1.0)
    words = dict(describe(replace(result, shifts=restless)))
    drift, jitter = re.findall(r"([0-9.]+) px", words["along axis"])[:2]
    assert float(drift) < 0.6
    assert float(jitter) == pytest.approx(1, abs=0.05)


def test_many_flagged_projections_are_not_all_listed(result: AlignmentResult) -> None:
    doubtful = replace(result.history[-1], confidence=np.zeros(30))
    words = dict(describe(replace(result, history=(*result.history, doubtful))))
    assert "0, 1, 2" in words["flagged"]
    assert "and 18 more" in words["flagged"]


def test_the_slice_after_is_sharper_than_before(
    result: AlignmentResult, scan: SimulatedScan
) -> None:
    kept = scan.projections.copy()
    comparison = compare(result, scan.projections, row=12)
    assert comparison.row == 12
    assert comparison.sinograms[0].shape == (30, 24)
    assert np.allclose(comparison.sinograms[0], scan.projections[:, 12], atol=1e-5)
    truth = scan.volume()[12]
    errors = [np.linalg.norm(s - truth) / np.linalg.norm(truth) for s in comparison.slices]
    assert errors[1] < 0.6 * errors[0], errors
    assert np.array_equal(scan.projections, kept)
    assert compare(result, scan.projections).row == 0  # all the same contrast: the first


def test_slices_of_turned_images_are_those_about_their_axis(result: AlignmentResult) -> None:
    """A row of images that are turned by 15 degrees goes through many slices."""
    scan = simulate(24, 30, jitter=3, axis_angle=15, seed=3)
    turned = replace(
        result, shifts=scan.shifts, center=scan.center, geometry=scan.geometry, angles=scan.angles
    )
    comparison = compare(turned, scan.projections, row=8)
    truth = scan.volume()[8]
    errors = [np.linalg.norm(s - truth) / np.linalg.norm(truth) for s in comparison.slices]
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.3


def test_a_hole_in_the_data_does_not_spread(result: AlignmentResult, scan: SimulatedScan) -> None:
    holed = scan.projections.copy()
    holed[3, 12, 4] = np.nan
    assert np.isfinite(compare(result, holed, row=12).slices[1]).all()


def test_a_stack_with_channels_is_refused(result: AlignmentResult) -> None:
    with pytest.raises(ValueError, match=r"got shape \(30, 24, 24, 2\); take one channel"):
        compare(result, np.zeros((30, 24, 24, 2)))


def test_the_figure_shows_what_was_found(result: AlignmentResult, scan: SimulatedScan) -> None:
    figure = plot_run(
        result, compare(result, scan.projections), true_shifts=scan.shifts, title="scan.h5"
    )
    assert "matplotlib.pyplot" not in sys.modules
    titles = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert {"Convergence", "Confidence"} <= set(titles)
    assert {"Slice 0, before", "Slice 0, after"} <= set(titles)
    assert figure.get_suptitle() == "scan.h5: largest move 0.004 px"
    order = np.argsort(result.angles)
    for direction, name in enumerate(("along", "across")):
        found, doubtful, true = titles[f"Shifts {name} the rotation axis"].get_lines()
        fits = result.confidence[order] > 0
        degrees, shifts = np.degrees(result.angles[order]), result.shifts[order, direction]
        assert np.array_equal(found.get_ydata(), shifts[fits])
        assert np.array_equal(found.get_xdata(), degrees[fits])
        assert np.array_equal(doubtful.get_xdata(), degrees[~fits])
        # The truth is drawn in the gauge of what was found, so the two lie on each other.
        assert np.allclose(true.get_ydata(), shifts, atol=0.05)
    before, after = titles["Slice 0, before"].images[0], titles["Slice 0, after"].images[0]
    assert before.get_clim() == after.get_clim()
    words = [text.get_text() for text in titles["Convergence"].texts]
    assert words == ["binning 2", "1"]
    assert f"{scan.blank[0]}" in titles["Confidence"].get_title(loc="right")
    assert len(plot_run(result).axes) == len(figure.axes) - 4


def test_a_run_with_nothing_to_plot_on_a_logarithm_is_drawn(result: AlignmentResult) -> None:
    still = replace(
        result.history[-1],
        largest_move=0.0,
        rms_move=0.0,
        standard_error=np.full((30, 2), np.nan),
        confidence=np.ones(30),
    )
    figure = plot_run(replace(result, history=(still,)))
    figure.canvas.draw()


def test_the_page_carries_everything(
    result: AlignmentResult, scan: SimulatedScan, tmp_path: Path
) -> None:
    source = Scan(
        scan.projections, scan.angles, source={"file": "a.h5"}, preparation=("-log of 3 < 4",)
    )
    picture, page = write_report(
        tmp_path, result, true_shifts=scan.shifts, scan=source, title="a & b"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"report.png", "report.html"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text(encoding="utf-8")
    (embedded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(embedded) == picture.read_bytes()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<title>a &amp; b</title>" in text
    assert "projection &lt;7&gt; is blank &amp; was left out" in text
    assert "-log of 3 &lt; 4" in text
    for name in result.parameters.to_dict():
        assert f"<th>{name}</th>" in text


def test_flagged_means_confidence_below_a_half(result: AlignmentResult) -> None:
    confidence = np.array([1, 0.5, 0.49, 0])
    assert flagged_projections(
        replace(result, history=(replace(result.history[-1], confidence=confidence),))
    ) == (2, 3)
