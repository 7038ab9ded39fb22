"""HDF5, in the Data Exchange layout.

Chunks would make a program that wants an image, or a row of all images, read what it does not want:
as it is, an image is one run and a row of each a run of its own, as long as a page of the disk or
longer from 1024 columns on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..outputs import CREATOR
from .content import Content
from .flat import FlatTarget, fill

__all__ = [
    "HOLDS_CHANNELS",
    "HOLDS_GEOMETRY",
    "NEEDS",
    "SUFFIXES",
    "mark_in",
    "read_volume",
    "write",
]

SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
HOLDS_CHANNELS = HOLDS_GEOMETRY = True
NEEDS = ""  # what is installed with this package
_STACK, _VOLUME = "/exchange/data", "/reconstruction/volume"


def write(path: Path, content: Content, tell: Callable[[int], object]) -> None:
    """Write a file that is not there.

    The library itself writes none of the values: where a disk fills up under it, it can neither
    close the file nor end in peace.
    """
    import h5py

    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    info, shape = content.info, content.shape
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = CREATOR
        file.attrs["made_of"] = content.mark
        file["implements"] = "exchange"
        name = _STACK if info.angles is not None else _VOLUME
        dataset = file.create_dataset(name, shape=shape, dtype="<f4", dcpl=layout)
        dataset.attrs.update(info.attributes())
        if info.angles is not None:
            dataset.attrs["axes"] = "theta:y:x" + (":channel" if len(shape) == 4 else "")
            dataset.attrs["description"] = "line integrals"
            file["/exchange/theta"] = np.rad2deg(info.angles)
            file["/exchange/theta"].attrs["units"] = "degrees"
        target = FlatTarget(path, dataset.id.get_offset(), shape, np.dtype("<f4"))
    fill(target, content.pieces, tell)


def mark_in(path: Path) -> str | None:
    """Return what a file says it was made of."""
    import h5py

    with h5py.File(path) as file:
        return str(file.attrs.get("made_of", ""))


def read_volume(path: Path) -> NDArray[np.generic]:
    """Return the values of a volume."""
    import h5py

    with h5py.File(path) as file:
        values: NDArray[np.generic] = file[_VOLUME][()]
    return values
