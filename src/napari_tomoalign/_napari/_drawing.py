"""Draw a mask or a crop over the scan: both alone in full view, then everything as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = ["Drawing"]


class Drawing(QObject):
    """Makes room for drawing and puts the layers back when it is done."""

    ended = Signal()  # the user took another tool or another layer, or said so

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Layer | None = None
        self._visible: list[Layer] = []
        self._grid = False

    def draw(self, scan: Image | None, layer: Layer | None) -> None:
        """Show the scan and a layer to draw in, alone, its tool at hand; None: be done with it."""
        self.end()
        if scan is None or layer is None:
            return
        viewer = self._viewer
        self._layer, self._grid = layer, viewer.canvas.grid.enabled
        self._visible = [each for each in viewer.layers if each.visible and each is not layer]
        for each in self._visible:
            each.visible = each is scan
        scan.visible = layer.visible = True
        viewer.canvas.grid.enabled = False
        viewer.dims.ndisplay = 2
        viewer.layers.selection.active = layer
        layer.mode = "paint" if isinstance(layer, Labels) else "add_rectangle"
        viewer.fit_to_view()
        layer.events.mode.connect(self._on_mode)
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)

    def end(self) -> None:
        """Put the layers back; what was drawn in is hidden, for in a grid it takes a cell."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        viewer = self._viewer
        layer.events.mode.disconnect(self._on_mode)
        viewer.layers.selection.events.active.disconnect(self._on_active)
        viewer.layers.events.removed.disconnect(self._on_removed)
        if layer in viewer.layers:
            layer.mode = "pan_zoom"
            layer.visible = not self._grid
        for each in self._visible:
            if each in viewer.layers:
                each.visible = True
        viewer.canvas.grid.enabled = self._grid
        viewer.fit_to_view()
        self.ended.emit()

    def _on_mode(self, event: Any) -> None:
        if str(event.mode) in ("pan_zoom", "transform"):
            self.end()

    def _on_active(self, event: Any) -> None:
        if event.value is not None and event.value is not self._layer:
            self.end()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self.end()
