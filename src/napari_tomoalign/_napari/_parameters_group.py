"""The controls of the alignment, made from the one parameter class."""

# No ``from __future__ import annotations``: nothing here may hide the ranges of the fields.
from dataclasses import fields
from typing import Any, get_type_hints

from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget
from superqt import QCollapsible

from ..parameters import AlignmentParameters
from ._editors import Editor, editor_for, tooltips_of
from ._layout import folding, form

__all__ = ["ELSEWHERE", "ParametersGroup", "label_of", "parameter_editor"]

ELSEWHERE = frozenset(
    {
        "reconstruction_pipeline",
        "reconstruction_pipeline_kwargs",
        "use_gpu",
        "ignored_subset",
        "projection_cropping",
        "transmission",
    }
)
"""Fields whose control stands in another group, where the scan or the engine is chosen."""

_HINTS = get_type_hints(AlignmentParameters, include_extras=True)
_TOOLTIPS = tooltips_of(AlignmentParameters)
_LABELS = {
    "maxiter": "Iterations, at most",
    "center_estimation": "Estimate the centre",
    "center_of_mass_shift_weight": "Centre-of-mass weight",
    "relative_sample_size": "Sample size",
    "gauss_newton": "Gauss-Newton",
    "use_gpu": "Use the GPU",
    "workers": "Threads",
}


def label_of(name: str) -> str:
    """Return the text beside the control of a parameter."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def tooltip_of(name: str) -> str:
    """Return what the parameter's docstring says, headed by its name in scripts."""
    return f"<b>{name}</b><br>{_TOOLTIPS[name]}"


def parameter_editor(name: str) -> Editor:
    """Return the control of one parameter.

    Raises
    ------
    KeyError
        There is no such parameter.
    """
    spec = {field.name: field for field in fields(AlignmentParameters)}[name]
    editor = editor_for(spec, _HINTS[name], _TOOLTIPS[name])
    editor.widget.setToolTip(f"<qt>{tooltip_of(name)}</qt>")
    return editor


class ParametersGroup(QWidget):
    """Every parameter that has no better place, the usual ones in front.

    Attributes
    ----------
    editors : dict of str to Editor
        By the parameter's name.
    advanced : QCollapsible
        Holds the rest.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.editors: dict[str, Editor] = {}
        front, rest = form(), form()
        for spec in fields(AlignmentParameters):
            if spec.name not in ELSEWHERE:
                self._add(rest if spec.metadata.get("advanced") else front, spec.name)
        self.advanced: QCollapsible = folding("Advanced", rest, expanded=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(front)
        layout.addWidget(self.advanced)

    def values(self) -> dict[str, Any]:
        """Return what is set, by the parameter's name.

        Raises
        ------
        ValueError
            A text that cannot be read; the message names the parameter.
        """
        found = {}
        for name, editor in self.editors.items():
            try:
                found[name] = editor.get()
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return found

    def _add(self, layout: QFormLayout, name: str) -> None:
        self.editors[name] = parameter_editor(name)
        layout.addRow(label_of(name), self.editors[name].widget)
        layout.labelForField(self.editors[name].widget).setToolTip(
            self.editors[name].widget.toolTip()
        )
