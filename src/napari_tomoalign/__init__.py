"""Projection alignment for tomography: reconstruct, reproject, register, repeat."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._napari.script import show_in
    from .alignment import align, iterate_alignment
    from .backends import Backend, available_backends, get_backend
    from .gauge import alignment_error
    from .geometry import ScanGeometry
    from .parameters import AlignmentParameters
    from .results import AlignmentResult, AlignmentState, IterationRecord
    from .verification import Verification, verify

__version__ = "0.1.0"

_HOME = {
    "align": "alignment",
    "iterate_alignment": "alignment",
    "Backend": "backends",
    "available_backends": "backends",
    "get_backend": "backends",
    "alignment_error": "gauge",
    "ScanGeometry": "geometry",
    "AlignmentParameters": "parameters",
    "AlignmentResult": "results",
    "AlignmentState": "results",
    "IterationRecord": "results",
    "Verification": "verification",
    "show_in": "_napari.script",
    "verify": "verification",
}

__all__ = [
    "AlignmentParameters",
    "AlignmentResult",
    "AlignmentState",
    "Backend",
    "IterationRecord",
    "ScanGeometry",
    "Verification",
    "align",
    "alignment_error",
    "available_backends",
    "get_backend",
    "iterate_alignment",
    "show_in",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
