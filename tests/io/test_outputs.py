"""No output is an input, what others wrote is not replaced, and nothing is left lying about."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from io_result import make_result

from napari_tomoalign.cli import main
from napari_tomoalign.io import (
    Checkpoint,
    FolderInUse,
    all_result_files,
    apply_shifts,
    atomic_path,
    check_outputs,
    export_shifts,
    folder_lock,
    read_shifts,
    write_result,
    write_scan,
    write_shifts,
    write_volume,
)
from napari_tomoalign.io.outputs import is_ours
from napari_tomoalign.io.stacks.output import SUFFIXES
from napari_tomoalign.report import write_film, write_report

STACK = np.random.default_rng(5).random((8, 10, 12)).astype(np.float32)
ANGLES = np.linspace(0, 3, 8)


@pytest.fixture(scope="module")
def result_and_scan():
    return make_result()


def everything_we_write(folder):
    """Write each kind of file, and return them."""
    result, scan = make_result()
    for suffix in SUFFIXES:
        write_result(folder / suffix[1:], result, scan, suffix=suffix)
    shifts = folder / "h5" / "shifts.h5"
    for name in ("a.csv", "a.xf", "a.nxs", "a.npz"):
        export_shifts(shifts, folder / name)
    export_shifts(shifts, folder / "b.npz", format="mumott")
    write_scan(folder / "scan.h5", STACK, ANGLES)
    inside = {path for store in folder.rglob("*.zarr") for path in store.rglob("*")}
    found = set(folder.rglob("*")) - inside
    return [path for path in found if path.is_file() or path.suffix == ".zarr"]


def test_what_we_wrote_is_known_again(tmp_path):
    files = everything_we_write(tmp_path)
    assert {path.suffix for path in files} == {
        *(".h5", ".tif", ".mrc", ".tlt", ".csv", ".xf", ".nxs", ".npz", ".zarr"),
    }
    assert [path.name for path in files if not is_ours(path)] == []
    check_outputs(files, overwrite=True, record=True)


def foreign_files(folder):
    """Write files of the same names as others would."""
    with h5py.File(folder / "shifts.h5", "w") as file:
        file["data"] = STACK
    (folder / "shifts.csv").write_text("frame,dx,dy\n0,1,2\n", encoding="utf-8")
    tifffile.imwrite(folder / "aligned.tif", STACK)
    with mrcfile.new(folder / "aligned.mrc", data=STACK):
        pass
    np.savetxt(folder / "aligned.tlt", ANGLES)
    (folder / "series.xf").write_text(
        "   1.0000000   0.0000000   0.0000000   1.0000000      -1.234       2.345\n",
        encoding="utf-8",
    )
    np.savez(folder / "shifts.npz", sx=ANGLES, sy=ANGLES)
    (folder / "report.html").write_text("<html>mine</html>", encoding="utf-8")
    (folder / "report.png").write_bytes(b"\x89PNG\r\n\x1a\nmine")
    (folder / "run.toml").write_text("[mine]\n", encoding="utf-8")
    (folder / "aligned.h5").write_bytes(b"no HDF5 at all")
    (folder / "aligned.zarr").mkdir()
    (folder / "aligned.zarr" / "zarr.json").write_text('{"attributes": {}}', encoding="utf-8")
    return sorted(folder.iterdir())


def test_what_others_wrote_is_never_replaced(tmp_path):
    for path in foreign_files(tmp_path):
        with pytest.raises(FileExistsError, match="was not written by this program"):
            check_outputs([path], overwrite=True)


def test_a_lone_file_of_angles_is_ours_in_a_folder_of_ours_and_in_our_form(
    tmp_path, result_and_scan
):
    write_result(tmp_path, *result_and_scan, suffix=".tif")
    angles = tmp_path / "aligned.tlt"
    (tmp_path / "aligned.tif").unlink()
    assert is_ours(angles)
    written = angles.read_bytes()
    np.savetxt(angles, ANGLES, fmt="%.2f")
    assert not is_ours(angles)
    (tmp_path / "other").mkdir()
    alone = tmp_path / "other" / "aligned.tlt"
    alone.write_bytes(written)
    assert not is_ours(alone)


def test_an_export_never_replaces_the_record_it_reads(tmp_path, result_and_scan):
    shifts = write_result(tmp_path, *result_and_scan)["shifts"]
    before = shifts.read_bytes()
    with pytest.raises(FileExistsError, match="is what is read"):
        export_shifts(shifts, shifts, format="csv", overwrite=True)
    os.link(shifts, tmp_path / "link.h5")
    with pytest.raises(FileExistsError, match="is what is read"):
        export_shifts(shifts, tmp_path / "link.h5", format="csv", overwrite=True)
    assert shifts.read_bytes() == before


def test_nothing_but_a_record_replaces_the_record_of_a_run(tmp_path, result_and_scan):
    result, scan = result_and_scan
    here, there = (write_result(tmp_path / name, result, scan)["shifts"] for name in "ab")
    before = there.read_bytes()
    for replaces in (
        lambda: export_shifts(here, there, format="csv", overwrite=True),
        lambda: apply_shifts(here, scan, there, overwrite=True),
        lambda: write_scan(there, scan.projections, scan.angles, overwrite=True),
    ):
        with pytest.raises(FileExistsError, match="is the record of a run, so nothing else"):
            replaces()
    assert there.read_bytes() == before
    write_shifts(there, result, scan, overwrite=True)
    write_result(tmp_path / "b", result, scan, overwrite=True)


def test_applying_never_replaces_a_frame_or_the_angles_that_were_read(tmp_path, result_and_scan):
    result, scan = result_and_scan
    shifts = write_result(tmp_path / "run", result, scan)["shifts"]
    frames = tmp_path / "frames"
    frames.mkdir()
    for index, image in enumerate(scan.projections):
        tifffile.imwrite(frames / f"img_{index:03}.tif", image)
    for name in ("img_003.tif", "new.tif"):
        with pytest.raises(FileExistsError, match="which is what is read"):
            apply_shifts(shifts, frames, frames / name, overwrite=True)
    series = tmp_path / "series.mrc"
    with mrcfile.new(series, data=np.asarray(scan.projections, np.float32)):
        pass
    angles = tmp_path / "series.tlt"
    np.savetxt(angles, np.rad2deg(scan.angles))
    before = angles.read_bytes()
    with pytest.raises(FileExistsError, match=r"series\.tlt was not written by this program"):
        apply_shifts(shifts, series, tmp_path / "series.ali", overwrite=True, check=False)
    assert angles.read_bytes() == before
    assert not (tmp_path / "series.ali").exists()


def test_results_do_not_lie_among_the_frames(tmp_path):
    with pytest.raises(FileExistsError, match="name a folder outside it"):
        check_outputs(all_result_files(tmp_path), inputs=[tmp_path], overwrite=True)
    check_outputs(all_result_files(tmp_path / "aligned"), inputs=[tmp_path])  # a folder below may
    (tmp_path / "zarr.json").write_text("{}", encoding="utf-8")  # but a zarr store is one thing
    with pytest.raises(FileExistsError, match="name a folder outside it"):
        check_outputs(all_result_files(tmp_path / "aligned"), inputs=[tmp_path])


def test_nothing_is_written_into_a_zarr_store(tmp_path):
    store = tmp_path / "aligned.zarr"
    store.mkdir()
    (store / "zarr.json").write_text("{}", encoding="utf-8")
    for output in (store / "shifts.h5", store / "run" / "shifts.h5"):
        with pytest.raises(FileExistsError, match=r"would lie in .*aligned\.zarr, which is a"):
            check_outputs([output], overwrite=True)


def test_the_record_says_where_it_was_applied_once_that_is_true(
    tmp_path, monkeypatch, result_and_scan
):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("napari_tomoalign.io.aligned_stack.move", killed)
        with pytest.raises(KeyboardInterrupt):
            write_result(tmp_path, *result_and_scan)
    assert read_shifts(tmp_path / "shifts.h5").applied == ""
    write_result(tmp_path, *result_and_scan, overwrite=True)
    assert read_shifts(tmp_path / "shifts.h5").applied == "aligned.h5"


@pytest.mark.parametrize("older", [".mrc", ".zarr"])
def test_stacks_of_an_older_run_in_another_format_go(tmp_path, result_and_scan, older):
    write_result(tmp_path, *result_and_scan, suffix=older)
    write_result(tmp_path, *result_and_scan, suffix=".h5", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == [
        *("aligned.h5", "reconstruction.h5", "shifts.csv", "shifts.h5")
    ]


def test_a_folder_that_is_one_output_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"

    def write(text):
        with atomic_path(path, overwrite=True) as aside:
            aside.mkdir()
            (aside / "zarr.json").write_text(text, encoding="utf-8")
            if text == "half":
                raise RuntimeError

    ours = [json.dumps({"attributes": {"napari-tomoalign": k}}) for k in (1, 2)]
    for text in ours:
        write(text)
        assert (path / "zarr.json").read_text(encoding="utf-8") == text
    with pytest.raises(RuntimeError):
        write("half")
    replaced = os.replace

    def denied(old, new):
        if str(new).endswith("a.zarr") and (tmp_path / new).name != (tmp_path / old).name:
            monkeypatch.setattr(os, "replace", replaced)
            raise PermissionError(13, "Access is denied")
        replaced(old, new)

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(PermissionError, match="cannot be replaced"):
        write(ours[0])
    assert (path / "zarr.json").read_text(encoding="utf-8") == ours[1]
    assert os.listdir(tmp_path) == ["a.zarr"]


BEGUN = """
import sys, time
from napari_tomoalign.io import atomic_path
with atomic_path(sys.argv[1]) as aside:
    aside.write_bytes(b"half")
    print(flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "run.toml"
    command = [sys.executable, "-c", BEGUN, str(path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for writer in writers:
            writer.stdout.readline()
        assert len(os.listdir(tmp_path)) == 2
        writers[0].kill()
        writers[0].wait()
        with atomic_path(path) as aside:
            aside.write_text("# napari-tomoalign", encoding="utf-8")
        left = set(os.listdir(tmp_path)) - {"run.toml"}
        assert len(left) == 1
        assert f"-{writers[1].pid}-" in left.pop()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    with atomic_path(path, overwrite=True) as aside:
        aside.write_text("# napari-tomoalign", encoding="utf-8")
    assert os.listdir(tmp_path) == ["run.toml"]


def test_a_file_is_synced_through_a_handle_that_can_write(tmp_path, monkeypatch):
    """Windows syncs nothing else."""
    fcntl = pytest.importorskip("fcntl", reason="only POSIX tells how a file was opened")

    synced = []

    def fsync(descriptor):
        synced.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_path(tmp_path / "a") as aside:
        aside.write_bytes(b"x")
    assert synced == [os.O_RDWR, os.O_RDONLY]  # the file, then its folder


def test_a_file_that_cannot_be_replaced_is_named(tmp_path, monkeypatch):
    """As on Windows, where it is open in another program."""

    def denied(*_):
        raise PermissionError(13, "Access is denied")

    path = tmp_path / "a.toml"
    path.write_text("# napari-tomoalign, old", encoding="utf-8")
    monkeypatch.setattr(os, "replace", denied)
    said = r"a.toml cannot be replaced \(Access is denied\): close it where it is open"
    with pytest.raises(PermissionError, match=said), atomic_path(path, overwrite=True) as aside:
        aside.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "# napari-tomoalign, old"
    assert os.listdir(tmp_path) == ["a.toml"]


def test_a_file_that_is_open_for_a_moment_is_replaced(tmp_path, monkeypatch):
    """As on Windows, where scanners for viruses look at what was just written."""
    tried, replaced = [], os.replace

    def denied_once(old, new):
        tried.append(old)
        if len(tried) == 1:
            raise PermissionError(13, "Access is denied")
        replaced(old, new)

    monkeypatch.setattr("napari_tomoalign.io.atomic._PATIENCE", 1.0)
    monkeypatch.setattr(os, "replace", denied_once)
    with atomic_path(tmp_path / "a.toml") as aside:
        aside.write_text("new", encoding="utf-8")
    assert len(tried) == 2
    assert os.listdir(tmp_path) == ["a.toml"]


def test_every_way_of_writing_leaves_alone_what_others_wrote(tmp_path, result_and_scan):
    """Also those of the API, and the films and reports."""
    result, scan = result_and_scan
    with h5py.File(tmp_path / "shifts.h5", "w") as file:
        file["data"] = STACK
    for name in ("report.html", "report.png", "film.gif", "film.mp4"):
        (tmp_path / name).write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    stack = tmp_path / "shifts.h5"
    for write in (
        lambda: write_scan(stack, STACK, ANGLES, overwrite=True),
        lambda: write_shifts(stack, result, scan, overwrite=True),
        lambda: write_volume(stack, STACK, scan, overwrite=True),
        lambda: Checkpoint(stack, scan, overwrite=True),
        lambda: write_report(tmp_path, result),
        lambda: write_film(tmp_path / "film.gif", result, scan.projections, overwrite=True),
        lambda: check_outputs([tmp_path / "film.mp4"], overwrite=True),
    ):
        with pytest.raises(FileExistsError, match="was not written by this program"):
            write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_film_is_known_again(tmp_path, result_and_scan):
    result, scan = result_and_scan
    path = write_film(tmp_path / "film.gif", result, scan.projections, row=0)
    assert is_ours(path)
    write_film(path, result, scan.projections, row=0, overwrite=True)


HOLD = """
import sys
from pathlib import Path
from napari_tomoalign.io import folder_lock
with folder_lock(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def test_one_run_at_a_time_in_a_folder(tmp_path, result_and_scan, capsys):
    """While a run goes on, nothing else writes into its folder, whatever command it is."""
    result, scan = result_and_scan
    run, source = tmp_path / "run", tmp_path / "scan.h5"
    write_result(run, result, scan)
    write_scan(source, np.asarray(scan.projections), scan.angles)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    command = [sys.executable, "-c", HOLD, str(run)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as first:
        first.stdout.readline()
        said = f"is being written by another run .process {first.pid} on .*, since "
        for words in (
            ["align", source, "-o", run, "--overwrite"],
            ["apply", run, source, "-o", tmp_path / "elsewhere.h5"],  # is noted in the run
            ["apply", run / "shifts.csv", source, "-o", run / "other.h5"],
            ["export", run, "-o", run / "shifts.xf"],
            ["report", run, source],
            ["report", run, source, "--film"],
            ["simulate", "-o", run / "more.h5"],
        ):
            assert main([str(word) for word in words]) == 2
            assert re.search(said, capsys.readouterr().err), words
        for write in (
            lambda: write_result(run, result, scan, overwrite=True),
            lambda: write_shifts(run / "shifts.h5", result, scan, overwrite=True),
        ):
            with pytest.raises(FolderInUse, match=said):
                write()
        assert main(["export", str(run), "-o", str(tmp_path / "shifts.xf")]) == 0  # reads only
        first.kill()
        first.wait()
    assert {path.name for path in run.iterdir()} == {
        *before,
        ".tomoalign.lock",
        ".tomoalign.owner",
    }
    assert {name: (run / name).read_bytes() for name in before} == before
    with folder_lock(run), folder_lock(run):  # the dead hold nothing, and oneself may go on
        export_shifts(run / "shifts.h5", run / "shifts.xf")
    assert set(os.listdir(run)) == {*before, "shifts.xf"}


def test_another_thread_is_another_run(tmp_path):
    with folder_lock(tmp_path / "run"), ThreadPoolExecutor(1) as other:
        writing = other.submit(write_scan, tmp_path / "run" / "a.h5", STACK, ANGLES)
        with pytest.raises(FolderInUse):
            writing.result()
    assert os.listdir(tmp_path) == []  # a folder that nothing came of is not left
