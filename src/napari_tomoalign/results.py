"""What the loop gives out: a state for each iteration, and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._counting import how_many
from ._on_demand import make_on_demand
from .findings import Finding
from .geometry import ScanGeometry
from .parameters import AlignmentParameters
from .records import TRUSTED, Images, IterationRecord, Measured, freeze, versions_of

__all__ = [
    "TRUSTED",
    "AlignmentResult",
    "AlignmentState",
    "Images",
    "IterationRecord",
    "Measured",
    "Resume",
    "freeze",
    "versions_of",
]


def _full_geometry(images: AlignmentState | AlignmentResult, angles: ArrayLike) -> ScanGeometry:
    """Return the geometry of the full images about a vertical axis."""
    n_rows, n_columns = images.reference.shape[1:3]  # none, where images were not kept
    n_rows, n_columns = (max(1, size * images.binning) for size in (n_rows, n_columns))
    if images.measured is not None:
        n_rows, n_columns = images.measured.projections.shape[1:]
    return ScanGeometry(np.asarray(angles), n_rows, n_columns, images.center)


@dataclass(frozen=True, eq=False)
class AlignmentState:
    """Where the loop stands after an iteration. Stands alone and cannot be written to.

    The images belong to ``shifts``. At a binned level they are smaller by ``binning``. Those that
    an engine keeps on its device come from there when one of them is first read, or are made again
    where the run has gone on.

    Attributes
    ----------
    history : tuple of IterationRecord
        All iterations so far; the last one is this one.
    reconstruction : (n_rows, n_columns, n_columns) array of float32
        Slice, y, x.
    projections : (n_angles, n_rows, n_columns) array of float32
        The reprojections of the reconstruction.
    reference : (n_angles, n_rows, n_columns) array of float32
        The measured data, moved by minus the shifts.
    geometry : ScanGeometry
        Of these images, which are turned until the axis is upright.
    parameters : AlignmentParameters
        What the run was started with.
    backend : str
        Name of the backend.
    converged : bool
        The stop rule is met, and the standard errors say that the shifts are known.
    finished : bool
        No further state follows.
    message : str
        In words: converged, and at what largest move; or why not, or how far it is.
    findings : tuple of Finding
        In the last state: what seems wrong, and what to do about it.
    generator_state : mapping
        State of the random generator, so that a run can be resumed bit by bit.
    measured : Measured, optional
        The images that are aligned, at full size.
    measured_geometry : ScanGeometry
        Of the full images as they were measured, with what was found. Default: that of ``geometry``
        at full size.
    whole : callable, optional
        Makes the images that belong to ``shifts`` at full size, where these are smaller. Where the
        memory does not hold them they are array-likes, indexed with whole numbers and slices, whose
        rows are made when they are asked for; None where rows are none by themselves.
    """

    history: tuple[IterationRecord, ...]
    reconstruction: NDArray[np.float32]
    projections: NDArray[np.float32]
    reference: NDArray[np.float32]
    geometry: ScanGeometry
    parameters: AlignmentParameters
    backend: str
    converged: bool
    finished: bool
    message: str
    findings: tuple[Finding, ...] = ()
    generator_state: Mapping[str, Any] = field(default_factory=dict)
    measured: Measured | None = None
    measured_geometry: ScanGeometry = field(default=None)  # type: ignore[assignment]
    whole: Callable[[], Images] | None = None

    def __post_init__(self) -> None:
        """Fill in the geometry where it was left out."""
        if self.measured_geometry is None:
            full = _full_geometry(self, self.geometry.angles)
            object.__setattr__(self, "measured_geometry", full)

    @property
    def reprojections(self) -> NDArray[np.float32]:
        """The projections of the reconstruction: ``projections``, by its other name."""
        return self.projections

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """What seems wrong, and what to do about it: the findings, in words."""
        return tuple(finding.sentence for finding in self.findings)

    def without_images(self) -> AlignmentState:
        """Return the state without its images, to be kept."""
        none = np.zeros((0, 0, 0), np.float32)
        kept: dict[str, Any] = dict.fromkeys(_IMAGES, none)  # at once: none of them is made for it
        return replace(self, measured=None, whole=None, **kept)

    @property
    def record(self) -> IterationRecord:
        """The record of this iteration."""
        return self.history[-1]

    @property
    def iteration(self) -> int:
        """Number of this iteration, counted from 1."""
        return self.record.iteration

    @property
    def shifts(self) -> NDArray[np.float64]:
        """Total shifts, (row, column), pixels of the full image."""
        return self.record.shifts

    @property
    def binning(self) -> int:
        """Binning of the images: coarser than the level's where the memory holds no finer ones."""
        level, wide = self.record.binning, self.geometry.n_columns
        full = wide * level  # where the full geometry is made of this one
        if self.measured_geometry is not None:
            full = self.measured_geometry.n_columns
        return level if full // level == wide else full // wide

    @property
    def center(self) -> float:
        """Column of the rotation axis, pixels of the full image."""
        return self.record.center


@dataclass(frozen=True, eq=False)
class AlignmentResult:
    """What an alignment found. The images belong to ``shifts``.

    They are of full size. Where the run ended on a coarser level, which was precise enough, they
    are made when one of them is first read; ``preview`` is there at once. Where the memory does not
    hold them, they are array-likes whose rows are made when they are indexed with whole numbers and
    slices; where rows are none by themselves (a leaning axis, a caller's own reconstruction), those
    of the level, smaller by ``binning`` (rows by less, where few).

    Attributes
    ----------
    shifts : (n_angles, 2) array of float64
        How far each measured image is displaced, (row, column), pixels, positive towards larger
        index. Aligning moves the data by minus this.
    reconstruction : (n_rows, n_columns, n_columns) array of float32
        Slice, y, x.
    projections : (n_angles, n_rows, n_columns) array of float32
        Reprojections of the reconstruction.
    reference : (n_angles, n_rows, n_columns) array of float32
        The measured data, moved by minus the shifts, in one interpolation.
    angles : (n_angles,) array of float64
        Radians.
    center : float
        Column of the rotation axis, pixels.
    history : tuple of IterationRecord
        One record an iteration.
    converged : bool
        Whether the stop rule was met, and the shifts are known by their standard errors.
    message : str
        Why the run ended, and at what largest move.
    findings : tuple of Finding
        What seems wrong with the scan or the run, and what to do about it; empty where nothing.
    parameters : AlignmentParameters
        What the run was started with.
    backend : str
        Name of the backend.
    versions : mapping of str to str
        Of Python and the packages that took part.
    generator_state : mapping
        State of the random generator at the end.
    measured : Measured, optional
        The images that were aligned, at full size.
    geometry : ScanGeometry
        Of the full images as they were measured: what was told, with the centre and whatever else
        was found. Default: a vertical axis.
    preview : array of float32
        The reconstruction of the level that the run ended on. Default: ``reconstruction``.
    """

    shifts: NDArray[np.float64]
    reconstruction: NDArray[np.float32]
    projections: NDArray[np.float32]
    reference: NDArray[np.float32]
    angles: NDArray[np.float64]
    center: float
    history: tuple[IterationRecord, ...]
    converged: bool
    message: str
    findings: tuple[Finding, ...]
    parameters: AlignmentParameters
    backend: str
    versions: Mapping[str, str]
    generator_state: Mapping[str, Any] = field(default_factory=dict)
    measured: Measured | None = None
    geometry: ScanGeometry = field(default=None)  # type: ignore[assignment]
    preview: NDArray[np.float32] = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Fill in what was left out; the geometry's centre is ``center``."""
        full = self.geometry or _full_geometry(self, self.angles)
        object.__setattr__(self, "geometry", full.with_changes(center=self.center))
        if self.preview is None:
            object.__setattr__(self, "preview", self.reconstruction)

    @property
    def geometry_error(self) -> Mapping[str, NDArray[np.float64]]:
        """Standard errors, radians, of what ``refine`` names beside the shifts; NaN: unknown."""
        return self.history[-1].geometry_error

    @property
    def reprojections(self) -> NDArray[np.float32]:
        """The projections of the reconstruction: ``projections``, by its other name."""
        return self.projections

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """What seems wrong, and what to do about it: the findings, in words."""
        return tuple(finding.sentence for finding in self.findings)

    @property
    def binning(self) -> int:
        """Binning of the level that the run ended on: above 1 where that was precise enough."""
        return self.history[-1].binning

    def __repr__(self) -> str:
        """Say in a line what was found."""
        n, rows, columns = self.geometry.projections_shape
        ended = "converged" if self.converged else "not converged"
        return (
            f"<AlignmentResult: {n} projections of {rows} x {columns} pixels, {ended} after "
            f"{how_many(len(self.history), 'iteration')}, axis at {self.center:.2f}, residual "
            f"{self.residual:.4f}>"
        )

    def _repr_html_(self) -> str:
        """Show the picture of the run where a notebook asks for it."""
        from .report.page import picture_html

        return picture_html(self)

    @property
    def residual(self) -> float:
        """``||measured - reprojection|| / ||measured||`` of the last iteration's trusted frames."""
        return self.history[-1].residual

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """Estimated standard error of each shift, (row, column), pixels; NaN where unknown."""
        return self.history[-1].standard_error

    @property
    def confidence(self) -> NDArray[np.float64]:
        """0 (does not fit, not moved) to 1 for each projection."""
        return self.history[-1].confidence

    @property
    def taking_part(self) -> NDArray[np.bool_]:
        """Which projections a reconstruction is made of: the trusted and the ignored ones."""
        used = np.asarray(self.confidence >= TRUSTED)
        used[list(self.parameters.ignored_subset)] = True
        return used

    def apply(
        self, stack: NDArray[Any], *, order: Literal[3, "fourier"] = 3, crop: bool = False
    ) -> NDArray[np.float32]:
        """Align a stack of the same scan with these shifts, in one interpolation.

        Parameters
        ----------
        stack : (n_angles, n_rows, n_columns[, n_channels]) array
            The rotation axis vertical; not modified. Its images may be binned otherwise than
            those that were aligned: the shifts are rescaled by the ratio of the columns.
        order : {3, "fourier"}
            Cubic spline, or Fourier shift of images with guarded edges.
        crop : bool
            Cut to the common field of view, which every image covers.

        Returns
        -------
        array of float32
            Edge values where an image does not reach.

        Raises
        ------
        TypeError, ValueError
            See `images.applying.move`.
        """
        from .images.applying import binning_between, move

        shifts, ratio = self.shifts, 1.0
        shape = np.shape(stack)
        if len(shape) in (3, 4):
            ratio = binning_between(self.geometry.n_columns, shape[2])
            shifts = shifts / ratio
        return move(stack, shifts, order=order, crop=crop, turning=self.geometry.turning(ratio))


_IMAGES = ("reconstruction", "projections", "reference")
make_on_demand(AlignmentState, *_IMAGES)
make_on_demand(AlignmentResult, *_IMAGES)


@dataclass(frozen=True, eq=False)
class Resume:
    """Where an earlier run stood, so that it goes on as if it had never stopped.

    Attributes
    ----------
    history : sequence of IterationRecord
    generator_state : mapping
        Of the random generator, from the last state or result.
    image_shape : (n_rows, n_columns)
        Pixels of the full images of that run: a scan of another size is refused.
    """

    history: Sequence[IterationRecord]
    generator_state: Mapping[str, Any]
    image_shape: tuple[int, int]

    @classmethod
    def of(cls, reached: AlignmentState | AlignmentResult) -> Resume:
        """Return where a state or a result stands, to go on from there."""
        full = reached.geometry
        if isinstance(reached, AlignmentState) and reached.measured_geometry is not None:
            full = reached.measured_geometry
        shape = (full.n_rows, full.n_columns)
        return cls(reached.history, dict(reached.generator_state), shape)
