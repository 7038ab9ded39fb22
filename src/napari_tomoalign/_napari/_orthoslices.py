"""Three planes through the volume, in place of the whole, while the viewer is in 3-D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..steering.frames import KEY
from ._showing import Aside

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["Orthoslices"]

# What is dark is clear, so that no plane hides what is bright behind it.
_CLEAR = [[0, 0, 0, 0], [0.5, 0.5, 0.5, 0.8], [1, 1, 1, 1]]
_NORMALS = {"across the axis": (1, 0, 0), "along y": (0, 1, 0), "along x": (0, 0, 1)}


class Orthoslices:
    """A layer for each plane, through the slice in view; Shift and the mouse move one."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: list[Image] = []
        self._aside = Aside(viewer)
        self.wanted = False

    def show(self, volume: Image, data: Any, coarser: int) -> None:
        """Show the planes and hide the volume, or bring those up to date that are there.

        ``data`` are those of the volume's layer, (slice, 1, y, x), or every so many voxels of it.
        """
        from napari.utils import Colormap

        self._aside.hide([volume], leave_grid=True)  # they cross each other in one view
        if self._layers:
            for layer in self._layers:
                layer.data = data
            return
        step = np.array([coarser, 1, coarser, coarser])
        at = (self._viewer.dims.point[0] - volume.translate[0]) / volume.scale[0] / coarser
        _, _, height, width = data.shape
        for name, normal in _NORMALS.items():
            layer = self._viewer.add_image(
                data,
                name=f"plane {name}",
                depiction="plane",
                plane={"position": (at, (height - 1) / 2, (width - 1) / 2), "normal": normal},
                rendering="average",
                blending="translucent",
                colormap=Colormap(_CLEAR, name="clear gray"),
                scale=volume.scale * step,
                translate=volume.translate,
                units=volume.units,
                contrast_limits=volume.contrast_limits,
                metadata={KEY: {"role": "plane"}},
            )
            self._layers.append(layer)
        box = self._layers[0].bounding_box
        box.visible, box.points, box.line_color = True, False, "gray"

    def hide(self) -> None:
        """Take the planes away; the volume is there again before they are gone."""
        self._aside.restore()
        layers, self._layers = self._layers, []
        for layer in layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
