"""How a command ends: exit codes, one line of error, and what was found as plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..results import AlignmentResult

__all__ = ["NOT_CONVERGED", "REFUSED", "one_line", "summary"]

REFUSED = 2
"""Exit code: nothing was done, or it could not be finished; the error says why."""

NOT_CONVERGED = 3
"""Exit code: results were written, but the shifts are not known, or were not found again."""


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line; name the type where the message is not ours."""
    text = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(error).split()))
    expected = (ValueError, TypeError, OSError, RuntimeError, ImportError, MemoryError)
    return text if text and isinstance(error, expected) else f"{type(error).__name__}: {text}"


def summary(
    name: str,
    output: Path,
    result: AlignmentResult,
    true_shifts: NDArray[np.float64] | None,
    files: Sequence[str],
) -> dict[str, Any]:
    """Return what a run found as values for JSON: pixels, seconds, None where unknown."""
    from ..geometry.gauge import alignment_error
    from ..report import flagged_projections

    errors = np.sqrt(np.sum(result.standard_error**2, axis=1))
    known = errors[np.isfinite(errors)]
    flagged = [int(index) for index in flagged_projections(result)]
    truth_error: float | None = None
    if true_shifts is not None:
        scored = np.setdiff1d(np.arange(len(result.shifts)), flagged)
        centers = (result.center, result.center)
        views = result.geometry.directions
        truth_error = alignment_error(result, true_shifts, views, scored, centers=centers)

    def known_or_none(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None  # JSON knows no NaN

    return {
        "scan": name,
        "output": str(output),
        "converged": bool(result.converged),
        "message": result.message,
        "iterations": len(result.history),
        "seconds": float(sum(record.seconds for record in result.history)),
        "backend": result.backend,
        "center": float(result.center),
        "residual": known_or_none(result.residual),
        "standard_error": float(np.sqrt(np.mean(known**2))) if known.size else None,
        "error_to_truth": truth_error,
        "flagged": flagged,
        "diagnosis": list(result.diagnosis),
        "files": list(files),
    }
