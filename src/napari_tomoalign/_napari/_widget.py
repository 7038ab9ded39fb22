"""The dock widget: puts the groups together and passes what they ask for to the run.

No step of the algorithm is here: the widget drains `iterate_alignment` and shows what comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..parameters import AlignmentParameters
from ..results import IterationRecord
from ._drawing import Drawing
from ._files import ShiftFiles
from ._frames import Frame, moved_frame
from ._layers import AlignmentLayers
from ._layout import CalmWheel, Scrolled, folding
from ._parameter_form import ParameterForm, ReconstructionForm
from ._preview import Preview
from ._request import RunRequest
from ._result_group import ResultGroup
from ._run import Arrival, Runner
from ._run_bar import RunBar
from ._scan_form import ScanForm
from ._session import Session
from ._shift_files import Loaded
from ._telling import text_of, told
from ._verify import Verified, Verifier

if TYPE_CHECKING:
    from napari.layers import Image

    import napari

__all__ = ["AlignmentWidget"]

_DRAW_EVERY = 40  # ms between two updates of the layers, so that the window stays at hand


class AlignmentWidget(QWidget):
    """Align the projections of a layer, watch it, steer it, keep what was found.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the scan is and the result goes.

    Attributes
    ----------
    scan, reconstruction, parameters, result : QWidget
        The groups.
    run_bar : RunBar
        The buttons and the progress.
    runner : Runner
        The loop in the background.
    verifier : Verifier
        The verification in the background.
    session : Session
        What has been found.
    layers : AlignmentLayers
        What the run shows in the viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # napari hands over a proxy where the dock was not opened from its menu; layers are
        # compared with `is`, which holds behind the proxy only.
        napari_viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = napari_viewer
        self.session = Session()
        self.layers = AlignmentLayers(napari_viewer)
        self.runner = Runner(self)
        self.verifier = Verifier(self)
        self.preview = Preview(self)
        self.files = ShiftFiles(self)
        self.drawing = Drawing(napari_viewer, self)
        self.scan = ScanForm(napari_viewer)
        self.reconstruction = ReconstructionForm()
        self.parameters = ParameterForm()
        self.result = ResultGroup(napari_viewer)
        self.run_bar = RunBar()
        self._request: RunRequest | None = None
        self._source_layer: Image | None = None
        self._steered = False
        self._after_end: Callable[[], None] | None = None
        self._docked = self._closed = False
        self._subscriptions: list[tuple[Any, Callable[..., None]]] = []
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(_DRAW_EVERY)
        self._drawing.timeout.connect(self._draw)
        self._lay_out()
        self._connect()
        CalmWheel(self)
        self._show_session()

    # ---- the buttons ----

    @told
    def run(self, *, steps: int | None = None) -> None:
        """Start a run, or go on after a pause.

        Parameters
        ----------
        steps : int, optional
            Pause after so many iterations.
        """
        if self.verifier.is_running:
            raise ValueError("a verification is under way: stop it first")
        if not self.runner.is_running:
            self._start(steps)
        elif not self.runner.is_paused:
            raise ValueError("a run is under way: pause or stop it first")
        elif self._steered:
            self._after_end = lambda: self.run(steps=steps)
            self.runner.stop()
        else:
            self.run_bar.show_running()
            self.runner.go_on(steps=steps)
            self._allow()

    def pause(self) -> None:
        """Stand still after the iteration that is being done."""
        self.run_bar.show_pausing()
        self.runner.pause()

    def step(self) -> None:
        """Do one iteration, then stand still."""
        self.run(steps=1)

    def stop(self) -> None:
        """End the run after the iteration that is being done; what was reached is kept.

        A verification ends without a verdict.
        """
        self.run_bar.show_pausing()
        if self.verifier.is_running:
            self.verifier.stop()
            return
        self.result.run_from_shown(True)
        self.runner.stop()

    @told
    def verify(self) -> None:
        """Inject known shifts into the scan as it is aligned, align again, and show the error."""
        state, scan = self.session.shown_state(), self.session.scan
        if self.runner.is_running or self.verifier.is_running:
            raise ValueError("a run or a verification is under way: stop it first")
        if state is None or scan is None:
            raise ValueError("there are no shifts yet to verify: run first")
        self.result.show_verified(None)
        self.verifier.start(state, scan)
        self.run_bar.show_verifying(self.verifier.limit)
        self._allow()

    def settings(self) -> tuple[float | None, str, AlignmentParameters]:
        """Return the centre, the engine and all parameters as they are set now.

        Raises
        ------
        ValueError
            A value that cannot be, by the name of its parameter.
        """
        values: dict[str, Any] = {
            **self.parameters.values(),
            **self.reconstruction.values(),
            **self.scan.parameters(),
        }
        return (
            self.scan.center_column,
            self.reconstruction.backend.value,
            AlignmentParameters(**values),
        )

    def _start(self, steps: int | None) -> None:
        source = self.scan.source()
        center, backend, parameters = self.settings()
        before = self._request
        same = before is not None and before.is_same(source, center, backend)
        start = self._where_from(source.angles, parameters, same=same)
        found = start.pop("center", None)
        self._request = RunRequest(
            scan=source,
            center=found if center is None else center,
            backend=backend,
            parameters=parameters,
            start=start,
        )
        self._source_layer = self.scan.layer.value
        self.layers.begin(self._source_layer, new=self.result.new_layers.isChecked())
        self.preview.forget()
        self._steered = False
        self.result.show_verified(None)
        self._result_folding.expand(animate=False)
        self.run_bar.show_start(parameters.maxiter)
        self.runner.start(self._request, steps=steps)
        self._allow()
        QTimer.singleShot(0, self.show_plots)

    def _where_from(
        self, angles: NDArray[np.float64], parameters: AlignmentParameters, *, same: bool
    ) -> dict[str, Any]:
        """Return the start of the next run, and make the session ready for it."""
        if not self.result.runs_from_shown:
            self.session.begin(angles)
            return {}
        if len(self.session.angles) != len(angles):
            raise ValueError(
                f"the shifts on show are for {len(self.session.angles)} projections, but the layer "
                f"has {len(angles)}: set 'Run from' to the scan as it is, or load its own shifts"
            )
        return self.session.go_on(parameters, same=same)

    # ---- what the run tells ----

    def _on_advanced(self, record: IterationRecord, generator_state: Mapping[str, Any]) -> None:
        self.session.add(record, generator_state)
        if self._request is not None:
            self.run_bar.show_progress(record, self._request.parameters.maxiter)
        if not self._drawing.isActive():
            self._drawing.start()

    def _draw(self) -> None:
        """Show the latest state; those that came too quickly for the canvas are in the plots."""
        arrival: Arrival | None = self.runner.mailbox.take()
        if arrival is not None:
            self.session.state, self.session.scan = arrival.state, arrival.scan
            self.layers.show(arrival.frames)
        self._show_session()
        self.run_bar.tell_activity()

    def _on_paused(self) -> None:
        self._draw()
        self.run_bar.show_paused()

    def _on_ended(self, error: Exception | None) -> None:
        self._draw()
        then, self._after_end = self._after_end, None
        if error is not None:
            self.run_bar.show_idle("The run ended with an error.")
            show_error(text_of(error))
        elif then is not None:
            then()
        else:
            self.run_bar.show_idle(self.session.outcome)

    # ---- what the verification tells ----

    def _on_verifying(self, record: IterationRecord) -> None:
        self.run_bar.show_progress(record, self.verifier.limit)
        self.run_bar.tell_activity()

    def _on_verified(self, verified: Verified | None, error: Exception | None) -> None:
        self._allow()
        if error is not None:
            self.run_bar.show_idle("The verification ended with an error.")
            show_error(text_of(error))
        elif verified is None:
            self.run_bar.show_idle("Verification stopped.")
        else:
            self.run_bar.show_idle(f"{verified.message[:1].upper()}{verified.message[1:]}.")
            self.result.show_verified(verified)
            QTimer.singleShot(0, self.show_verification)

    # ---- steering ----

    @told
    def choose_iteration(self, number: int) -> None:
        """Put the shifts of an iteration back; the next run goes on from there."""
        self.session.show(number)
        self._steer()

    @told
    def nudge(self, rows: float, columns: float) -> None:
        """Move the projection in view on the screen, pixels; the next run starts from there."""
        index = self.scan.projection_in_view()
        if index is None or index >= len(self.session.angles):
            raise ValueError("there are no shifts yet that could be changed: run first")
        horizontal = self.scan.rotation_axis == "horizontal"
        self.session.nudge(index, (columns, rows) if horizontal else (rows, columns))
        self._steer()

    @told
    def freeze(self, frozen: bool) -> None:
        """Take the projection in view into the ignored ones, or out of them."""
        index = self.scan.projection_in_view()
        if index is None:
            raise ValueError("there is no projection in view to freeze: open a scan first")
        self.scan.ignore((index,), frozen)
        if self.runner.is_paused:
            self._steered = True
            self.result.run_from_shown(True)

    def show_difference(self, wanted: bool) -> None:
        """Show ``reference - projections`` in a layer of its own, or take it away."""
        if not wanted:
            self.runner.difference.clear()
            self.layers.remove("difference")
            return
        self.runner.difference.set()
        if self.session.state is not None and self._request is not None:
            self.preview.ask_difference(self.session.state, self._request.scan)

    def _steer(self) -> None:
        self._steered = True
        self.result.run_from_shown(True)
        self.result.show_verified(None)
        self._show_session()
        if self._request is not None:
            self.preview.ask(self._request, self.session.shifts)

    def _on_preview(self, stack: NDArray[np.float32]) -> None:
        state = self.session.shown_state() or self.session.state
        working = self.runner.is_running and not self.runner.is_paused
        if self._request is None or working:
            return
        scan = self._request.scan
        self.layers.show({"reference": moved_frame(stack, state, scan.place, scan)})

    def _on_difference(self, frames: Mapping[str, Frame]) -> None:
        if self.result.difference.isChecked():
            self.layers.show(frames)

    def draw(self, layer: Any) -> None:
        """Draw in a layer over the scan; None: be done with it."""
        if layer is None or self.scan.layer.value is None:
            self.drawing.end()
        else:
            self.drawing.start(self.scan.layer.value, layer)

    # ---- files and other layers ----

    @told
    def save_shifts(self, path: str | Path) -> None:
        """Write the shifts on show; the format is that of the suffix."""
        state = self.session.shown_state()
        if state is None or self.session.scan is None:
            raise ValueError("there are no shifts yet to write: run first")
        self.files.save(Path(path), state, self.session.scan)

    @told
    def load_shifts(self, path: str | Path) -> None:
        """Read shifts for the chosen layer; the next run starts at them."""
        self.files.load(Path(path), self.scan.source())

    @told
    def apply_to(self, layer: Image | None) -> None:
        """Move another layer of the scan by the shifts on show, into a new layer."""
        if layer is None or not len(self.session.angles):
            raise ValueError("there are no shifts yet, or no layer to apply them to: run first")
        place = self.scan.source().place
        assert place.shape is not None  # a layer has one
        self.files.apply(layer, self.session.shifts, place.shape, place.rotation_axis)

    def _on_loaded(self, loaded: Loaded) -> None:
        self.session.begin(self.scan.angles(), loaded.shifts, loaded.center)
        _, backend, parameters = self.settings()
        self._request = RunRequest(self.scan.source(), loaded.center, backend, parameters)
        self._source_layer = self.scan.layer.value
        self.layers.begin(self._source_layer, new=self.result.new_layers.isChecked())
        self._steer()
        show_info(f"Shifts of {len(loaded.shifts)} projections from {loaded.path.name}")

    def reset_choices(self, event: Any = None) -> None:
        """Offer the layers that are there now; napari calls it when they change."""
        self.scan.reset_choices()
        self.result.other.reset_choices()

    # ---- what is shown ----

    def _allow(self) -> None:
        """Let the user do with the result what is possible now."""
        idle = not (self.runner.is_running or self.verifier.is_running)
        self.result.allow_steering(idle or self.runner.is_paused)
        self.result.allow_verifying(idle and self.session.shown_state() is not None)

    def _show_session(self) -> None:
        session = self.session
        notes = () if session.record is None else session.record.notes
        self.result.show_notes((*notes, *self.runner.diagnosis))
        self.result.show_session(session, self.scan.rotation_axis)
        self._show_projection()
        self._allow()

    def _show_projection(self, event: Any = None) -> None:
        index = self.scan.projection_in_view()
        frozen = index is not None and index in self.scan.ignored
        self.result.show_projection(index, self.session, self.scan.rotation_axis, frozen=frozen)

    def show_plots(self) -> None:
        """Scroll to the plots."""
        self._scroll.ensureWidgetVisible(self.result.plots, 0, 0)

    def show_verification(self) -> None:
        """Scroll to the picture of the verification."""
        self.layout().activate()  # the verdict may have taken some of the height
        self._scroll.ensureWidgetVisible(self.result.verification, 0, 0)

    def _on_theme(self, event: Any = None) -> None:
        self.result.set_theme(self._viewer.theme)

    # ---- coming and going ----

    def event(self, event: QEvent) -> bool:
        """Let go of the viewer when the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.close_down()
        return bool(super().event(event))

    def close_down(self) -> None:
        """End a run that is under way and let go of the viewer; the layers stay."""
        if self._closed:
            return
        self._closed = True
        self.runner.stop()
        self.verifier.stop()
        self._drawing.stop()
        self.drawing.end()
        self.run_bar.close_activity()
        self.layers.close()
        for event, slot in self._subscriptions:
            event.disconnect(slot)
        self._subscriptions = []

    def _on_removed(self, event: Any) -> None:
        if event.value is self._source_layer and self.runner.is_running:
            self.stop()
            show_info("The layer that is being aligned was removed: stopping; its shifts are kept")

    def _lay_out(self) -> None:
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
        outer.addWidget(self.run_bar)

    def _connect(self) -> None:
        for signal, slot in (
            (self.run_bar.run_asked, lambda: self.run()),
            (self.run_bar.pause_asked, self.pause),
            (self.run_bar.step_asked, self.step),
            (self.run_bar.stop_asked, self.stop),
            (self.runner.advanced, self._on_advanced),
            (self.runner.paused, self._on_paused),
            (self.runner.ended, self._on_ended),
            (self.verifier.advanced, self._on_verifying),
            (self.verifier.ended, self._on_verified),
            (self.result.iteration_chosen, self.choose_iteration),
            (self.result.nudged, self.nudge),
            (self.result.freeze_asked, self.freeze),
            (self.result.save_asked, self.save_shifts),
            (self.result.load_asked, self.load_shifts),
            (self.result.verify_asked, self.verify),
            (self.result.apply_asked, self.apply_to),
            (self.result.difference_asked, self.show_difference),
            (self.preview.ready, self._on_preview),
            (self.preview.difference_ready, self._on_difference),
            (self.preview.failed, lambda error: show_error(str(error))),
            (self.files.loaded, self._on_loaded),
            (self.files.applied, self.layers.add_applied),
            (self.scan.changed, self._show_projection),
            (self.scan.draw_asked, self.draw),
            (self.drawing.ended, self.scan.show_drawn),
        ):
            signal.connect(slot)
        viewer = self._viewer
        self._subscriptions = [
            (viewer.dims.events.current_step, self._show_projection),
            (viewer.events.theme, self._on_theme),
            (viewer.layers.events.removed, self._on_removed),
        ]
        for event, slot in self._subscriptions:
            event.connect(slot)
