"""A run as a thing: written as the command line writes it, and brought back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..alignment import result_from_state
from ..geometry import turn_projections
from ..io import ShiftsFile, folder_lock, write_result
from ..io.finished import FinishedRun, read_finished
from ..io.scan import Scan
from ..io.settings import OF_READING, SETTINGS, write_settings
from ..report import compare, write_film, write_report
from ..report.comparing import last_state, with_images
from ..results import AlignmentResult, AlignmentState
from .course import Course, RunRequest
from .scan_source import Placement, ScanSource

__all__ = ["OpenedRun", "film_of", "read_run", "save_run"]


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A finished run, its images, and its scan where that was read for it."""

    folder: Path
    course: Course
    images: AlignmentState
    scan: Scan | None


def _result_of(
    state: AlignmentState, source: ScanSource, images: AlignmentState | None
) -> AlignmentResult:
    """Return a result whose images belong to the state's shifts, made anew where they must."""
    if images is None:
        lines = source.line_integrals(state.parameters)
        images = with_images(state, lines, source.upright_weights())
    names = ("reconstruction", "projections", "reference", "geometry", "measured")
    return result_from_state(replace(state, **{name: getattr(images, name) for name in names}))


def save_run(
    folder: Path, state: AlignmentState, request: RunRequest, images: AlignmentState | None
) -> Path:
    """Write what the command line writes: shifts, aligned stack, reconstruction, settings, report.

    Parameters
    ----------
    folder : Path
        Made where it is missing; FileExistsError where a run lies there already.
    state : AlignmentState
        With the shifts on show.
    request : RunRequest
        Of the run that they come from, with the scan they belong to.
    images : AlignmentState, optional
        Where the images are known that belong to these shifts.
    """
    if (folder / "shifts.h5").exists():
        raise FileExistsError(f"a run lies in {folder} already: name a new folder")
    source = request.scan
    result = _result_of(state, source, images)
    scan = source.load()
    with folder_lock(folder):
        write_result(folder, result, scan)
        _write_settings(folder, result, request)
        comparison = compare(result, source.line_integrals(state.parameters))
        title = Path(source.file).name or source.place.source
        write_report(folder, result, comparison, scan=scan, title=title)
    return folder


def _write_settings(folder: Path, result: AlignmentResult, request: RunRequest) -> None:
    """Write how the command line would be asked for the same, as far as it can be."""
    source, parameters = request.scan, result.parameters.to_dict()
    values = {
        **source.options,
        "scan": [str(Path(source.file).absolute())] if source.file else None,
        "output": str(folder.absolute()),
        "backend": result.backend,
        "rotation_axis": source.rotation_axis,
        "center": request.asked_center,
    }
    unsaid = []
    if not source.file:
        unsaid.append(f"the scan, which was the layer {source.place.source!r}")
    if source.weights is not None or source.masks:
        unsaid.append("a mask that was drawn")
    if "initial_shifts" in request.start:
        unsaid.append("the shifts that the latest run went on from")
    remark = f"Not in here: {'; '.join(unsaid)}." if unsaid else ""
    write_settings(folder / SETTINGS, values, parameters, remark=remark, overwrite=True)


def film_of(path: Path, state: AlignmentState, source: ScanSource) -> Path:
    """Write a film of the run that led to a state; a path without suffix gives a GIF."""
    path = path if path.suffix else path.with_suffix(".gif")
    return write_film(path, result_from_state(state), source.line_integrals(state.parameters))


def read_run(folder: Path, scan: ScanSource | None = None) -> OpenedRun:
    """Read a run that was saved here or by the command line, see `read_finished`.

    Parameters
    ----------
    folder : Path
        What ``napari-tomoalign align SCAN -o DIR`` wrote.
    scan : ScanSource, optional
        A scan that is open; it is taken where its size is the run's. Else the scan is read
        from where it was.
    """
    run = read_finished(folder)
    file, images = run.shifts, last_state(run)
    read: Scan | None = None
    if scan is None or not _fits(scan, file):
        scan, read = _scan_of(run)
    has_scan = scan is not None
    if scan is None:  # the run can be looked at, but there is no scan to go on with
        stack = turn_projections(run.aligned, file.rotation_axis)
        place = _place_of(file, folder.name)
        scan = ScanSource(stack, file.angles, place, rotations=file.rotations)
    if file.in_plane is not None and "in_plane" not in file.geometry_error:
        scan = replace(scan, in_plane=file.in_plane)  # what was found is in the history
    found = images.parameters.with_changes(axis_angle=file.axis_angle, axis_tilt=file.axis_tilt)
    course = replace(
        Course.starting(scan, origin=folder.name),
        has_scan=has_scan,
        history=file.history,
        generators=(*({} for _ in file.history[1:]), file.generator_state),
        request=RunRequest(scan, None, file.backend, found),
    )
    if file.history:
        course = course.with_state(images, scan).at(len(file.history))
    return OpenedRun(folder, course, images, read)


def _fits(scan: ScanSource, file: ShiftsFile) -> bool:
    return (
        scan.rotation_axis == file.rotation_axis
        and len(scan.angles) == len(file.angles)
        and scan.data.shape[1:] == _place_of(file, "").shape
        and np.allclose(scan.angles, file.angles, atol=1e-4)
        and (scan.rotations is None) == (file.rotations is None)
    )


def _scan_of(run: FinishedRun) -> tuple[ScanSource | None, Scan | None]:
    """Read the scan again from where it was, if it is still there and of the run's size."""
    read = run.read_scan()
    if read is None:
        return None, None
    path, rotations = run.shifts.source["file"], run.shifts.rotations
    scan = ScanSource(
        turn_projections(read.projections, read.rotation_axis),
        run.shifts.angles,
        _place_of(run.shifts, Path(path).stem),
        file=path,
        options={name: value for name, value in run.settings.items() if name in OF_READING},
        rotations=rotations,
    )
    if not _fits(scan, run.shifts):
        return None, None
    return scan, read if rotations is None else replace(read, rotations=rotations)


def _place_of(file: ShiftsFile, name: str) -> Placement:
    size = 1.0 if file.pixel_size is None else file.pixel_size
    unit = file.pixel_unit if file.pixel_size is not None and file.pixel_unit else "pixel"
    rows, columns = file.n_rows, file.n_columns
    return Placement(
        scale=(1.0, size, size),
        units=("pixel", unit, unit),
        rotation_axis=file.rotation_axis,
        source=name,
        shape=(rows, columns) if file.rotation_axis == "vertical" else (columns, rows),
    )
