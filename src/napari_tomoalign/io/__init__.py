"""Readers and writers, one format a file."""

from __future__ import annotations

from .errors import DiskFull, ScanFileError
from .reading import SCAN_SUFFIXES, can_read, load, read_scan, scan_for_alignment
from .scan import Scan

__all__ = [
    "SCAN_SUFFIXES",
    "DiskFull",
    "Scan",
    "ScanFileError",
    "can_read",
    "load",
    "read_scan",
    "scan_for_alignment",
]
