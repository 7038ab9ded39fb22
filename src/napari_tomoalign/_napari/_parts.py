"""The parts of the window, how they are laid out, and how they show what there is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from magicgui.widgets.bases import ValueWidget
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..parameters import AlignmentParameters
from ..steering import Session
from ._background import Task, text_of
from ._blink import Blink
from ._drawing import Drawing
from ._evaluation import Evaluator
from ._keys import KEYS
from ._layers import AlignmentLayers, finest
from ._layout import Scrolled, folding
from ._parameter_form import RECONSTRUCTION, ParameterForm, ReconstructionForm
from ._result_form import ResultForm
from ._run import Runner
from ._run_bar import RunBar
from ._scan_form import ScanForm
from ._verdict import VerdictPanel
from ._verify import Verifier

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    import napari

__all__ = ["Parts", "session_of"]

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_DRAW_EVERY = 40  # ms between two updates of the layers, so that the window stays at hand


class Parts(QWidget):
    """The parts of the window: groups that are scrolled, and below them what stays in view.

    The session, what has been found, is the viewer's, and outlives the dock.
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
        self.evaluator, self.blink = Evaluator(self), Blink(self)
        self.drawing = Drawing(viewer, self)
        self.scan = ScanForm(viewer)
        self.reconstruction = ReconstructionForm()
        self.parameters = ParameterForm()
        self.result = ResultForm(viewer)
        self.verdict, self.run_bar = VerdictPanel(), RunBar(KEYS)
        self._looked_at: Image | None = None
        self.row_reader = Task(self)
        self._row_read: tuple[Any, Any] = (None, None)
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(_DRAW_EVERY)
        self._result_folding = folding("Result", self.result, expanded=False)
        self._scroll = Scrolled(
            folding("Scan", self.scan, expanded=True),
            folding("Reconstruction", self.reconstruction, expanded=False),
            folding("Alignment", self.parameters, expanded=True),
            self._result_folding,
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(6, 6, 6, 6)
        outer.addWidget(self._scroll, 1)
        outer.addWidget(self.verdict)
        outer.addWidget(self.run_bar)

    @property
    def fields(self) -> dict[str, ValueWidget]:
        """All that is set in the forms, by the parameter's name."""
        return {**self.scan.fields, **self.reconstruction.fields, **self.parameters.fields}

    def settings(self) -> tuple[float | None, str, AlignmentParameters]:
        """Return centre, engine and parameters as they are set now; ValueError names a fault."""
        names = {spec.name for spec in fields(AlignmentParameters)}
        values = {name: field.value for name, field in self.fields.items() if name in names}
        parameters = AlignmentParameters(**values, projection_cropping=self.scan.cropping())
        return self.scan.fields["center"].value, self.reconstruction.backend.value, parameters

    def set_fields(self, values: Mapping[str, Any]) -> None:
        """Set fields of the forms, by the parameter's name."""
        for name, value in values.items():
            self.fields[name].value = value

    def keep_forms(self) -> None:
        """Leave what is set to the session, layers by name: the dock may be opened again."""
        kept: dict[str, Any] = {}
        for name, field in (*self.scan.choosers.items(), *self.fields.items()):
            with suppress(ValueError):  # what is typed cannot be read
                kept[name] = getattr(field.value, "name", field.value)
        self.session.forms = kept

    def return_forms(self) -> None:
        """Set what was set when the dock was closed, as far as it is there."""
        kept = self.session.forms
        for name, chooser in self.scan.choosers.items():
            if kept.get(name) in self._viewer.layers:
                chooser.value = self._viewer.layers[kept[name]]
        self.set_fields({n: kept[n] for n in self.fields.keys() & kept.keys() - {*RECONSTRUCTION}})
        self._looked_at = None

    def reset_choices(self, event: Any = None) -> None:
        """Offer the layers that are there now; napari calls it when they change."""
        self.scan.reset_choices()
        self.result.other.reset_choices()

    def show_result(self) -> None:
        """Unfold the result."""
        self._result_folding.expand(animate=False)

    def show_scan(self) -> None:
        """Scroll to what is said of the scan."""
        self._scroll.verticalScrollBar().setValue(0)

    def show_plots(self) -> None:
        """Scroll to the plots, which the result begins with."""
        self._lay_out_result()
        self._scroll.verticalScrollBar().setValue(self._result_folding.y())

    def show_verification(self) -> None:
        """Scroll to the picture of the verification."""
        self._lay_out_result()
        self._scroll.ensureWidgetVisible(self.result.verification, 0, 0)

    def _lay_out_result(self) -> None:
        """Give what has just appeared its height; the verdict takes some of it."""
        for holder in (self, self._scroll.widget(), self._result_folding.content()):
            holder.layout().activate()

    def _show_session(self) -> None:
        """Show all that the session knows."""
        course, hidden = self.session.course, self.result.shifts.isHidden()
        self.result.show_course(course)
        if hidden and course.is_result:
            QTimer.singleShot(0, self.show_plots)
        words, layer = "", self.scan.layer.value
        of = "" if course.scan is None else course.scan.place.source
        if course.is_result and layer is not None and not self._is_of(layer):
            words = f"This is of the scan {of!r}, not of {layer.name!r}."
        elif not course.is_result and self.layers.get("reconstruction") is not None:
            words = "The layers on show are of a run that was taken back."
        elif course.is_result and not self.session.images_fit and not self.runner.is_running:
            words = "The volume on show is not that of these shifts" + (
                " yet: reconstructing …" if self.evaluator.is_running else "."
            )
        elif course.is_result and self.evaluator.is_running:
            words = "Reconstructing at full size …"
        self.verdict.show_course(course, words)
        self._show_projection()
        self._show_rows()
        self._allow()

    def _show_projection(self, event: Any = None) -> None:
        index = self.scan.projection_in_view()
        frozen = index is not None and index in self.scan.ignored
        self.result.show_projection(index, self.session.course, frozen=frozen)

    def _show_rows(self, event: Any = None) -> None:
        """Show the sinogram of the slice in view, before and after."""
        course, reference = self.session.course, self.layers.get("reference")
        point = self._viewer.dims.point
        if course.scan is None or not course.has_scan or reference is None or not self.isVisible():
            return
        axis = 1 if course.scan.rotation_axis == "vertical" else 2
        data, aligned = course.scan.data, reference.data
        row = data.shape[axis] // 2
        if len(point) > 3:
            reach = reference.scale[axis] * aligned.shape[axis]
            first = reference.translate[axis] - reference.scale[axis] / 2
            row = int(np.clip((point[0] - first) / reach, 0, 1 - 1e-9) * data.shape[axis])
        scan, asked = course.scan, course.request
        parameters = AlignmentParameters() if asked is None else asked.parameters
        if (scan, row, parameters) != self._row_read[0]:  # read once, and not here if from a disk
            self.row_reader.do(
                lambda: ((scan, row, parameters), scan.sinogram(row, parameters)),
                here=isinstance(data, np.ndarray),
            )
            return
        coarse = min(row * aligned.shape[axis] // data.shape[axis], aligned.shape[axis] - 1)
        after = aligned[:, coarse] if axis == 1 else aligned[:, :, coarse]
        label = f"column, at row {row}" if axis == 1 else f"row, at column {row}"
        self.result.sinograms.show_what(before=self._row_read[1], after=after, label=label)

    def _on_row(self, found: tuple[Any, Any] | None, error: Exception | None) -> None:
        if found is not None:
            self._row_read = found
            self._show_rows()
        elif error is not None:
            show_error(text_of(error))

    def _allow(self) -> None:
        """Let the user do with the result what is possible now."""
        idle = not (self.runner.is_running or self.verifier.is_running)
        course = self.session.course
        found = course.shown_state() is not None
        steering = idle or self.runner.is_paused
        self.result.allow(steering=steering, result=found)
        self.verdict.verify.setEnabled(idle and found)
        self.verdict.save.setEnabled(steering and found)
        self.verdict.show_back(self.session.undoes, self.session.redoes, allowed=steering)
        self.run_bar.offer_start(course.is_result)

    def _on_scan(self) -> None:
        """Follow another scan: a run of it starts anew, for what was found is another's."""
        self._show_projection()
        self.run_bar.forbid(self.scan.fault())
        layer, scan = self.scan.layer.value, self.session.course.scan
        if layer is not self._looked_at:
            self._looked_at = layer
            own = layer is not None and self._is_of(layer)
            self.run_bar.go_on(own and self.session.course.is_result)
            self._show_session()
        if scan is not None and scan.rotation_axis != self.scan.rotation_axis:
            self.run_bar.go_on(False)  # shifts about another axis are no start

    def _is_of(self, layer: Image) -> bool:
        """Whether the result belongs to the scan of a layer."""
        scan = self.session.course.scan
        return scan is not None and scan.data is finest(layer)


def session_of(viewer: ViewerModel) -> Session:
    """Return the session of a viewer: it outlives the dock and ends with the viewer."""
    return _SESSIONS.setdefault(viewer, Session())
