"""The parts of the window; what they do together, and how they are shown, is said elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from ._blink import Blink
from ._drawing import Drawing
from ._evaluation import Evaluator
from ._keys import KEYS
from ._layers import AlignmentLayers
from ._parameter_form import ParameterForm, ReconstructionForm
from ._result_form import ResultForm
from ._run import Runner
from ._run_bar import RunBar
from ._scan_form import ScanForm
from ._session import session_of
from ._verdict import VerdictPanel
from ._verify import Verifier

if TYPE_CHECKING:
    from napari.layers import Image

    import napari

__all__ = ["Parts"]

_DRAW_EVERY = 40  # ms between two updates of the layers, so that the window stays at hand


class Parts(QWidget):
    """The parts of the window; `AlignmentWidget` lays them out.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the scan is and the result goes.

    Attributes
    ----------
    scan, reconstruction, parameters, result : QWidget
        The groups.
    verdict, run_bar : QWidget
        What stays in view: the verdict, the buttons and the progress.
    runner, verifier, evaluator : QObject
        What is done in the background.
    session : Session
        What has been found; it is the viewer's, and outlives the dock.
    layers : AlignmentLayers
        What the run shows in the viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # napari hands over a proxy where the dock was not opened from its menu; layers are
        # compared with `is`, which holds behind the proxy only.
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = viewer
        self.session = session_of(viewer)
        self.layers = AlignmentLayers(viewer)
        self.runner, self.verifier = Runner(self), Verifier(self)
        self.evaluator = Evaluator(self)
        self.drawing, self.blink = Drawing(viewer, self), Blink(self)
        self.scan = ScanForm(viewer)
        self.reconstruction = ReconstructionForm()
        self.parameters = ParameterForm()
        self.result = ResultForm(viewer)
        self.verdict, self.run_bar = VerdictPanel(), RunBar(KEYS)
        self._source_layer: Image | None = None
        self._looked_at: Image | None = None
        self._steered = False
        self._after_end: Callable[[], None] | None = None
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(_DRAW_EVERY)
        self._drawing.timeout.connect(self._draw)

    @property
    def fields(self) -> dict[str, ValueWidget]:
        """All that is set in the forms, by the parameter's name."""
        return {**self.scan.fields, **self.reconstruction.fields, **self.parameters.fields}

    # ---- what is shown; AlignmentWidget says how ----

    def _show_session(self) -> None:
        raise NotImplementedError

    def _allow(self) -> None:
        raise NotImplementedError

    def reset_choices(self, event: Any = None) -> None:
        raise NotImplementedError

    def show_result(self) -> None:
        raise NotImplementedError

    def show_plots(self) -> None:
        raise NotImplementedError

    def show_verification(self) -> None:
        raise NotImplementedError
