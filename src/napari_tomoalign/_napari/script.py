"""Watch an alignment that a script runs: ``align(..., callback=show_in(viewer))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..results import AlignmentState
from ..steering import Placement
from ..steering.frames import Frame, frames_of
from ._layers import AlignmentLayers, placement_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["show_in"]


def show_in(
    viewer: ViewerModel, *, layer: Image | None = None, difference: bool = False, new: bool = False
) -> Callable[[AlignmentState], bool | None]:
    """Return a callback that shows each iteration in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers ``reconstruction``, ``projections`` and ``reference`` are shown and
        updated in place.
    layer : Image, optional
        The layer that holds the projections: the others take its scale, place and units.
    difference : bool
        Show ``reference - projections`` too.
    new : bool
        Leave the layers of earlier runs as they are and add new ones.

    Returns
    -------
    callable
        For ``align(..., callback=...)``, from any thread. The window answers after each
        iteration; closing it stops the run, which keeps what was reached.

    Examples
    --------
    >>> viewer = napari.Viewer()  # doctest: +SKIP
    >>> align(projections, angles, callback=show_in(viewer))  # doctest: +SKIP
    """
    place = Placement() if layer is None else placement_of(layer)
    layers = AlignmentLayers(viewer)
    layers.begin(layer, new=new)

    def show(state: AlignmentState) -> bool | None:
        frames = frames_of(state, place, difference=difference)
        return _in_gui_thread(lambda: _show(viewer, layers, frames))

    return show


def _show(viewer: ViewerModel, layers: AlignmentLayers, frames: dict[str, Frame]) -> bool | None:
    """Show the frames and let the window breathe; False where it is closed."""
    window = getattr(viewer, "window", None)  # a ViewerModel has none
    if window is None:
        layers.show(frames)
        return None
    from qtpy.QtWidgets import QApplication

    if not hasattr(window, "_qt_window"):
        return False
    seen = _is_visible(window)
    layers.show(frames)
    QApplication.processEvents()
    return False if seen and not _is_visible(window) else None


def _is_visible(window: Any) -> bool:
    """Whether a viewer's window is there and not hidden; a minimised one counts as visible."""
    try:
        return bool(window._qt_window.isVisible())
    except (AttributeError, RuntimeError):  # taken away by napari, or by Qt
        return False


def _in_gui_thread(job: Callable[[], bool | None]) -> bool | None:
    """Do it at once in the GUI's thread; from another one, wait until that has done it."""
    from qtpy.QtCore import QCoreApplication, QThread

    app = QCoreApplication.instance()
    if app is None or QThread.currentThread() is app.thread():
        return job()
    from superqt.utils import ensure_main_thread

    found: bool | None = ensure_main_thread(await_return=True, timeout=60_000)(job)()
    return found
