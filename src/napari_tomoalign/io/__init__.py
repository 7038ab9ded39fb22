"""Readers and writers, one format a file."""

from __future__ import annotations

from .aligned_copy import apply_shifts
from .atomic import atomic_path
from .channels import scan_for_alignment
from .conventions import (
    from_imod,
    from_mumott,
    from_nxtomo,
    from_tomopy,
    to_imod,
    to_mumott,
    to_nxtomo,
    to_tomopy,
    turns_of_imod,
)
from .errors import DiskFull, NoAngles, ScanFileError
from .locking import FolderInUse, folder_lock
from .outputs import check_outputs
from .reading import SCAN_SUFFIXES, can_read, load, read_scan
from .reconstruction import Method
from .run_folder import all_result_files, require_results_room, result_files, write_result
from .scan import Scan
from .shifts.contents import ShiftsFile
from .shifts.hashing import data_hash
from .shifts.other_programs import EXPORT_FORMATS, export_shifts, import_shifts, shifts_for
from .shifts.record import Checkpoint, read_shifts, write_shifts
from .writers import write_aligned, write_scan, write_volume

__all__ = [
    "EXPORT_FORMATS",
    "SCAN_SUFFIXES",
    "Checkpoint",
    "DiskFull",
    "FolderInUse",
    "Method",
    "NoAngles",
    "Scan",
    "ScanFileError",
    "ShiftsFile",
    "all_result_files",
    "apply_shifts",
    "atomic_path",
    "can_read",
    "check_outputs",
    "data_hash",
    "export_shifts",
    "folder_lock",
    "from_imod",
    "from_mumott",
    "from_nxtomo",
    "from_tomopy",
    "import_shifts",
    "load",
    "read_scan",
    "read_shifts",
    "require_results_room",
    "result_files",
    "scan_for_alignment",
    "shifts_for",
    "to_imod",
    "to_mumott",
    "to_nxtomo",
    "to_tomopy",
    "turns_of_imod",
    "write_aligned",
    "write_result",
    "write_scan",
    "write_shifts",
    "write_volume",
]
