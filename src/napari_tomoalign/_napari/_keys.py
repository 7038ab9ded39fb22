"""The keys of the window: in the dock, and over the canvas."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ._actions import Actions

__all__ = ["KEYS", "Keys"]

KEYS = {
    "Run": "Alt+Shift+R",
    "Pause": "Alt+Shift+P",
    "Step": "Alt+Shift+S",
    "Stop": "Alt+Shift+X",
    "Freeze": "Alt+Shift+F",
    "Blink": "Alt+Shift+B",
    "Undo": "Ctrl+Z",
    "Redo": "Ctrl+Shift+Z",
}
"""What each key does; none of them is napari's."""


class Keys:
    """Binds the keys in the dock and over the canvas, and lets go of them.

    A Labels layer that is painted in keeps its own undo.
    """

    def __init__(self, actions: Actions, viewer: ViewerModel) -> None:
        self._viewer = viewer
        bar, form = actions.run_bar, actions.result
        does: dict[str, Callable[[], Any]] = {
            "Run": bar.run.click,
            "Pause": bar.pause.click,
            "Step": bar.step.click,
            "Stop": bar.stop.click,
            "Freeze": form.freeze.click,
            "Undo": actions.undo,
            "Redo": actions.redo,
        }
        for name, do in does.items():
            shortcut = QShortcut(QKeySequence(KEYS[name]), actions)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(do)
            viewer.bind_key(_napari(name), lambda _, do=do: do(), overwrite=True)

        def blink(_: Any) -> Generator[None, None, None]:
            actions.blink_on()
            yield
            actions.blink.off()

        viewer.bind_key(_napari("Blink"), blink, overwrite=True)

    def close(self) -> None:
        """Let go of the viewer."""
        for name in KEYS:
            self._viewer.bind_key(_napari(name), None, overwrite=True)


def _napari(name: str) -> str:
    return KEYS[name].replace("Ctrl", "Control").replace("+", "-")
