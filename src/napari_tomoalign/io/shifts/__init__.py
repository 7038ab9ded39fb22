"""The shifts file, and the shifts files of other programs."""

from .contents import ShiftsFile
from .hashing import data_hash
from .other_programs import EXPORT_FORMATS, export_shifts, import_shifts
from .record import Checkpoint, note_applied, read_shifts, write_shifts

__all__ = [
    "EXPORT_FORMATS",
    "Checkpoint",
    "ShiftsFile",
    "data_hash",
    "export_shifts",
    "import_shifts",
    "note_applied",
    "read_shifts",
    "write_shifts",
]
