"""Files, and folders that are one output, that are either there and whole, or not there."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .errors import DiskFull
from .outputs import check_outputs

__all__ = ["atomic_path", "remove", "require_room", "size_of"]

_LOG = logging.getLogger(__name__)
# A file that is being written: .NAME.HOST-PROCESS-RANDOM.part.SUFFIX
_PART = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.part(\.[^.]*)?$")
_PATIENCE = 1.0 if os.name == "nt" else 0.0  # seconds; a scanner has a file for some tenths
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # EFBIG: a limit of the file system or the user


def require_room(path: Path, n_bytes: int) -> None:
    """Refuse to begin a file that cannot fit on the disk.

    Raises
    ------
    DiskFull
        Fewer bytes are free.
    """
    free = shutil.disk_usage(path.parent).free
    if n_bytes > free:
        raise DiskFull(
            errno.ENOSPC,
            f"{path.name} needs {n_bytes / 1e6:.1f} MB, but {free / 1e6:.1f} MB are free in "
            f"{path.parent}; make room, or write to another disk",
        )


@contextmanager
def atomic_path(
    path: str | os.PathLike[str], *, overwrite: bool = False, record: bool = False
) -> Iterator[Path]:
    """Give a name beside the file to write to; it becomes the file only when all went well.

    So it is with a folder, but that one that is there is moved aside before: who is killed between
    the two leaves none.

    Parameters
    ----------
    path : path
        What is to be there at the end. Its folder is made where it is missing.
    overwrite : bool
        Replace a file of this program that is there.
    record : bool
        It is the record of a run, see `check_outputs`.

    Yields
    ------
    Path
        In the same folder. After an error it is removed and ``path`` is as it was. What a killed
        process left of it is removed when the same file is written again.

    Raises
    ------
    FileExistsError, FolderInUse
        See `check_outputs`.
    DiskFull
        The disk filled up while writing.
    """
    path = Path(path)
    check_outputs([path], overwrite=overwrite, record=record)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leavings(path)
    aside = _name_aside(path)
    try:
        yield aside
        for written in _files_of(aside):
            with written.open("r+b") as file:  # Windows syncs only what is open for writing
                os.fsync(file.fileno())
        with _moved_aside(path):
            _replace(aside, path)
        _sync_folder(path.parent)
        _LOG.info("wrote %s", path)
    except BaseException as error:
        remove(aside)
        if _is_full(error):
            raise DiskFull(
                errno.ENOSPC,
                f"the disk of {path.parent} is full: {path.name} could not be written, and what "
                "was there before is untouched; make room, or write to another disk",
            ) from error
        raise


def remove(path: Path) -> None:
    """Remove a file, or a folder that is one output, where it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where nothing is there."""
    return sum(file.stat().st_size for file in _files_of(path))


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.exists() else []
    return [file for file in path.rglob("*") if file.is_file()]


@contextmanager
def _moved_aside(path: Path) -> Iterator[None]:
    """Move a folder out of the way of what replaces it, which no system does at one go."""
    if not path.is_dir():
        yield
        return
    old = _name_aside(path)
    os.replace(path, old)
    try:
        yield
    except BaseException:
        os.replace(old, path)
        raise
    shutil.rmtree(old)


def _replace(aside: Path, path: Path) -> None:
    """Put a file in its place; Windows does not where the old one is open somewhere.

    Scanners for viruses open what was just written, and let go of it: it is tried again.
    """
    ends = time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                os.replace(aside, path)
                return
            except PermissionError:
                if time.monotonic() >= ends:
                    raise
                time.sleep(_PATIENCE / 20)
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            f"{path} cannot be replaced ({error.strerror}): close it where it is open, or give "
            "another name",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where a folder can be opened: not on Windows."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some network file systems cannot; the file itself is synced
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name_aside(path: Path) -> Path:
    """Return a name beside a file for what is not in its place yet, or any more."""
    owner = f"{_host()}-{os.getpid()}-{uuid4().hex[:8]}"
    return path.with_name(f".{path.stem}.{owner}.part{path.suffix}")


def _host() -> str:
    """Return eight digits for this machine: process numbers mean something on it only."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _clear_leavings(path: Path) -> None:
    """Remove what processes of this machine that are dead had begun to write of this file."""
    begun = f".{path.stem}."
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = _PART.search(entry.name) if entry.name.startswith(begun) else None
            if match and match["host"] == _host() and not _lives(int(match["process"])):
                with suppress(OSError):
                    remove(Path(entry.path))


def _lives(process: int) -> bool:
    """Tell whether a process of this machine is running.

    Windows cannot be asked without harm: there the file, which is open, refuses to go.
    """
    if process == os.getpid():
        return True
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _is_full(error: BaseException) -> bool:
    """Tell whether the disk was full, in the words of Python, NumPy or the HDF5 library."""
    if isinstance(error, DiskFull):
        return False
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    words = str(error)
    short = re.search(r"\d+ requested and \d+ written", words)  # how NumPy says it
    return isinstance(error, (OSError, RuntimeError)) and (
        any(os.strerror(number) in words for number in _FULL) or short is not None
    )
