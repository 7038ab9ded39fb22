__version__: str

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

from ._napari.script import show_in
from .alignment import align, iterate_alignment
from .backends import Backend, available_backends, get_backend
from .geometry import ScanGeometry
from .geometry.gauge import alignment_error
from .parameters import AlignmentParameters
from .results import AlignmentResult, AlignmentState, IterationRecord
from .verification import Verification, verify
