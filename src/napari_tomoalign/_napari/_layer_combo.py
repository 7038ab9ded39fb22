"""A list of the viewer's layers of some kind, to choose one from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerCombo"]


class LayerCombo(QComboBox):
    """Follows the viewer: layers that come, go or get another name.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers.
    fits : callable
        Takes a layer, returns whether it belongs into the list.
    none : str, optional
        Text of an entry for no layer at all.
    """

    layer_changed = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        fits: Callable[[Layer], bool],
        none: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._fits = fits
        self._none = none
        self._current: Layer | None = None
        self.setMinimumWidth(90)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.currentIndexChanged.connect(self._tell)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self.refresh)
        self.refresh()

    def close_down(self) -> None:
        """Let go of the viewer."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.disconnect(self.refresh)

    @property
    def layer(self) -> Layer | None:
        """The layer that is chosen."""
        layer: Layer | None = self.currentData()
        return layer

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer.

        Raises
        ------
        ValueError
            It is not in the list.
        """
        for index in range(self.count()):
            if self.itemData(index) is layer:
                self.setCurrentIndex(index)
                return
        raise ValueError(f"{layer} cannot be chosen here")

    def refresh(self, event: Any = None) -> None:
        """List the layers anew and keep the choice where it is still there."""
        with QSignalBlocker(self):
            current = self.layer
            self.clear()
            if self._none is not None:
                self.addItem(self._none, None)
            for layer in self._viewer.layers:
                if self._fits(layer):
                    self.addItem(layer.name, layer)
                    if layer is current:
                        self.setCurrentIndex(self.count() - 1)
        self._tell()

    def _tell(self, index: int = 0) -> None:
        layer = self.layer
        if layer is not self._current:
            self._current = layer
            self.layer_changed.emit(layer)
