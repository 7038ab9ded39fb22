"""What seems wrong with a scan or a run, in words and as what to run again with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """Something that was found out about a scan or a run.

    Parameters
    ----------
    kind : str
        In a word or two, without a colon: ``"frames that do not fit"``.
    text : str
        What was seen, and what to do about it.
    change : mapping
        What to run again with, where that is the advice: whole values of parameters by name, of
        `align` (``center`` among them) or of `read_scan` (``rotation_axis``).

    Examples
    --------
    >>> found = Finding("still moving", "projection 3; raise maxiter", {"maxiter": 80})
    >>> found.sentence
    'still moving: projection 3; raise maxiter'
    """

    kind: str
    text: str
    change: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Kind and text, as a user reads them."""
        return f"{self.kind}: {self.text}" if self.kind else self.text

    @classmethod
    def told(cls, sentence: str, change: Mapping[str, Any]) -> Finding:
        """Return the finding that a sentence tells, with its change."""
        kind, colon, text = sentence.partition(": ")
        return cls(kind, text, change) if colon else cls("", sentence, change)
