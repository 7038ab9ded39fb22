"""From a state of the loop to what layers show: arrays, where they lie, grey values.

Slices and angles have a slider each. The stacks are (angle, row, column), as the scan's own layer
is. The volume is (slice, 1, y, x): its second axis, of length one, is stretched over the angles,
so that it is there at every angle and moves only with the slider of the slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..geometry import RotationAxis, turn_projections
from ..results import AlignmentState, freeze
from .scan_source import Placement

__all__ = [
    "AXIS_LABELS",
    "KEY",
    "ROLES",
    "Frame",
    "frames_of",
    "grey_range",
    "moved_frame",
    "sampled",
]

AXIS_LABELS = ("slice", "angle", "row", "column")
KEY = "napari_tomoalign"
"""The key of a layer's metadata under which everything of ours lies."""

ROLES = ("reference", "projections", "difference", "reconstruction")
"""The layers of a run, from the lowest to the uppermost."""

_HEADROOM = 0.15  # of the range, beyond what is seen: later iterations are sharper
_SAMPLES = 200_000  # values looked at for the contrast, however large the data


@dataclass(frozen=True, eq=False)
class Frame:
    """One layer's share of a state: read-only data, and what the layer says of its axes."""

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
        stacks["difference"] = freeze(state.reference - state.projections)
    told = {
        role: _provenance(state, role, place.source, place.rotation_axis, scan) for role in ROLES
    }
    frames = {
        role: _stack_frame(
            turn_projections(stack, place.rotation_axis), place, state.binning, told[role]
        )
        for role, stack in stacks.items()
    }
    frames["reconstruction"] = _volume_frame(state, place, told["reconstruction"])
    return frames


def moved_frame(
    stack: NDArray[np.float32],
    state: AlignmentState | None,
    place: Placement,
    scan: object = None,
) -> Frame:
    """Return what the layer ``reference`` shows: a stack of full size that was moved.

    By the shifts of a state, or, where that is None, by loaded ones.
    """
    if state is None:
        loaded = {"role": "reference", "source": place.source, "applied": "moved by loaded shifts"}
        return _stack_frame(stack, place, 1, {KEY: loaded})
    told = _provenance(state, "reference", place.source, place.rotation_axis, scan)
    return _stack_frame(stack, place, 1, told)


def grey_range(
    data: NDArray[np.float32], darkest: float = 0.1, headroom: float = _HEADROOM
) -> tuple[float, float]:
    """Return contrast limits, with some room for what sharpens: percentiles, 99.9 the upper one."""
    sample = sampled(data)
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (darkest, 99.9)))
    return (low, high + headroom * (high - low)) if high > low else (low, low + 1.0)


def sampled(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return some of the finite values, enough for percentiles."""
    sample = data.flat[:: max(1, data.size // _SAMPLES)]
    return sample[np.isfinite(sample)]


def _stack_frame(
    stack: NDArray[np.float32], place: Placement, binning: int, metadata: dict[str, Any]
) -> Frame:
    """Put a stack, as measured, where the scan is."""
    (row, first_row), (column, first_column) = place.pixels(stack.shape[1:], binning)
    return Frame(
        data=stack,
        scale=(place.scale[0], row, column),
        translate=(place.translate[0], first_row, first_column),
        units=place.units,
        metadata=metadata,
    )


def _volume_frame(state: AlignmentState, place: Placement, metadata: dict[str, Any]) -> Frame:
    """Put the rotation axis where it lies among the columns, and the slices where the rows are."""
    geometry, volume = state.geometry, state.reconstruction
    if state.binning > 1:  # grey values per pixel of the full image, so that the contrast holds
        volume = freeze(volume / np.float32(state.binning))
    vertical = place.rotation_axis == "vertical"
    images = (geometry.n_rows, geometry.n_columns)
    pixels = place.pixels(images if vertical else images[::-1], state.binning)
    along, across = (0, 1) if vertical else (1, 0)  # among (row, column) as measured
    (height, first_slice), (width, first_column) = pixels[along], pixels[across]
    first = first_column + width * (geometry.center - geometry.volume_axis)
    as_far = place.translate[1 + along] + first - place.translate[1 + across]  # from the beginning
    return Frame(
        data=volume[:, np.newaxis],
        scale=(height, place.scale[0] * geometry.n_angles, width, width),
        translate=(
            first_slice,
            place.translate[0] + place.scale[0] * (geometry.n_angles - 1) / 2,
            as_far,
            first,
        ),
        units=(place.units[1 + along], place.units[0], *[place.units[1 + across]] * 2),
        metadata=metadata,
    )


def _provenance(
    state: AlignmentState, role: str, source: str, rotation_axis: RotationAxis, scan: object
) -> dict[str, Any]:
    """Return the metadata of a layer that shows its part of a state.

    ``source`` is the name of the layer that was aligned, ``scan`` what the shifts belong to.
    """
    aligned = f"aligned with the shifts of iteration {state.iteration}"
    own = {
        "role": role,
        "source": source,
        "applied": aligned if role == "reference" else "",
        "iteration": state.iteration,
        "binning": state.binning,
        "shifts": state.shifts,
        "shifts_meaning": "(row, column), pixels of the full image; aligning moves by minus this",
        "center": state.center,
        "angles": state.geometry.angles,
        "converged": state.converged,
        "message": state.message,
        "backend": state.backend,
        "parameters": state.parameters.to_dict(),
        "state": state.without_images(),
        "version": __version__,
        "rotation_axis": rotation_axis,
        "scan": scan,
    }
    return {KEY: own} if role == "reconstruction" else {KEY: own, "angles": own["angles"]}
