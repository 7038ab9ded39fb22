"""Masks and croppings drawn in napari, as the loop takes them; without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Shapes
from numpy.typing import NDArray

from ..geometry import RotationAxis

__all__ = ["cropping_from", "is_empty", "mask_from"]

Mask = Callable[[tuple[int, int, int]], NDArray[Any]]


def mask_from(layer: Labels | Shapes, image: Image, *, keep: bool) -> Mask:
    """Return what turns the shape of a scan's stack into weights; ValueError where it does not fit.

    Parameters
    ----------
    layer : Labels or Shapes
        Labels: (row, column) for all projections, (angle, row, column), or with an axis of slices
        before. Shapes: filled, for all projections alike.
    image : Image
        The scan's layer, (angle, row, column).
    keep : bool
        What is painted is kept and the rest ignored; else the other way round.
    """
    if isinstance(layer, Shapes):
        outlines = _outlines(layer, image)
        if not outlines:
            raise ValueError(
                f"layer {layer.name!r} has no shape in it: draw one, or choose no mask"
            )
        kinds = [str(kind) for kind in layer.shape_type]
        return lambda shape: _weights(_filled(outlines, kinds, shape[1:]), keep)
    labels, name = layer.data, layer.name
    return lambda shape: _weights(_painted(labels, name, shape), keep)


def cropping_from(layer: Shapes, image: Image, rotation_axis: RotationAxis) -> tuple[slice, slice]:
    """Return the window that the shapes of a layer span, rows and columns of the loop's images."""
    outlines = _outlines(layer, image)
    if not outlines:
        raise ValueError(f"layer {layer.name!r} has no rectangle in it: draw one, or do not crop")
    corners = np.concatenate(outlines)
    limits = np.asarray(image.data.shape[-2:])
    first = np.clip(np.floor(corners.min(axis=0) + 0.5), 0, limits).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0) + 0.5), 0, limits).astype(int)
    if np.any(last - first < 1):
        raise ValueError(
            f"the shapes of layer {layer.name!r} lie outside the {limits[0]} x {limits[1]} images: "
            "draw the rectangle over them"
        )
    rows, columns = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return (rows, columns) if rotation_axis == "vertical" else (columns, rows)


def is_empty(layer: Labels | Shapes) -> bool:
    """Whether nothing is drawn in a layer."""
    return not (np.any(layer.data) if isinstance(layer, Labels) else len(layer.data))


def _outlines(layer: Shapes, image: Image) -> list[NDArray[np.float64]]:
    """Return the corners of each shape as (row, column) of the image's pixels."""
    scale, translate = np.asarray(image.scale)[-2:], np.asarray(image.translate)[-2:]
    own_scale, own_translate = np.asarray(layer.scale)[-2:], np.asarray(layer.translate)[-2:]
    return [
        (np.asarray(corners)[:, -2:] * own_scale + own_translate - translate) / scale
        for corners in layer.data
    ]


def _filled(
    outlines: list[NDArray[np.float64]], kinds: list[str], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    labels: NDArray[np.int_] = Shapes(outlines, shape_type=kinds).to_labels(labels_shape=shape)
    return labels > 0


def _painted(labels: Any, name: str, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    painted: NDArray[np.bool_] = np.asarray(labels) != 0
    while painted.ndim > len(shape):
        painted = np.logical_or.reduce(painted, axis=0)
    if painted.shape != shape[-painted.ndim :]:
        raise ValueError(
            f"the mask {name!r} has shape {painted.shape}, but the projections have {shape}: give "
            "it their rows and columns, for all projections or one plane for each"
        )
    return painted


def _weights(marked: NDArray[np.bool_], keep: bool) -> NDArray[np.float32]:
    return (marked if keep else ~marked).astype(np.float32)
