"""Runs that are stopped on the command line, and go on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import QUICK

from napari_tomoalign.cli import main
from napari_tomoalign.cli._interrupt import Interrupt

# -- Ctrl-C -----------------------------------------------------------------------------------

ctrl_c = pytest.mark.skipif(
    os.name != "posix", reason="Windows cannot send Ctrl-C to one process alone"
)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process has written a file."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the process ended before it wrote"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_long_run(scan: Path, directory: Path) -> subprocess.Popen[str]:
    """Start a run that would go on for long, and wait for its first iterations."""
    command = [sys.executable, "-m", "napari_tomoalign", "align", str(scan), "-o", str(directory)]
    options = ["--backend", "builtin", "--maxiter", "100000", "--shift-tolerance", "1e-12"]
    options += ["--algorithm", "sirt", "--reconstruction-option", "num_iter=3"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(directory / "shifts.h5", process)
    return process


@ctrl_c
def test_ctrl_c_writes_what_has_been_reached(scan: Path, tmp_path: Path) -> None:
    from napari_tomoalign.io import read_shifts

    directory = tmp_path / "out"
    process = start_long_run(scan, directory)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ctrl-C: writing what has been reached; once more aborts" in errors
    assert "Traceback" not in errors
    again = re.search(r"^interrupted: .* napari-tomoalign (.*)$", output, re.M).group(1)
    assert shlex.split(again) == ["align", str(scan), "--resume", str(directory)]
    assert {"shifts.h5", "aligned.h5", "reconstruction.h5", "report.html"} <= {
        path.name for path in directory.iterdir()
    }
    found = read_shifts(directory / "shifts.h5")
    assert not found.converged
    assert found.iterations >= 1


SLOW = """
import time
from napari_tomoalign.backends import get_backend

def pipeline(projections, geometry):
    time.sleep({seconds})
    return get_backend("builtin").reconstruct(
        projections, geometry, algorithm="fbp", non_negative=True
    )
"""


def test_a_killed_run_goes_on_as_if_it_had_never_stopped(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_tomoalign.io import read_shifts

    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW.format(seconds=0.3), encoding="utf-8")
    options = ["--algorithm", "slow:pipeline", "--relative-sample-size", "0.5", "--maxiter", "6"]
    options += [*QUICK, "--shift-tolerance", "1e-6"]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_tomoalign", "align", scan, "-o", "killed", *options]
    )
    wait_for(Path("killed/shifts.h5"), process)
    process.kill()
    process.wait(timeout=60)
    assert read_shifts("killed/shifts.h5").iterations < 6
    Path("slow.py").write_text(SLOW.format(seconds=0), encoding="utf-8")
    assert main(["align", str(scan), "--resume", "killed", "--no-progress"]) == 3
    assert main(["align", str(scan), "-o", "whole", *options]) == 3
    whole, parts = (read_shifts(f"{place}/shifts.h5") for place in ("whole", "killed"))
    assert [record.iteration for record in parts.history] == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(whole.shifts, parts.shifts)


@ctrl_c
def test_ctrl_c_before_the_first_iteration_leaves_nothing(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW.format(seconds=60), encoding="utf-8")
    options = ["-o", "out", "--algorithm", "slow:pipeline", *QUICK]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_tomoalign", "align", scan, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(Path("out"), process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == (
        "error: interrupted before the first iteration; nothing was written"
    )
    assert not Path("out").exists()


def test_a_second_ctrl_c_aborts(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        interrupt.reached = interrupt.writing = True  # the results are being written
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt, match="aborted by a second Ctrl-C"):
            signal.raise_signal(signal.SIGINT)
    assert "once more aborts" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
