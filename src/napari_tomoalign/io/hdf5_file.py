"""HDF5 files: links that are followed by hand, datasets under the name they were asked for."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import ScanFileError, reading
from .hdf5_heaps import heaps_are_sound
from .hdf5_listing import contents_in_words
from .limits import refuse_inflated

__all__ = ["MAGIC", "DatasetStore", "Hdf5Dataset", "Hdf5File", "is_hdf5", "number_of", "text_of"]

MAGIC = b"\x89HDF\r\n\x1a\n"

_MOST_LINKS = 32
"""A name that leads over more links than this leads nowhere; HDF5 itself allows 16 in a row."""
_MOST_LISTED = 10_000
"""Objects that are looked at for a listing: a scan with one dataset an image has some thousand."""
_MOST_VALUES = 10**7
"""Entries of a list, such as the angles: more than any scan has projections."""


def is_hdf5(head: bytes) -> bool:
    """Tell whether the first bytes are those of an HDF5 file."""
    return head.startswith(MAGIC)


@dataclass(frozen=True)
class DatasetStore:
    """Where a dataset lies; its file is opened anew for each reading.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        In that file.
    shape, dtype : tuple of int, numpy.dtype
        Of the dataset.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def absent(self, axis: int) -> NDArray[np.bool_] | None:
        """Tell what along an axis lies in chunks that were never written; None where all is there.

        Raises
        ------
        ScanFileError
            Nothing was written at all.
        """
        with Hdf5File(self.path) as file:
            item = file.root[self.name]
            if item.chunks is None or item.is_virtual or 0 in self.shape:
                return None
            grid = [-(-n // chunk) for n, chunk in zip(self.shape, item.chunks, strict=True)]
            if item.id.get_num_chunks() == math.prod(grid):
                return None
            written = np.zeros(grid[axis], dtype=np.int64)

            def count(chunk: Any) -> None:
                written[chunk.chunk_offset[axis] // item.chunks[axis]] += 1

            item.id.chunk_iter(count)
            if not written.any():
                raise ScanFileError(
                    f"{self.path}: {self.name} was never written, the file has only room for it; "
                    "copy it again from where it came"
                )
            lacking = written < math.prod(grid) // grid[axis]
            return np.repeat(lacking, item.chunks[axis])[: self.shape[axis]]

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out.

        Raises
        ------
        ScanFileError
            The dataset is another one by now.
        """
        with Hdf5File(self.path) as file:
            item = file.root.get(self.name)
            if getattr(item, "shape", None) != self.shape or item.dtype != self.dtype:
                raise ScanFileError(
                    f"{self.path}: {self.name} has changed since it was opened: see that nothing "
                    "writes to it, and start again"
                )
            return np.asarray(item[cuts])


@dataclass(frozen=True, eq=False)
class Hdf5Dataset:
    """A dataset of a file that is open.

    Attributes
    ----------
    name : str
        As it was asked for; what a link leads to may be called otherwise.
    path : Path
        Of the file that holds it.
    item : h5py.Dataset
        The dataset itself.
    inflate : bool
        It may be read even where it is a thousand times larger than what is stored of it.
    """

    name: str
    path: Path
    item: Any
    inflate: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the dataset."""
        return tuple(self.item.shape or ())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        kind: np.dtype[Any] = np.dtype(self.item.dtype)
        return kind

    @property
    def described(self) -> str:
        """Name, shape and type in words."""
        return f"{self.name}, {' x '.join(map(str, self.shape))}, {self.dtype}"

    @property
    def where(self) -> str:
        """File and name, for messages."""
        return f"{self.path}: {self.name}"

    def text(self, attribute: str) -> str | None:
        """Return an attribute as text, or None."""
        return text_of(self.item, attribute)

    def values(self) -> NDArray[Any]:
        """Read it whole: a number, a text or a list of them.

        Raises
        ------
        ScanFileError
            It is far too long for that.
        """
        if math.prod(self.shape) > _MOST_VALUES:
            raise ScanFileError(
                f"{self.where} has shape {self.shape}, expected a list with one entry a projection"
            )
        return np.asarray(self.item[()])

    def number(self) -> float | None:
        """Return its first value as a number; None where there is none."""
        found = self.values().ravel()[:1]
        return float(found[0]) if found.size and found.dtype.kind in "iufb" else None

    def require_all(self) -> None:
        """Refuse a dataset of which a part is not there, or that would swell in memory.

        Raises
        ------
        ScanFileError
            A file that a virtual or external dataset is put together from is missing or no
            regular file; or the size is absurd.
        """
        names = [name for name, _, _ in self.item.external or ()]
        if self.item.is_virtual:
            names += [one.file_name for one in self.item.virtual_sources() if one.file_name != "."]
        for name in dict.fromkeys(map(str, names)):
            target = self.path.parent / name
            if "%b" not in name and not target.is_file():  # else numbered by a pattern
                raise ScanFileError(
                    f"{self.where} is put together from {name}, and that is no file beside "
                    f"{self.path.name} ({target}); put all files of the scan there"
                )
        chunks = self.item.chunks
        if chunks is not None and not self.item.is_virtual:
            written = self.item.id.get_num_chunks() * math.prod(chunks) * self.dtype.itemsize
            stored = self.item.id.get_storage_size()
            refuse_inflated(written, stored, self.where, inflate=self.inflate)

    @property
    def store(self) -> DatasetStore:
        """Where it lies, for when the file is closed again; all of it is there."""
        self.require_all()
        return DatasetStore(self.path, self.item.name, self.shape, self.dtype)


def text_of(item: Any, attribute: str) -> str | None:
    """Return an attribute of a group or dataset as text, or None."""
    value = item.attrs.get(attribute)
    if isinstance(value, np.ndarray):
        value = value.flat[0] if value.size else ""
    if value is None:
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def number_of(item: Any, attribute: str) -> float | None:
    """Return an attribute of a group or dataset as a number, or None where it is none."""
    value = np.ravel(item.attrs.get(attribute, ()))
    return float(value[0]) if value.size == 1 and value.dtype.kind in "iufb" else None


class Hdf5File:
    """An HDF5 file that is open for reading, and the files that its links lead to.

    Parameters
    ----------
    path : Path
        A regular file.
    inflate : bool
        See `Hdf5Dataset`.

    Raises
    ------
    ScanFileError
        It is no HDF5 file, or only the beginning of one.
    """

    def __init__(self, path: Path, inflate: bool = False) -> None:
        self.path = path
        self._inflate = inflate
        self._opened = ExitStack()
        self._files: dict[Path, Any] = {}
        self.root = self._open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _open(self, path: Path) -> Any:
        if path not in self._files:
            import h5py

            state = path.stat()
            if not heaps_are_sound(path, state.st_size, state.st_mtime_ns):
                raise ScanFileError(
                    f"{path} is damaged where HDF5 keeps its texts; copy it again from where it "
                    "came"
                )

            with suppress(ImportError):  # decoders of beamlines' compressions, where installed
                importlib.import_module("hdf5plugin")
            with reading(f"{path}, as HDF5,"):
                self._files[path] = self._opened.enter_context(h5py.File(path, "r"))
        return self._files[path]

    def find(self, name: str) -> Any | None:
        """Return what has this name, an `Hdf5Dataset` or a group, or None.

        Raises
        ------
        ScanFileError
            A link leads to nothing, in a circle, or to what is no regular file.
        """
        path, item = self._follow(name)
        if item is None or not hasattr(item, "dtype"):
            return item if hasattr(item, "keys") else None
        return Hdf5Dataset(name, path, item, self._inflate)

    def has(self, *names: str) -> bool:
        """Tell whether there are links of all these names, wherever they lead."""
        return all(self._is_link(name) for name in names)

    def _is_link(self, name: str) -> bool:
        above, _, last = name.rstrip("/").rpartition("/")
        _, group = self._follow(above)
        return hasattr(group, "keys") and group.get(last, getlink=True) is not None

    def dataset(self, name: str) -> Hdf5Dataset:
        """Return the dataset of this name.

        Raises
        ------
        ScanFileError
            There is none; the message lists what there is.
        """
        found = self.find(name)
        if not isinstance(found, Hdf5Dataset):
            raise ScanFileError(f"{self.path} has no dataset {name!r}; {self.contents()}")
        return found

    def optional(self, name: str) -> Hdf5Dataset | None:
        """Return the dataset of this name that is not empty, or None."""
        found = self.find(name) if self.has(name) else None
        return found if isinstance(found, Hdf5Dataset) and 0 not in found.shape else None

    def text(self, name: str) -> str:
        """Return a dataset that is a text, or an empty text."""
        found = self.optional(name)
        if found is None or found.shape not in ((), (1,)):
            return ""
        value = np.ravel(found.values())[0]
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def _follow(self, name: str) -> tuple[Path, Any]:
        """Follow a name over all links by hand: HDF5 itself would open whatever they name."""
        import h5py

        path, group = self.path, self.root
        left = [part for part in name.split("/") if part]
        links = 0
        while left:
            part, *left = left
            link = group.get(part, getlink=True) if hasattr(group, "keys") else None
            if link is None:
                return path, None
            if isinstance(link, h5py.HardLink):
                group = group[part]
                continue
            links += 1
            if links > _MOST_LINKS:
                raise ScanFileError(
                    f"{self.path}: the link {name} leads in a circle; name the dataset itself"
                )
            if isinstance(link, h5py.ExternalLink):
                path = self._target(path, link.filename, name)
                group = self._open(path)["/"]
            elif link.path.startswith("/"):
                group = group.file["/"]
            left = [step for step in link.path.split("/") if step not in ("", ".")] + left
            if self._leads_nowhere(group, left):
                raise ScanFileError(
                    f"{self.path}: the link {name} leads to {link.path} in {path}, and that is "
                    "not there; copy the whole scan again, or name another dataset"
                )
        return path, group

    @staticmethod
    def _leads_nowhere(group: Any, left: list[str]) -> bool:
        return bool(left) and group.get(left[0], getlink=True) is None

    def _target(self, path: Path, filename: str, name: str) -> Path:
        """Return the file that an external link names, beside the file that has the link."""
        target = path.parent / filename
        if target.is_file():
            return target
        what = "is no regular file" if target.exists() else "is not there"
        raise ScanFileError(
            f"{self.path}: the link {name} leads to the file {filename}, which {what} "
            f"({target}); put it there, beside {path.name} as when the scan was measured"
        )

    def walk(self, start: str = "/") -> Iterator[Hdf5Dataset]:
        """Yield all datasets below, over all links; those that lead nowhere are left out.

        What several links lead to comes once for each, but no group is entered twice.
        """
        seen: set[tuple[Path, int]] = set()
        waiting = [start]
        for _ in range(_MOST_LISTED):
            if not waiting:
                return
            name = waiting.pop(0)
            try:
                found = self.find(name)
            except ScanFileError:
                continue
            item = found.item if isinstance(found, Hdf5Dataset) else found
            if item is None:
                continue
            address = Path(item.file.filename), _address(item)
            if isinstance(found, Hdf5Dataset):
                yield found
            elif address not in seen:
                waiting[:0] = [f"{name.rstrip('/')}/{key}" for key in item]
            seen.add(address)

    def contents(self) -> str:
        """Return in words what could be projections and angles, and how to point at them."""
        return contents_in_words(list(self.walk()))


def _address(item: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)
