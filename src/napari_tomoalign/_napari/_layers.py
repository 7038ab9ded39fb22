"""The layers of a run: made once, then updated in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._plugin.metadata import role_in
from ..geometry import RotationAxis
from ..steering import Placement
from ..steering.frames import AXIS_LABELS, KEY, ROLES, Frame, grey_range, sampled
from ._orthoslices import Orthoslices
from ._showing import Aside, refit

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["LARGE", "AlignmentLayers", "finest", "is_stack", "placement_of", "shown"]

_FLAT, _SOLID = (0, 1, 2, 3), (1, 0, 2, 3)  # orders of (slice, angle, row, column) in 2-D and 3-D
LARGE = 256**3
"""Voxels: a larger volume is a pyramid, so that 3-D is drawn in less than a second."""
_COARSEST = 64  # pixels: no level of a pyramid is smaller
_DEVIATIONS = 6.0  # medians of |difference|: four standard deviations of noise
_VIEW = {"view_direction": (-0.5, -1.0, 0.8), "up_direction": (1.0, 0.0, 0.0)}  # three quarters


class AlignmentLayers:
    """The layers of a run in a viewer."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: dict[str, Image] = {}
        self._source: Image | None = None
        self._aside = Aside(viewer)
        self._flat_contrast: tuple[float, float] | None = None
        self._planes = Orthoslices(viewer)
        viewer.dims.events.ndisplay.connect(self._follow_ndisplay)
        viewer.canvas.grid.events.enabled.connect(self._refit)

    def close(self) -> None:
        """Let go of the viewer; the layers stay."""
        self._viewer.dims.events.ndisplay.disconnect(self._follow_ndisplay)
        self._viewer.canvas.grid.events.enabled.disconnect(self._refit)
        self._layers.clear()
        self._source = None

    def begin(self, source: Image | None, *, new: bool = False) -> None:
        """Get ready for a run on a layer, with the layers of earlier runs or with new ones."""
        self._source = source
        self._layers = {}
        for layer in self._viewer.layers:
            role = role_in(layer.metadata)
            if role not in ROLES or layer.metadata[KEY].get("kept") or layer is source:
                continue
            if new:
                layer.metadata[KEY]["kept"] = True
            else:
                self._layers[role] = layer

    def get(self, role: str) -> Image | None:
        """Return the layer of this role, if it is there."""
        layer = self._layers.get(role)
        return layer if layer is not None and layer in self._viewer.layers else None

    def show(self, frames: Mapping[str, Frame]) -> None:
        """Show the frames of a state, by role: add what is missing, update the rest in place.

        A layer that was removed by hand since `begin` stays away.
        """
        known = self._layers.get("reconstruction")
        first = "reconstruction" in frames and (
            known is None
            or _source_in(known.metadata) != _source_in(frames["reconstruction"].metadata)
        )
        count = len(self._viewer.layers)
        for role in ROLES:
            if role not in frames:
                continue
            if role not in self._layers:
                self._layers[role] = self._add(role, frames[role])
            elif self._layers[role] in self._viewer.layers:
                finer = _update(self._layers[role], frames[role])
                if finer and role == "reconstruction":  # a coarse slice lies between two rows
                    dims = self._viewer.dims
                    dims.set_point(0, self._row_at(dims.point[0]))
        if "reconstruction" in frames:
            self._follow_planes()
        if first:
            self._arrange(frames)
        elif len(self._viewer.layers) != count:
            self._refit()

    def show_planes(self, wanted: bool) -> None:
        """Show three planes in 3-D in place of the whole volume, or the volume again."""
        self._planes.wanted = wanted
        self._follow_planes()

    def remove(self, role: str) -> None:
        """Take the layer of this role away."""
        layer = self.get(role)
        self._layers.pop(role, None)
        if layer is not None:
            self._viewer.layers.remove(layer)
            self._refit()

    def add_applied(self, stack: NDArray[np.float32], layer: Image) -> None:
        """Show another layer's stack, moved by shifts that were found on the scan."""
        self._viewer.add_image(
            stack,
            name=f"{layer.name} aligned",
            scale=layer.scale,
            translate=layer.translate,
            units=layer.units,
            contrast_limits=layer.contrast_limits,
            metadata={
                **layer.metadata,
                KEY: {"applied": "moved by shifts found on another layer", "source": layer.name},
            },
        )

    def _add(self, role: str, frame: Frame) -> Image:
        layer: Image = self._viewer.add_image(
            shown(frame.data),
            multiscale=frame.data.ndim == 4 and frame.data.size > LARGE,
            name=role,
            scale=frame.scale,
            translate=frame.translate,
            units=frame.units,
            metadata=frame.metadata,
            contrast_limits=self._contrast(role, frame),
        )
        _title(layer)
        if role == "difference":
            layer.colormap = "RdBu_r"  # white at 0
            layer.events.contrast_limits.connect(_keep_symmetric)
        if role == "projections" and (reference := self.get("reference")) is not None:
            self._viewer.layers.link_layers([reference, layer], ("contrast_limits",))
        if self._viewer.dims.ndisplay == 3 and role != "reconstruction":
            self._aside.hide([layer])
        return layer

    def _refit(self, event: Any = None) -> None:
        refit(self._viewer)

    def _contrast(self, role: str, frame: Frame) -> tuple[float, float]:
        """Reprojections are shown with the grey values of the data they are compared with."""
        reference = self.get("reference")
        if role == "projections" and reference is not None:
            low, high = reference.contrast_limits
            return low, high
        if role == "difference":  # noise is in view; a frame that fits not at all is white
            usual = _DEVIATIONS * float(np.median(np.abs(sampled(frame.data)))) or 1.0
            return -usual, usual
        return grey_range(frame.data)

    def _arrange(self, frames: Mapping[str, Frame]) -> None:
        """Show everything side by side, in the middle of the volume, with the sliders named.

        Other scans, masks and crops make room: they are a click on their eye away.
        """
        dims = self._viewer.dims
        if dims.ndim != len(AXIS_LABELS):
            return
        layers, source = self._viewer.layers, self._source
        if source in layers:
            for layer in layers:
                if role_in(layer.metadata) is None:
                    layer.visible = layer is source
            layers.move(layers.index(source), 0)  # the first cell
        dims.axis_labels = AXIS_LABELS
        if source is not None:
            _title(source)
        volume = frames["reconstruction"]
        dims.set_point(0, volume.translate[0] + volume.scale[0] * (len(volume.data) // 2))
        self._viewer.canvas.grid.enabled = True
        self._follow_ndisplay()
        self._viewer.reset_view()
        self._refit()

    def _row_at(self, place: float) -> float:
        """Return where the scan's row nearest to a place lies: a binned slice is between two."""
        if self._source is None:
            return place
        reference = self.get("reference")
        own = {} if reference is None else reference.metadata[KEY]
        axis = -1 if own.get("rotation_axis") == "horizontal" else -2
        scale, first = float(self._source.scale[axis]), float(self._source.translate[axis])
        return first + scale * round((place - first) / scale)

    def _follow_ndisplay(self, event: Any = None) -> None:
        """In 3-D show the volume alone: a stack of projections is no solid."""
        dims = self._viewer.dims
        volume = self.get("reconstruction")
        if volume is None or dims.ndim != len(_FLAT):
            return
        if dims.ndisplay == 3:
            stacks = [layer for role in ROLES[:-1] if (layer := self.get(role)) is not None]
            if self._source is not None and self._source in self._viewer.layers:
                stacks.append(self._source)
            self._aside.hide(stacks)
            dims.order = _SOLID
            self._show_solid(volume)
            self._follow_planes()
        else:
            self._planes.hide()
            self._aside.restore()
            if tuple(dims.order) == _SOLID:
                dims.order = _FLAT
            volume.bounding_box.visible = False
            if self._flat_contrast is not None:
                volume.contrast_limits, self._flat_contrast = self._flat_contrast, None
            self._refit()

    def _show_solid(self, volume: Image) -> None:
        """Show the volume from three quarters, its axis upright, what is empty left dark."""
        viewer = self._viewer
        if self._flat_contrast is None:
            low, high = volume.contrast_limits
            self._flat_contrast = float(low), float(high)
        # Half of the voxels are empty, or may as well be.
        volume.contrast_limits = grey_range(finest(volume), darkest=50, headroom=0)
        volume.bounding_box.visible = True
        volume.bounding_box.line_color = "gray"
        volume.bounding_box.points = False
        volume.rendering = "attenuated_mip"
        viewer.reset_view()
        viewer.scene.camera.set_view_direction(**_VIEW)
        viewer.fit_to_view()
        overlay = viewer.canvas.overlays.scale_bar
        overlay.visible = str(volume.units[-1]) != "pixel"

    def _follow_planes(self) -> None:
        """Show planes of what is no larger than 3-D is quick with."""
        volume = self.get("reconstruction")
        if volume is None or self._viewer.dims.ndisplay != 3:
            return
        if not self._planes.wanted:
            self._planes.hide()
            return
        levels = list(volume.data) if volume.multiscale else [volume.data]
        index = next((i for i, d in enumerate(levels) if d.size <= LARGE), len(levels) - 1)
        self._planes.show(volume, levels[index], 2**index)


def is_stack(layer: Any) -> bool:
    """Whether a layer can hold projections; what we made ourselves is not meant, bar copies."""
    from napari.layers import Image

    image = isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb
    return image and role_in(layer.metadata) is None


def finest(layer: Image) -> Any:
    """Return a layer's data: of a pyramid, its finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def shown(data: NDArray[np.float32]) -> Any:
    """Return what a layer takes: a large volume, (slice, 1, y, x), as a pyramid of views."""
    if data.ndim != 4 or data.size <= LARGE:
        return data
    levels = [data]
    while min(levels[-1].shape[-2:]) >= 2 * _COARSEST:
        levels.append(levels[-1][::2, :, ::2, ::2])
    return levels


def placement_of(layer: Image, rotation_axis: RotationAxis = "vertical") -> Placement:
    """Return where a scan's layer, (angle, row, column), lies."""
    return Placement(
        scale=tuple(map(float, layer.scale)),
        translate=tuple(map(float, layer.translate)),
        units=tuple(map(str, layer.units)),
        rotation_axis=rotation_axis,
        source=layer.name,
        shape=finest(layer).shape[1:],
    )


def _source_in(metadata: Mapping[str, Any]) -> str:
    """Return the name of the scan that one of our layers was made of."""
    return str(metadata[KEY]["source"])


def _keep_symmetric(event: Any) -> None:
    """Keep 0 in the middle of the difference's colours."""
    layer = event.source
    reach = max(abs(limit) for limit in layer.contrast_limits)
    with layer.events.contrast_limits.blocker(_keep_symmetric):
        layer.contrast_limits = (-reach, reach)


def _title(layer: Image) -> None:
    """Write a layer's name over its view, small enough for a cell of a small window."""
    layer.name_overlay.visible = True
    layer.name_overlay.font_size = 8


def _update(layer: Image, frame: Frame) -> bool:
    """Put new data into a layer; contrast, colours and visibility stay the user's.

    Returns whether the data are finer than they were.
    """
    finer, coarser = frame.scale[-1] < layer.scale[-1], frame.scale[-1] > layer.scale[-1]
    other = _source_in(layer.metadata) != _source_in(frame.metadata)
    if coarser:  # before the data, lest the world shrinks for a moment and the sliders jump
        _place(layer, frame)
    layer.data = shown(frame.data)
    _place(layer, frame)
    layer.metadata = frame.metadata
    if other:
        layer.contrast_limits = grey_range(frame.data)
    return bool(finer)


def _place(layer: Image, frame: Frame) -> None:
    if tuple(layer.scale) != frame.scale:
        layer.scale = frame.scale
    if tuple(layer.translate) != frame.translate:
        layer.translate = frame.translate
