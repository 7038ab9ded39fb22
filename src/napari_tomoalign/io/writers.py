"""Scans, aligned stacks, reconstructions and whole results to files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._executors import WorkLost
from ..backends import get_backend
from ..geometry import RotationAxis, turn_projections, turn_volume
from ..results import AlignmentResult
from .aligned_stack import aligned_output
from .atomic import atomic_path, require_room
from .errors import DiskFull
from .locking import folder_lock
from .outputs import CREATOR, check_outputs, is_ours
from .reconstruction import Method, Slices, volume_output
from .scan import Scan
from .shifts.contents import ShiftsFile
from .shifts.hashing import digest_of
from .shifts.other_programs import export_shifts
from .shifts.record import note_applied, write_shifts
from .stack_files import Progress, StackInfo, StackOutput, holds_center, stack_outputs

__all__ = [
    "all_result_files",
    "require_results_room",
    "result_files",
    "write_aligned",
    "write_result",
    "write_scan",
    "write_volume",
]

PathLike = str | os.PathLike[str]
_SUFFIXES = (".h5", ".tif", ".mrc")


def result_files(
    directory: PathLike, suffix: str = ".h5", *, channels: bool = False
) -> dict[str, Path]:
    """Return the files that a run writes into its directory.

    Parameters
    ----------
    directory : path
        Of the results.
    suffix : str
        Of the stack and the volume: ``.h5``, ``.tif`` or ``.mrc``.
    channels : bool
        Several channels fit into HDF5 only: their stack is ``aligned.h5`` in any case.

    Returns
    -------
    dict of str to Path
        ``"shifts"``, ``"csv"``, ``"settings"``, ``"picture"``, ``"page"``, ``"aligned"``,
        ``"reconstruction"``, and ``"angles"`` beside a stack that has no room for them.
    """
    directory = Path(directory)
    stack, *beside = stack_outputs(directory / f"aligned{'.h5' if channels else suffix}")
    return {
        "shifts": directory / "shifts.h5",
        "csv": directory / "shifts.csv",
        "settings": directory / "run.toml",
        "picture": directory / "report.png",
        "page": directory / "report.html",
        "aligned": stack,
        "reconstruction": directory / f"reconstruction{suffix}",
        **dict(zip(("angles",), beside, strict=False)),
    }


def all_result_files(directory: PathLike) -> set[Path]:
    """Return the files of runs in any format: what a run finds there, and may not replace."""
    return {file for suffix in _SUFFIXES for file in result_files(directory, suffix).values()}


def require_results_room(
    directory: PathLike,
    scan: Scan,
    *,
    suffix: str = ".h5",
    aligned: bool = True,
    reconstruction: bool = True,
) -> None:
    """Refuse, before any work, results that cannot fit on the disk.

    Parameters
    ----------
    directory : path
        Of the results; may be missing.
    scan : Scan
        What is aligned.
    suffix, aligned, reconstruction
        As `write_result` takes them. What is there and will be replaced counts as room.

    Raises
    ------
    DiskFull
        How much they need, and how much is free.
    """
    files = result_files(directory, suffix, channels=scan.projections.ndim == 4)
    n, n_rows, n_columns, *channels = scan.projections.shape
    needed = 0
    if aligned:
        needed += 4 * math.prod((n, n_rows, n_columns, *channels))
    if reconstruction:
        needed += 4 * n_rows * n_columns**2
    for name in ("aligned", "reconstruction"):
        if files[name].is_file():
            needed -= files[name].stat().st_size
    there = next(
        one for one in (Path(directory), *Path(directory).absolute().parents) if one.exists()
    )
    require_room(there / "stack and volume", needed)


def write_aligned(
    path: PathLike,
    stack: NDArray[np.generic],
    scan: Scan,
    *,
    aligned_with: str,
    center: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an aligned stack; its metadata say that it is aligned, and with what.

    Parameters
    ----------
    path : path
        ``.h5``, ``.tif`` or ``.mrc``.
    stack : (n_angles, n_rows, n_columns[, n_channels]) array
        The rotation axis vertical; turned back for a scan whose axis is horizontal.
    scan : Scan
        What it was made from.
    aligned_with : str
        With which shifts, and how.
    center : float, optional
        Column of the rotation axis in ``stack``, default the middle.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull, ValueError
        See `StackOutput`; or an axis that is not in the middle, in a format that cannot say so.
    """
    middle = (stack.shape[2] - 1) / 2
    if center is not None and center != middle and not holds_center(path):
        raise ValueError(
            f"{path}: the axis is at column {center:g} and not in the middle, {middle:g}, which "
            "TIFF and MRC cannot say; write HDF5, or apply the shifts to the scan with apply_shifts"
        )
    turned = turn_projections(stack, scan.rotation_axis)
    info = StackInfo(
        angles=scan.angles,
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        channels=scan.channels,
        extra={} if center is None else {"rotation_center": center},
    )
    return _whole(path, turned, info).write(overwrite=overwrite)


def _whole(path: PathLike, values: NDArray[np.generic], info: StackInfo) -> StackOutput:
    """Return what is in memory already as it is to be written."""
    return StackOutput(Path(path), values.shape, info, lambda: [((), values)])


def write_volume(
    path: PathLike,
    volume: NDArray[np.generic],
    scan: Scan,
    *,
    aligned_with: str = "",
    binning: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write a reconstruction, in the axes of the image as measured.

    Parameters
    ----------
    path : path
        ``.h5``, ``.tif`` or ``.mrc``.
    volume : (n_slices, n_y, n_x) array
        About a vertical axis.
    scan : Scan
        What it was made from.
    aligned_with : str
        With which shifts.
    binning : int
        Of the volume against the scan.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull, ValueError
        See `StackOutput`.
    """
    turned = turn_volume(volume, scan.rotation_axis)
    info = StackInfo(
        pixel_size=None if scan.pixel_size is None else scan.pixel_size * binning,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        extra={"binning": binning},
    )
    return _whole(path, turned, info).write(overwrite=overwrite)


def write_result(
    directory: PathLike,
    result: AlignmentResult,
    scan: Scan,
    *,
    overwrite: bool = False,
    suffix: str = ".h5",
    aligned: bool = True,
    reconstruction: bool = True,
    method: Method | None = None,
    only_missing: bool = False,
    hashed: str | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write all that an alignment gives: shifts, table, aligned stack, reconstruction.

    Stack and volume are those of the whole images, whatever level the run ended on; both are made
    piece by piece, so that scans of any size can be written.

    Parameters
    ----------
    directory : path
        Made where it is missing.
    result : AlignmentResult
        What was found.
    scan : Scan
        What was aligned, or its channels.
    overwrite : bool
        Replace files that are there.
    suffix : str
        Of the stack and the volume: ``.h5``, ``.tif`` or ``.mrc``. Several channels fit into
        HDF5 only: their stack is ``aligned.h5`` in any case.
    aligned, reconstruction : bool
        Write the stack; write the volume. Those of an older run do not stay.
    method : Method, optional
        How the volume is made. None: filtered back projection by the run's engine.
    only_missing : bool
        A stack or a volume that is there, made of the same images and shifts in the same way, stays
        as it is.
    hashed : str, optional
        The hash of the scan's data where it is known, see `ShiftsFile.of`.
    executor : Executor, optional
        Makes the pieces.
    progress : callable, optional
        Gets the name of the file, how many of its bytes are written and how many there are.

    Returns
    -------
    dict of str to Path
        ``"shifts"``, ``"csv"``, ``"aligned"``, ``"reconstruction"``: what was written.

    Raises
    ------
    FileExistsError
        One of the files exists, and ``overwrite`` is off.
    FolderInUse
        Another run writes there.
    DiskFull
        The message says what was saved.
    MemoryError, WorkLost
        Not even one slice of the volume fits, or the executor's workers died; the message says what
        was saved.
    ValueError, BackendUnavailable
        The run's engine is not here, or has no such algorithm; before anything is written.
    """
    files = result_files(directory, suffix, channels=scan.projections.ndim == 4)
    wanted = {"shifts": True, "csv": True, "aligned": aligned, "reconstruction": reconstruction}
    paths = {name: files[name] for name, write in wanted.items() if write}
    beside = [files["angles"]] if aligned and "angles" in files else []
    check_outputs([*paths.values(), *beside], overwrite=overwrite)
    if reconstruction and method is None:
        method = _usual_method(result, scan)
    saved: list[str] = []
    with folder_lock(Path(directory)), _saying_what_is_saved(directory, paths, saved):
        found = ShiftsFile.of(result, scan, hashed=hashed)
        write_shifts(paths["shifts"], found, overwrite=overwrite)
        saved.append(paths["shifts"].name)
        export_shifts(found, paths["csv"], overwrite=overwrite)
        saved.append(paths["csv"].name)
        with_what = f"shifts.h5 of this folder, {digest_of(found.measured_shifts)}, cubic spline"
        if aligned:
            stack = aligned_output(
                paths["aligned"], scan, found, aligned_with=with_what, executor=executor
            )
            if not (only_missing and stack.is_there):
                stack.write(overwrite=overwrite, progress=progress)
            note_applied(replace(found, path=paths["shifts"]), paths["aligned"])
            saved.append(paths["aligned"].name)
        if method is not None:
            slices = Slices.of(result, scan, method)
            volume = volume_output(
                paths["reconstruction"], slices, scan, aligned_with=with_what, executor=executor
            )
            if not (only_missing and volume.is_there):
                volume.write(overwrite=overwrite, progress=progress)
            saved.append(paths["reconstruction"].name)
        kept = {*paths.values(), *beside, files["settings"], files["picture"], files["page"]}
        others = all_result_files(directory) - kept
        for old in [file for file in others if overwrite and file.exists() and is_ours(file)]:
            old.unlink()  # of an older run: it would be taken for this one's
    return paths


@contextmanager
def _saying_what_is_saved(
    directory: PathLike, paths: Mapping[str, Path], saved: Sequence[str]
) -> Iterator[None]:
    """Say, where the disk is full, which files of a result are saved and which are not."""
    try:
        yield
    except (DiskFull, MemoryError, WorkLost) as error:
        rest = [path.name for path in paths.values() if path.name not in saved]
        said = (
            f"Saved in {directory}: {', '.join(saved) or 'nothing'}; not saved: "
            f"{', '.join(rest) or 'that the shifts were applied'}"
        )
        if isinstance(error, DiskFull):
            raise DiskFull(error.errno, f"{error.strerror}. {said}") from error
        raise type(error)(f"{error}. {said}") from error


def _usual_method(result: AlignmentResult, scan: Scan) -> Method:
    """Return the run's engine with its filtered back projection."""
    settings = result.parameters
    engine = get_backend(result.backend, workers=settings.workers, use_gpu=settings.use_gpu)
    return Method.of(engine, result.geometry.upright)


def write_scan(
    path: PathLike,
    projections: NDArray[np.generic],
    angles: ArrayLike,
    *,
    white: NDArray[np.generic] | None = None,
    dark: NDArray[np.generic] | None = None,
    pixel_size: float | None = None,
    pixel_unit: str = "",
    true_shifts: NDArray[np.float64] | None = None,
    rotation_axis: RotationAxis = "vertical",
    overwrite: bool = False,
) -> Path:
    """Write a scan as a beamline does, in the Data Exchange layout, ``theta`` in degrees.

    Parameters
    ----------
    path : path
        Such as ``scan.h5``.
    projections : (n_angles, n_rows, n_columns[, n_channels]) array
        As measured: counts, or line integrals where there is no ``white``. Its type is kept.
    angles : (n_angles,) array
        Radians.
    white, dark : (n, n_rows, n_columns) array, optional
        Flat and dark fields.
    pixel_size, pixel_unit : float, str
        Edge of a pixel.
    true_shifts : (n_angles, 2) array, optional
        Of a simulated scan, in the axes of ``projections``.
    rotation_axis : {"vertical", "horizontal"}
        In ``projections``.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull
        See `StackOutput`.
    ValueError
        A pixel size that is no length.
    """
    import h5py

    if pixel_size is not None and not 0 < pixel_size < math.inf:
        raise ValueError(f"pixel_size must be a length above 0, or None; got {pixel_size}")
    info = StackInfo(pixel_size=pixel_size, pixel_unit=pixel_unit, rotation_axis=rotation_axis)
    with atomic_path(path, overwrite=overwrite) as aside:
        require_room(Path(path), projections.nbytes)
        with h5py.File(aside, "w") as file:
            file.attrs["creator"] = CREATOR
            file["implements"] = "exchange"
            exchange = file.create_group("exchange")
            options: dict[str, Any] = {"compression": "gzip", "shuffle": True}
            data = exchange.create_dataset("data", data=projections, **options)
            data.attrs.update(info.attributes())
            data.attrs["axes"] = "theta:y:x" + (":channel" if projections.ndim == 4 else "")
            data.attrs["units"] = "counts" if white is not None else "line integrals"
            theta = exchange.create_dataset("theta", data=np.rad2deg(np.asarray(angles)))
            theta.attrs["units"] = "degrees"
            for name, frames in (("data_white", white), ("data_dark", dark)):
                if frames is not None:
                    dataset = exchange.create_dataset(name, data=frames, **options)
                    dataset.attrs["units"] = "counts"
            if true_shifts is not None:
                shifts = file.create_dataset("simulation/shifts", data=true_shifts)
                shifts.attrs["meaning"] = (
                    "true (row, column) displacement of each image in pixels, positive towards "
                    "larger index"
                )
    return Path(path)
