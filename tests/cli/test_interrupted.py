"""A run that is stopped, killed or started twice loses nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tomoalign.cli import main
from napari_tomoalign.io import read_scan, read_shifts

QUICK = ["--backend", "builtin", "--no-progress"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    small = ["--size", "24", "--n-angles", "24", "--jitter", "1.5", "--drift", "1"]
    assert main(["simulate", "-o", str(path), *small, "--seed", "4"]) == 0
    return path


def start_long_run(scan: Path, directory: Path) -> subprocess.Popen[str]:
    """Start a run that would go on for long, and wait for its first iteration."""
    options = ["--maxiter", "1000", "--shift-tolerance", "1e-12", "--algorithm", "sirt"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "napari_tomoalign",
            "align",
            scan,
            "-o",
            directory,
            *QUICK,
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (directory / "shifts.h5").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def volume(directory: Path) -> np.ndarray:
    with h5py.File(directory / "reconstruction.h5") as file:
        return file["reconstruction/volume"][:]


@pytest.mark.parametrize("options", [["--maxiter", "1"], []], ids=["limit", "converged"])
def test_a_run_killed_while_it_writes_its_results_is_finished(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    import napari_tomoalign.io

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    whole, begun = tmp_path / "whole", tmp_path / "begun"
    code = 3 if options else 0
    assert main(["align", str(scan), "-o", str(whole), *QUICK, *options]) == code
    with monkeypatch.context() as patch:
        patch.setattr(napari_tomoalign.io, "write_result", killed)
        assert main(["align", str(scan), "-o", str(begun), *QUICK, *options]) == 2
    assert {path.name for path in begun.iterdir()} == {"run.toml", "shifts.h5"}
    assert main(["align", str(scan), "--resume", str(begun), "--no-progress"]) == code
    there, here = read_shifts(whole / "shifts.h5"), read_shifts(begun / "shifts.h5")
    assert here.iterations == there.iterations
    assert here.message == there.message
    assert np.array_equal(here.shifts, there.shifts)
    assert np.array_equal(volume(begun), volume(whole))
    assert {path.name for path in begun.iterdir()} == {path.name for path in whole.iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_schedulers_and_closed_terminals_end_a_run_as_ctrl_c_does(
    scan: Path, tmp_path: Path, name: str
) -> None:
    directory = tmp_path / "out"
    process = start_long_run(scan, directory)
    number = getattr(signal, name)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"{name}: writing what has been reached; once more aborts" in errors
    assert "Traceback" not in errors
    assert "interrupted: what was reached is written" in output
    assert {"aligned.h5", "reconstruction.h5", "report.html"} <= set(os.listdir(directory))


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_while_the_scan_is_read_says_what_it_says_later(scan: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "import napari_tomoalign.io as io\n"
        "io.read_scan = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "from napari_tomoalign.cli import main\n"
        f"sys.exit(main(['align', {str(scan)!r}, '-o', {str(tmp_path / 'out')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "error: interrupted before the first iteration; nothing was written\n"
    assert not (tmp_path / "out").exists()


def test_a_second_run_into_a_folder_is_refused_by_name_of_the_first(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "out"
    process = start_long_run(scan, directory)
    try:
        words = ["align", str(scan), "-o", str(directory), "--overwrite", *QUICK]
        assert main(words) != 0
        assert re.search(
            rf"error: .* is being written by another run \(process {process.pid} on .*\)",
            capsys.readouterr().err,
        )
    finally:
        process.kill()
        process.communicate()
    assert main([*words, "--maxiter", "1"]) == 3
    assert not [name for name in os.listdir(directory) if name.startswith(".")]


@pytest.mark.parametrize("option", ["--initial-shifts", "--truth", "--angles"])
def test_what_is_read_beside_the_scan_is_not_replaced(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    read = tmp_path / "shifts.csv"
    read.write_bytes(scan.with_name("scan_shifts.csv").read_bytes())
    if option == "--angles":
        read.write_text(
            "\n".join(map(str, np.linspace(0, 170, read_scan(scan).angles.size))), encoding="utf-8"
        )
    before = read.read_bytes()
    words = ["align", str(scan), "-o", str(tmp_path), option, str(read), "--overwrite", *QUICK]
    assert main(words) == 2
    assert "is what is read, so it is not replaced" in capsys.readouterr().err
    assert read.read_bytes() == before


@pytest.mark.parametrize("name", ["report.html", "report.png", "run.toml", "aligned.mrc"])
def test_every_result_is_checked_before_any_work(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    words = ["align", str(scan), "-o", str(tmp_path), *QUICK]
    assert main(words) == 2
    assert f"{name} exists already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 2
    assert f"{name} was not written by this program" in capsys.readouterr().err
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_is_text_whatever_it_is(scan: Path, tmp_path: Path) -> None:
    """Neither a formula, nor markup, nor necessarily UTF-8."""
    odd = os.fsencode(tmp_path) + b"/a$^^$<b>\xff.h5"
    Path(os.fsdecode(odd)).write_bytes(scan.read_bytes())
    command = [sys.executable, "-m", "napari_tomoalign", "align", odd, *QUICK, "--maxiter", "1"]
    done = subprocess.run([*command, "-o", tmp_path / "out"], capture_output=True)
    assert done.returncode == 3, done.stderr
    assert done.stderr == b""
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "a$^^$&lt;b&gt;\\udcff.h5" in page
    done = subprocess.run([*command, "--resume", tmp_path / "out"], capture_output=True)
    assert done.returncode == 3, done.stderr


@pytest.mark.parametrize(
    ("name", "saved"), [("Follow", {"shifts.h5"}), ("FollowWriting", {"shifts.h5", "shifts.csv"})]
)
def test_what_fails_in_mid_run_or_in_the_final_writing_says_what_is_safe(
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    saved: set[str],
) -> None:
    """As a file that vanishes while it is read, or a cluster that does."""
    from napari_tomoalign.cli import _running

    class Failing(getattr(_running, name)):
        def __call__(self, *_: object) -> None:
            raise FileNotFoundError("the scan is gone")

    monkeypatch.setattr(_running, name, Failing)
    out = tmp_path / "out"
    assert main(["align", str(scan), "-o", str(out), *QUICK]) == 2
    note, error = capsys.readouterr().err.splitlines()
    assert note.startswith(f"note: the last iteration is safe in {out / 'shifts.h5'}; to go on")
    assert error == "error: the scan is gone"
    assert {path.name for path in out.iterdir()} == {"run.toml", *saved}
