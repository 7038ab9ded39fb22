"""The folder of a run: which files it holds, whether there is room for them, and their writing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .._executors import WorkLost
from ..backends import get_backend
from ..results import AlignmentResult
from .aligned_stack import aligned_output
from .atomic import remove, require_room, size_of
from .errors import DiskFull
from .locking import folder_lock
from .outputs import check_outputs, is_ours
from .reconstruction import Method, Slices, volume_output
from .scan import Scan
from .shifts.contents import ShiftsFile
from .shifts.hashing import digest_of
from .shifts.other_programs import export_shifts
from .shifts.record import note_applied, write_shifts
from .stacks.output import SUFFIXES, Progress, holds_channels, require_format, stack_outputs

__all__ = ["all_result_files", "require_results_room", "result_files", "write_result"]

PathLike = str | os.PathLike[str]


def result_files(
    directory: PathLike, suffix: str = ".h5", *, channels: bool = False
) -> dict[str, Path]:
    """Return the files that a run writes into its directory.

    Parameters
    ----------
    directory : path
        Of the results.
    suffix : str
        Of the stack and the volume: ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``.
    channels : bool
        Several: they fit into HDF5 and zarr only, else their stack is ``aligned.h5``.

    Returns
    -------
    dict of str to Path
        ``"shifts"``, ``"csv"``, ``"settings"``, ``"picture"``, ``"page"``, ``"aligned"``,
        ``"reconstruction"``, and ``"angles"`` beside a stack that has no room for them.
    """
    directory = Path(directory)
    stack = directory / f"aligned{suffix}"
    if channels and not holds_channels(stack):
        stack = stack.with_suffix(".h5")
    stack, *beside = stack_outputs(stack)
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
    return {file for suffix in SUFFIXES for file in result_files(directory, suffix).values()}


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
    ValueError
        The format's library is not installed.
    """
    require_format(f"results{suffix}")
    files = result_files(directory, suffix, channels=scan.projections.ndim == 4)
    n, n_rows, n_columns, *channels = scan.projections.shape
    needed = 0
    if aligned:
        needed += 4 * math.prod((n, n_rows, n_columns, *channels))
    if reconstruction:
        needed += 4 * n_rows * n_columns**2
    for name in ("aligned", "reconstruction"):
        needed -= size_of(files[name])
    there = next(
        one for one in (Path(directory), *Path(directory).absolute().parents) if one.exists()
    )
    require_room(there / "stack and volume", needed)


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
        Of the stack and the volume: ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``. Several channels fit
        into the first two only: else their stack is ``aligned.h5``.
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
    check_outputs([*paths.values(), *beside], overwrite=overwrite, record=True)
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
            remove(old)  # of an older run: it would be taken for this one's
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
