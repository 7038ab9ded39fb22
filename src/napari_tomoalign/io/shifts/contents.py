"""What a shifts file holds: what was found, from what, how, and what it means.

On disk, everything is in the axes of the image as measured. In memory, as everywhere in this
package, the rotation axis is vertical.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...findings import Finding
from ...geometry import RotationAxis, ScanGeometry, turn_projections
from ...images.applying import binning_between
from ...results import AlignmentResult, AlignmentState, IterationRecord, Resume, versions_of
from ..scan import Scan
from .hashing import data_hash, hashes

__all__ = ["ShiftsFile"]


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
    findings : tuple of Finding
        What seemed wrong, and what to do about it.
    data_hash : str
        Of the projections, see `data_hash`; empty where unknown.
    source, preparation : mapping, tuple of str
        Where the projections came from and what was done to them.
    applied : str
        Where the shifts were applied; empty: nowhere.
    path : Path, optional
        The file.
    axis_angle, axis_tilt : float
        Radians by which the axis is turned in the image and leans, see `ScanGeometry`.
    in_plane : (n_angles,) array, optional
        Radians by which each image is turned beside that.
    rotations : (n_angles, 3, 3) array, optional
        In place of angles and axis.
    geometry_error : mapping of str to array
        Standard errors, radians, of what was found of these and of the angles; NaN: unknown.
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
    findings: tuple[Finding, ...]
    data_hash: str
    source: Mapping[str, str]
    preparation: tuple[str, ...]
    applied: str
    path: Path | None = None
    axis_angle: float = 0.0
    axis_tilt: float = 0.0
    in_plane: NDArray[np.float64] | None = None
    rotations: NDArray[np.float64] | None = None
    geometry_error: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        result: AlignmentResult | AlignmentState,
        scan: Scan | None = None,
        *,
        hashed: str | None = None,
    ) -> ShiftsFile:
        """Return what is to be kept of a result, or of a run that goes on.

        Parameters
        ----------
        result : AlignmentResult or AlignmentState
            What the alignment found, or where it stands.
        scan : Scan, optional
            The scan that was aligned, for where it came from, its pixel size and the hash of its
            data. None: the shifts are taken to have been found with a vertical axis.
        hashed : str, optional
            The hash of the scan's data where it is known. None: computed, which reads all of them.
        """
        record = result.history[-1]
        if isinstance(result, AlignmentState):
            geometry, versions = result.measured_geometry, versions_of(result.backend)
        else:
            geometry, versions = result.geometry, dict(result.versions)
        n_rows, n_columns = geometry.n_rows, geometry.n_columns
        if scan is not None:
            n_rows, n_columns = scan.projections.shape[1:3]
            hashed = data_hash(scan.projections) if hashed is None else hashed
        return cls(
            shifts=result.shifts,
            angles=geometry.angles,
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
            findings=tuple(result.findings),
            data_hash=hashed or "",
            source={} if scan is None else dict(scan.source),
            preparation=() if scan is None else tuple(scan.preparation),
            applied="",
            axis_angle=geometry.axis_angle,
            axis_tilt=geometry.axis_tilt,
            in_plane=geometry.in_plane,
            rotations=geometry.rotations,
            geometry_error=dict(record.geometry_error),
        )

    @classmethod
    def given(
        cls,
        shifts: NDArray[np.float64],
        scan: Scan,
        path: Path,
        lies: Mapping[str, Any] | None = None,
    ) -> ShiftsFile:
        """Return shifts that another program found, about an axis in the middle of the images.

        Parameters
        ----------
        shifts : (n_angles, 2) array
            Pixels of the scan, its axis vertical.
        scan : Scan
            What they belong to.
        path : Path
            Of the file that they came from.
        lies : mapping, optional
            What else the file says of the images, by the names of `ScanGeometry`. Default: as the
            scan has it.

        Raises
        ------
        ValueError
            Another number of projections.
        """
        n_angles, n_rows, n_columns = scan.projections.shape[:3]
        if len(shifts) != n_angles:
            raise ValueError(
                f"{path} has {len(shifts)} shifts, but the scan has {n_angles} projections: give "
                "one for each"
            )
        told = {"rotations": scan.rotations, **(lies or {})}
        geometry = ScanGeometry(
            scan.angles if told["rotations"] is None else np.zeros(0), n_rows, n_columns, **told
        )
        return cls(
            shifts=shifts,
            angles=geometry.angles,
            center=(n_columns - 1) / 2,
            n_rows=n_rows,
            n_columns=n_columns,
            confidence=np.ones(n_angles),
            standard_error=np.full((n_angles, 2), np.nan),
            pixel_size=scan.pixel_size,
            pixel_unit=scan.pixel_unit,
            rotation_axis=scan.rotation_axis,
            history=(),
            generator_state={},
            parameters={},
            backend="",
            versions={},
            converged=False,
            message=f"given in {path.name}",
            findings=(),
            data_hash="",
            source=dict(scan.source),
            preparation=tuple(scan.preparation),
            applied="",
            path=path,
            axis_angle=geometry.axis_angle,
            axis_tilt=geometry.axis_tilt,
            in_plane=geometry.in_plane,
            rotations=geometry.rotations,
        )

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """The findings, in words."""
        return tuple(finding.sentence for finding in self.findings)

    @property
    def iterations(self) -> int:
        """Number of iterations that led to the shifts."""
        return self.history[-1].iteration if self.history else 0

    @property
    def geometry(self) -> ScanGeometry:
        """Of the images as they were measured, but for the shifts."""
        return ScanGeometry(
            self.angles,
            self.n_rows,
            self.n_columns,
            self.center,
            axis_angle=self.axis_angle,
            axis_tilt=self.axis_tilt,
            rotations=self.rotations,
            in_plane=self.in_plane,
        )

    @property
    def middle(self) -> float:
        """Column in the middle of the images, where programs without a center have the axis."""
        return (self.n_columns - 1) / 2

    @property
    def centred(self) -> ShiftsFile:
        """The same shifts with the axis in the middle: its distance from there goes into them."""
        offset = np.array([0.0, self.center - self.middle])
        return replace(self, shifts=self.shifts + offset, center=self.middle)

    @property
    def measured_shifts(self) -> NDArray[np.float64]:
        """The shifts in the axes of the image as measured, (row, column)."""
        return np.ascontiguousarray(turn_projections(self.shifts, self.rotation_axis))

    @property
    def resume(self) -> Resume:
        """Where the run stood, to go on from here.

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
        shape = self.n_rows, self.n_columns
        return Resume(self.history, dict(self.generator_state), shape)

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
        told = self.rotations is None and "angles" not in self.geometry_error
        if told and not np.allclose(scan.angles, self.angles, atol=1e-4):
            worst = np.rad2deg(np.max(np.abs(scan.angles - self.angles)))
            warnings.warn(
                f"the scan's angles differ from those of {name} by up to {worst:.3g} degrees",
                UserWarning,
                stacklevel=2,
            )
        ratio = self._binning_of(scan)
        if ratio == 1:
            if check and self.data_hash and self.data_hash not in hashes(scan.projections):
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
