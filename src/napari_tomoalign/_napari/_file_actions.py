"""What the window does with files: scans, shifts, runs, films; and with other layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Signal

from .._plugin.metadata import is_aligned
from .._plugin.readers import open_scan, scan_layers
from .._plugin.writer import write_state
from ..io import ScanFileError, ShiftsFile, shifts_for
from ..parameters import OF_SCAN
from ..results import AlignmentState
from ..steering import Course, OpenedRun, ScanSource, film_of, read_run, save_run
from ..steering.evaluation import enlarge, evaluate
from ..steering.frames import KEY, frames_of
from ._background import in_background, text_of, told
from ._layers import LARGE, finest
from ._parameter_form import RECONSTRUCTION
from ._parts import Parts
from ._showing import refit

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["FileActions"]


class FileActions(Parts):
    """Saves, loads, opens and applies, in the background; tells when it is done."""

    loaded = Signal()  # shifts
    applied = Signal()  # to another layer
    scan_opened = Signal()
    run_opened = Signal()
    written = Signal(object)  # a path
    unknown = Signal(object)  # a path of an HDF5 file: which dataset is what?

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._source_layer: Image | None = None
        self._steered = False

    def open_scan(self, path: Path, **parts: str) -> None:
        """Read a scan: a file, or a folder of images; of an HDF5 file, these datasets."""

        def refused(error: Exception) -> None:
            hdf5 = path.is_file() and h5py.is_hdf5(path)
            if hdf5 and not parts and isinstance(error, ScanFileError):
                self.unknown.emit(path)
            else:
                show_error(text_of(error))

        in_background(
            lambda: open_scan(str(path), **parts), returned=self._show_scan, errored=refused
        )

    @told
    def save_shifts(self, path: str | Path) -> None:
        """Write the shifts on show; the format is that of the suffix."""
        state, source = self._to_write()
        self._write(lambda: write_state(Path(path), state, source), "The shifts are in")

    @told
    def load_shifts(self, path: str | Path) -> None:
        """Read shifts for the chosen layer; the next run starts at them."""
        source = self.scan.source()
        in_background(lambda: shifts_for(Path(path), source.load()), returned=self._show_shifts)

    @told
    def save_run(self, folder: str | Path) -> None:
        """Write what the command line writes into a folder."""
        state, source = self._to_write()
        session, request = self.session, self.session.course.request
        assert request is not None  # there is a state
        images = session.images if session.images_fit else None
        asked = replace(request, scan=source)
        self._write(lambda: save_run(Path(folder), state, asked, images), "The run is in")

    @told
    def open_run(self, folder: str | Path) -> None:
        """Bring back a run that was saved here or by the command line."""
        known = None if self.scan.fault() else self.scan.source()
        in_background(lambda: read_run(Path(folder), known), returned=self.show_run)

    @told
    def make_film(self, path: str | Path) -> None:
        """Write a film of the alignment; the suffix says which kind."""
        state, source = self._to_write()
        self._write(lambda: film_of(Path(path), state, source), "The film is in")

    @told
    def apply_to(self, layer: Image | None) -> None:
        """Move another layer of the scan by the shifts on show, into a new layer.

        One that is aligned already, has another number of projections, or a shape that no binning
        explains, is refused.
        """
        course = self.session.course
        if layer is None or course.scan is None or not len(course.angles):
            raise ValueError("there are no shifts yet, or no layer to apply them to: run first")
        if is_aligned(layer.metadata):
            raise ValueError(
                f"layer {layer.name!r} is aligned already ({layer.metadata[KEY]['applied']}): "
                "apply the shifts to the layer it was made from"
            )
        data = finest(layer)
        try:
            course.binning_to(data.shape)
        except ValueError as error:
            raise ValueError(f"layer {layer.name!r} cannot be moved: {error}") from error

        def show(stack: Any) -> None:
            self.layers.add_applied(stack, layer)
            self.applied.emit()

        in_background(lambda: course.moved(np.asarray(data)), returned=show)

    def show_run(self, opened: OpenedRun) -> None:
        """Show a run that was read: its layers, plots and history; verify and go on work."""
        scan = opened.course.scan
        if opened.scan is not None and scan is not None:
            ((_, attributes, kind),) = scan_layers(opened.scan, scan.place.source)
            self._show_scan([(scan.data, attributes, kind)])
        self.session.do(f"opening of {opened.folder.name}", opened.course)
        self._return_to_session(opened.images)
        self._show_session()
        self.run_opened.emit()

    def _write(self, job: Callable[[], Path], what: str) -> None:
        def tell(path: Path) -> None:
            show_info(f"{what} {path}")
            self.written.emit(path)

        in_background(job, returned=tell)

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

    def _show_shifts(self, file: ShiftsFile) -> None:
        name = "a file" if file.path is None else file.path.name
        source = self.scan.source()
        course = Course.starting(source, file.shifts, file.center, name, file.geometry)
        self.session.do(f"load of {name}", course)
        self.set_fields({name: getattr(file, name) for name in OF_SCAN})
        self._begin_layers(self.scan.layer.value)
        self._steer()
        show_info(f"Shifts of {len(file.shifts)} projections from {name}")
        self.loaded.emit()

    def _show_scan(self, layers: list[Any]) -> None:
        made = [self._viewer.add_image(data, **attributes) for data, attributes, _ in layers]
        self.reset_choices()
        self.scan.layer.value = made[0]
        refit(self._viewer)  # beside the layers of a run there is a cell more
        self.show_scan()
        self.scan_opened.emit()

    def _return_to_session(self, images: AlignmentState | None = None) -> None:
        """Show what the session holds, in layers that may be there already."""
        course = self.session.course
        self.session.images = self.session.images if images is None else images
        self._begin_layers(self.scan.layer.value)
        if images is not None and course.scan is not None:
            self.layers.show(frames_of(images, course.scan.place, scan=course.scan))
        if course.request is not None:
            told = vars(course.request.parameters)
            names = self.fields.keys() & told.keys() - set(RECONSTRUCTION)  # perhaps not offered
            self.set_fields({name: told[name] for name in names})
        self.run_bar.go_on(True)
        self.run_bar.show_idle(course.outcome)
        self.show_result()

    def _begin_layers(self, layer: Image | None) -> None:
        self._source_layer = layer
        self.layers.begin(layer, new=self.result.new_layers.isChecked())

    def _steer(self) -> None:
        """Show shifts that no run has just reached."""
        self._steered = True
        self.run_bar.go_on(True)
        if not self.runner.is_running:
            self.run_bar.show_idle(self.session.course.outcome)
        if not self.session.images_fit:
            self._evaluate()
        self._show_session()

    def _enlarge(self) -> None:
        """Ask for images at full size where a run ended on binned ones, unless they are large."""
        images, scan = self.session.images, self.session.course.scan
        if images is None or scan is None or images.whole is None or images.binning == 1:
            return
        if math.prod(images.measured_geometry.volume_shape) <= LARGE:
            wanted = self.result.difference.isChecked()
            self.evaluator.ask(partial(enlarge, images, scan, wanted))
            self._show_session()

    def _evaluate(self) -> None:
        """Ask for the layers at the shifts on show."""
        course = self.session.course
        if course.scan is None:
            return
        try:
            scan = self._measured()
        except ValueError:  # said beside the verdict: the layers are not those of these shifts
            return
        state = course.state
        parameters = self.settings()[2] if state is None else state.parameters
        wanted = self.result.difference.isChecked()
        self.evaluator.ask(partial(evaluate, scan, parameters, course, wanted))
