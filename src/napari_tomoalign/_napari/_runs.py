"""A run as a thing: written as the command line writes it, and brought back; without Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alignment import result_from_state
from ..backends import BackendUnavailable, get_backend
from ..geometry import turn_projections, turn_volume
from ..images.binning import bin_stack
from ..images.source import as_source
from ..io import ScanFileError, ShiftsFile, folder_lock, read_scan, read_shifts, write_result
from ..io.settings import SETTINGS, read_settings, write_settings
from ..io.stack_files import holds_center
from ..parameters import AlignmentParameters
from ..report import compare, write_film, write_report
from ..report.comparing import with_images
from ..results import AlignmentResult, AlignmentState, Measured, freeze
from ..start.held import row_binning
from ._frames import Placement
from ._readers import scan_layers
from ._request import RunRequest, ScanSource
from ._session import Course

__all__ = ["OpenedRun", "film_of", "line_integrals", "read_run", "result_of", "save_run"]

_SUFFIXES = (".h5", ".tif", ".mrc")


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A finished run.

    Attributes
    ----------
    folder : Path
        Where it lies.
    course : Course
        What was found, with the scan where that is still there.
    images : AlignmentState
        Its images.
    scan : tuple
        The scan as layer data; empty where it is not there any more.
    """

    folder: Path
    course: Course
    images: AlignmentState
    scan: tuple[Any, ...]


def line_integrals(source: ScanSource, parameters: AlignmentParameters) -> NDArray[Any]:
    """Return the images that the loop sees, the rotation axis vertical."""
    return turn_projections(source.as_aligned(parameters), source.rotation_axis)


def result_of(
    state: AlignmentState, source: ScanSource, images: AlignmentState | None
) -> AlignmentResult:
    """Return a result whose images belong to the state's shifts, made anew where they must."""
    if images is not None:
        state = replace(
            state,
            reconstruction=images.reconstruction,
            projections=images.projections,
            reference=images.reference,
            geometry=images.geometry,
            measured=images.measured,
        )
    else:
        weights = source.settled().weights
        turned = None if weights is None else turn_projections(weights, source.rotation_axis)
        lines = line_integrals(source, state.parameters)
        measured = Measured(
            projections=as_source(lines),
            weights=None if turned is None else as_source(turned),
            sign=1,
        )
        state = replace(with_images(state, lines, turned), measured=measured)
    return result_from_state(state)


def save_run(
    folder: Path, state: AlignmentState, request: RunRequest, images: AlignmentState | None
) -> Path:
    """Write what the command line writes: shifts, aligned stack, reconstruction, settings, report.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    state : AlignmentState
        With the shifts on show.
    request : RunRequest
        Of the run that they come from, with the scan they belong to.
    images : AlignmentState, optional
        Where the images are known that belong to these shifts.

    Raises
    ------
    FileExistsError
        A run lies there already.
    FolderInUse
        A run is going on there.
    OSError
        It cannot be written.
    """
    source = request.scan
    result = result_of(state, source, images)
    scan = source.load()
    with folder_lock(folder):
        write_result(folder, result, scan)
        _write_settings(folder, result, request)
        comparison = compare(result, line_integrals(source, state.parameters))
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
    return write_film(path, result_from_state(state), line_integrals(source, state.parameters))


def read_run(folder: Path, scan: ScanSource | None = None) -> OpenedRun:
    """Read a run that was saved here or by the command line.

    Parameters
    ----------
    folder : Path
        What ``napari-tomoalign align SCAN -o DIR`` wrote.
    scan : ScanSource, optional
        A scan that is open; it is taken where its size is the run's. Else the scan is read
        from where it was.

    Raises
    ------
    FileNotFoundError
        No finished run lies there.
    ScanFileError
        A file of the run is damaged.
    """
    if not (folder / "shifts.h5").is_file():
        raise FileNotFoundError(
            f"no finished run in {folder}: expected the files shifts.h5, aligned and "
            "reconstruction that 'napari-tomoalign align SCAN -o DIR' writes"
        )
    file = read_shifts(folder / "shifts.h5")
    axis = file.rotation_axis
    aligned_path = _one_of(folder, "aligned")
    aligned = read_scan(
        aligned_path,
        rotation_axis=axis,
        angles=file.angles,
        angle_unit="radians",
        background=None,
        transmission=False,
    )
    stack = aligned.projections if aligned.projections.ndim == 3 else aligned.projections[..., 0]
    center = file.center if holds_center(aligned_path) else (stack.shape[2] - 1) / 2
    volume = _read_volume(_one_of(folder, "reconstruction"))
    images = _state_of(file, np.asarray(stack), center, volume)
    layers: tuple[Any, ...] = ()
    if scan is None or not _fits(scan, file):
        scan, layers = _scan_of(file, folder)
    if scan is None:  # the run can be looked at, but there is no scan to go on with
        place = _place_of(file, folder.name)
        scan = ScanSource(turn_projections(stack, axis), file.angles, place)
        course = replace(Course.starting(scan, origin=folder.name), has_scan=False)
    else:
        course = Course.starting(scan, origin=folder.name)
    stands = {"axis_angle": file.axis_angle, "axis_tilt": file.axis_tilt}
    told = {name: angle for name, angle in stands.items() if angle}
    request = RunRequest(scan, None, file.backend, images.parameters, axis=told)
    course = replace(
        course,
        history=file.history,
        generators=(*({} for _ in file.history[1:]), file.generator_state),
        request=request,
    )
    if file.history:
        course = course.with_state(images, scan).at(len(file.history))
    return OpenedRun(folder, course, images, layers)


def _state_of(
    file: ShiftsFile, stack: NDArray[Any], center: float, volume: NDArray[Any]
) -> AlignmentState:
    """Return the last state of a run from its files; reprojections are made anew.

    ``center`` is the axis of the aligned stack, which is turned upright: some formats have it in
    the middle, whatever column the shifts belong to.
    """
    columns = file.history[-1].binning if file.history else 1
    n_rows, n_columns = stack.shape[1:]
    whole = file.geometry.with_changes(
        n_rows=n_rows, n_columns=n_columns, volume_width=n_columns, center=center
    ).upright
    rows = row_binning(n_rows, columns) if whole.has_vertical_axis else columns
    volume = turn_volume(volume, file.rotation_axis)
    if volume.shape[2] > n_columns // columns:  # written at full size
        volume = bin_stack(volume, columns, columns)
        volume = bin_stack(volume.swapaxes(0, 1), rows, 1).swapaxes(0, 1)
    stack, volume = bin_stack(stack, rows, columns), np.ascontiguousarray(volume)
    geometry = whole.binned(columns, rows).with_changes(volume_width=volume.shape[2])
    try:
        parameters = AlignmentParameters.from_dict(file.parameters)
    except (TypeError, ValueError):  # of another version
        parameters = AlignmentParameters()
    try:
        projections = get_backend(file.backend).operator(geometry)(volume)
    except (BackendUnavailable, ValueError):  # an engine that is not here
        projections = get_backend("builtin").operator(geometry)(volume)
    return AlignmentState(
        history=file.history,
        reconstruction=freeze(volume),
        projections=freeze(projections),
        reference=freeze(stack),
        geometry=geometry,
        parameters=parameters,
        backend=file.backend,
        converged=file.converged,
        finished=True,
        message=file.message,
        findings=file.findings,
        measured_geometry=file.geometry,
        generator_state=file.generator_state,
    )


def _fits(scan: ScanSource, file: ShiftsFile) -> bool:
    rows, columns = (1, 2) if file.rotation_axis == "vertical" else (2, 1)
    shape = scan.data.shape
    return bool(
        scan.rotation_axis == file.rotation_axis
        and (len(scan.angles), shape[rows], shape[columns])
        == (len(file.angles), file.n_rows, file.n_columns)
        and np.allclose(scan.angles, file.angles, atol=1e-4)
    )


def _scan_of(file: ShiftsFile, folder: Path) -> tuple[ScanSource | None, tuple[Any, ...]]:
    """Read the scan again from where it was, if it is still there and of the run's size."""
    path = Path(file.source.get("file", ""))
    if not str(path).strip(".") or not path.exists():
        return None, ()
    try:
        read = read_scan(
            path, rotation_axis=file.rotation_axis, angles=file.angles, angle_unit="radians"
        )
    except (OSError, ValueError):
        return None, ()
    layers = tuple(scan_layers(read, path.stem))
    if len(layers) != 1:
        return None, ()
    place = _place_of(file, layers[0][1]["name"])
    settings = read_settings(told) if (told := folder / SETTINGS).is_file() else {}
    options = {k: v for k, v in settings.items() if k in ("angles", "angle_range")}
    scan = ScanSource(layers[0][0], file.angles, place, file=str(path), options=options)
    return (scan, layers) if _fits(scan, file) else (None, ())


def _place_of(file: ShiftsFile, name: str) -> Placement:
    size = 1.0 if file.pixel_size is None else file.pixel_size
    unit = file.pixel_unit if file.pixel_size is not None and file.pixel_unit else "pixel"
    shape = (file.n_rows, file.n_columns)
    return Placement(
        (1.0, size, size),
        (0.0, 0.0, 0.0),
        ("pixel", unit, unit),
        file.rotation_axis,
        name,
        shape if file.rotation_axis == "vertical" else shape[::-1],
    )


def _one_of(directory: Path, name: str) -> Path:
    """Return the file of this name, whatever its format."""
    for suffix in _SUFFIXES:
        if (directory / f"{name}{suffix}").is_file():
            return directory / f"{name}{suffix}"
    raise FileNotFoundError(
        f"{directory} has shifts.h5 but no {name}{' or '.join(_SUFFIXES)}: run 'napari-tomoalign "
        "align' on the scan again, with --overwrite"
    )


def _read_volume(path: Path) -> NDArray[np.float32]:
    values: Any
    try:
        if path.suffix == ".h5":
            import h5py

            with h5py.File(path) as file:
                values = file["/reconstruction/volume"][()]
        elif path.suffix == ".tif":
            import tifffile

            values = tifffile.imread(path)
        else:
            import mrcfile

            with mrcfile.open(path) as file:
                values = np.array(file.data)
    except (OSError, KeyError, ValueError) as error:
        raise ScanFileError(
            f"{path} cannot be read as a reconstruction ({error}): run 'napari-tomoalign align' "
            "again, with --overwrite"
        ) from error
    return np.asarray(values, dtype=np.float32)
