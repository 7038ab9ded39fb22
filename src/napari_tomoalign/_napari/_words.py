"""What the window calls what scripts know by name."""

from __future__ import annotations

import re
from dataclasses import fields

from ..parameters import AlignmentParameters

__all__ = ["in_window_words", "title_of"]

_LABELS = {
    "maxiter": "Iterations, at most",
    "center_estimation": "Estimate the centre",
    "center_of_mass_shift_weight": "Centre-of-mass weight",
    "relative_sample_size": "Sample size",
    "relaxation_weight": "Relaxation, px",
    "precision": "Precision, px",
    "shift_tolerance": "Tolerance, px",
    "shift_cutoff": "Shift cutoff, px",
    "gauss_newton": "Gauss-Newton",
    "workers": "Threads",
    "ignored_subset": "Ignored",
    "excluded_subset": "Left out",
    "projection_cropping": "Crop",
    "rotation_axis": "Rotation axis",
    "reconstruction_pipeline": "Algorithm",
    "reconstruction_pipeline_kwargs": "Options",
    "use_gpu": "Use the GPU",
}
_PHRASES = {
    "initial_shifts": "shifts (Load shifts…)",
    "mask them with weights=np.isfinite(projections)": "mask them (Draw marks them in a new mask)",
    "mask them with weights": "mask them",
    (
        'read the scan with rotation_axis="horizontal", or "vertical" where it was read as '
        "horizontal"
    ): "turn it",
}
_KNOWN = {*_LABELS, *(spec.name for spec in fields(AlignmentParameters))}


def title_of(name: str) -> str:
    """Return a field's name as a label."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def in_window_words(text: str) -> str:
    """Return a text with the window's labels in place of names that are no plain words."""
    for said, meant in _PHRASES.items():
        text = text.replace(said, meant)
    return re.sub(
        r"maxiter|[a-z]+(_[a-z]+)+",
        lambda word: f"“{title_of(word[0])}”" if word[0] in _KNOWN else word[0],
        text,
    )
