"""Many scans, settings that are given again, and what a script reads."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from napari_tomoalign.cli import main
from napari_tomoalign.io import read_shifts

QUICK = ["--backend", "builtin", "--no-progress"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two scans, one broken file and one that is something else."""
    folder = tmp_path_factory.mktemp("scans")
    small = ["--size", "24", "--n-angles", "24", "--jitter", "1.5", "--drift", "1"]
    for name, seed in (("one", "4"), ("two", "5")):
        assert main(["simulate", "-o", str(folder / f"{name}.h5"), *small, "--seed", seed]) == 0
    (folder / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\nand no more")
    (folder / "notes.txt").write_text("a good day", encoding="utf-8")
    return folder


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_scan_of_a_folder_is_run_and_one_that_fails_stops_none(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["align", "--each", str(scans), "-o", str(tmp_path / "out"), *QUICK]) == 2
    output = capsys.readouterr()
    assert "note: no scan, so left out: notes.txt" in output.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one", "two"}
    assert re.search(r"^error: broken: .*broken\.h5", output.err, re.M)
    table = output.out.split("\n\n")[-1].splitlines()
    assert table[0].split()[:3] == ["scan", "result", "iterations"]
    assert [line.split()[:2] for line in table[1:]] == [
        *(["broken", "refused"], ["one", "converged"], ["two", "converged"]),
    ]


def test_json_is_one_line_a_scan(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    files = [str(scans / "one.h5"), str(scans / "broken.h5")]
    assert main(["align", "--each", *files, "-o", str(tmp_path), "--json", *QUICK]) == 2
    found, failed = lines_of(capsys)
    assert found["converged"] is True
    assert found["error_to_truth"] < 0.1
    record = read_shifts(tmp_path / "one" / "shifts.h5")
    assert found["iterations"] == record.iterations
    assert found["center"] == pytest.approx(record.center)
    assert set(found["files"]) == {path.name for path in (tmp_path / "one").iterdir()}
    assert failed["scan"] == "broken"
    assert "broken.h5" in failed["error"]


def test_results_of_two_scans_do_not_go_to_one_folder(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [str(scans / "one.h5"), str(scans / "one.h5")]
    assert main(["align", "--each", *twice, "-o", str(tmp_path / "out"), *QUICK]) == 2
    assert "2 scans are called one.h5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_settings_beside_a_result_give_it_again(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    options = ["--rows", "4:20", "--maxiter", "3", "--ignored-subset", "0,5-7", "--algorithm"]
    options += ["sirt", "--reconstruction-option", "num_iter=3", "--projection-cropping", "2:14,:"]
    options += ["--subtract", "none", "--center", "11.5", "--seed", "7", "--levels", "1"]
    code = main(["align", str(scans / "one.h5"), "-o", str(out), *QUICK, *options])
    settings = tomllib.loads((out / "run.toml").read_text(encoding="utf-8"))
    assert settings["scan"] == [str(scans / "one.h5")]
    assert settings["rows"] == "4:20"
    assert settings["upsampling"] == 100  # a default
    assert main(["align", "--config", str(out / "run.toml"), "-o", str(again), *QUICK]) == code
    one, other = read_shifts(out / "shifts.h5"), read_shifts(again / "shifts.h5")
    assert np.array_equal(one.shifts, other.shifts)
    assert one.parameters == other.parameters
    here = tomllib.loads((again / "run.toml").read_text(encoding="utf-8"))
    assert here == {**settings, "output": str(again)}


def test_a_run_that_goes_on_keeps_its_settings(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the run, not of the command that went on with it; paths whole."""
    monkeypatch.chdir(scans)
    words = ["--initial-shifts", "one_shifts.csv", "--rows", "4:20", "--levels", "1"]
    words += ["--shift-tolerance", "1e-6", "--maxiter", "1"]
    assert main(["align", "one.h5", "-o", str(tmp_path / "out"), *words, *QUICK]) == 3
    before = tomllib.loads((tmp_path / "out" / "run.toml").read_text(encoding="utf-8"))
    assert before["initial-shifts"] == str(scans / "one_shifts.csv")
    go_on = ["align", "one.h5", "--rows", "4:20", "--resume", str(tmp_path / "out")]
    assert main([*go_on, "--maxiter", "2", "--no-progress"]) == 3
    after = tomllib.loads((tmp_path / "out" / "run.toml").read_text(encoding="utf-8"))
    assert after == {**before, "maxiter": 2}


def test_what_is_typed_goes_before_the_settings(scans: Path, tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text(
        f'scan = "{scans / "two.h5"}"\nmaxiter = 5\nangle-range = [0, 172.5]\nprogress = false\n'
        "[reconstruction-option]\nnum_iter = 4\n",
        encoding="utf-8",
    )
    words = ["align", str(scans / "one.h5"), "--config", str(settings), "--maxiter", "1"]
    assert main([*words, "-o", str(tmp_path / "out"), "--algorithm", "sirt", *QUICK]) == 3
    found = read_shifts(tmp_path / "out" / "shifts.h5")
    assert found.source["file"].endswith("one.h5")
    assert found.parameters["maxiter"] == 1
    assert found.parameters["reconstruction_pipeline_kwargs"] == {"num_iter": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maxitr = 3", "did you mean --maxiter?"),
        ("\ufeffmaxitr = 3", "did you mean --maxiter?"),  # a mark that Notepad writes
        ("maxiter = 1979-05-27", "maxiter = .* is no number, text, list or table"),
        ("maxiter 3", "is no TOML file of settings"),
    ],
)
def test_settings_that_cannot_be(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text(text, encoding="utf-8")
    words = ["align", str(scans / "one.h5"), "--config", str(settings), "-o", str(tmp_path / "o")]
    try:
        code = main(words)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_dry_run_checks_and_writes_nothing(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path / "out"), "--dry-run", *QUICK]
    capsys.readouterr()
    assert main(words) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "24 projections of 24 x 24 pixels" in text
    assert re.search(r"would write .*shifts\.h5.*reconstruction\.h5 \(55\.3 kB\)", text, re.S)
    assert "uint16: 27.6 kB; as it is aligned, 24 x 24 x 24 in float32: 55.3 kB." in text
    assert "Small enough to be read once and kept" in text
    assert re.search(r"binned by 1: 24 x 24 x 24, about [0-9.]+ .B of memory, (less|about)", text)
    assert "builtin fbp, " in text
    monkeypatch.setattr("napari_tomoalign.cli._job._KEPT", 0.0)  # as if it were large
    assert main(words) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Read piece by piece to know" in text
    assert "by 24 rows for the reconstruction" in text
    assert main([*words, "--center", "500"]) == 2
    assert not (tmp_path / "out").exists()


def test_stack_and_volume_can_be_left_out(scans: Path, tmp_path: Path) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path), *QUICK]
    assert main([*words, "--format", "mrc"]) == 0
    assert (tmp_path / "aligned.tlt").exists()
    assert main([*words, "--overwrite", "--no-aligned", "--no-reconstruction"]) == 0
    left = {"shifts.h5", "shifts.csv", "run.toml", "report.png", "report.html"}
    assert {path.name for path in tmp_path.iterdir()} == left
    assert read_shifts(tmp_path / "shifts.h5").applied == ""


def test_a_run_that_does_not_converge_has_a_code_of_its_own(scans: Path, tmp_path: Path) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path), *QUICK]
    assert main([*words, "--maxiter", "1"]) == 3
    assert (tmp_path / "aligned.h5").exists()


def test_without_a_terminal_there_is_a_line_every_tenth(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path), "--backend", "builtin"]
    capsys.readouterr()
    main([*words, "--maxiter", "30", "--shift-tolerance", "1e-9", "--levels", "1"])
    text = capsys.readouterr().err
    assert "\r" not in text
    numbers = [int(n) for n in re.findall(r"^iteration (\d+) of at most 30: ", text, re.M)]
    assert numbers[0] == 1
    assert len(numbers) <= 12
    assert all(later - sooner <= 3 for sooner, later in itertools.pairwise(numbers))


def test_the_log_says_what_happens(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path), *QUICK, "--maxiter", "2"]
    main([*words, "-v"])
    text = capsys.readouterr().err
    assert re.search(r"napari_tomoalign\.alignment: binning 1, iteration 1: largest move", text)
    assert f"wrote {tmp_path / 'aligned.h5'}" in text
    main([*words, "--overwrite"])
    assert capsys.readouterr().err == ""


def test_export_takes_what_view_and_verify_take(scans: Path, tmp_path: Path) -> None:
    from napari_tomoalign.io import import_shifts

    out = tmp_path / "out"
    assert main(["align", str(scans / "one.h5"), "-o", str(out), *QUICK]) == 0
    assert main(["export", str(out), "-o", str(tmp_path / "a.csv")]) == 0
    assert np.array_equal(import_shifts(tmp_path / "a.csv"), import_shifts(out / "shifts.csv"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["alin", "x.h5"], "did you mean 'align'?"),
        (["align", "x.h5", "--maxitr", "3"], "did you mean --maxiter?"),
        (["export", "x.h5", "--formt", "csv", "-o", "y"], "did you mean --format?"),
    ],
)
def test_what_was_nearly_right_is_named(
    capsys: pytest.CaptureFixture[str], words: list[str], meant: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert meant in capsys.readouterr().err


def test_true_shifts_are_checked_before_the_run(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    import h5py

    for name, values in (("short", np.zeros((5, 2))), ("nan", np.full((24, 2), np.nan))):
        path = tmp_path / f"{name}.h5"
        shutil.copy(scans / "one.h5", path)
        with h5py.File(path, "a") as file:
            del file["simulation/shifts"]
            file["simulation/shifts"] = values
        words = ["align", str(path), "-o", str(tmp_path / name), *QUICK]
        assert main(words) == 2
        assert "--truth none" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
        assert main([*words, "--truth", "none"]) == 0
        assert "true ones" not in capsys.readouterr().out


def test_the_reconstruction_is_made_as_asked_and_only_what_is_missing_is_made_again(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(scans / "one.h5"), "-o", str(tmp_path / "out"), *QUICK]
    final = ["--final-algorithm", "sirt", "--final-option", "num_iter=3"]
    assert main([*words, *final]) == 0
    volume, stack = tmp_path / "out" / "reconstruction.h5", tmp_path / "out" / "aligned.h5"

    def algorithm() -> str:
        with h5py.File(volume) as file:
            return str(file["reconstruction/volume"].attrs["reconstructed_with"])

    assert algorithm() == "builtin sirt num_iter=3"
    stamps = volume.stat().st_mtime_ns, stack.stat().st_mtime_ns
    again = ["align", str(scans / "one.h5"), "--resume", str(tmp_path / "out"), "--no-progress"]
    assert main([*again, *final]) == 0
    assert (volume.stat().st_mtime_ns, stack.stat().st_mtime_ns) == stamps
    assert main(again) == 0
    assert algorithm() == "builtin fbp"
    assert stack.stat().st_mtime_ns == stamps[1]
    assert main([*words, "--config", str(tmp_path / "out" / "run.toml"), "--overwrite"]) == 0
    assert algorithm() == "builtin sirt num_iter=3"

    assert main([*words, "--overwrite", "--final-algorithm", "art"]) == 2
    assert "unknown algorithm 'art' for backend 'builtin'" in capsys.readouterr().err
    nearly_full = SimpleNamespace(free=100)
    monkeypatch.setattr("napari_tomoalign.io.atomic.shutil.disk_usage", lambda _: nearly_full)
    assert main([*words[:2], "-o", str(tmp_path / "new"), *QUICK]) == 2
    assert "stack and volume needs 0.1 MB, but 0.0 MB are free" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_scan_that_is_read_in_pieces_gives_the_same_files(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["align", str(scans / "one.h5"), *QUICK]
    assert main([*words, "-o", str(tmp_path / "kept")]) == 0
    monkeypatch.setattr("napari_tomoalign.cli._job._KEPT", 0.0)  # as if it were large
    assert main([*words, "-o", str(tmp_path / "pieces")]) == 0
    for name, where in (
        ("shifts", "shifts"),
        ("aligned", "exchange/data"),
        ("reconstruction", "reconstruction/volume"),
    ):
        kept, pieces = (tmp_path / folder / f"{name}.h5" for folder in ("kept", "pieces"))
        with h5py.File(kept) as one, h5py.File(pieces) as other:
            np.testing.assert_array_equal(one[where][()], other[where][()])
