"""What all HDF5 layouts share, and files of no known layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..._counting import how_many
from ..angles import in_radians
from ..errors import ScanFileError
from ..hdf5_file import Hdf5Dataset, Hdf5File, is_hdf5, text_of
from ..outputs import SHIFTS_FORMAT
from ..raw import RawScan, RawStack, ReadOptions, stack_of

__all__ = [
    "SUFFIXES",
    "Fields",
    "can_read",
    "fields_of",
    "has",
    "mean_field",
    "only_one",
    "read",
    "read_angles_at",
    "split_by_keys",
]

SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx")

_MOST_FIELDS = 10_000
"""Frames of a flat or dark field: the mean of so many is known to 1 % of one frame's noise."""
_PROJECTION, _FLAT, _DARK = 0, 1, 2
"""What NeXus has in ``image_key``."""


def has(path: Path, head: bytes, *names: str) -> bool:
    """Tell whether the file is HDF5 and has datasets, groups or links of all these names."""
    if not is_hdf5(head):
        return False
    try:
        with Hdf5File(path) as file:
            return file.has(*names)
    except ScanFileError:
        return False


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 of any layout."""
    return is_hdf5(head)


@dataclass(frozen=True, eq=False)
class Fields:
    """Flat and dark field of a scan, and where they came from."""

    white: NDArray[np.float32] | None = None
    dark: NDArray[np.float32] | None = None
    source: Mapping[str, str] = field(default_factory=dict)


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the datasets that the options name.

    Raises
    ------
    ScanFileError
        No dataset is named, or it is not there; the message lists what there is.
    """
    with Hdf5File(path, options.inflate) as file:
        if options.data is None:
            if text_of(file.root, "format") == SHIFTS_FORMAT:
                raise ScanFileError(
                    f"{path} is a shifts file of this program and holds no images; give the scan "
                    "that it belongs to, and this file only where shifts are asked for"
                )
            raise ScanFileError(
                f"{path} is an HDF5 file of no layout known here (Data Exchange, NeXus NXtomo); "
                + file.contents()
            )
        dataset = file.dataset(options.data)
        source = {"data": dataset.described}
        angles = None
        if options.angles_path is not None and not options.angles_known:
            angles, source["angles"] = read_angles_at(file, options.angles_path, options)
        if options.keys is not None:
            keys = file.dataset(options.keys)
            return split_by_keys(dataset, keys, angles, options, source)
        stack = stack_of(
            dataset.store,
            n_angles=options.n_angles if angles is None else len(angles),
            where=dataset.where,
            angle_axis=options.angle_axis,
        )
        fields = fields_of(file, stack, options.flats, options.darks)
    return RawScan(
        stack,
        angles=angles,
        white=fields.white,
        dark=fields.dark,
        source={**source, **fields.source},
    )


def only_one(path: Path, names: list[str]) -> str:
    """Return the name of the only data set, or ask which is meant.

    Raises
    ------
    ScanFileError
        There is none, or there are several.
    """
    if len(names) == 1:
        return names[0]
    if not names:
        raise ScanFileError(f"{path} holds no images; name the dataset with data= (--data)")
    raise ScanFileError(
        f"{path} holds {len(names)} data sets: {'; '.join(names[:20])}. Choose one, for example "
        f"data={names[0]!r} (--data {names[0]})"
    )


def read_angles_at(
    file: Hdf5File, name: str, options: ReadOptions, fixed_unit: str | None = None
) -> tuple[NDArray[np.float64], str]:
    """Return the angles of a dataset in radians, and in words where they came from.

    Parameters
    ----------
    file : Hdf5File
        Open.
    name : str
        Of the dataset.
    options : ReadOptions
        Whose unit goes before all others.
    fixed_unit : str, optional
        What the layout says where the file does not.
    """
    found = file.dataset(name)
    unit = options.angle_unit or found.text("units") or fixed_unit
    return in_radians(found.values(), unit, name)


def fields_of(file: Hdf5File, stack: RawStack, flats: str | None, darks: str | None) -> Fields:
    """Return the mean fields of the datasets of these names, where there are such."""
    means: dict[str, NDArray[np.float32]] = {}
    source: dict[str, str] = {}
    for kind, words, name in (("white", "flats", flats), ("dark", "darks", darks)):
        if name is not None:
            dataset = file.dataset(name)
            means[kind] = mean_field(dataset, stack.shape[1:3])
            source[words] = dataset.described
    return Fields(means.get("white"), means.get("dark"), source)


def mean_field(
    dataset: Hdf5Dataset, shape: tuple[int, ...], frames: NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Return the mean of the frames of a flat or dark field.

    Parameters
    ----------
    dataset : Hdf5Dataset
        ``(n, n_rows, n_columns)``, ``(n_rows, n_columns)``, or ``(n_rows, n, n_columns)`` beside
        projections in that order.
    shape : (n_rows, n_columns)
        Of the projections.
    frames : array of int, optional
        The frames to take.

    Raises
    ------
    ScanFileError
        Another shape.
    """
    dataset.require_all()
    own = dataset.shape
    if own == tuple(shape):
        return np.asarray(dataset.item[()], dtype=np.float32)
    if len(own) == 3 and own[1:] == tuple(shape):
        axis = 0
    elif len(own) == 3 and own[::2] == tuple(shape):
        axis = 1
    else:
        raise ScanFileError(
            f"{dataset.path}: {dataset.name} has shape {own}, expected (n, {shape[0]}, "
            f"{shape[1]}) as the projections have"
        )
    total = np.zeros(shape, dtype=np.float64)
    picked = range(own[axis]) if frames is None else frames
    if len(picked) > _MOST_FIELDS and not dataset.inflate:
        raise ScanFileError(
            f"{dataset.where} has {len(picked)} frames, more than a detector's field is ever "
            "measured: the file seems to be damaged; if they are to be averaged all the same, say "
            "inflate=True (--inflate)"
        )
    for index in picked:
        total += dataset.item[int(index)] if axis == 0 else dataset.item[:, int(index)]
    return (total / max(1, len(picked))).astype(np.float32)


def split_by_keys(
    dataset: Hdf5Dataset,
    keys: Hdf5Dataset,
    angles: NDArray[np.float64] | None,
    options: ReadOptions,
    source: Mapping[str, str],
) -> RawScan:
    """Return the scan of a stack that has projections and fields, told apart by keys.

    Parameters
    ----------
    dataset, keys : Hdf5Dataset
        The stack, and for each frame 0 (projection), 1 (flat) or 2 (dark); what has another key
        is left out.
    angles : array, optional
        Radians, one for each frame or one for each projection.
    options : ReadOptions
        For the axis of the angles.
    source : mapping of str to str
        In words, what is known so far.

    Raises
    ------
    ScanFileError
        Numbers that do not fit.
    """
    values = keys.values().ravel()
    stack = stack_of(
        dataset.store, n_angles=len(values), where=dataset.where, angle_axis=options.angle_axis
    )
    if len(values) != stack.shape[0]:
        raise ScanFileError(
            f"{dataset.path}: {keys.name.rpartition('/')[2]} has {len(values)} entries for "
            f"{stack.shape[0]} frames; there must be one for each"
        )
    frames = {key: np.flatnonzero(values == key) for key in (_PROJECTION, _FLAT, _DARK)}
    projections = frames[_PROJECTION]
    if not projections.size:
        raise ScanFileError(
            f"{dataset.path}: no frame has image_key 0, so there are no projections"
        )
    means: dict[str, NDArray[np.float32]] = {}
    named = {**source, "data": f"{dataset.described}, {len(projections)} of them projections"}
    for key in (_FLAT, _DARK):
        frames[key] = frames[key][~stack.absent[frames[key]]]
    for key, kind, words in ((_FLAT, "white", "flats"), (_DARK, "dark", "darks")):
        if frames[key].size:
            means[kind] = mean_field(dataset, stack.shape[1:3], frames[key])
            named[words] = f"{frames[key].size} frames with image_key {key}"
    if angles is not None and len(angles) == len(values):
        angles = angles[projections]
    elif angles is not None and len(angles) != len(projections):
        raise ScanFileError(
            f"{dataset.path}: {source.get('angles', 'the angles')}: {len(angles)} entries for "
            f"{len(values)} frames; there must be one for each"
        )
    others = len(values) - sum(indices.size for indices in frames.values())
    notes = (f"{how_many(others, 'frame')} with another image_key left out",) if others else ()
    return RawScan(
        replace(stack, frames=projections),
        angles=angles,
        white=means.get("white"),
        dark=means.get("dark"),
        source=named,
        notes=notes,
    )
