"""The dock widget: connects what there is, asks for files, comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QWidget

from ._actions import Actions
from ._background import text_of, told
from ._keys import Keys
from ._layout import CalmWheel
from ._opening import DatasetPicker, ask_scan

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
        self._connect_signals()
        self._connect_buttons()
        dims, theme, layers = self._viewer.dims, self._viewer.events.theme, self._viewer.layers
        self._subscriptions: tuple[tuple[Any, Callable[..., None]], ...] = (
            (dims.events.current_step, self._show_projection),
            (dims.events.current_step, self._show_rows),
            (theme, lambda event: self.result.set_theme(self._viewer.theme)),
            (layers.events.removed, self._on_removed),
        )
        for event, slot in self._subscriptions:
            event.connect(slot)
        CalmWheel(self)
        self.keys = Keys(self, self._viewer)
        if self.session.course.is_result:
            self._return_to_session()
        self.return_forms()
        self._show_session()
        self._on_scan()

    def _connect_signals(self) -> None:
        for signal, slot in (
            (self._redraw.timeout, self._draw),
            (self.runner.advanced, self._on_advanced),
            (self.runner.paused, self._on_paused),
            (self.runner.ended, self._on_ended),
            (self.verifier.advanced, self._on_progress),
            (self.verifier.ended, self._on_verified),
            (self.verdict.advised, self.take_advice),
            (self.result.slider.valueChanged, self.choose_iteration),
            (self.result.freeze.toggled, self.freeze),
            (self.result.difference.toggled, self.show_difference),
            (self.result.planes.toggled, self.layers.show_planes),
            (self.evaluator.moved, self.layers.show),
            (self.evaluator.ready, self._on_evaluated),
            (self.evaluator.failed, lambda error: show_error(text_of(error))),
            (self.row_reader.ended, self._on_row),
            (self.unknown, self.ask_datasets),
            (self.result.blink.pressed, self.blink_on),
            (self.result.blink.released, self.blink.off),
            (self.scan.changed, self._on_scan),
            (self.scan.draw_asked, self.drawing.draw),
            (self.drawing.ended, self.scan.show_drawn),
            *((field.changed, self._on_change) for field in self.fields.values()),
        ):
            signal.connect(slot)

    def _connect_buttons(self) -> None:
        result = self.result
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
            (
                result.save,
                lambda: self._ask("Save shifts", self.save_shifts, _SHIFTS, name="shifts.h5"),
            ),
            (result.load, lambda: self._ask("Load shifts", self.load_shifts, _SHIFTS)),
            (result.film, lambda: self._ask("Film", self.make_film, _FILMS, name="film.gif")),
            (result.open_run, lambda: self._ask("Open run", self.open_run)),
            (result.apply, lambda: self.apply_to(result.other.value)),
        ):
            button.clicked.connect(lambda _=False, do=do: do())
        for (rows, columns), arrow in result.arrows.items():
            arrow.clicked.connect(
                lambda _=False, r=rows, c=columns: self.nudge(
                    r * result.step.value(), c * result.step.value()
                )
            )

    def _on_change(self, _: Any = None) -> None:
        if self.runner.is_running:
            self.run_bar.remark.show()

    # ---- dialogs ----

    def _ask(self, title: str, do: Callable[[str], None], *kinds: str, name: str = "") -> None:
        """Ask where to write a file of this name, or which file to read, or which folder."""
        if name:
            path, _ = QFileDialog.getSaveFileName(self, title, name, *kinds)
        elif kinds:
            path, _ = QFileDialog.getOpenFileName(self, title, "", *kinds)
        else:
            path = QFileDialog.getExistingDirectory(self, title)
        if path:
            do(path)

    def ask_save_run(self) -> None:
        """Ask for a folder and save the run there."""
        scan = self.session.course.scan
        file = Path(scan.file) if scan is not None and scan.file else Path.cwd() / "scan"
        proposed = str(file.with_name(f"{file.stem}-aligned"))
        self._ask("Save run in a new folder", self.save_run, name=proposed)

    def ask_scan(self) -> None:
        """Ask for a scan, a file or a folder, and open it."""
        path = ask_scan(self, self.scan.open)
        if path:
            self.open_scan(Path(path))

    @told
    def ask_datasets(self, path: Path) -> None:
        """Ask which dataset of an HDF5 file is what, and open it."""
        picker = DatasetPicker(path, self)
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
        self.keep_forms()
        self.runner.stop()
        self.verifier.stop()
        self._redraw.stop()
        self.drawing.end()
        self.evaluator.forget()
        self.run_bar.close_activity()
        self.keys.close()
        self.layers.close()
        for event, slot in self._subscriptions:
            event.disconnect(slot)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._source_layer and self.runner.is_running:
            self.stop()
            show_info("The layer that is being aligned was removed: stopping; its shifts are kept")
