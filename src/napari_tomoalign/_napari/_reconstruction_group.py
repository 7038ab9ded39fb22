"""The controls that say how the volume is reconstructed: engine, algorithm, its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from ..backends import available_backends, backend_names, get_backend, how_to_install
from ._editors import Editor
from ._layout import form, hint
from ._parameters_group import label_of, parameter_editor, tooltip_of

__all__ = ["ReconstructionGroup"]

_DEFAULT = "the engine's own choice"


@dataclass(frozen=True)
class _Offer:
    """What an engine has to offer."""

    backend: str
    algorithms: tuple[str, ...]
    default: str
    default_options: Mapping[str, Any]


def _ask(backend: str) -> _Offer | Exception:
    """Load an engine and ask what it offers; slow the first time."""
    try:
        engine = get_backend(backend)
    except Exception as error:  # told in the group, where the engine was chosen
        return error
    return _Offer(backend, tuple(engine.algorithms), *engine.default_for())


class ReconstructionGroup(QWidget):
    """How the volume is reconstructed.

    Attributes
    ----------
    backend, algorithm : QComboBox
        The engine, and what it offers; filled in the background.
    options, gpu : Editor
        Options of the algorithm, and whether to ask for the GPU.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.backend = QComboBox()
        self.algorithm = QComboBox()
        self.options: Editor = parameter_editor("reconstruction_pipeline_kwargs")
        self.gpu: Editor = parameter_editor("use_gpu")
        self.remark = hint()
        self._worker: Any = None
        self._fill_backends()
        for combo in (self.backend, self.algorithm):
            combo.setMinimumWidth(90)
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        self.backend.setToolTip(
            "<qt>The reconstruction engine; the greyed ones are not installed.</qt>"
        )
        self.algorithm.setToolTip(f"<qt>{tooltip_of('reconstruction_pipeline')}</qt>")
        self.algorithm.addItem(_DEFAULT, None)
        layout = form()
        layout.addRow("Engine", self.backend)
        layout.addRow("Algorithm", self.algorithm)
        layout.addRow("Options", self.options.widget)
        layout.addRow(label_of("use_gpu"), self.gpu.widget)
        layout.addRow(self.remark)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addLayout(layout)
        self.backend.currentIndexChanged.connect(self._refresh_algorithms)
        self._refresh_algorithms()

    @property
    def backend_name(self) -> str:
        """The engine that is chosen."""
        return str(self.backend.currentData())

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the loop that are set here.

        Raises
        ------
        ValueError
            Options that cannot be read.
        """
        try:
            options = self.options.get()
        except ValueError as error:
            raise ValueError(f"reconstruction_pipeline_kwargs: {error}") from error
        return {
            "reconstruction_pipeline": self.algorithm.currentData(),
            "reconstruction_pipeline_kwargs": options,
            "use_gpu": self.gpu.get(),
        }

    def _fill_backends(self) -> None:
        best = next(iter(available_backends()), "none is installed")
        self.backend.addItem(f"automatic: {best}", "auto")
        missing = []
        for name in backend_names():
            command = how_to_install(name)
            self.backend.addItem(name if command is None else f"{name} (not installed)", name)
            if command is not None:
                item = self.backend.model().item(self.backend.count() - 1)
                item.setEnabled(False)
                item.setToolTip(command)
                missing.append(f"{name} is not installed: <code>{command}</code>")
        self._missing = "<br>".join(missing)
        self.remark.setText(self._missing)

    def _refresh_algorithms(self, index: int = 0) -> None:
        self.algorithm.clear()
        self.algorithm.addItem(_DEFAULT, None)
        self._worker = create_worker(
            _ask, self.backend_name, _start_thread=False, _connect={"returned": self._on_answer}
        )
        self._worker.start()

    def _on_answer(self, answer: _Offer | Exception) -> None:
        self._worker = None
        if isinstance(answer, Exception):
            self.remark.setText(str(answer))
            return
        if answer.backend != self.backend_name:
            return
        options = ", ".join(f"{name}={value}" for name, value in answer.default_options.items())
        self.algorithm.setItemText(0, f"{answer.default} ({options or 'as it is'})")
        for name in answer.algorithms:
            self.algorithm.addItem(name, name)
        self.remark.setText(self._missing)
