"""The dock widget: lays the groups out, connects them, and shows what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ._actions import Actions
from ._background import told
from ._keys import Keys
from ._layers import finest
from ._layout import CalmWheel, Scrolled, folding
from ._opening import DatasetPicker, ask_scan, datasets_of

if TYPE_CHECKING:
    import napari

__all__ = ["AlignmentWidget"]

_SHIFTS = "Shifts (*.h5);;Table (*.csv);;IMOD (*.xf);;TomoPy or mumott (*.npz);;All files (*)"
_FILMS = "GIF (*.gif);;MP4 (*.mp4)"


class AlignmentWidget(Actions):
    """Align the projections of a layer, watch it, steer it, keep what was found.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the scan is and the result goes.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self._docked = self._closed = False
        self._subscriptions: list[tuple[Any, Callable[..., None]]] = []
        self._lay_out()
        self._connect()
        CalmWheel(self)
        self.keys = Keys(self, self._viewer)
        if self.session.course.is_result:
            self._return_to_session()
        self._show_session()
        self._on_scan()

    def reset_choices(self, event: Any = None) -> None:
        """Offer the layers that are there now; napari calls it when they change."""
        self.scan.reset_choices()
        self.result.other.reset_choices()

    # ---- what is shown ----

    def _show_session(self) -> None:
        """Show all that the session knows."""
        course = self.session.course
        self.result.show_course(course)
        words = ""
        if course.is_result and not self.session.images_fit and not self.runner.is_running:
            words = "The volume on show is not that of these shifts" + (
                " yet: reconstructing …" if self.evaluator.is_running else "."
            )
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
        if course.scan is None or not course.has_scan or reference is None or not self.isVisible():
            return
        axis = 1 if course.scan.rotation_axis == "vertical" else 2
        data = course.scan.data
        row = self._row_in_view(data.shape[axis], axis)
        coarse = min(row * reference.data.shape[axis] // data.shape[axis], data.shape[axis] - 1)
        before = np.asarray(data[:, row] if axis == 1 else data[:, :, row])
        after = reference.data[:, coarse] if axis == 1 else reference.data[:, :, coarse]
        if course.request is not None and course.request.parameters.transmission:
            before = -np.log(np.where(before > 0, before, 1))
        self.result.sinograms.show_rows(before, after, row, "column" if axis == 1 else "row")

    def _row_in_view(self, count: int, axis: int) -> int:
        point, layer = self._viewer.dims.point, self.layers.get("reference")
        if len(point) < 4 or layer is None:
            return count // 2
        reach = layer.scale[axis] * layer.data.shape[axis]
        first = layer.translate[axis] - layer.scale[axis] / 2
        return int(np.clip((point[0] - first) / reach * count, 0, count - 1))

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
        layer = self.scan.layer.value
        if layer is not self._looked_at:
            self._looked_at = layer
            scan = self.session.course.scan
            own = layer is not None and scan is not None and scan.data is finest(layer)
            self.run_bar.go_on(own and self.session.course.is_result)

    def _on_change(self, _: Any = None) -> None:
        if self.runner.is_running:
            self.run_bar.say_later()

    def show_result(self) -> None:
        """Unfold the result."""
        self._result_folding.expand(animate=False)

    def show_plots(self) -> None:
        """Scroll to the plots."""
        for plot in (self.result.convergence, self.result.shifts):  # the upper one at any rate
            self._scroll.ensureWidgetVisible(plot, 0, 0)

    def show_verification(self) -> None:
        """Scroll to the picture of the verification."""
        # The verdict takes some of the height, and the picture has just got its own.
        for holder in (self, self._scroll.widget(), self._result_folding.content()):
            holder.layout().activate()
        self._scroll.ensureWidgetVisible(self.result.verification, 0, 0)

    def _on_theme(self, event: Any = None) -> None:
        self.result.set_theme(self._viewer.theme)

    # ---- dialogs ----

    def ask_save_run(self) -> None:
        """Ask for a folder and save the run there."""
        scan = self.session.course.scan
        file = Path(scan.file) if scan is not None and scan.file else Path.cwd() / "scan"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save run in a new folder", str(file.with_name(f"{file.stem}-aligned"))
        )
        if path:
            self.save_run(path)

    def ask_save_shifts(self) -> None:
        """Ask for a file and write the shifts on show there."""
        dialog = QFileDialog.getSaveFileName
        self._ask(dialog, "Save shifts", "shifts.h5", _SHIFTS, self.save_shifts)

    def ask_load_shifts(self) -> None:
        """Ask for a file of shifts and read it."""
        self._ask(QFileDialog.getOpenFileName, "Load shifts", "", _SHIFTS, self.load_shifts)

    def ask_film(self) -> None:
        """Ask for a file and make a film there."""
        self._ask(QFileDialog.getSaveFileName, "Film", "film.gif", _FILMS, self.make_film)

    def ask_open_run(self) -> None:
        """Ask for the folder of a run and open it."""
        path = QFileDialog.getExistingDirectory(self, "Open run")
        if path:
            self.open_run(path)

    def _ask(
        self, dialog: Any, title: str, name: str, kinds: str, do: Callable[[str], None]
    ) -> None:
        path, _ = dialog(self, title, name, kinds)
        if path:
            do(path)

    def ask_scan(self) -> None:
        """Ask for a scan, a file or a folder, and open it."""
        path = ask_scan(self, self.scan.open)
        if path:
            self.open_scan(Path(path))

    @told
    def ask_datasets(self, path: Path) -> None:
        """Ask which dataset of an HDF5 file is what, and open it."""
        picker = DatasetPicker(datasets_of(path), path.name, self)
        if picker.exec():
            self.open_scan(path, **picker.chosen)

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
        """End a run that is under way and let go of the viewer; layers and session stay."""
        if self._closed:
            return
        self._closed = True
        self.runner.stop()
        self.verifier.stop()
        self._drawing.stop()
        self.drawing.end()
        self.evaluator.forget()
        self.run_bar.close_activity()
        self.keys.close()
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
        outer.addWidget(self.verdict)
        outer.addWidget(self.run_bar)

    def _connect(self) -> None:
        for signal, slot in (
            (self.runner.advanced, self._on_advanced),
            (self.runner.paused, self._on_paused),
            (self.runner.ended, self._on_ended),
            (self.verifier.advanced, self._on_verifying),
            (self.verifier.ended, self._on_verified),
            (self.verdict.advised, self.take_advice),
            (self.result.slider.valueChanged, self.choose_iteration),
            (self.result.freeze.toggled, self.freeze),
            (self.result.difference.toggled, self.show_difference),
            (self.result.planes.toggled, self.layers.show_planes),
            (self.evaluator.moved, self._on_moved),
            (self.evaluator.ready, self._on_evaluated),
            (self.evaluator.failed, lambda error: show_error(str(error))),
            (self.unknown, self.ask_datasets),
            (self.result.blink.pressed, self.blink_on),
            (self.result.blink.released, self.blink_off),
            (self.scan.changed, self._on_scan),
            (self.scan.draw_asked, self.draw),
            (self.drawing.ended, self.scan.show_drawn),
        ):
            signal.connect(slot)
        for button, do in (
            (self.run_bar.run, self.run),
            (self.run_bar.pause, self.pause),
            (self.run_bar.step, self.step),
            (self.run_bar.stop, self.stop),
            (self.verdict.verify, self.verify),
            (self.verdict.save, self.ask_save_run),
            (self.verdict.undo, self.undo),
            (self.verdict.redo, self.redo),
            (self.scan.open, self.ask_scan),
            (self.result.save, self.ask_save_shifts),
            (self.result.load, self.ask_load_shifts),
            (self.result.open_run, self.ask_open_run),
            (self.result.film, self.ask_film),
            (self.result.apply, lambda: self.apply_to(self.result.other.value)),
        ):
            button.clicked.connect(lambda _=False, do=do: do())
        step = self.result.step
        for (rows, columns), arrow in self.result.arrows.items():
            arrow.clicked.connect(
                lambda _=False, r=rows, c=columns: self.nudge(r * step.value(), c * step.value())
            )
        for field in self.fields.values():
            field.changed.connect(self._on_change)
        viewer = self._viewer
        self._subscriptions = [
            (viewer.dims.events.current_step, self._show_projection),
            (viewer.dims.events.current_step, self._show_rows),
            (viewer.events.theme, self._on_theme),
            (viewer.layers.events.removed, self._on_removed),
        ]
        for event, slot in self._subscriptions:
            event.connect(slot)
