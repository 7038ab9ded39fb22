"""Numba's compiler, with its cache wherever one can be written, or without."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(
    *, parallel: bool = False, fastmath: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a kernel when it is first called, and keeps it on disk.

    Numba keeps it beside the module, else in the user's cache, or in ``NUMBA_CACHE_DIR``. Where it
    may write to none of these, as in a container with another user or on a batch node, it is kept
    in the temporary folder, and where that fails too, nowhere.

    Parameters
    ----------
    parallel : bool
        ``prange`` runs on threads.
    fastmath : collection of str
        See `_rounding.FAST`.
    """
    options: dict[str, Any] = {"nogil": True, "parallel": parallel, "fastmath": set(fastmath)}

    def decorate(function: Callable[..., Any]) -> Any:
        with suppress(RuntimeError):  # numba finds no folder to write to
            return numba.njit(cache=True, **options)(function)
        folder = _own_temporary_folder()
        settings: Any = numba.config
        before = settings.CACHE_DIR
        if folder is not None:
            settings.CACHE_DIR = str(folder)
            try:
                return numba.njit(cache=True, **options)(function)
            except RuntimeError:
                pass
            finally:
                settings.CACHE_DIR = before
        return numba.njit(**options)(function)

    return decorate


def _own_temporary_folder() -> Path | None:
    """Return a folder that this user alone may write to, for what lies there is executed."""
    user = os.getuid() if os.name == "posix" else "user"
    place = tempfile.gettempdir()
    named = {os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
    if place == os.getcwd() and place not in named | {"/tmp", "/var/tmp", "/usr/tmp"}:
        return None  # Python's last resort is where the user works: nothing of ours stays there
    folder = Path(place) / f"napari-tomoalign-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    if os.name == "posix" and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        return None
    return folder
