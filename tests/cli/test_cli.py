"""The command line, run as a user runs it."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters, alignment_error
from napari_tomoalign.cli import main
from napari_tomoalign.cli._align import PARAMETERS
from napari_tomoalign.cli._interrupt import Interrupt
from napari_tomoalign.cli._main import COMMANDS
from napari_tomoalign.cli._options import (
    indices,
    named_value,
    numbers,
    options_of_dataclass,
    parameter_texts,
    windows,
)

SAMPLE = Path(__file__).parents[2] / "sample_data"
SMALL = ["--size", "24", "--n-angles", "24", "--jitter", "1.5", "--drift", "1"]
QUICK = ["--backend", "builtin", "--no-progress"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    assert main(["simulate", "-o", str(path), *SMALL, "--seed", "4"]) == 0
    return path


@pytest.fixture(scope="module")
def aligned(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("aligned") / "out"
    assert main(["align", str(scan), "-o", str(directory), *QUICK]) == 0
    return directory


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must be refused and return its one line on stderr."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as exit_:
        code = exit_.code
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    return output.err


# -- reading values ---------------------------------------------------------------------------


def test_values_with_a_syntax_of_their_own() -> None:
    assert indices("0,5-7") == (0, 5, 6, 7)
    assert indices("") == ()
    assert windows("10:50,5:60") == (slice(10, 50), slice(5, 60))
    assert windows("10:,:-3") == (slice(10, None), slice(None, -3))
    assert numbers("0.5,2") == (0.5, 2.0)
    assert named_value("num_iter=10") == ("num_iter", 10)
    assert named_value("filter_name=hann") == ("filter_name", "hann")
    assert named_value("reg_par=[-1, 2]") == ("reg_par", [-1, 2])


@pytest.mark.parametrize(
    ("convert", "text", "message"),
    [
        (indices, "0,x", "expected whole numbers and ranges such as 0,5-7, got '0,x'"),
        (indices, "7-5", "the range 7-5 runs backwards; write 5-7"),
        (windows, "10:50", "expected rows,columns such as 10:50,5:60"),
        (windows, "1:2:3,4:5", "expected rows,columns such as 10:50,5:60"),
        (numbers, "1,a", "expected numbers such as 0.5,2, got '1,a'"),
        (named_value, "num_iter", "expected name=value such as num_iter=10, got 'num_iter'"),
    ],
)
def test_values_that_cannot_be_read(convert: object, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        convert(text)


def test_texts_are_taken_from_a_numpy_docstring() -> None:
    def documented(a, b, c):
        """Do.

        Parameters
        ----------
        a, b : int
            Two of
            them.
        c
            The ``third``.

        Returns
        -------
        d : int
            Not a parameter.
        """

    assert parameter_texts(documented) == {
        "a": "Two of them.",
        "b": "Two of them.",
        "c": "The third.",
    }


def parameters_of(words: list[str]) -> AlignmentParameters:
    """Return what the loop would be called with."""
    import argparse

    from napari_tomoalign.cli._align import add_arguments
    from napari_tomoalign.cli._options import chosen

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args(["scan.h5", "-o", "out", *words])
    return AlignmentParameters.from_dict(chosen(arguments, PARAMETERS))


def test_every_parameter_reaches_the_loop_from_the_command_line() -> None:
    words = {
        "maxiter": (["--maxiter", "7"], 7),
        "reconstruction_pipeline": (["--algorithm", "fbp"], "fbp"),
        "center_estimation": (["--no-center-estimation"], False),
        "reconstruction_pipeline_kwargs": (
            ["--reconstruction-option", "a=1", "--reconstruction-option", "b=x"],
            {"a": 1, "b": "x"},
        ),
        "ignored_subset": (["--ignored-subset", "0,5-7"], (0, 5, 6, 7)),
        "excluded_subset": (["--excluded-subset", "1,3-4"], (1, 3, 4)),
        "precision": (["--precision", "0.05"], 0.05),
        "projection_cropping": (
            ["--projection-cropping", "10:50,5:60"],
            (slice(10, 50), slice(5, 60)),
        ),
        "transmission": (["--transmission"], True),
        "use_absorbances": (["--no-use-absorbances"], False),
        "invert": (["--invert"], True),
        "background": (["--background", "plane"], "plane"),
        "gain": (["--no-gain"], False),
        "upsampling": (["--upsampling", "20"], 20),
        "shift_tolerance": (["--shift-tolerance", "0.2"], 0.2),
        "shift_cutoff": (["--shift-cutoff", "0.5"], 0.5),
        "relative_sample_size": (["--relative-sample-size", "0.5"], 0.5),
        "relaxation_weight": (["--relaxation-weight", "0.1"], 0.1),
        "center_of_mass_shift_weight": (["--center-of-mass-shift-weight", "0.3"], 0.3),
        "align_vertical": (["--no-align-vertical"], False),
        "align_horizontal": (["--no-align-horizontal"], False),
        "normalization": (["--normalization", "phase"], "phase"),
        "gauss_newton": (["--no-gauss-newton"], False),
        "levels": (["--levels", "4,2,1"], (4, 2, 1)),
        "initial_estimate": (["--no-initial-estimate"], False),
        "down_weight": (["--no-down-weight"], False),
        "axis_angle": (["--axis-angle", "-5"], np.deg2rad(-5)),
        "axis_tilt": (["--axis-tilt", "30"], np.deg2rad(30)),
        "refine": (["--refine", "axis_angle"], ("axis_angle",)),
        "use_gpu": (["--use-gpu"], True),
        "memory": (["--memory", "4 GB"], 4_000_000_000),
        "workers": (["--workers", "2"], 2),
        "seed": (["--seed", "5"], 5),
    }
    assert sorted(words) == sorted(option.name for option in PARAMETERS)
    default = AlignmentParameters()
    assert parameters_of([]) == default
    for name, (given, value) in words.items():
        assert parameters_of(given) == default.with_changes(**{name: value}), name
    assert parameters_of(["--levels", "none", "--normalization", "none"]) == default


def test_a_callable_is_named_by_its_module() -> None:
    pipeline = parameters_of(["--algorithm", "os.path:join"]).reconstruction_pipeline
    assert pipeline is os.path.join


def test_an_option_knows_its_default_and_range() -> None:
    options = {option.name: option for option in options_of_dataclass(AlignmentParameters)}
    assert options["maxiter"].default == AlignmentParameters().maxiter
    assert options["maxiter"].bounds["min"] == 1
    assert options["shift_cutoff"].optional
    assert options["workers"].advanced
    assert not options["maxiter"].advanced


# -- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: napari-tomoalign {command}")
    assert "--debug" in text


def test_usual_options_come_before_the_advanced_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["align", "--help"])
    text = capsys.readouterr().out
    places = [text.index(word) for word in ("--output", "--maxiter", "advanced", "--upsampling")]
    assert places == sorted(places)


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
        r"^napari-tomoalign (simulate .*)$", (SAMPLE / "README.md").read_text(), re.M
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


# -- Ctrl-C -----------------------------------------------------------------------------------


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
    Path("slow.py").write_text(SLOW.format(seconds=0.3))
    options = ["--algorithm", "slow:pipeline", "--relative-sample-size", "0.5", "--maxiter", "6"]
    options += [*QUICK, "--shift-tolerance", "1e-6"]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_tomoalign", "align", scan, "-o", "killed", *options]
    )
    wait_for(Path("killed/shifts.h5"), process)
    process.kill()
    process.wait(timeout=60)
    assert read_shifts("killed/shifts.h5").iterations < 6
    Path("slow.py").write_text(SLOW.format(seconds=0))
    assert main(["align", str(scan), "--resume", "killed", "--no-progress"]) == 3
    assert main(["align", str(scan), "-o", "whole", *options]) == 3
    whole, parts = (read_shifts(f"{place}/shifts.h5") for place in ("whole", "killed"))
    assert [record.iteration for record in parts.history] == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(whole.shifts, parts.shifts)


def test_ctrl_c_before_the_first_iteration_leaves_nothing(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW.format(seconds=60))
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


# -- what is refused, before any work ---------------------------------------------------------


def rewritten(scan: Path, target: Path, **datasets: object) -> Path:
    """Copy a scan with other datasets in its exchange group."""
    with h5py.File(scan) as source, h5py.File(target, "w") as copy:
        source.copy("exchange", copy)
        for name, values in datasets.items():
            del copy[f"exchange/{name}"]
            copy[f"exchange/{name}"] = values
    return target


def stack(tmp_path: Path, values: np.ndarray) -> Path:
    """Write line integrals as they are, with angles beside them."""
    path = tmp_path / "stack.h5"
    with h5py.File(path, "w") as file:
        file["exchange/data"] = values
        file["exchange/theta"] = np.linspace(0, 179, len(values))
    return path


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
    renamed.write_text("angles and so on")
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
    truth.write_text("".join(scan.with_name("scan_shifts.csv").read_text().splitlines(True)[:-1]))
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
