"""The present course of what is steered, the latest images, and the way back to what was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..results import AlignmentState, IterationRecord
from .course import Course

__all__ = ["Session"]

_UNDO = 100  # steps back that are kept; each is a few numbers a projection


class Session:
    """The present course of a viewer, the latest state whose images are known, and the way back."""

    def __init__(self) -> None:
        self.course = Course()
        self.images: AlignmentState | None = None
        self.forms: Mapping[str, Any] = {}  # what was set when the window was closed
        self._undo: list[tuple[str, Course]] = []
        self._redo: list[tuple[str, Course]] = []
        self._expected: tuple[str, Course] | None = None

    def do(self, what: str, course: Course) -> None:
        """Put a course in place of the present one, to which undo leads back."""
        self._undo = [*self._undo[1 - _UNDO :], (what, self.course)]
        self._redo = []
        self.course = course

    def expect(self, what: str, course: Course) -> None:
        """Put a course in place when the next iteration comes: a run may fail before it."""
        self._expected = (what, course)

    def add(self, record: IterationRecord, generator_state: Mapping[str, Any]) -> None:
        """Take an iteration in and put it on show."""
        expected, self._expected = self._expected, None
        if expected is not None:
            self.do(*expected)
        self.course = self.course.with_iteration(record, generator_state)

    @property
    def undoes(self) -> str:
        """What undo would take back; empty where there is nothing."""
        return self._undo[-1][0] if self._undo else ""

    @property
    def redoes(self) -> str:
        """What redo would bring back; empty where there is nothing."""
        return self._redo[-1][0] if self._redo else ""

    def undo(self) -> None:
        """Go back to the course before the latest change."""
        self._go(self._undo, self._redo)

    def redo(self) -> None:
        """Take back the latest undo."""
        self._go(self._redo, self._undo)

    def _go(self, there: list[tuple[str, Course]], back: list[tuple[str, Course]]) -> None:
        if there:
            what, course = there.pop()
            back.append((what, self.course))
            self.course = course

    @property
    def images_fit(self) -> bool:
        """Whether the images that are known belong to the shifts on show."""
        images, course = self.images, self.course
        return (
            images is not None
            and images.center == course.center
            and images.binning <= (1 if course.record is None else course.record.binning)
            and np.array_equal(images.shifts, course.shifts)
        )
