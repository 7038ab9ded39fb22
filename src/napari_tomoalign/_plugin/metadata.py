"""What a napari layer says about a scan, or of itself where it is one of ours; without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.angles import in_radians
from ..steering.frames import KEY

__all__ = ["angles_in", "carries_angles", "is_aligned", "role_in"]

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
