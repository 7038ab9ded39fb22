"""What all HDF5 layouts share, and files of no known layout."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..angles import in_radians
from ..errors import ScanFileError
from ..raw import RawScan, RawStack, ReadOptions, stack_of

__all__ = [
    "MAGIC",
    "SUFFIXES",
    "can_read",
    "dataset_at",
    "has",
    "mean_field",
    "open_hdf5",
    "read",
    "stack_at",
    "text_attribute",
]

MAGIC = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx")


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises
    ------
    ScanFileError
        It is no HDF5 file, or only the beginning of one.
    """
    import h5py

    with suppress(ImportError):  # decoders of the compressions that beamlines use, where installed
        importlib.import_module("hdf5plugin")

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ScanFileError(
            f"{path} cannot be opened as HDF5: {error}; it seems to be truncated or damaged, copy "
            "it again from where it came"
        ) from error
    with file:
        yield file


def has(path: Path, head: bytes, *names: str) -> bool:
    """Tell whether the file is HDF5 and has datasets or groups of all these names."""
    if not head.startswith(MAGIC):
        return False
    try:
        with open_hdf5(path) as file:
            return all(name in file for name in names)
    except ScanFileError:
        return False


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 of any layout."""
    return head.startswith(MAGIC)


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the datasets that the options name.

    Raises
    ------
    ScanFileError
        No dataset is named, or it is not there; the message lists what there is.
    """
    with open_hdf5(path) as file:
        if options.data is None:
            raise ScanFileError(
                f"{path} is an HDF5 file of no layout known here (Data Exchange, NeXus NXtomo); "
                + _contents(file)
            )
        dataset = dataset_at(file, options.data, path)
        source = {"data": described(dataset)}
        angles = None
        if options.angles_path is not None:
            values = dataset_at(file, options.angles_path, path)
            angles, source["angles"] = in_radians(
                values[()], options.angle_unit or text_attribute(values, "units"), values.name
            )
        count = None if angles is None else len(angles)
        stack = stack_at(path, dataset, n_angles=count)
    return RawScan(stack, angles=angles, source=source)


def dataset_at(file: Any, name: str, path: Path) -> Any:
    """Return a dataset by its name.

    Raises
    ------
    ScanFileError
        There is none; the message lists what there is.
    """
    found = file.get(name)
    if found is None or not hasattr(found, "shape"):
        raise ScanFileError(f"{path} has no dataset {name!r}; " + _contents(file))
    return found


def stack_at(
    path: Path, dataset: Any, *, n_angles: int | None, frames: NDArray[np.intp] | None = None
) -> RawStack:
    """Return the stack of an open dataset; the file is opened anew for each reading."""
    name = dataset.name

    @contextmanager
    def opened() -> Iterator[Any]:
        with open_hdf5(path) as file:
            yield file[name]

    return stack_of(
        opened,
        dataset.shape,
        dataset.dtype,
        n_angles=n_angles,
        where=f"{path}: {name}",
        frames=frames,
    )


def mean_field(
    dataset: Any, shape: tuple[int, ...], path: Path, frames: NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Return the mean of the frames of a flat or dark field.

    Parameters
    ----------
    dataset : dataset
        ``(n, n_rows, n_columns)`` or ``(n_rows, n_columns)``.
    shape : (n_rows, n_columns)
        Of the projections.
    path : path
        For the message.
    frames : array of int, optional
        The frames to take.

    Raises
    ------
    ScanFileError
        Another shape.
    """
    if tuple(dataset.shape[-2:]) != tuple(shape) or dataset.ndim not in (2, 3):
        raise ScanFileError(
            f"{path}: {dataset.name} has shape {dataset.shape}, expected (n, {shape[0]}, "
            f"{shape[1]}) as the projections have"
        )
    if dataset.ndim == 2:
        return np.asarray(dataset[()], dtype=np.float32)
    total = np.zeros(shape, dtype=np.float64)
    picked = range(dataset.shape[0]) if frames is None else frames
    for index in picked:
        total += dataset[int(index)]
    return (total / max(1, len(picked))).astype(np.float32)


def text_attribute(item: Any, name: str) -> str | None:
    """Return an attribute as text, or None."""
    value = item.attrs.get(name)
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.flat[0] if value.size else ""
    return value.decode() if isinstance(value, bytes) else str(value)


def described(dataset: Any) -> str:
    """Return name, shape and type of a dataset in words."""
    return f"{dataset.name}, {' x '.join(map(str, dataset.shape))}, {dataset.dtype}"


def _contents(file: Any) -> str:
    """Return what could be projections and angles, and how to point at them."""
    stacks: list[str] = []
    lists: list[str] = []

    def visit(name: str, item: Any) -> None:
        shape = getattr(item, "shape", None)
        if shape is not None and item.dtype.kind in "iufb":
            line = f"/{name} {tuple(shape)} {item.dtype}"
            if len(shape) in (3, 4):
                stacks.append(line)
            elif len(shape) == 1 and shape[0] > 1:
                lists.append(line)

    file.visititems(visit)
    if not stacks:
        return "it holds no 3-D dataset at all, so there are no projections in it"
    data = stacks[0].split()[0]
    angles = lists[0].split()[0] if lists else "/where/the/angles/are"
    return (
        f"3-D datasets in it: {'; '.join(stacks[:20])}. 1-D datasets: "
        f"{'; '.join(lists[:20]) or 'none'}. Point at the projections and the angles, for example "
        f"data={data!r}, angles_path={angles!r} (on the command line --data {data} --angles "
        f"{angles})"
    )
