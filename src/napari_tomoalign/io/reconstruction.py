"""The one writer of reconstructions: slab by slab of rows, from the images and their shifts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._executors import is_elsewhere
from .._memory import bytes_of, in_words
from ..backends import Backend
from ..backends.volumes import volume_of
from ..geometry import RotationAxis, ScanGeometry, turn_volume
from ..images.moving import move_rows
from ..images.source import as_source
from ..results import AlignmentResult, Measured
from .channels import scan_for_alignment
from .limits import free_memory
from .scan import Scan
from .stacks.content import Content, Cuts, Pieces, StackInfo, length_of_piece
from .stacks.output import StackOutput

__all__ = ["Method", "Slices", "slab_height", "volume_output"]

_HEIGHT = 64
"""Rows of a slab, at most: enough that what is read around it is little, and few enough that one
follows the other within minutes at 2048 columns."""
_AHEAD = 4  # slabs that are out at once: as many volumes may wait for being written
_SHARE = 0.5  # of the memory that is free
_IMAGES, _VOXELS = 4, 2
"""Copies of a slab's images and slices at once: as moved, as an engine filters or orders them, and
what is made of them."""


@dataclass(frozen=True, eq=False)
class Method:
    """How the reconstruction that is written is made.

    Attributes
    ----------
    backend : Backend
    algorithm : str
    options : mapping
        Of the algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tomoalign.backends import get_backend
    >>> from napari_tomoalign.geometry import ScanGeometry
    >>> from napari_tomoalign.io import Method
    >>> geometry = ScanGeometry(np.linspace(0, np.pi, 180, endpoint=False), 64, 64)
    >>> Method.of(get_backend("builtin"), geometry).words
    'builtin fbp'
    >>> Method.of(get_backend("builtin"), geometry, "sirt", {"num_iter": 50}).words
    'builtin sirt num_iter=50'
    """

    backend: Backend
    algorithm: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        backend: Backend,
        geometry: ScanGeometry,
        algorithm: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Method:
        """Return the method that was asked for; None: filtered back projection.

        Where the engine has none, or none for this geometry, the algorithm it would take for the
        alignment.

        Raises
        ------
        ValueError
            An algorithm or an option that the engine does not have.
        """
        settings: Mapping[str, Any] = {}
        if algorithm is None:
            algorithm, settings = "fbp", {}
            if "fbp" not in backend.algorithms or not geometry.upright.has_vertical_axis:
                algorithm, settings = backend.default_for(geometry.upright)
        chosen = {**settings, **(options or {})}
        backend.check_options(algorithm, chosen)
        return cls(backend, algorithm, chosen)

    @property
    def words(self) -> str:
        """Engine, algorithm and options, such as ``builtin fbp filter_name=hann``."""
        named = [f"{name}={value}" for name, value in sorted(self.options.items())]
        return " ".join([self.backend.name, self.algorithm, *named])


@dataclass(frozen=True, eq=False)
class Slices:
    """The volume that a scan and its shifts make, slice by slice: called with rows, it makes those.

    Attributes
    ----------
    measured : Measured
        What was aligned.
    shifts : (n_angles, 2) array
        Pixels.
    told : ScanGeometry
        Of the whole images as they were measured.
    used : (n_angles,) array of bool
        Which projections take part.
    method : Method
    workers : int, optional
        Number of threads for the moving; the engine has its own.
    memory : int or str, optional
        Bytes that may be taken. None: half of what is free.
    alone : bool
        No other process makes slabs on the same cores. Else each takes one core, or as many as
        ``workers`` says.
    """

    measured: Measured
    shifts: NDArray[np.float64]
    told: ScanGeometry
    used: NDArray[np.bool_]
    method: Method
    workers: int | None = None
    memory: int | str | None = None
    alone: bool = True

    @classmethod
    def of(cls, result: AlignmentResult, scan: Scan, method: Method) -> Slices:
        """Return those of a result; one that was read from a file is made of the scan's images."""
        measured = result.measured
        if measured is None:
            lines = scan_for_alignment(scan)
            weights = None if scan.weights is None else as_source(scan.weights)
            measured = Measured(as_source(lines.projections), weights, 1)
        used = result.taking_part
        if not used.any():
            used = np.ones(len(used), bool)
        workers, memory = result.parameters.workers, result.parameters.memory
        n_rows, n_columns = measured.projections.shape[1:]
        told = result.geometry.with_changes(n_rows=n_rows, n_columns=n_columns)
        return cls(measured, result.shifts, told, used, method, workers, memory)

    @property
    def geometry(self) -> ScanGeometry:
        """Of the whole images, turned until the axis is upright."""
        return self.told.upright

    def __call__(self, rows: slice) -> NDArray[np.float32]:
        """Read, move and reconstruct some rows."""
        if self.alone:
            return self._made(rows)
        from ..images._threads import threads

        with threads(self.workers or 1):
            return self._made(rows)

    def _made(self, rows: slice) -> NDArray[np.float32]:
        measured, backend = self.measured, self.method.backend
        images, weights = move_rows(
            measured.projections,
            measured.weights,
            self.shifts,
            rows,
            turning=self.told.turning(),
            workers=self.workers,
        )
        geometry = self.geometry.rows_of(rows)
        if not self.used.all():
            images, weights = images[self.used], weights[self.used]
            geometry = geometry.subset(self.used)
        volume = volume_of(
            backend, self.method.algorithm, self.method.options, images, weights, geometry
        )
        return -volume if measured.sign < 0 else volume


def slab_height(geometry: ScanGeometry, memory: int | str | None = None) -> int:
    """Return how many rows can be reconstructed at once.

    Where the axis is not vertical, slices are not independent, and all are made at once.

    Parameters
    ----------
    geometry : ScanGeometry
        Of the whole images, turned upright.
    memory : int or str, optional
        Bytes, or such as ``"4 GB"``. None: half of what is free.

    Raises
    ------
    MemoryError
        Not even one row fits: what it takes, and what to do.
    """
    if memory is None:
        free = free_memory()
        memory = 2**63 if free is None else int(_SHARE * free)
    memory = bytes_of(memory)
    n, n_rows, n_columns = geometry.projections_shape
    row = 4 * (_IMAGES * n * n_columns + _VOXELS * geometry.volume_width**2)
    least = 1 if geometry.has_vertical_axis else n_rows
    if memory < least * row:
        what = "a slice" if least == 1 else "the volume, whose slices cannot be made singly,"
        raise MemoryError(
            f"to reconstruct {what} takes {in_words(least * row)} of memory and there are "
            f"{in_words(memory)}: make room, or leave it out (reconstruction=False, "
            "--no-reconstruction) and reconstruct the aligned stack elsewhere"
        )
    return max(least, min(_HEIGHT, memory // row, n_rows))


def volume_output(
    path: str | os.PathLike[str],
    slices: Slices,
    scan: Scan,
    *,
    aligned_with: str,
    executor: Executor | None = None,
) -> StackOutput:
    """Return the volume of a scan of any size, in the axes of the image as measured, to be written.

    Parameters
    ----------
    path : path
        ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``.
    slices : Slices
        What is written.
    scan : Scan
        For what is known of its pixels and axis.
    aligned_with : str
        With which shifts, for the metadata.
    executor : Executor, optional
        Makes the slabs.

    Raises
    ------
    MemoryError
        Not even one slice fits.
    """
    if executor is not None and is_elsewhere(executor):
        slices = replace(slices, alone=False)
    n, height = slices.geometry.n_rows, slab_height(slices.geometry, slices.memory)
    height = length_of_piece(height) if height < n else n
    vertical = scan.rotation_axis == "vertical"
    slabs = [slice(first, min(first + height, n)) for first in range(0, n, height)]
    places = [(rows, slice(None), slice(None)) for rows in slabs]
    cuts = tuple(place if vertical else place[::-1] for place in places)
    pieces = Pieces(cuts, _Turned(slices, scan.rotation_axis), executor, _AHEAD)
    shape = slices.geometry.volume_shape
    info = StackInfo(
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        extra={"binning": 1, "reconstructed_with": slices.method.words},
    )
    content = Content(shape if vertical else shape[::-1], info, pieces)
    return StackOutput(Path(path), content)


@dataclass(frozen=True, eq=False)
class _Turned:
    """Slices in the axes of the image as measured, where they belong in the whole."""

    slices: Slices
    rotation_axis: RotationAxis

    def __call__(self, cuts: Cuts) -> NDArray[np.float32]:
        """Make some of them."""
        rows = cuts[0 if self.rotation_axis == "vertical" else -1]
        return turn_volume(self.slices(rows), self.rotation_axis)
