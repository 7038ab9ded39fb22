"""The slice in view as it would be without the alignment, while a key is held."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from ..results import AlignmentState
from ..steering import ScanSource
from ..steering.evaluation import unaligned_slice
from ._background import in_background
from ._layers import finest, shown

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Blink"]


class Blink(QObject):
    """Shows a slice unaligned in the layer of the reconstruction, and the aligned one again."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: Image | None = None
        self._aligned: Any = None
        self._known: dict[int, NDArray[np.float32]] = {}
        self._held = -1

    def forget(self) -> None:
        """Drop the slices that are known: they belong to another scan."""
        self.off()
        self._known = {}

    def on(self, layer: Image, state: AlignmentState, scan: ScanSource, index: int) -> None:
        """Show a slice of the layer unaligned; the first time as soon as it is made.

        It is made by the engine and the parameters of the state, from the scan as measured.
        """
        self._layer, self._held = layer, index
        if index in self._known:
            self._show(index)
            return
        job = partial(unaligned_slice, state, scan, index, finest(layer).shape)
        in_background(job, returned=self._on_made)

    def off(self) -> None:
        """Show the aligned slice again."""
        self._held = -1
        if self._layer is not None and self._aligned is not None:
            self._layer.data, self._aligned = self._aligned, None

    def _on_made(self, made: tuple[int, NDArray[np.float32]]) -> None:
        index, slice_ = made
        self._known[index] = slice_
        if self._held == index:
            self._show(index)

    def _show(self, index: int) -> None:
        layer = self._layer
        if layer is None or self._aligned is not None:
            return
        self._aligned = layer.data
        # The same slice everywhere: no volume is made, and no slider jumps.
        layer.data = shown(np.broadcast_to(self._known[index], finest(layer).shape))
