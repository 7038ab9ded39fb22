"""What the window does with files: scans, shifts, runs, films; and with other layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from ..results import AlignmentState
from ._frames import frames_of
from ._parts import Parts
from ._request import ScanSource
from ._runs import OpenedRun, film_of
from ._session import Course
from ._shift_files import Loaded
from ._telling import told

if TYPE_CHECKING:
    from napari.layers import Image


__all__ = ["FileActions"]


class FileActions(Parts):
    """Saves, loads, opens and applies."""

    # ---- files and other layers ----

    @told
    def save_shifts(self, path: str | Path) -> None:
        """Write the shifts on show; the format is that of the suffix."""
        self.files.save(Path(path), *self._to_write())

    @told
    def load_shifts(self, path: str | Path) -> None:
        """Read shifts for the chosen layer; the next run starts at them."""
        self.files.load(Path(path), self.scan.source())

    @told
    def save_run(self, folder: str | Path) -> None:
        """Write what the command line writes into a folder."""
        images = self.session.images if self.session.images_fit else None
        state, source = self._to_write()
        request = self.session.course.request
        assert request is not None  # there is a state
        self.files.save_run(Path(folder), state, replace(request, scan=source), images)

    @told
    def open_run(self, folder: str | Path) -> None:
        """Bring back a run that was saved here or by the command line."""
        known = None if self.scan.fault() else self.scan.source()
        self.files.open_run(Path(folder), known)

    @told
    def make_film(self, path: str | Path) -> None:
        """Write a film of the alignment; the suffix says which kind."""
        state, source = self._to_write()
        self.files.make(lambda: film_of(Path(path), state, source), "The film is in")

    @told
    def apply_to(self, layer: Image | None) -> None:
        """Move another layer of the scan by the shifts on show, into a new layer."""
        course = self.session.course
        if layer is None or course.scan is None or not len(course.angles):
            raise ValueError("there are no shifts yet, or no layer to apply them to: run first")
        place = course.scan.place
        assert place.shape is not None  # a layer has one
        self.files.apply(layer, course.shifts, place.shape, place.rotation_axis)

    def _to_write(self) -> tuple[AlignmentState, ScanSource]:
        course = self.session.course
        state = course.shown_state()
        if state is None or course.scan is None:
            raise ValueError("there are no shifts yet to write: run first")
        return state, self._measured()

    def _measured(self) -> ScanSource:
        """Return the scan that the result belongs to, as it was measured."""
        course = self.session.course
        if not course.has_scan:
            course = self.session.course = course.with_scan(self.scan.source())
        assert course.scan is not None  # asked where there is a result only
        return course.scan

    def _on_loaded(self, loaded: Loaded) -> None:
        source = self.scan.source()
        course = Course.starting(source, loaded.shifts, loaded.center, loaded.path.name)
        self.session.do(f"load of {loaded.path.name}", course)
        self._begin_layers(self.scan.layer.value)
        self._steer()
        show_info(f"Shifts of {len(loaded.shifts)} projections from {loaded.path.name}")

    def _on_scan_opened(self, layers: list[Any]) -> None:
        made = [self._viewer.add_image(data, **attributes) for data, attributes, _ in layers]
        self.reset_choices()
        self.scan.layer.value = made[0]

    def show_run(self, opened: OpenedRun) -> None:
        """Show a run that was read: its layers, plots and history; verify and go on work."""
        if opened.scan:
            self._on_scan_opened(list(opened.scan))
        self.session.do(f"opening of {opened.folder.name}", opened.course)
        self._return_to_session(opened.images)
        self._show_session()

    def _return_to_session(self, images: AlignmentState | None = None) -> None:
        """Show what the session holds, in layers that may be there already."""
        course = self.session.course
        self.session.images = self.session.images if images is None else images
        self._begin_layers(self.scan.layer.value)
        if images is not None and course.scan is not None:
            self.layers.show(frames_of(images, course.scan.place, scan=course.scan))
        if course.state is not None:
            self.parameters.set(vars(course.state.parameters))
        self.run_bar.go_on(True)
        self.run_bar.show_idle(course.outcome)
        self.show_result()
