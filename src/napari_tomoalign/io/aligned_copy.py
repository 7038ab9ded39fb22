"""From a shifts file and a scan to an aligned stack on disk, chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..images.applying import Order, check_order
from .aligned_stack import aligned_output
from .locking import folder_lock
from .outputs import check_outputs
from .reading import read_scan
from .scan import Scan
from .shifts.contents import ShiftsFile
from .shifts.hashing import digest_of
from .shifts.other_programs import is_own, shifts_for
from .shifts.record import note_applied, read_shifts
from .stacks.output import stack_outputs

__all__ = ["apply_shifts"]

PathLike = str | os.PathLike[str]


def apply_shifts(
    shifts: ShiftsFile | PathLike,
    scan: Scan | PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    order: Order = 3,
    crop: bool = False,
    overwrite: bool = False,
    check: bool = True,
    told: Callable[[Scan], object] | None = None,
    **reading: Any,
) -> Path:
    """Align a scan of any size with shifts that were found before, in one interpolation.

    Parameters
    ----------
    shifts : ShiftsFile or path
        What was found, on this scan, another channel or another binning of it; or another
        program's shifts (see `import_shifts`) in pixels of this scan, which put the axis in the
        middle of the images.
    scan : Scan, path or sequence of paths
        What to align.
    out : path
        ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``. Its metadata say that it is aligned, and with
        what, and in the first two where the axis is; in the others it is in the middle.
    order : {3, "fourier"}
        Cubic spline, or Fourier shift with guarded edges.
    crop : bool
        Cut to the field of view that all images cover.
    overwrite : bool
        Replace a file that is there.
    check : bool
        Compare the data with the hash in the shifts file, which reads the scan once more.
    told : callable, optional
        Gets the scan once it is read and before anything is done with it: for its remarks.
    **reading
        Options of `read_scan`. The rotation axis is the shifts file's where none is given.

    Returns
    -------
    Path
        ``out``. A shifts file that was given by its path notes it.

    Raises
    ------
    ValueError
        The scan says that it is aligned already; or it does not fit the shifts.
    FileExistsError, FolderInUse
        See `check_outputs`; or the shifts are those of a run that goes on.
    DiskFull
        There is no room.

    Warns
    -----
    UserWarning
        The data are not those that the shifts were found on.
    """
    check_order(order)
    read = [one for one in (shifts, scan) if isinstance(one, (str, os.PathLike))]
    if not isinstance(scan, (Scan, str, os.PathLike)):
        read += scan
    check_outputs(stack_outputs(out), inputs=read, overwrite=overwrite)
    with _run_of(shifts):
        stored = shifts if isinstance(shifts, ShiftsFile) else _opened(Path(shifts))
        found, scan = _found_for(stored, scan, check, told, reading)
        path = aligned_output(
            out, scan, found, aligned_with=_with_what(found, order), order=order, crop=crop
        ).write(overwrite=overwrite)
        if isinstance(stored, ShiftsFile) and stored is not shifts:
            with suppress(PermissionError):  # shifts on a disk that can only be read
                note_applied(stored, path)
    return path


@contextmanager
def _run_of(shifts: ShiftsFile | PathLike) -> Iterator[None]:
    """Hold the folder of a run, so that no other run replaces the shifts that are noted in."""
    with ExitStack() as held:
        if not isinstance(shifts, ShiftsFile) and is_own(Path(shifts)):
            with suppress(PermissionError):  # nobody replaces anything there
                held.enter_context(folder_lock(Path(shifts).parent))
        yield


def _found_for(
    stored: ShiftsFile | Path,
    scan: Scan | PathLike | Sequence[PathLike],
    check: bool,
    told: Callable[[Scan], object] | None,
    reading: dict[str, Any],
) -> tuple[ShiftsFile, Scan]:
    """Open the scan and return the shifts in its pixels, and the scan."""
    if not isinstance(scan, Scan):
        if isinstance(stored, ShiftsFile):
            reading.setdefault("rotation_axis", stored.rotation_axis)
        scan = read_scan(scan, lazy=True, **reading)
    if told is not None:
        told(scan)
    if "aligned" in scan.source:
        raise ValueError(
            f"{scan.source.get('file', 'the scan')} is aligned already "
            f"({scan.source['aligned']}); applying shifts twice would spoil it: apply them to the "
            "original scan"
        )
    if isinstance(stored, ShiftsFile):
        return stored.for_scan(scan, check=check), scan
    return shifts_for(stored, scan), scan


def _opened(path: Path) -> ShiftsFile | Path:
    """Return our own shifts, or the path of another program's."""
    return read_shifts(path) if is_own(path) else path


def _with_what(found: ShiftsFile, order: Order) -> str:
    how = "cubic spline" if order == 3 else "Fourier"
    name = found.path.name if found.path is not None else "shifts"
    return f"{name} {digest_of(found.measured_shifts)}, {how}"
