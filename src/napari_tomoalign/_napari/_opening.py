"""Ask for a scan: a file, or a folder of images; and for the datasets of an unknown HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QPoint
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..io.hdf5_file import Hdf5File
from ..io.hdf5_listing import proposal
from ._forms import OptionalChoice, form_of
from ._layout import hint

__all__ = ["DatasetPicker", "ask_scan"]

_FILES = (
    "Scans (*.h5 *.hdf5 *.hdf *.nxs *.nx *.hspy *.emd *.mrc *.ali *.st *.tif *.tiff *.npy *.npz);;"
    "All files (*)"
)
_PARTS = {  # argument of read_scan: (label, fewest axes, most axes)
    "data": ("Projections", 3, 4),
    "angles_path": ("Angles", 1, 1),
    "flats": ("Flat fields", 2, 3),
    "darks": ("Dark fields", 2, 3),
    "keys": ("Image keys", 1, 1),
}
Shapes = Mapping[str, tuple[int, ...]]


def ask_scan(parent: QWidget, button: QWidget) -> str:
    """Return the path of a scan that the user chooses; empty where none is chosen."""
    menu = QMenu(parent)
    file, folder = menu.addAction("A file …"), menu.addAction("A folder of TIFFs …")
    chosen = menu.exec(button.mapToGlobal(QPoint(0, button.height())))
    if chosen is file:
        return str(QFileDialog.getOpenFileName(parent, "Open a scan", "", _FILES)[0])
    if chosen is folder:
        return str(QFileDialog.getExistingDirectory(parent, "Open a folder of TIFFs"))
    return ""


class DatasetPicker(QDialog):
    """Says what is what among the datasets of an HDF5 file; OK only where the lengths match.

    What is likely by name is proposed, where it fits; a file that cannot be read raises.
    """

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"What is what in {path.name}?")
        with Hdf5File(path) as file:
            datasets = [dataset for dataset in file.walk() if dataset.shape]
            proposed = proposal(datasets)
            self._shapes: Shapes = {dataset.name: dataset.shape for dataset in datasets}
        self.tree = _tree(self._shapes)
        self.parts = {
            name: OptionalChoice(
                name=name,
                label=label,
                choices=[key for key, shape in self._shapes.items() if low <= len(shape) <= high],
            )
            for name, (label, low, high) in _PARTS.items()
        }
        self._form = form_of(self.parts.values())
        self.verdict = hint()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (self.tree, self._form, self.verdict, self.buttons):
            layout.addWidget(widget)
        self.resize(520, 560)
        for name, dataset in proposed.items():
            self.parts[name].value = dataset
            if self._fault():
                self.parts[name].value = None
        for part in self.parts.values():
            part.changed.connect(self._judge)
        self._judge()

    @property
    def chosen(self) -> dict[str, str]:
        """Arguments of `read_scan`: the datasets that were chosen."""
        return {name: part.value for name, part in self.parts.items() if part.value is not None}

    def _judge(self, _: object = None) -> None:
        fault = self._fault()
        self.verdict.setText(f"⚠ {fault}" if fault else "The lengths match.")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not fault)

    def _fault(self) -> str:
        chosen = {name: self._shapes[key] for name, key in self.chosen.items()}
        if "data" not in chosen:
            return "Choose the projections."
        data = chosen["data"]
        if "keys" in chosen and chosen["keys"][0] != data[0]:
            return f"There are {chosen['keys'][0]} keys for {data[0]} images."
        angles = chosen.get("angles_path")
        if angles is not None and angles[0] not in data[:3]:
            return f"There are {angles[0]} angles, but no axis of {data} is so long."
        for name in ("flats", "darks"):
            field = chosen.get(name)
            if field is not None and sorted(field[-2:]) not in _faces(data):
                return f"{_PARTS[name][0]} of {field[-2:]} pixels do not fit images of {data}."
        return ""


def _tree(shapes: Shapes) -> QTreeWidget:
    """Return the datasets as a tree of their groups."""
    tree = QTreeWidget()
    tree.setHeaderLabels(["dataset", "shape"])
    tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    groups: dict[tuple[str, ...], QTreeWidget | QTreeWidgetItem] = {(): tree}
    for name, shape in shapes.items():
        parts = tuple(part for part in name.split("/") if part)
        for depth in range(1, len(parts) + 1):
            if parts[:depth] not in groups:
                text = " x ".join(map(str, shape)) if depth == len(parts) else ""
                groups[parts[:depth]] = QTreeWidgetItem(
                    groups[parts[: depth - 1]], [parts[depth - 1], text]
                )
    tree.expandAll()
    return tree


def _faces(data: tuple[int, ...]) -> list[list[int]]:
    """Return the two lengths that images of the stack may have, whichever axis is the angle."""
    first = data[:3]
    return [sorted(first[:at] + first[at + 1 :]) for at in range(3)]
