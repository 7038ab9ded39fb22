"""From a state of the loop to what the layers show: arrays, where they lie, grey values; no Qt.

Slices and angles have a slider each. The stacks are (angle, row, column), as the scan's own layer
is. The volume is (slice, 1, y, x): its second axis, of length one, is stretched over the angles,
so that it is there at every angle and moves only with the slider of the slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis, ScanGeometry, turn_projections
from ..results import AlignmentState
from ._metadata import KEY, provenance

__all__ = [
    "AXIS_LABELS",
    "ROLES",
    "Frame",
    "Placement",
    "frames_of",
    "grey_range",
    "moved_frame",
    "sampled",
    "volume_frame",
]

AXIS_LABELS = ("slice", "angle", "row", "column")
ROLES = ("reference", "projections", "difference", "reconstruction")
"""The layers of a run, from the lowest to the uppermost."""

_HEADROOM = 0.15
_SAMPLES = 200_000  # values looked at for the contrast, however large the data


@dataclass(frozen=True)
class Placement:
    """Where the scan's layer lies in the world, in the order (angle, row, column).

    Attributes
    ----------
    scale, translate : tuple of float
        Of the layer's pixels.
    units : tuple of str
        Of the world's axes.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the axis in the layer's images.
    source : str
        Name of the layer.
    shape : tuple of int, optional
        (rows, columns) of the layer's images. None where they are not known; the images of a
        binned level then are taken to be binned alike in rows and columns.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    units: tuple[str, str, str] = ("pixel", "pixel", "pixel")
    rotation_axis: RotationAxis = "vertical"
    source: str = ""
    shape: tuple[int, int] | None = None

    def binning_of(self, images: tuple[int, int], binning: int) -> tuple[int, int]:
        """Return how many rows and columns of the layer a pixel of smaller images covers.

        Parameters
        ----------
        images : tuple of int
            (rows, columns) of the smaller images, as measured.
        binning : int
            Where the layer's shape is not known.
        """
        if self.shape is None:
            return binning, binning
        return self.shape[0] // images[0], self.shape[1] // images[1]


@dataclass(frozen=True, eq=False)
class Frame:
    """One layer's share of a state.

    Attributes
    ----------
    data : array
        Float32, read-only.
    scale, translate, units : tuple
        One for each axis of ``data``.
    metadata : dict
        Where it comes from.
    """

    data: NDArray[np.float32]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    metadata: dict[str, Any]


def frames_of(
    state: AlignmentState, place: Placement, *, difference: bool = False, scan: object = None
) -> dict[str, Frame]:
    """Return what each layer shows of a state, by role.

    Parameters
    ----------
    state : AlignmentState
        Its images may be binned; the frames lie where the full image does.
    place : Placement
        Of the scan that is aligned.
    difference : bool
        Add ``reference - projections``.
    scan : object, optional
        Kept in the metadata: the scan that the shifts belong to.
    """
    stacks = {"reference": state.reference, "projections": state.projections}
    if difference:
        stacks["difference"] = _frozen(state.reference - state.projections)
    frames = {
        role: _stack_frame(
            turn_projections(stack, place.rotation_axis),
            place,
            state.binning,
            _metadata(state, place, role, scan),
        )
        for role, stack in stacks.items()
    }
    # Grey values are per pixel of the full image at every level, so that the contrast holds.
    volume = state.reconstruction
    if state.binning > 1:
        volume = _frozen(volume / np.float32(state.binning))
    metadata = _metadata(state, place, "reconstruction", scan)
    frames["reconstruction"] = volume_frame(volume, state.geometry, place, state.binning, metadata)
    return frames


def moved_frame(
    stack: NDArray[np.float32],
    state: AlignmentState | None,
    place: Placement,
    scan: object = None,
) -> Frame:
    """Return what the layer ``reference`` shows where the scan was moved by other shifts.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns) array
        Of full size, as measured.
    state : AlignmentState, optional
        With the shifts by which it was moved. None: by loaded ones.
    place : Placement
        Of the scan.
    scan : object, optional
        Kept in the metadata.
    """
    if state is None:
        loaded = {"role": "reference", "source": place.source, "applied": "moved by loaded shifts"}
        return _stack_frame(stack, place, 1, {KEY: loaded})
    return _stack_frame(stack, place, 1, _metadata(state, place, "reference", scan))


def volume_frame(
    volume: NDArray[np.float32],
    geometry: ScanGeometry,
    place: Placement,
    binning: int,
    metadata: dict[str, Any],
) -> Frame:
    """Put the rotation axis where it lies among the columns, and the slices where the rows are.

    Parameters
    ----------
    volume : (n_slices, n_y, n_x) array
        About a vertical axis.
    geometry : ScanGeometry
        Of the images that the volume was made from.
    place : Placement
        Of the scan.
    binning : int
        Of the images, where the scan's shape is not known.
    metadata : dict
        Of the frame.
    """
    images = (geometry.n_rows, geometry.n_columns)
    vertical = place.rotation_axis == "vertical"
    binnings = place.binning_of(images if vertical else images[::-1], binning)
    along, across = (0, 1) if vertical else (1, 0)  # among (row, column) as measured
    scale, translate, units = place.scale[1:], place.translate[1:], place.units[1:]
    step = scale[across] * binnings[across]
    first = (
        translate[across]
        + scale[across] * (binnings[across] - 1) / 2
        + step * (geometry.center - geometry.volume_axis)
    )
    return Frame(
        data=volume[:, np.newaxis],
        scale=(scale[along] * binnings[along], place.scale[0] * geometry.n_angles, step, step),
        translate=(
            translate[along] + scale[along] * (binnings[along] - 1) / 2,
            place.translate[0] + place.scale[0] * (geometry.n_angles - 1) / 2,
            translate[along] + first - translate[across],  # as far from the rows' beginning
            first,
        ),
        units=(units[along], place.units[0], units[across], units[across]),
        metadata=metadata,
    )


def grey_range(data: NDArray[np.float32]) -> tuple[float, float]:
    """Return contrast limits that hold 99.8 % of the values, and some room for what sharpens."""
    sample = sampled(data)
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (0.1, 99.9)))
    return (low, high + _HEADROOM * (high - low)) if high > low else (low, low + 1.0)


def sampled(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return some of the finite values, enough for percentiles."""
    flat = data.ravel(order="K")
    sample = flat[:: max(1, flat.size // _SAMPLES)]
    return sample[np.isfinite(sample)]


def _stack_frame(
    stack: NDArray[np.float32], place: Placement, binning: int, metadata: dict[str, Any]
) -> Frame:
    """Put a stack, as measured, where the scan is."""
    rows, columns = place.binning_of((stack.shape[1], stack.shape[2]), binning)
    angle, row, column = place.scale
    return Frame(
        data=stack,
        scale=(angle, row * rows, column * columns),
        translate=(
            place.translate[0],
            place.translate[1] + row * (rows - 1) / 2,
            place.translate[2] + column * (columns - 1) / 2,
        ),
        units=place.units,
        metadata=metadata,
    )


def _metadata(state: AlignmentState, place: Placement, role: str, scan: object) -> dict[str, Any]:
    own = provenance(state, role, place.source)
    own.update(rotation_axis=place.rotation_axis, scan=scan)
    if role == "reconstruction":
        return {KEY: own}
    return {KEY: own, "angles": state.geometry.angles}


def _frozen(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.flags.writeable = False
    return array
