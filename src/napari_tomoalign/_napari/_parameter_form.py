"""The controls of the alignment, made from the one parameter class, and how to reconstruct."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

from ..backends import available_backends, backend_names, get_backend, how_to_install
from ..parameters import OF_SCAN, AlignmentParameters
from ._background import in_background
from ._forms import OptionalChoice, form_of, narrow, widgets_of
from ._layout import column, folding, hint

__all__ = ["RECONSTRUCTION", "SCAN", "ParameterForm", "ReconstructionForm"]

RECONSTRUCTION = ("reconstruction_pipeline", "reconstruction_pipeline_kwargs", "use_gpu")
"""Parameters whose control stands where the engine is chosen."""

SCAN = ("ignored_subset", "excluded_subset", "projection_cropping", "transmission")
"""Parameters whose control stands where the scan is chosen."""

_DEFAULT = "the engine's own choice"


class ParameterForm(QWidget):
    """Every parameter that has no better place, the usual ones in front."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        here = [spec for spec in fields(AlignmentParameters) if spec.name not in _ELSEWHERE]
        names = tuple(spec.name for spec in here)
        self.fields = widgets_of(AlignmentParameters, names, {})
        folded = [bool(spec.metadata.get("advanced")) for spec in here]
        front, rest = (
            form_of(w for w, f in zip(self.fields.values(), folded, strict=True) if f == which)
            for which in (False, True)
        )
        self.advanced: QCollapsible = folding("Advanced", rest, expanded=False)
        layout = column(self)
        layout.addWidget(front)
        layout.addWidget(self.advanced)


def _ask(backend: str) -> tuple[str, tuple[str, ...], str]:
    """Load an engine, slow the first time; return its name, its algorithms and its own choice."""
    engine = get_backend(backend)
    default, options = engine.default_for()
    words = ", ".join(f"{name}={value}" for name, value in options.items())
    return backend, tuple(engine.algorithms), f"{default} ({words or 'as it is'})"


class ReconstructionForm(QWidget):
    """How the volume is reconstructed: an engine, and what it offers, asked in the background."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.backend = ComboBox(
            name="backend",
            label="Engine",
            choices=[(f"automatic: {next(iter(available_backends()), 'none')}", "auto")]
            + [(_named(name), name) for name in backend_names()],
            tooltip="The reconstruction engine; the greyed ones are not installed",
        )
        narrow(self.backend)
        self._offered: tuple[str, ...] = ()
        algorithm = {
            "widget_type": OptionalChoice,
            "choices": lambda _: self._offered,
            "none": _DEFAULT,
        }
        self.fields = widgets_of(
            AlignmentParameters,
            RECONSTRUCTION,
            {"reconstruction_pipeline": algorithm},
        )
        self.algorithm = self.fields["reconstruction_pipeline"]
        self.remark = hint()
        layout = column(self)
        layout.addWidget(form_of([self.backend, *self.fields.values()]))
        layout.addWidget(self.remark)
        self._missing = self._grey_out()
        self.remark.setText(self._missing)
        self.backend.changed.connect(self._refresh_algorithms)
        self._refresh_algorithms()

    def _grey_out(self) -> str:
        """Take from the engines those that are not installed; say how to install them."""
        missing = []
        for index, name in enumerate(backend_names(), start=1):
            command = how_to_install(name)
            if command is not None:
                item = self.backend.native.model().item(index)
                item.setEnabled(False)
                item.setToolTip(command)
                missing.append(f"{name} is not installed: <code>{command}</code>")
        return "<br>".join(missing)

    def _refresh_algorithms(self, _: Any = None) -> None:
        self._offer(_DEFAULT, ())
        in_background(
            partial(_ask, self.backend.value),
            returned=self._on_answer,
            errored=self._on_refused,
        )

    def _on_answer(self, answer: tuple[str, tuple[str, ...], str]) -> None:
        backend, algorithms, own_choice = answer
        if backend == self.backend.value:
            self._offer(own_choice, algorithms)
            self.remark.setText(self._missing)

    def _on_refused(self, error: Exception) -> None:
        self.remark.setText(str(error))

    def _offer(self, own_choice: str, algorithms: tuple[str, ...]) -> None:
        self._offered = algorithms
        self.algorithm.null_string = own_choice
        self.algorithm.reset_choices()


_ELSEWHERE = {*RECONSTRUCTION, *SCAN, *OF_SCAN}


def _named(backend: str) -> str:
    return backend if how_to_install(backend) is None else f"{backend} (not installed)"
