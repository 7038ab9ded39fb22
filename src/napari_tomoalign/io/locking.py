"""One run at a time in a folder."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["FolderInUse", "folder_lock"]

_LOCK, _OWNER = ".tomoalign.lock", ".tomoalign.owner"


class FolderInUse(RuntimeError):
    """Another run writes into the folder; the message says which."""


@contextmanager
def folder_lock(directory: Path) -> Iterator[None]:
    """Hold a folder for one run; the operating system lets go of it when the process dies.

    Parameters
    ----------
    directory : Path
        Exists. A file system that knows no locks is used without.

    Raises
    ------
    FolderInUse
        Another process holds it; the message names it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(directory / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUse(
            f"{directory} is being written by another run{_owner(directory)}: wait for it, stop "
            "it, or give another folder"
        ) from None
    except NotImplementedError:  # no locks here
        yield
        return
    try:
        command = " ".join(Path(word).name if i == 0 else word for i, word in enumerate(sys.argv))
        said = (
            f"process {os.getpid()} on {platform.node()}, since {time.strftime('%H:%M:%S')}, "
            f"{command[:200]}"
        )
        (directory / _OWNER).write_text(said, encoding="utf-8", errors="backslashreplace")
        yield
    finally:
        for name in (_OWNER, _LOCK) if os.name == "posix" else (_OWNER,):
            with suppress(OSError):
                (directory / name).unlink()
        lock.release()
        if os.name != "posix":  # what is open cannot be removed there
            with suppress(OSError):
                (directory / _LOCK).unlink()


def _owner(directory: Path) -> str:
    with suppress(OSError):
        said = (directory / _OWNER).read_text(encoding="utf-8", errors="replace")
        return f" ({said})"
    return ""
