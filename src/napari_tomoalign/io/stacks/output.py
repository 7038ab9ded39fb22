"""Stacks and volumes of any size to a file, in the format that its suffix names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path, require_room
from ..outputs import check_outputs
from . import hdf5, mrc, tiff
from . import zarr as zarr_stores
from .content import Content

__all__ = [
    "SUFFIXES",
    "Progress",
    "StackOutput",
    "holds_center",
    "holds_channels",
    "read_volume",
    "require_format",
    "stack_outputs",
]

PathLike = str | os.PathLike[str]
Progress = Callable[[str, int, int], object]
"""Gets the name of a file, how many of its bytes are written, and how many there are."""

# A new format is one module and one entry here.
_FORMATS: tuple[ModuleType, ...] = (hdf5, tiff, mrc, zarr_stores)
_KNOWN: dict[str, Any] = {suffix: kind for kind in _FORMATS for suffix in kind.SUFFIXES}

SUFFIXES: tuple[str, ...] = tuple(kind.SUFFIXES[0] for kind in _FORMATS)
"""The usual one of each format."""


def _format_of(path: PathLike) -> Any:
    suffix = Path(path).suffix.lower()
    if suffix not in _KNOWN:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; known are {', '.join(_KNOWN)}")
    return _KNOWN[suffix]


def require_format(path: PathLike) -> None:
    """Refuse a format that cannot be written here.

    Raises
    ------
    ValueError
        An unknown suffix, or its library is not installed.
    """
    needed = _format_of(path).NEEDS
    if needed and find_spec(needed) is None:
        raise ValueError(
            f"to write {Path(path).name} needs the {needed} package, which is not installed here: "
            f"pip install 'napari-tomoalign[{needed}]'"
        )


def stack_outputs(path: PathLike) -> tuple[Path, ...]:
    """Return the files that a stack is written to: a ``.tlt`` where no angles fit into its own.

    Raises
    ------
    ValueError
        An unknown suffix.
    """
    path = Path(path)
    return (path,) if _format_of(path).HOLDS_GEOMETRY else (path, path.with_suffix(".tlt"))


def holds_center(path: PathLike) -> bool:
    """Tell whether a stack's format, by its suffix, can say where the rotation axis is.

    Raises
    ------
    ValueError
        An unknown suffix.
    """
    return bool(_format_of(path).HOLDS_GEOMETRY)


def holds_channels(path: PathLike) -> bool:
    """Tell whether several channels fit into a format, by its suffix.

    Raises
    ------
    ValueError
        An unknown suffix.
    """
    return bool(_format_of(path).HOLDS_CHANNELS)


def read_volume(path: Path) -> NDArray[np.float32]:
    """Return the values of a volume that was written here; whatever its library raises."""
    return np.asarray(_format_of(path).read_volume(path), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class StackOutput:
    """A stack or a volume of any size that is to be written.

    Attributes
    ----------
    path : path
        ``.h5`` (Data Exchange layout), ``.zarr``, ``.tif`` or ``.mrc``. Beside the last two a
        ``.tlt`` file is written with the angles.
    content : Content

    Raises
    ------
    ValueError
        A suffix that is unknown or whose library is missing, or channels in a format that has none.
    """

    path: Path
    content: Content

    def __post_init__(self) -> None:
        """Refuse a format that is none, or cannot hold it."""
        require_format(self.path)
        if len(self.content.shape) == 4 and not holds_channels(self.path):
            raise ValueError(
                f"{self.path}: several channels fit into HDF5 and zarr only; take the suffix .h5"
            )

    @property
    def is_there(self) -> bool:
        """Whether it is there with its angles, and says that it was made of the same as this."""
        if not all(file.exists() for file in (self.path, *self._beside)):
            return False
        try:
            return bool(_format_of(self.path).mark_in(self.path) == self.content.mark)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, another's
            return False

    @property
    def _beside(self) -> tuple[Path, ...]:
        return stack_outputs(self.path)[1:] if self.content.info.angles is not None else ()

    def write(self, *, overwrite: bool = False, progress: Progress | None = None) -> Path:
        """Write it, whole or not at all.

        Parameters
        ----------
        overwrite : bool
            Replace a file that is there.
        progress : callable, optional
            Gets the name of the file, how many bytes are written and how many there are.

        Raises
        ------
        FileExistsError
            There is a file, and ``overwrite`` is off.
        DiskFull
            There is no room; where the file system can promise it, before the first piece is made.
        """
        content, done = self.content, 0

        def tell(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            if progress is not None:
                progress(self.path.name, done, content.n_bytes)

        check_outputs([self.path, *self._beside], overwrite=overwrite)
        with atomic_path(self.path, overwrite=overwrite) as aside:
            require_room(self.path, content.n_bytes)
            _format_of(self.path).write(aside, content, tell)
        for file in self._beside:
            assert content.info.angles is not None
            with atomic_path(file, overwrite=overwrite) as aside:
                np.savetxt(aside, np.rad2deg(content.info.angles), fmt="%.6f")
        return self.path
