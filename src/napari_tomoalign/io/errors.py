"""What goes wrong with files."""

from __future__ import annotations

__all__ = ["DiskFull", "ScanFileError"]


class ScanFileError(ValueError):
    """A file is not what it claims, or lacks something; the message says what to do."""


class DiskFull(OSError):
    """There is no room left for a file; the message says what was saved and what was not."""
