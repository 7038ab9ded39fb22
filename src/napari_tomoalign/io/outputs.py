"""The one rule about outputs: what was read is never written, what others wrote never replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from .locking import refuse_held

__all__ = ["CREATOR", "SHIFTS_FORMAT", "check_outputs", "is_ours"]

PathLike = str | os.PathLike[str]

CREATOR = "napari-tomoalign"
SHIFTS_FORMAT = f"{CREATOR} shifts"  # how a shifts file calls itself
"""By what this program knows its files again: it stands near the beginning or end of each."""

_ENDS = 4096
"""Bytes at either end of a file: the marks in text, pictures and MRC files stand within the first,
the table of contents of an .npz file within the last."""
_MARKS = {
    ".csv": b"projection,angle_degrees,shift_row,shift_column",
    ".html": b'<meta name="generator" content="napari-tomoalign">',
    ".png": b"Software\0napari-tomoalign",
    ".gif": b"napari-tomoalign",
    ".mp4": b"napari-tomoalign",
    ".toml": b"# napari-tomoalign",
    ".npz": b"creator.npy",
    **dict.fromkeys((".mrc", ".ali", ".st", ".rec"), b"napari-tomoalign"),
}
_HDF5 = (".h5", ".hdf5", ".hdf", ".nxs")
_TIFF = (".tif", ".tiff")
_STORES = (".zarr",)  # folders that are one output
_BESIDE = (".tif", ".tiff", ".mrc", ".ali", ".st", ".rec")  # stacks that have a .tlt beside them
# The identity and two shifts with six decimals; IMOD itself writes three.
_XF_LINE = (b"1.0000000", b"0.0000000", b"0.0000000", b"1.0000000")


def check_outputs(
    outputs: Iterable[PathLike],
    *,
    inputs: Iterable[PathLike] = (),
    overwrite: bool = False,
    record: bool = False,
) -> None:
    """Refuse, before any work, files that are not to be written.

    Parameters
    ----------
    outputs : iterable of paths
        All files that are going to be written.
    inputs : iterable of paths
        What is read. A folder stands for all that lies in it.
    overwrite : bool
        Files of this program that are there may be replaced; those of others never are.
    record : bool
        One of the outputs is the record of a run, which alone replaces another one.

    Raises
    ------
    FileExistsError
        A file is there, and ``overwrite`` is off or it is not one of ours; or it is an input, or
        the record of a run.
    FolderInUse
        Another run writes into the folder.
    IsADirectoryError
        A folder is there.
    NotADirectoryError
        A part of the path is a file.
    """
    read = [Path(one) for one in inputs]
    written = [Path(one) for one in outputs]
    for folder in dict.fromkeys(output.parent for output in written):
        refuse_held(folder)
    for output in written:
        above = next((parent for parent in output.parents if parent.exists()), output.parent)
        if above.exists() and not above.is_dir():
            raise NotADirectoryError(
                f"{above} is a file, so {output} cannot be written; name a folder"
            )
        for one in read:
            _refuse_input(output, one)
        if (store := next(filter(_is_store, output.parents), None)) is not None:
            raise FileExistsError(
                f"{output} would lie in {store}, which is a zarr store; name a folder outside it"
            )
        if output.is_dir() and output.suffix.lower() not in _STORES:
            raise IsADirectoryError(f"{output} is a folder; give the name of a file")
        if not output.exists():
            continue
        if not overwrite:
            raise FileExistsError(
                f"{output} exists already; give another name, or overwrite=True (--overwrite)"
            )
        if not is_ours(output):
            raise FileExistsError(
                f"{output} was not written by this program, or is damaged, so it is not "
                "replaced, whatever --overwrite says; move it away, or give another name"
            )
        if not record and _is_record(output):
            raise FileExistsError(
                f"{output} is the record of a run, so nothing else replaces it, whatever "
                "--overwrite says; move it away, or give another name"
            )


def _refuse_input(output: Path, read: Path) -> None:
    """Refuse to write a file that is read, or among the frames of a folder that is read."""
    if not read.exists():
        return
    if output.exists() and output.samefile(read):
        raise FileExistsError(f"{output} is what is read, so it is not replaced; name another")
    if not read.is_dir():
        return
    # A zarr store owns all that lies in it at any depth, a folder of frames its own files.
    for parent in output.parents if _is_store(read) else (output.parent,):
        if parent.exists() and parent.samefile(read):
            raise FileExistsError(
                f"{output} would lie in {read}, which is what is read; name a folder outside it"
            )


def _is_store(folder: Path) -> bool:
    """Tell whether a folder is a zarr store."""
    return any((folder / mark).is_file() for mark in ("zarr.json", ".zarray", ".zgroup"))


def is_ours(path: Path) -> bool:
    """Tell by its content whether this program has written a file."""
    suffix = path.suffix.lower()
    try:
        if suffix in _HDF5:
            return _is_our_hdf5(path)
        if suffix in _TIFF:
            return _is_our_tiff(path)
        if suffix == ".tlt":
            return _is_our_tilt_file(path)
        if suffix in _STORES:
            said = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
            return CREATOR in said["attributes"]
        with path.open("rb") as file:
            head = file.read(_ENDS)
            file.seek(max(len(head), path.stat().st_size - _ENDS))
            ends = head + file.read(_ENDS)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return False
    if suffix == ".xf":
        return all(_is_our_transform(line) for line in head.splitlines()[:20])
    return suffix in _MARKS and _MARKS[suffix] in ends


def _is_our_transform(line: bytes) -> bool:
    parts = line.split()
    return tuple(parts[:4]) == _XF_LINE and _in_our_digits(parts[4:])


def _in_our_digits(numbers: list[bytes]) -> bool:
    """Tell whether numbers have six decimals, as all that this program writes as text."""
    return all(len(number.partition(b".")[2]) == 6 for number in numbers)


def _is_our_tilt_file(path: Path) -> bool:
    """Tell whose angles these are; they have no room for a mark.

    Ours are beside a stack of ours, or, where that is gone, in a run's folder, in our form.
    """
    if any(is_ours(path.with_suffix(stack)) for stack in _BESIDE):
        return True
    return is_ours(path.with_name("shifts.h5")) and _in_our_digits(path.read_bytes().split())


def _is_our_hdf5(path: Path) -> bool:
    import h5py

    with h5py.File(path) as file:
        own = str(file.attrs.get("creator", "")) == CREATOR
        return own or str(file.attrs.get("format", "")).startswith(CREATOR)


def _is_record(path: Path) -> bool:
    """Tell whether one of our files holds the shifts of a run and its whole history."""
    import h5py

    if path.suffix.lower() not in _HDF5:
        return False
    with h5py.File(path) as file:
        return str(file.attrs.get("format", "")) == SHIFTS_FORMAT


def _is_our_tiff(path: Path) -> bool:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return CREATOR in str(getattr(page, "description", ""))
