"""Scans, shifts and runs from and to files; everything slow in the background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ..geometry import RotationAxis, turn_projections
from ..images.applying import move
from ..io import ScanFileError
from ..results import AlignmentState
from ._metadata import KEY, is_aligned
from ._readers import open_scan
from ._request import RunRequest, ScanSource
from ._run import tell_warning
from ._runs import read_run, save_run
from ._shift_files import read_for, write_state
from ._telling import text_of

__all__ = ["FILTER", "Files"]

FILTER = "Shifts (*.h5);;Table (*.csv);;IMOD (*.xf);;TomoPy or mumott (*.npz);;All files (*)"


class Files(QObject):
    """Reads, writes and applies.

    Signals
    -------
    loaded(loaded)
        Shifts were read.
    applied(stack, layer)
        A layer's stack was moved.
    scan_opened(layers)
        A scan was read, as layer data.
    run_opened(opened)
        A run was read.
    written(path)
        Something was written.
    unknown(path)
        An HDF5 file of unknown layout: which dataset is what?
    """

    loaded = Signal(object)
    applied = Signal(object, object)
    scan_opened = Signal(object)
    run_opened = Signal(object)
    written = Signal(object)
    unknown = Signal(object)

    def open_scan(self, path: Path, **parts: str) -> None:
        """Read a scan: a file, or a folder of images; of an HDF5 file, these datasets."""

        def refused(error: Exception) -> None:
            if not parts and isinstance(error, ScanFileError) and path.is_file() and _is_hdf5(path):
                self.unknown.emit(path)
            else:
                show_error(text_of(error))

        self._work(lambda: open_scan(str(path), **parts), self.scan_opened.emit, refused)

    def save(self, path: Path, state: AlignmentState, source: ScanSource) -> None:
        """Write the shifts of a state; the format is that of the name's suffix."""
        self._work(lambda: write_state(path, state, source), self._on_written("The shifts are in"))

    def save_run(
        self,
        folder: Path,
        state: AlignmentState,
        request: RunRequest,
        images: AlignmentState | None,
    ) -> None:
        """Write all of a run into a folder."""
        self._work(
            lambda: save_run(folder, state, request, images), self._on_written("The run is in")
        )

    def make(self, job: Callable[[], Path], what: str) -> None:
        """Do something that writes a file, and say so."""
        self._work(job, self._on_written(what))

    def load(self, path: Path, source: ScanSource) -> None:
        """Read shifts and bring them to the pixels of the scan."""
        self._work(lambda: read_for(path, source), self.loaded.emit)

    def open_run(self, folder: Path, scan: ScanSource | None) -> None:
        """Read a run that was saved here or by the command line."""
        self._work(lambda: read_run(folder, scan), self.run_opened.emit)

    def apply(
        self,
        layer: Any,
        shifts: NDArray[np.float64],
        shape: tuple[int, int],
        rotation_axis: RotationAxis,
    ) -> None:
        """Move a layer's stack by shifts that were found on another one.

        Parameters
        ----------
        layer : Image
            (angle, row, column), of the same scan.
        shifts : (n_angles, 2) array
            Pixels of the scan, its axis vertical.
        shape : tuple of int
            Rows and columns of the scan as measured; another binning is recognised by them.
        rotation_axis : {"vertical", "horizontal"}
            Of the scan as measured.

        Raises
        ------
        ValueError
            The layer is aligned already, has another number of projections, or a shape that no
            binning explains.
        """
        if is_aligned(layer.metadata):
            raise ValueError(
                f"layer {layer.name!r} is aligned already ({layer.metadata[KEY]['applied']}): "
                "apply the shifts to the layer it was made from"
            )
        if len(layer.data) != len(shifts):
            raise ValueError(
                f"layer {layer.name!r} has {len(layer.data)} projections, but there are shifts for "
                f"{len(shifts)}: choose a layer of the same scan"
            )
        ratios = np.array(layer.data.shape[1:]) / shape
        if abs(ratios[0] / ratios[1] - 1) > 0.1:
            raise ValueError(
                f"layer {layer.name!r} has images of {layer.data.shape[1:]} pixels and the scan of "
                f"{shape}, which no binning explains: choose a layer of the same scan"
            )
        measured = turn_projections(shifts, rotation_axis) * ratios[1]
        data = layer.data
        self._work(
            lambda: move(np.asarray(data), measured), lambda stack: self.applied.emit(stack, layer)
        )

    def _on_written(self, what: str) -> Callable[[Path], None]:
        def tell(path: Path) -> None:
            show_info(f"{what} {path}")
            self.written.emit(path)

        return tell

    def _work(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        worker = create_worker(
            job,
            _start_thread=False,
            _connect={
                "returned": done,
                "errored": failed or (lambda error: show_error(text_of(error))),
                "warned": tell_warning,
            },
        )
        worker.start()


def _is_hdf5(path: Path) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))
