"""Take the README's picture: the window after a run on the small sample.

    python tests/napari/make_screenshot.py [OUT.png]

Without a screen, put ``xvfb-run -a -s "-screen 0 1600x1200x24"`` before it.
"""

import sys
from pathlib import Path

from qtpy.QtCore import QTimer

import napari

OUT = Path(__file__).with_name("screenshot.png")
SIZE = (1280, 860)
SETTLE = 1500  # ms for the plots and the canvas to be drawn


def take(out: Path) -> None:
    """Align the small sample in a viewer and save a picture of the window."""
    viewer = napari.Viewer(title="napari-tomoalign")
    viewer.window._qt_window.resize(*SIZE)
    viewer.open_sample("napari-tomoalign", "small")
    _, widget = viewer.window.add_plugin_dock_widget("napari-tomoalign", "Align projections")

    def finish() -> None:
        viewer.screenshot(str(out), canvas_only=False, flash=False)
        viewer.close()

    def settle(*_: object) -> None:
        widget.show_plots()
        QTimer.singleShot(SETTLE, finish)

    def show(_: None, error: Exception | None) -> None:
        if error is not None:
            viewer.close()
            raise error
        if widget.evaluator.is_running:  # the images at full size are on their way
            widget.evaluator.ready.connect(settle)
        else:
            settle()

    widget.runner.ended.connect(show)
    QTimer.singleShot(SETTLE, widget.run)
    napari.run()


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
