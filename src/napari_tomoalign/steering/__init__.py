"""An alignment steered by hand: what is asked, found and shown, and the way back; no toolkit."""

from .course import Course, RunRequest
from .pace import Pace
from .run_files import OpenedRun, film_of, read_run, save_run
from .scan_source import Placement, ScanSource
from .session import Session

__all__ = [
    "Course",
    "OpenedRun",
    "Pace",
    "Placement",
    "RunRequest",
    "ScanSource",
    "Session",
    "film_of",
    "read_run",
    "save_run",
]
