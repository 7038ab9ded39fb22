"""What a napari layer says about a scan, and what we say about it in turn; without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..geometry import RotationAxis
from ..io.angles import in_radians
from ..results import AlignmentState

__all__ = ["KEY", "angles_in", "carries_angles", "is_aligned", "provenance", "role_in"]

KEY = "napari_tomoalign"
"""The key of ``layer.metadata`` under which everything of ours lies."""

_UNIT_BY_KEY = {"angles": "radians", "angles_degrees": "degrees", "tilt_angles": "degrees"}


def angles_in(metadata: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the angles that a layer carries, radians; None: none; ValueError: no numbers."""
    for key, unit in _UNIT_BY_KEY.items():
        if metadata.get(key) is not None:
            return in_radians(metadata[key], unit, f"the layer's metadata[{key!r}]")[0]
    return None


def carries_angles(metadata: Mapping[str, Any]) -> bool:
    """Whether a layer carries angles, sound or not."""
    return any(metadata.get(key) is not None for key in _UNIT_BY_KEY)


def role_in(metadata: Mapping[str, Any]) -> str | None:
    """Return which of our layers it is, such as ``"reconstruction"``, or None."""
    role = metadata.get(KEY, {}).get("role")
    return None if role is None else str(role)


def is_aligned(metadata: Mapping[str, Any]) -> bool:
    """Whether the layer's images have been moved by shifts already."""
    return bool(metadata.get(KEY, {}).get("applied"))


def provenance(
    state: AlignmentState, role: str, source: str, rotation_axis: RotationAxis, scan: object
) -> dict[str, Any]:
    """Return the metadata of a layer that shows its part of a state.

    ``role`` is one of `_frames.ROLES`, ``source`` the name of the layer that was aligned, and
    ``scan`` what the shifts belong to.
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
