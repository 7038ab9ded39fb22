"""The alignment as an npe2 command: no viewer and no Qt, layer data in and out."""

from __future__ import annotations

from typing import Any

from ..alignment import align
from ..results import AlignmentResult

__all__ = ["align_to_layers", "result_layers"]

LayerData = tuple[Any, dict[str, Any], str]


def align_to_layers(projections: Any, angles: Any, **settings: Any) -> list[LayerData]:
    """Align a scan and return what napari would show.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns) array
        The measured stack.
    angles : (n_angles,) array
        Radians.
    **settings
        Arguments of `napari_tomoalign.align`: center, weights, backend, parameters ... No
        progress bar is shown unless ``progress=True``.

    Returns
    -------
    list of (data, attributes, "image")
        ``reconstruction`` (slice, y, x), ``projections`` and ``reference`` (angle, row, column).
        Shifts, history and parameters are in ``attributes["metadata"]``.
    """
    return result_layers(align(projections, angles, **{"progress": False, **settings}))


def result_layers(result: AlignmentResult) -> list[LayerData]:
    """Return the three images of a result as layers, with where they come from."""
    metadata = {
        "shifts": result.shifts,
        "shifts_meaning": "(row, column), pixels; aligning moves by minus this",
        "angles": result.angles,
        "center": result.center,
        "converged": result.converged,
        "message": result.message,
        "diagnosis": result.diagnosis,
        "history": result.history,
        "parameters": result.parameters.to_dict(),
        "backend": result.backend,
        "versions": dict(result.versions),
    }
    return [
        (getattr(result, name), {"name": name, "metadata": dict(metadata)}, "image")
        for name in ("reconstruction", "projections", "reference")
    ]
