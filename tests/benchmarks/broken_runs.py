"""Runs in processes of their own that may be killed, and whether what they leave is whole."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from napari_tomoalign.io import import_shifts, read_shifts
from napari_tomoalign.io.finished import read_finished


def in_child(work: Callable[[], int], kill_after: float | None = None) -> tuple[int, str]:
    """Run in a forked process; return its exit code, or minus the signal, and what it printed."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = 70
            try:
                code = work()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")


def result_of(folder: Path) -> tuple[bytes, ...]:
    """Return what a run found, to the bit."""
    found = read_finished(folder)
    return found.shifts.shifts.tobytes(), found.volume.tobytes(), found.aligned.tobytes()


def damage(folder: Path) -> list[str]:
    """Return the files that are not whole."""
    bad = []
    for path in folder.iterdir() if folder.exists() else ():
        if path.name.startswith("."):
            continue  # being written when it was killed; it is no result
        try:
            if path.name == "shifts.h5":
                read_shifts(path)
            elif path.suffix == ".h5":
                with h5py.File(path) as file:
                    file.visititems(lambda _, item: item[()] if hasattr(item, "shape") else None)
            elif path.suffix == ".zarr":
                assert all(np.isfinite(array).all() and np.ptp(array) for array in arrays_of(path))
            elif path.suffix == ".csv":
                import_shifts(path)
            elif path.suffix == ".toml":
                tomllib.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".html":
                assert path.read_text(encoding="utf-8").endswith("</html>\n")
            elif path.suffix == ".png":
                assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
        except Exception as error:
            bad.append(f"{path.name}: {error}")
    return bad


def arrays_of(store: Path) -> list[np.ndarray]:
    """Return what is in a store."""
    import zarr  # here: its threads do not survive a fork

    return [array[...] for _, array in zarr.open_group(store, mode="r").arrays()]
