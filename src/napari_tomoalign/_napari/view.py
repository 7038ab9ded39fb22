"""Open a finished run in napari."""

from __future__ import annotations

from pathlib import Path

from ..steering import read_run

__all__ = ["view"]


def view(directory: str | Path) -> None:
    """Open a finished run in napari, with the widget, and wait until the window is closed.

    Parameters
    ----------
    directory : path
        What ``napari-tomoalign align SCAN -o DIR`` wrote.

    Raises
    ------
    FileNotFoundError
        No finished run lies there.
    ScanFileError
        A file of the run is damaged.
    """
    opened = read_run(Path(directory))
    import napari

    from ._widget import AlignmentWidget

    viewer = napari.Viewer(title=f"{Path(directory).resolve().name} - napari-tomoalign")
    widget = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Align projections", area="right")
    widget.show_run(opened)
    napari.run()
