"""What of a viewer is on show: some layers alone for a while, then all as before; in full view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["Aside", "refit"]


class Aside:
    """Layers that make room for a while, and the grid with them where it is in the way."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._hidden: list[Layer] = []
        self.had_grid: bool | None = None
        """Whether the grid was on before it was left; None: it was not left."""

    def hide(self, layers: Iterable[Layer], *, leave_grid: bool = False) -> None:
        """Hide these layers, beside what is hidden already."""
        for layer in layers:
            if layer.visible:
                layer.visible = False
                self._hidden.append(layer)
        if leave_grid and self.had_grid is None:
            grid = self._viewer.canvas.grid
            self.had_grid, grid.enabled = grid.enabled, False

    def restore(self) -> None:
        """Show what was hidden, where it is still there, and the grid."""
        layers, self._hidden = self._hidden, []
        for layer in layers:
            if layer in self._viewer.layers:
                layer.visible = True
        had_grid, self.had_grid = self.had_grid, None
        if had_grid is not None:
            self._viewer.canvas.grid.enabled = had_grid


def refit(viewer: ViewerModel) -> None:
    """Show what is visible whole, in all cells of the grid: napari keeps the camera.

    Its own `fit_to_view` counts what is hidden, which may be much larger, and, given layers, would
    keep a list of them for ever. A layer in which nothing was drawn has no extent.
    """
    if viewer.dims.ndisplay == 3:
        return
    viewer.fit_to_view()
    ends = [layer.extent.world[:, -2:] for layer in viewer.layers if layer.visible]
    ends = [each for each in ends if np.isfinite(each).all()]
    if ends:
        shown, camera = np.array((np.min(ends, (0, 1)), np.max(ends, (0, 1)))), viewer.scene.camera
        camera.center = (camera.center[0], *shown.mean(axis=0))
        camera.zoom *= np.min(np.ptp(viewer.layers.extent.world[:, -2:], 0) / np.ptp(shown, 0))
