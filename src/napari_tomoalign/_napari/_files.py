"""Shifts to files, from files, and onto other layers; everything slow in the background."""

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
from ..results import AlignmentState
from ._metadata import KEY, is_aligned
from ._request import ScanSource
from ._run import tell_warning
from ._shift_files import read_for, write_state

__all__ = ["FILTER", "ShiftFiles"]

FILTER = "Shifts (*.h5);;Table (*.csv);;IMOD (*.xf);;TomoPy or mumott (*.npz);;All files (*)"


class ShiftFiles(QObject):
    """Reads, writes and applies shifts.

    Signals
    -------
    loaded(loaded)
        Shifts were read.
    applied(stack, layer)
        A layer's stack was moved.
    """

    loaded = Signal(object)
    applied = Signal(object, object)

    def save(self, path: Path, state: AlignmentState, source: ScanSource) -> None:
        """Write the shifts of a state; the format is that of the name's suffix."""
        self._work(
            lambda: write_state(path, state, source),
            lambda written: show_info(f"The shifts are in {written}"),
        )

    def load(self, path: Path, source: ScanSource) -> None:
        """Read shifts and bring them to the pixels of the scan."""
        self._work(lambda: read_for(path, source), self.loaded.emit)

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

    def _work(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        worker = create_worker(
            job,
            _start_thread=False,
            _connect={"returned": done, "errored": _tell, "warned": tell_warning},
        )
        worker.start()


def _tell(error: Exception) -> None:
    show_error(str(error))
