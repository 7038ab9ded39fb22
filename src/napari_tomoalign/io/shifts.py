"""The shifts file: one HDF5 file that says what was found, from what, how, and what it means.

On disk, everything is in the axes of the image as measured. In memory, as everywhere in this
package, the rotation axis is vertical.
"""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..applying import binning_between
from ..geometry import RotationAxis, turn_projections
from ..results import AlignmentResult, AlignmentState, IterationRecord
from .atomic import atomic_path, refuse_existing
from .errors import DiskFull
from .lazy import blocks_of
from .scan import Scan
from .shifts_layout import from_hdf5, to_hdf5

__all__ = [
    "Checkpoint",
    "ShiftsFile",
    "data_hash",
    "note_applied",
    "read_shifts",
    "write_shifts",
]


@dataclass(frozen=True, eq=False)
class ShiftsFile:
    """What a shifts file holds, the rotation axis vertical.

    Attributes
    ----------
    shifts : (n_angles, 2) array of float64
        How far each measured image is displaced, (row, column), pixels, positive towards larger
        index. Aligning moves the data by minus this.
    angles : (n_angles,) array of float64
        Radians.
    center : float
        Column of the rotation axis, pixels.
    n_rows, n_columns : int
        Of the images that the shifts were found on.
    confidence : (n_angles,) array
        0 (does not fit) to 1.
    standard_error : (n_angles, 2) array
        Estimated, pixels; NaN where unknown.
    pixel_size : float, optional
        In ``pixel_unit``.
    rotation_axis : {"vertical", "horizontal"}
        Of the image as measured.
    history : tuple of IterationRecord
        One record an iteration.
    generator_state : mapping
        State of the random generator.
    parameters : mapping
        What the run was started with, see `AlignmentParameters.from_dict`.
    backend : str
        Name of the backend.
    versions : mapping of str to str
        Of Python and the packages that took part.
    converged : bool
        See `AlignmentResult`.
    message : str
        Why the run ended.
    diagnosis : tuple of str
        What seemed wrong.
    data_hash : str
        Of the projections, see `data_hash`; empty where unknown.
    source, preparation : mapping, tuple of str
        Where the projections came from and what was done to them.
    applied : str
        Where the shifts were applied; empty: nowhere.
    path : Path, optional
        The file.
    """

    shifts: NDArray[np.float64]
    angles: NDArray[np.float64]
    center: float
    n_rows: int
    n_columns: int
    confidence: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    pixel_size: float | None
    pixel_unit: str
    rotation_axis: RotationAxis
    history: tuple[IterationRecord, ...]
    generator_state: Mapping[str, Any]
    parameters: Mapping[str, Any]
    backend: str
    versions: Mapping[str, str]
    converged: bool
    message: str
    diagnosis: tuple[str, ...]
    data_hash: str
    source: Mapping[str, str]
    preparation: tuple[str, ...]
    applied: str
    path: Path | None = None

    @property
    def iterations(self) -> int:
        """Number of iterations that led to the shifts."""
        return self.history[-1].iteration if self.history else 0

    @property
    def measured_shifts(self) -> NDArray[np.float64]:
        """The shifts in the axes of the image as measured, (row, column)."""
        return np.ascontiguousarray(turn_projections(self.shifts, self.rotation_axis))

    @property
    def resume(self) -> tuple[tuple[IterationRecord, ...], Mapping[str, Any]]:
        """History and generator state, to go on from here with ``resume=Resume(*this)``.

        Raises
        ------
        ValueError
            There is no history to go on from.
        """
        if not self.history:
            raise ValueError(
                f"{self.path or 'these shifts'} cannot be resumed: there is no history of "
                "iterations for this binning; give the shifts as initial_shifts instead"
            )
        return self.history, self.generator_state

    def for_scan(self, scan: Scan, *, check: bool = True) -> ShiftsFile:
        """Return the shifts in pixels of a scan, which may be binned otherwise.

        Parameters
        ----------
        scan : Scan
            What the shifts are to be used on.
        check : bool
            Compare the scan's data with the hash, which reads all of it. At another binning there
            is nothing to compare.

        Raises
        ------
        ValueError
            Another number of projections, another axis, or a size that no binning explains.

        Warns
        -----
        UserWarning
            Other angles, or other data than the shifts were found on.
        """
        name = self.path or "the shifts"
        n_angles, n_rows, n_columns = scan.projections.shape[:3]
        if n_angles != len(self.shifts):
            raise ValueError(
                f"{name} holds shifts of {len(self.shifts)} projections, but the scan has "
                f"{n_angles}: it is another scan"
            )
        if scan.rotation_axis != self.rotation_axis:
            raise ValueError(
                f"{name} was found with a {self.rotation_axis} rotation axis, but the scan was "
                f"read with a {scan.rotation_axis} one; read it with "
                f"rotation_axis={self.rotation_axis!r}"
            )
        if not np.allclose(scan.angles, self.angles, atol=1e-4):
            worst = np.rad2deg(np.max(np.abs(scan.angles - self.angles)))
            warnings.warn(
                f"the scan's angles differ from those of {name} by up to {worst:.3g} degrees",
                UserWarning,
                stacklevel=2,
            )
        ratio = self._binning_of(scan)
        if ratio == 1:
            if check and self.data_hash and self.data_hash not in _hashes(scan.projections):
                warnings.warn(
                    f"the scan's data are not those that {name} was found on: another scan, "
                    "another channel, or read with other preparation; make sure that the "
                    "shifts belong to it",
                    UserWarning,
                    stacklevel=2,
                )
            return replace(self, n_rows=n_rows)
        return replace(
            self,
            shifts=self.shifts / ratio,
            center=(self.center + 0.5) / ratio - 0.5,
            standard_error=self.standard_error / ratio,
            n_rows=n_rows,
            n_columns=n_columns,
            pixel_size=None if self.pixel_size is None else self.pixel_size * ratio,
            history=(),
        )

    def _binning_of(self, scan: Scan) -> float:
        """Return how many pixels of these shifts make one of the scan."""
        here, there = self.n_columns, int(scan.projections.shape[2])
        if here == there:
            return 1.0
        if self.pixel_size and scan.pixel_size and self.pixel_unit == scan.pixel_unit:
            ratio = scan.pixel_size / self.pixel_size
            if abs(here - ratio * there) <= max(1.0, ratio):
                return ratio
        return binning_between(here, there)


def data_hash(projections: Any) -> str:
    """Return the SHA-256 of a stack: of its shape, type and values.

    Parameters
    ----------
    projections : array
        In memory or read when indexed; taken as float32, as it is computed with.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(repr((tuple(projections.shape), "<f4")).encode())
    for start, stop in blocks_of(projections.shape):
        block = np.ascontiguousarray(projections[start:stop], dtype="<f4")
        digest.update(block.data)
    return digest.hexdigest()


def _hashes(projections: Any) -> Iterator[str]:
    """Yield the hashes of all that can have been aligned: the stack, a channel, their mean."""
    yield data_hash(projections)
    if projections.ndim == 4:
        values = np.asarray(projections)
        yield data_hash(values.mean(axis=-1))
        for channel in range(values.shape[3]):
            yield data_hash(values[..., channel])


def write_shifts(
    path: str | os.PathLike[str],
    result: AlignmentResult | AlignmentState,
    scan: Scan | None = None,
    *,
    applied: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a shifts file, whole or not at all.

    Parameters
    ----------
    path : path
        Such as ``shifts.h5``.
    result : AlignmentResult or AlignmentState
        What the alignment found, or where it stands.
    scan : Scan, optional
        The scan that was aligned, for where it came from, its pixel size and the hash of its
        data. None: the shifts are taken to have been found with a vertical axis.
    applied : str
        Where the shifts were applied, in words.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        There is a file, and ``overwrite`` is off.
    DiskFull
        There is no room; what was there before is untouched.
    """
    hashed = "" if scan is None else data_hash(scan.projections)
    return _write(Path(path), _contents(result, scan, hashed, applied), overwrite=overwrite)


def read_shifts(path: str | os.PathLike[str]) -> ShiftsFile:
    """Read a shifts file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It is no shifts file, or a damaged one.
    """
    return ShiftsFile(**from_hdf5(Path(path)))


def note_applied(shifts: ShiftsFile, out: Path) -> None:
    """Note in the shifts file itself that its shifts were applied, and where the result is."""
    if shifts.path is None or out.name in shifts.applied.split("; "):
        return
    applied = "; ".join(filter(None, (shifts.applied, out.name)))
    _write(shifts.path, replace(shifts, applied=applied), overwrite=True)


class Checkpoint:
    """Writes the shifts file after each iteration, so that a killed run loses at most one.

    Parameters
    ----------
    path : path
        The shifts file.
    scan : Scan, optional
        What is aligned; its hash is computed once.
    overwrite : bool
        Replace a file that is there at the beginning.

    Raises
    ------
    FileExistsError
        There is a file, and ``overwrite`` is off.
    """

    def __init__(
        self, path: str | os.PathLike[str], scan: Scan | None = None, *, overwrite: bool = False
    ) -> None:
        self.path = Path(path)
        refuse_existing(self.path, overwrite=overwrite)
        self._scan = scan
        self._hash = "" if scan is None else data_hash(scan.projections)
        self._saved = 0

    def __call__(self, state: AlignmentState) -> None:
        """Write where the loop stands; fit to be the ``callback`` of `align`."""
        try:
            _write(self.path, _contents(state, self._scan, self._hash, ""), overwrite=True)
        except DiskFull as error:
            saved = f"its state after iteration {self._saved}" if self._saved else "nothing"
            raise DiskFull(
                error.errno, f"{error.strerror}. Saved in {self.path}: {saved}"
            ) from error
        self._saved = state.iteration


def _write(path: Path, contents: ShiftsFile, *, overwrite: bool) -> Path:
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_bytes(to_hdf5(contents))
    return path


def _contents(
    result: AlignmentResult | AlignmentState, scan: Scan | None, hashed: str, applied: str
) -> ShiftsFile:
    record = result.history[-1]
    if isinstance(result, AlignmentResult):
        angles, n_rows, n_columns = result.angles, *result.projections.shape[1:3]
        versions, diagnosis = dict(result.versions), tuple(result.diagnosis)
    else:
        geometry = result.geometry
        angles, n_rows, n_columns = geometry.angles, geometry.n_rows, geometry.n_columns
        versions, diagnosis = _versions(), ()
    n_rows, n_columns = n_rows * result.binning, n_columns * result.binning
    if scan is not None:
        n_rows, n_columns = scan.projections.shape[1:3]
    return ShiftsFile(
        shifts=result.shifts,
        angles=angles,
        center=result.center,
        n_rows=n_rows,
        n_columns=n_columns,
        confidence=record.confidence,
        standard_error=record.standard_error,
        pixel_size=None if scan is None else scan.pixel_size,
        pixel_unit="" if scan is None else scan.pixel_unit,
        rotation_axis="vertical" if scan is None else scan.rotation_axis,
        history=tuple(result.history),
        generator_state=result.generator_state,
        parameters=result.parameters.to_dict(),
        backend=result.backend,
        versions=versions,
        converged=result.converged,
        message=result.message,
        diagnosis=diagnosis,
        data_hash=hashed,
        source={} if scan is None else dict(scan.source),
        preparation=() if scan is None else tuple(scan.preparation),
        applied=applied,
    )


def _versions() -> dict[str, str]:
    from .. import __version__

    return {"napari-tomoalign": __version__, "python": platform.python_version()}
