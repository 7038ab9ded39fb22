"""Kernels are kept where one may write, and run where one may not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import napari_tomoalign
from napari_tomoalign.images._compiling import _own_temporary_folder

# Where the file system lets nobody write but in the folders that are given; root may always.
SCRIPT = """
import os, sys, tempfile, warnings
allowed = tuple(sys.argv[1:])
real = tempfile.TemporaryFile, os.mkdir

def refuse(function):
    def checked(*words, **settings):
        folder = str(settings.get("dir") or words[0])
        if not folder.startswith(allowed):
            raise PermissionError(13, "Permission denied", folder)
        return function(*words, **settings)
    return checked

tempfile.TemporaryFile, os.mkdir = map(refuse, real)
import numpy as np
from napari_tomoalign.backends import get_backend
from napari_tomoalign.images import _binning_kernels as kernels  # soon compiled
note = get_backend("builtin").startup_note()
binned = np.zeros((2, 3, 1), np.float32)
kernels.bin_frame(np.ones((4, 6, 1), np.float32), 2, 2, binned)
print(kernels.bin_frame.stats.cache_path)
print(note)
print((binned == 1).all())
"""


def run(tmp_path, monkeypatch, *allowed):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, allowed or ("/nowhere",))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.name != "posix", reason="Windows says otherwise who may write where")
@pytest.mark.parametrize("user", ["unset", "unwritable"])
def test_the_temporary_folder_keeps_them_where_nothing_else_can_be_written(
    tmp_path, monkeypatch, user
):
    if user == "unset":
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    else:
        monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/nowhere")
    kept, note, right = run(tmp_path, monkeypatch, tmp_path)
    assert kept.startswith(str(tmp_path / "napari-tomoalign-"))
    assert (tmp_path / kept).stat().st_mode & 0o022 == 0  # what lies there is executed
    assert note == "compiling the kernels, once: about half a minute"
    assert right == "True"


@pytest.mark.skipif(os.name != "posix", reason="Windows has its temporary folder elsewhere")
def test_they_run_where_nothing_at_all_can_be_written(tmp_path, monkeypatch):
    kept, note, right = run(tmp_path, monkeypatch)
    assert kept == "None"
    assert "in every run, for no folder can be written to: give one in NUMBA_CACHE_DIR" in note
    assert right == "True"
    assert list(tmp_path.iterdir()) == []


def test_they_are_not_left_where_the_user_works(tmp_path, monkeypatch):
    """Python takes the current folder for temporary files where it may write to no other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _own_temporary_folder() is None
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # unless the user says so
    assert _own_temporary_folder().parent == tmp_path


def test_no_kernel_is_kept_by_other_means():
    for path in Path(napari_tomoalign.__file__).parent.rglob("*.py"):
        if path.name != "_compiling.py":
            assert "cache=True" not in path.read_text(encoding="utf-8"), path
