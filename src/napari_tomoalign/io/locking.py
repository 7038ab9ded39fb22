"""One run at a time in a folder."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["FolderInUse", "folder_lock", "refuse_held"]

_LOCK, _OWNER = ".tomoalign.lock", ".tomoalign.owner"
_HELD = threading.local()
"""Has ``folders``: those that this thread holds, so that what it calls may write there."""


class FolderInUse(RuntimeError):
    """Another run writes into the folder; the message says which."""


@contextmanager
def folder_lock(directory: Path) -> Iterator[None]:
    """Hold a folder for one run; the operating system lets go of it when the process dies.

    Whatever else writes there is refused in the meantime, see `check_outputs`; but the thread that
    holds it can hold it again.

    Parameters
    ----------
    directory : Path
        Made where it is missing, and removed again where nothing comes of it. A file system that
        knows no locks is used without.

    Raises
    ------
    FolderInUse
        Another process or thread holds it; the message names it.
    """
    folder = directory.resolve()
    if folder in _held():
        yield
        return
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    lock = _taken(directory)
    _held().add(folder)
    try:
        if lock is not None:
            _say_owner(directory)
        yield
    finally:
        _held().discard(folder)
        if lock is not None:
            _let_go(lock, directory)
        if made:
            with suppress(OSError):  # something is in it
                directory.rmdir()


def refuse_held(directory: Path) -> None:
    """Refuse to write into a folder that another run holds.

    Raises
    ------
    FolderInUse
        The message names the run.
    """
    if not (directory / _LOCK).exists() or directory.resolve() in _held():
        return
    with suppress(PermissionError):  # nothing can be written there in any case
        lock = _taken(directory)
        if lock is not None:
            _let_go(lock, directory)


def _held() -> set[Path]:
    folders: set[Path] = _HELD.__dict__.setdefault("folders", set())
    return folders


def _taken(directory: Path) -> Any:
    """Return the lock, taken; None where the file system knows none."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUse(
            f"{directory} is being written by another run{_owner(directory)}: wait for it, stop "
            "it, or give another folder"
        ) from None
    except NotImplementedError:
        return None
    return lock


def _let_go(lock: Any, directory: Path) -> None:
    for name in (_OWNER, _LOCK) if os.name == "posix" else (_OWNER,):
        with suppress(OSError):
            (directory / name).unlink()
    lock.release()
    if os.name != "posix":  # what is open cannot be removed there
        with suppress(OSError):
            (directory / _LOCK).unlink()


def _say_owner(directory: Path) -> None:
    command = " ".join(Path(word).name if i == 0 else word for i, word in enumerate(sys.argv))
    said = (
        f"process {os.getpid()} on {platform.node()}, since {time.strftime('%H:%M:%S')}, "
        f"{command[:200]}"
    )
    (directory / _OWNER).write_text(said, encoding="utf-8", errors="backslashreplace")


def _owner(directory: Path) -> str:
    with suppress(OSError):
        said = (directory / _OWNER).read_text(encoding="utf-8", errors="replace")
        return f" ({said})"
    return ""
