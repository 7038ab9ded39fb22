"""What the command line refuses, and what it says."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import QUICK, refused

from napari_tomoalign.cli import main

# -- what is refused, before any work ---------------------------------------------------------


def rewritten(scan: Path, target: Path, **datasets: object) -> Path:
    """Copy a scan with other datasets in its exchange group."""
    with h5py.File(scan) as source, h5py.File(target, "w") as copy:
        source.copy("exchange", copy)
        for name, values in datasets.items():
            del copy[f"exchange/{name}"]
            copy[f"exchange/{name}"] = values
    return target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--maxiter", "0"], "maxiter must be between 1 and 1000000, got 0"),
        (["--maxiter", "x"], "--maxiter: expected a whole number, got 'x'"),
        (["--shift-cutoff", "wide"], "--shift-cutoff: expected a number, got 'wide'"),
        (["--no-align-vertical", "--no-align-horizontal"], "nothing to align"),
        (["--normalization", "mass"], "--normalization: expected 'phase', got 'mass'"),
        (["--algorithm", "magic"], "'magic'.*gradient"),
        (["--algorithm", "magic:wand"], "module:function that can be imported; got 'magic:wand'"),
        (["--reconstruction-option", "depth=3"], "'depth'"),
        (["--reconstruction-option", "depth"], "expected name=value such as num_iter=10"),
        (["--center", "500"], "center.*500"),
        (["--ignored-subset", "0-23"], "ignored"),
        (["--projection-cropping", "5:5,0:9"], "crop"),
        (["--use-gpu"], "use_gpu"),
        (["--backend", "abacus"], "'abacus'.*builtin"),
        (["--binning", "0"], "--binning must be at least 1, got 0"),
        (["--rows", "3"], "expected rows such as 10:50, got '3'"),
        (["--subtract", "sky"], "expected auto, none or a number of counts, got 'sky'"),
        (["--angles", "missing.rawtlt"], "missing.rawtlt"),
        (["--truth", "missing.csv"], "missing.csv"),
        (["--initial-shifts", "missing.csv"], "missing.csv"),
        (["--resume", "nowhere"], "nowhere"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    directory = tmp_path / "out"
    given = ["--backend", "builtin", *options]
    line = refused(capsys, "align", scan, "-o", directory, *given)
    assert re.search(message, line), line
    assert not directory.exists()


def test_scans_that_cannot_be_aligned_are_refused(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "out"

    def line(path: Path, *options: str) -> str:
        found = refused(capsys, "align", path, "-o", directory, "--backend", "builtin", *options)
        assert not directory.exists()
        return found

    assert "there is no file" in line(tmp_path / "no.h5")
    empty = tmp_path / "empty.h5"
    empty.touch()
    assert "empty (0 bytes)" in line(empty)
    renamed = tmp_path / "renamed.h5"
    renamed.write_text("angles and so on", encoding="utf-8")
    assert "renamed.h5" in line(renamed)
    few = rewritten(scan, tmp_path / "few.h5", theta=np.arange(20.0))
    assert re.search("24 projections.*20 angles", line(few))
    unknown = tmp_path / "unknown.h5"
    with h5py.File(unknown, "w") as file:
        file["entry/images"] = np.ones((5, 6, 7), np.float32)
    assert "--data /entry/images" in line(unknown)
    assert "'/entry/nothing'" in line(scan, "--angles", "/entry/nothing")
    text = tmp_path / "angles.txt"
    np.savetxt(text, np.arange(24.0))
    assert re.search("radian", line(scan, "--angles", str(text), "--angle-unit", "radians"))
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "".join(
            scan.with_name("scan_shifts.csv").read_text(encoding="utf-8").splitlines(True)[:-1]
        ),
        encoding="utf-8",
    )
    assert "--truth" in line(scan, "--truth", str(truth))


def test_a_full_disk_says_what_was_saved(
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import napari_tomoalign.report
    from napari_tomoalign.io import DiskFull

    def full(*arguments: object, **settings: object) -> None:
        raise DiskFull(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr(napari_tomoalign.report, "write_report", full)
    out = tmp_path / "out"
    assert main(["align", str(scan), "-o", str(out), *QUICK, "--maxiter", "1"]) == 2
    assert capsys.readouterr().err == (
        f"error: the disk is full. Saved in {out}: "
        "shifts.h5, shifts.csv, aligned.h5, reconstruction.h5\n"
    )


def test_nowhere_to_put_the_results(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "-o DIR" in refused(capsys, "align", scan)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        main(["info", str(tmp_path / "no.h5"), "--debug"])
