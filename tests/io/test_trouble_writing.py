"""Where writing fails, what is there stays whole, and the message says what to do."""

import errno
import os
from types import SimpleNamespace

import pytest
from io_result import make_result
from small_stack import ANGLES, STACK

from napari_tomoalign.io import (
    DiskFull,
    all_result_files,
    apply_shifts,
    atomic_path,
    check_outputs,
    write_result,
    write_scan,
)


@pytest.fixture
def result_and_scan():
    return make_result()


def test_an_output_that_exists_is_refused_and_left_alone(tmp_path, result_and_scan):
    result, scan = result_and_scan
    path = write_scan(tmp_path / "scan.h5", STACK, ANGLES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shifts.csv").write_text("mine", encoding="utf-8")
    before = path.read_bytes()

    for call in (
        lambda: write_scan(path, STACK, ANGLES),
        lambda: check_outputs([path]),
        lambda: check_outputs(all_result_files(tmp_path / "out")),
        lambda: write_result(tmp_path / "out", result, scan),
    ):
        with pytest.raises(FileExistsError, match=r"exists already.*--overwrite"):
            call()
    with pytest.raises(NotADirectoryError, match="is a file"):
        check_outputs([path / "out"])
    check_outputs([path], overwrite=True)
    check_outputs(all_result_files(tmp_path / "new"))

    assert path.read_bytes() == before
    assert (tmp_path / "out" / "shifts.csv").read_text(encoding="utf-8") == "mine"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["shifts.csv"]


def test_a_crash_while_writing_leaves_the_old_file_and_no_half_one(tmp_path):
    path = tmp_path / "out.toml"
    path.write_text("# napari-tomoalign, old", encoding="utf-8")

    def write_and_crash():
        with atomic_path(path, overwrite=True) as aside:
            aside.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_crash()

    assert path.read_text(encoding="utf-8") == "# napari-tomoalign, old"
    assert os.listdir(tmp_path) == ["out.toml"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("3600 requested and 1656 written"),  # NumPy's tofile
        RuntimeError("Can't write (errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_in_the_words_of_each_library(tmp_path, error):
    def fill():
        with atomic_path(tmp_path / "out.bin") as aside:
            aside.write_bytes(b"half")
            raise error

    with pytest.raises(DiskFull, match=r"is full: out\.bin could not be written"):
        fill()
    assert os.listdir(tmp_path) == []


def test_another_error_is_not_called_a_full_disk(tmp_path):
    def fail():
        with atomic_path(tmp_path / "out.bin"):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error") as caught:
        fail()
    assert not isinstance(caught.value, DiskFull)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_says_what_was_saved(tmp_path, monkeypatch, result_and_scan):
    result, scan = result_and_scan
    monkeypatch.setattr("napari_tomoalign.io.reconstruction.move_rows", no_space)

    with pytest.raises(DiskFull) as caught:
        write_result(tmp_path / "out", result, scan)

    message = str(caught.value)
    assert "is full: reconstruction.h5 could not be written" in message
    assert "shifts.h5, shifts.csv, aligned.h5; not saved: reconstruction.h5" in message
    assert sorted(os.listdir(tmp_path / "out")) == ["aligned.h5", "shifts.csv", "shifts.h5"]


def test_too_little_room_is_seen_before_writing(tmp_path, monkeypatch, result_and_scan):
    result, scan = result_and_scan
    nearly_full = SimpleNamespace(free=100)
    monkeypatch.setattr("napari_tomoalign.io.atomic.shutil.disk_usage", lambda _: nearly_full)

    with pytest.raises(DiskFull, match=r"aligned\.h5 needs .* MB, but 0\.0 MB are free"):
        write_result(tmp_path / "out", result, scan)

    assert sorted(os.listdir(tmp_path / "out")) == ["shifts.csv", "shifts.h5"]


@pytest.mark.parametrize("suffix", [".h5", ".tif", ".mrc"])
def test_apply_on_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, result_and_scan, suffix):
    result, scan = result_and_scan
    saved = write_result(tmp_path / "out", result, scan)
    monkeypatch.setattr("napari_tomoalign.io.aligned_stack.move", no_space)
    (tmp_path / "new").mkdir()

    with pytest.raises(DiskFull, match="make room, or write to another disk"):
        apply_shifts(saved["shifts"], scan, tmp_path / "new" / f"aligned{suffix}")

    assert os.listdir(tmp_path / "new") == []


@pytest.mark.parametrize("name", ["scan.h5", "aligned.h5"])
def test_what_is_read_is_never_replaced(tmp_path, name):
    scan = tmp_path / name
    scan.write_bytes(b"scan")
    outputs = [scan] if name == "scan.h5" else all_result_files(tmp_path)
    with pytest.raises(FileExistsError, match="is what is read, so it is not replaced"):
        check_outputs(outputs, overwrite=True, inputs=[scan])


@pytest.mark.parametrize("error", [OSError(errno.EFBIG, "x"), RuntimeError("File too large")])
def test_a_limit_of_the_file_size_is_said_as_a_full_disk(tmp_path, error):
    with pytest.raises(DiskFull, match="make room"), atomic_path(tmp_path / "a"):
        raise error
