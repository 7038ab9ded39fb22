"""Draw a mask or a crop over the scan: both alone in full view, then everything as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from ._regions import is_empty
from ._showing import Aside, refit

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = ["Drawing"]


class Drawing(QObject):
    """Makes room for drawing and puts the layers back when it is done."""

    ended = Signal()  # the user took another layer, or said so; a tool for a look around is none

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Layer | None = None
        self._aside = Aside(viewer)

    def draw(self, scan: Image | None, layer: Layer | None) -> None:
        """Show the scan and a layer to draw in, alone, its tool at hand; None: be done with it."""
        self.end()
        if scan is None or layer is None:
            return
        viewer, self._layer = self._viewer, layer
        viewer.dims.ndisplay = 2  # before: what was hidden in 3-D comes back
        others = [each for each in viewer.layers if each not in (scan, layer)]
        self._aside.hide(others, leave_grid=True)
        scan.visible = layer.visible = True
        viewer.layers.selection.active = layer
        layer.mode = "paint" if isinstance(layer, Labels) else "add_rectangle"
        refit(viewer)
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)

    def end(self) -> None:
        """Put the layers back; what was drawn in is hidden, for in a grid it takes a cell.

        A layer in which nothing was drawn goes: it stands for no mask and no crop.
        """
        layer, self._layer = self._layer, None
        if layer is None:
            return
        viewer = self._viewer
        viewer.layers.selection.events.active.disconnect(self._on_active)
        viewer.layers.events.removed.disconnect(self._on_removed)
        if layer in viewer.layers:
            layer.mode = "pan_zoom"
            layer.visible = not self._aside.had_grid
            if is_empty(layer):
                viewer.layers.remove(layer)
        self._aside.restore()
        refit(viewer)
        self.ended.emit()

    def _on_active(self, event: Any) -> None:
        drawn = self._layer
        if event.value is None or event.value is drawn:
            return

        def leave() -> None:
            if self._layer is drawn:
                self.end()

        QTimer.singleShot(0, leave)  # napari is in the midst of choosing a layer

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self.end()
