"""The command line, run as a user runs it."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import QUICK, SMALL, refused

from napari_tomoalign import alignment_error
from napari_tomoalign.cli import main
from napari_tomoalign.io import data_hash, read_scan, read_shifts
from napari_tomoalign.io.lazy import LazyProjections
from napari_tomoalign.io.shifts import record

SAMPLE = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def aligned(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("aligned") / "out"
    assert main(["align", str(scan), "-o", str(directory), *QUICK]) == 0
    return directory


def test_the_module_runs_too() -> None:
    run = [sys.executable, "-m", "napari_tomoalign"]
    done = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("napari-tomoalign 0")
    done = subprocess.run([*run, "backends"], capture_output=True, text=True, check=True)
    assert "builtin: installed" in done.stdout
    done = subprocess.run([*run, "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*'nonsense'.*'align'.*\n", done.stderr)


# -- simulate and info ------------------------------------------------------------------------


def test_simulate_writes_counts_and_the_truth(scan: Path) -> None:
    with h5py.File(scan) as file:
        data, theta = file["exchange/data"], file["exchange/theta"][:]
        assert data.shape == (24, 24, 24)
        assert data.dtype == np.uint16
        assert {"data_white", "data_dark"} <= set(file["exchange"])
        assert theta[-1] == pytest.approx(180 * 23 / 24)
    from napari_tomoalign.io import import_shifts, read_scan

    beside = import_shifts(scan.with_name("scan_shifts.csv"))
    assert np.allclose(beside, read_scan(scan).true_shifts, atol=1e-6)
    assert np.ptp(beside, axis=0).min() > 1


def test_simulate_gives_the_same_again(scan: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    assert main(["simulate", "-o", str(again), *SMALL, "--seed", "4"]) == 0
    other = tmp_path / "other.h5"
    assert main(["simulate", "-o", str(other), *SMALL, "--seed", "5"]) == 0
    with h5py.File(scan) as a, h5py.File(again) as b, h5py.File(other) as c:
        assert np.array_equal(a["exchange/data"][:], b["exchange/data"][:])
        assert not np.array_equal(a["exchange/data"][:], c["exchange/data"][:])


def test_simulate_refuses(scan: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert f"{scan} exists already" in refused(capsys, "simulate", "-o", scan)
    new = tmp_path / "new.h5"
    message = refused(capsys, "simulate", "-o", new, "--kind", "pear")
    assert "'pear'" in message
    assert "ellipsoids" in message
    assert "expected a whole number, got 'many'" in refused(
        capsys, "simulate", "-o", new, "--size", "many"
    )
    assert not new.exists()


def test_info_says_what_was_recognised(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(scan)]) == 0
    text = capsys.readouterr().out
    assert "24 projections of 24 x 24 pixels (rows x columns), 0 to 172.5 degrees" in text
    assert "degrees" in text
    assert "-log" in text
    assert "true shifts" in text
    assert "about 442 kB to align it" in text


def test_the_sample_data_are_what_their_command_makes(tmp_path: Path) -> None:
    command = re.search(
        r"^napari-tomoalign (simulate .*)$",
        (SAMPLE / "README.md").read_text(encoding="utf-8"),
        re.M,
    )
    words = command.group(1).split()
    again = tmp_path / "scan.h5"
    assert main([str(again) if word == "sample_data/scan.h5" else word for word in words]) == 0
    with h5py.File(SAMPLE / "scan.h5") as there, h5py.File(again) as here:
        names: list[str] = []
        there.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        assert {"exchange/data", "exchange/theta", "simulation/shifts"} <= set(names)
        for name in names:
            assert np.array_equal(there[name][()], here[name][()]), name
    csv = "scan_shifts.csv"
    assert (SAMPLE / csv).read_bytes() == (tmp_path / csv).read_bytes()
    assert (SAMPLE / "scan.h5").stat().st_size < 400_000


def test_the_sample_data_are_aligned_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = ["--truth", str(SAMPLE / "scan_shifts.csv")]
    assert main(["align", str(SAMPLE / "scan.h5"), "-o", str(tmp_path), *QUICK, *truth]) == 0
    text = capsys.readouterr().out
    assert float(re.search(r"shifts are ([0-9.]+) px", text).group(1)) < 0.04
    assert "converged after" in text


# -- align ------------------------------------------------------------------------------------


def test_align_writes_everything(aligned: Path, scan: Path) -> None:
    from napari_tomoalign.io import read_scan, read_shifts

    names = {path.name for path in aligned.iterdir()}
    assert names == {
        *("shifts.h5", "shifts.csv", "aligned.h5", "reconstruction.h5"),
        *("report.png", "report.html", "run.toml"),
    }
    truth = read_scan(scan)
    found = read_shifts(aligned / "shifts.h5")
    assert alignment_error(found, truth.true_shifts, centers=(0, 11.5)) < 0.1


def test_align_says_what_it_found(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["align", str(scan), "-o", str(tmp_path / "out"), "--backend", "builtin"]) == 0
    output = capsys.readouterr()
    for heading in ("result", "along axis", "across axis", "center", "residual", "truth", "files"):
        assert re.search(rf"^{heading} ", output.out, re.M), heading
    error = float(re.search(r"shifts are ([0-9.]+) px \(RMS\) from", output.out).group(1))
    assert 0 < error < 0.1
    assert "largest move" in output.err
    assert "residual" in output.err


def test_no_progress_means_a_silent_stderr(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["align", str(scan), "-o", str(tmp_path), *QUICK, "--maxiter", "2"]) in (0, 3)
    assert capsys.readouterr().err == ""


def test_a_scan_in_a_file_is_hashed_by_the_reading_that_surveys_it(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, prepared, write = [0], LazyProjections.prepared, record._write

    def counted(self: Any, frames: slice = slice(None), *more: Any, **other: Any) -> Any:
        read[-1] += len(range(len(self))[frames])
        return prepared(self, frames, *more, **other)

    def noted(*arguments: Any, **more: Any) -> Path:
        read.append(0)
        return write(*arguments, **more)

    monkeypatch.setattr("napari_tomoalign.cli._job.is_small", lambda *_: False)
    monkeypatch.setattr(LazyProjections, "prepared", counted)
    monkeypatch.setattr(record, "_write", noted)
    words = ["align", scan, "-o", tmp_path, *QUICK, "--maxiter", "1"]
    main([*map(str, words), "--no-aligned", "--no-reconstruction"])
    assert read[0] == 24  # each frame once before the first checkpoint
    assert read_shifts(tmp_path / "shifts.h5").data_hash == data_hash(read_scan(scan).projections)


def test_parameters_change_the_run(scan: Path, tmp_path: Path) -> None:
    from napari_tomoalign.io import read_shifts

    options = ["--maxiter", "3", "--algorithm", "sirt", "--reconstruction-option", "num_iter=3"]
    options += ["--no-align-vertical", "--center", "11.5", "--no-initial-estimate"]
    assert main(["align", str(scan), "-o", str(tmp_path), *QUICK, *options]) == 3  # three only
    found = read_shifts(tmp_path / "shifts.h5")
    assert found.iterations == 3
    assert found.parameters["reconstruction_pipeline"] == "sirt"
    assert found.center == pytest.approx(11.5)
    assert np.all(found.shifts[:, 0] == 0)


def test_binning_brings_center_truth_and_initial_shifts_along(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = scan.with_name("scan_shifts.csv")
    options = ["--binning", "2", "--center", "11.5", "--truth", truth, "--initial-shifts", truth]
    options += ["--maxiter", "1", "--no-center-estimation", "--levels", "1"]
    assert main(["align", str(scan), "-o", str(tmp_path), *QUICK, *map(str, options)]) == 3
    text = capsys.readouterr().out
    assert "rotation axis at pixel 5.50" in text
    error = float(re.search(r"shifts are ([0-9.]+) px", text).group(1))
    assert error < 0.2


def test_data_and_angles_of_any_layout_can_be_pointed_at(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(scan) as source, h5py.File(other, "w") as copy:
        copy["entry/images"] = source["exchange/data"][:]
        copy["entry/positions"] = source["exchange/theta"][:]
    options = ["--data", "/entry/images", "--angles", "/entry/positions"]
    assert main(["info", str(other), *options]) == 0
    text = capsys.readouterr().out
    assert "0 to 172.5 degrees" in text
    assert "/entry/images" in text


def test_channels_are_aligned_on_one_and_all_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_tomoalign.io import write_scan
    from napari_tomoalign.simulation import simulate

    made = simulate(24, 20, jitter=1.5, drift=1, seed=1)
    files = [str(tmp_path / f"{name}.h5") for name in ("iron", "noise")]
    noise = np.random.default_rng(0).normal(size=made.projections.shape).astype(np.float32)
    for file, values in zip(files, (made.projections, noise), strict=True):
        write_scan(file, values, made.angles, true_shifts=made.shifts)
    out = tmp_path / "out"
    options = ["-o", str(out), "--channel", "iron", *QUICK]
    assert main(["align", *files, *options]) == 0
    text = capsys.readouterr().out
    assert "2 channels" in text
    assert float(re.search(r"shifts are ([0-9.]+) px", text).group(1)) < 0.1
    with h5py.File(out / "aligned.h5") as file:
        assert file["exchange/data"].shape == (20, 24, 24, 2)
    line = refused(capsys, "align", *files, "-o", tmp_path / "other", "--channel", "7")
    assert re.search("no channel 7.*iron, noise", line)


@pytest.mark.parametrize("center", [None, 13.5])
def test_an_axis_off_the_middle_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], center: float | None
) -> None:
    """A constant in the columns and the place of the axis say the same."""
    path = tmp_path / "off.h5"
    assert main(["simulate", "-o", str(path), *SMALL, "--center-offset", "2"]) == 0
    options = [] if center is None else ["--center", str(center)]
    assert main(["align", str(path), "-o", str(tmp_path / "out"), *QUICK, *options]) == 0
    text = capsys.readouterr().out
    assert float(re.search(r"shifts are ([0-9.]+) px", text).group(1)) < 0.1
    if center is not None:
        assert "rotation axis at pixel 13.50" in text


def test_results_are_not_overwritten_unasked(
    aligned: Path, scan: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = (aligned / "shifts.h5").read_bytes()
    message = refused(capsys, "align", scan, "-o", aligned)
    assert "exists already" in message
    assert "--overwrite" in message
    assert (aligned / "shifts.h5").read_bytes() == before
    assert main(["align", str(scan), "-o", str(tmp_path), *QUICK, "--maxiter", "1"]) == 3
    again = ["align", str(scan), "-o", str(tmp_path), *QUICK, "--maxiter", "1", "--overwrite"]
    assert main(again) == 3


def test_a_first_run_says_that_it_compiles(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_tomoalign.backends.builtin.engine import BuiltinBackend

    monkeypatch.setattr(BuiltinBackend, "startup_note", lambda self: "compiling, once")
    options = ["-o", str(tmp_path), "--backend", "builtin", "--maxiter", "1"]
    assert main(["align", str(scan), *options]) == 3
    assert capsys.readouterr().err.startswith("note: compiling, once\n")


# -- apply and export -------------------------------------------------------------------------


def test_apply_moves_the_scan_as_align_does(
    aligned: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "moved.h5"
    assert main(["apply", str(aligned / "shifts.h5"), str(scan), "-o", str(out)]) == 0
    with h5py.File(out) as one, h5py.File(aligned / "aligned.h5") as other:
        assert np.allclose(one["exchange/data"][:], other["exchange/data"][:], atol=1e-5)
    line = refused(capsys, "apply", aligned / "shifts.h5", out, "-o", tmp_path / "twice.h5")
    assert "aligned" in line
    assert not (tmp_path / "twice.h5").exists()
    line = refused(capsys, "apply", aligned / "shifts.h5", scan, "-o", out)
    assert "exists already" in line
    line = refused(capsys, "apply", aligned / "shifts.h5", scan, "-o", out, "--order", "9")
    assert "expected 3 or fourier, got '9'" in line


def test_apply_says_what_the_reader_remarks(
    aligned: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from napari_tomoalign.io import aligned_copy

    def read(path: object, **options: object) -> object:
        return dataclasses.replace(read_scan(path, **options), remarks=("two frames are missing",))

    read_scan = aligned_copy.read_scan
    monkeypatch.setattr(aligned_copy, "read_scan", read)
    out = str(tmp_path / "out.h5")
    assert main(["apply", str(aligned / "shifts.h5"), str(scan), "-o", out]) == 0
    assert "note: two frames are missing" in capsys.readouterr().err


def test_export_writes_for_other_programs(
    aligned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_tomoalign.io import import_shifts, read_shifts

    shifts = aligned / "shifts.h5"
    assert main(["export", str(shifts), "-o", str(tmp_path / "series.xf")]) == 0
    stored = read_shifts(shifts)
    found = stored.shifts + np.array([0, stored.center - 11.5])  # the axis in the middle
    assert np.allclose(import_shifts(tmp_path / "series.xf"), found, atol=1e-5)
    mumott = tmp_path / "mumott.npz"
    assert main(["export", str(shifts), "-o", str(mumott), "--format", "mumott"]) == 0
    with np.load(mumott) as file:
        assert np.allclose(file["j_offsets"], -found[:, 1])  # across an axis along k
    assert "csv, imod" in refused(capsys, "export", shifts, "-o", tmp_path / "shifts.what")
