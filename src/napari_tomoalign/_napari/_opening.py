"""Ask for a scan: a file, or a folder of images."""

from __future__ import annotations

from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

__all__ = ["ask_scan"]

_FILES = (
    "Scans (*.h5 *.hdf5 *.hdf *.nxs *.nx *.mrc *.ali *.st *.tif *.tiff *.npy *.npz *.zarr);;"
    "All files (*)"
)


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
