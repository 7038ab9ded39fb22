"""Can the result be trusted? Displace the user's own scan by known shifts and align it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._typing import Array, Stack
from .alignment import align, iterate_alignment
from .backends import Backend
from .geometry import ScanGeometry
from .geometry.gauge import alignment_error, remove_gauge
from .images.filtering import fill_ignored
from .images.shifting import shift_stack, shift_weights
from .parameters import AlignmentParameters
from .results import TRUSTED, AlignmentState
from .start.run import Run

__all__ = ["Verification", "verify"]


_FEWEST = 4  # an object's position has three numbers: three projections are explained by it alone


class Aligned(Protocol):
    """What of a result is needed; a shifts file that was read has it too."""

    @property
    def shifts(self) -> Array: ...
    @property
    def angles(self) -> Array: ...
    @property
    def geometry(self) -> ScanGeometry: ...
    @property
    def center(self) -> float: ...
    @property
    def confidence(self) -> Array: ...
    @property
    def standard_error(self) -> Array: ...
    @property
    def backend(self) -> str: ...
    @property
    def parameters(self) -> AlignmentParameters | Mapping[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Verification:
    """What came back of the shifts that were injected.

    Attributes
    ----------
    injected, recovered : (n_angles, 2) array
        Known shifts, and those found, (row, column), pixels, both without the gauge.
    error, error_before : float
        RMS distance to the injected shifts, modulo the gauge, in pixels: after aligning, and had
        nothing been aligned.
    noise : float
        RMS of the result's standard errors, in pixels: what the noise allows. The noise is the
        same in both runs, so ``error`` does not hold it.
    subset : (n_angles,) array of bool
        The projections that are scored: those that took part.
    converged : bool
        Whether the second run converged.
    """

    injected: Array
    recovered: Array
    error: float
    error_before: float
    noise: float
    subset: NDArray[np.bool_]
    converged: bool

    @property
    def share(self) -> float:
        """What is left of the injected shifts: ``error`` over ``error_before``."""
        return self.error / max(self.error_before, 1e-30)

    def scored(
        self, directions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what was injected and what came back of the projections that are scored.

        They differ by what is scored: what the object's position does not account for, seen along
        the geometry's ``directions``, see `ScanGeometry`.
        """
        injected, views = self.injected[self.subset], directions[self.subset]
        difference = self.recovered[self.subset] - injected
        return injected, injected + remove_gauge(difference, views)

    @property
    def recovered_well(self) -> bool:
        """Whether less than a tenth of what was injected is left."""
        return self.share < 0.1

    @property
    def message(self) -> str:
        """The verdict in words."""
        verdict = (
            "shifts of this scan are recovered"
            if self.recovered_well
            else "the alignment of this scan is only partly recovered: treat it with caution"
            if self.share < 0.5
            else "the alignment of this scan cannot be trusted"
        )
        return (
            f"{verdict}: of {self.error_before:.3g} px (RMS) injected into {self.subset.sum()} "
            f"projections, {self.error:.2g} px are left, and noise adds about {self.noise:.2g} px"
        )


def verify(
    result: Aligned,
    projections: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    backend: str | Backend | None = None,
    jitter: float = 2.0,
    seed: int = 0,
    callback: Callable[[AlignmentState], object] | None = None,
    progress: bool = True,
    **parameters: Any,
) -> Verification:
    """Inject known shifts into an aligned scan, align again, and report the error.

    The scan is aligned by the result's shifts and displaced by random ones in a single
    interpolation, then aligned from nothing. The error holds what truncation, missing angles and
    the algorithm do to this very scan. What both runs share it cannot hold: the noise, which is
    stated beside it, wrong angles, and a sample that changed during the scan.

    Parameters
    ----------
    result : AlignmentResult or ShiftsFile
        Of the scan.
    projections : (n_angles, n_rows, n_columns[, n_channels]) array
        The scan as it was given to `align`.
    weights : array, optional
        As they were given to `align`.
    backend : str or Backend, optional
        Default: the one of the result.
    jitter : float
        Injected shifts are uniform between minus and plus this, pixels, in the directions that
        were aligned.
    seed : int
        Of the injected shifts.
    callback, progress
        See `align`.
    **parameters
        Changes to the parameters of the result.

    Raises
    ------
    ValueError
        ``jitter`` is not above 0 and finite, the projections do not fit the result, or fewer than
        four of them are registered.

    Examples
    --------
    >>> from napari_tomoalign import align, verify
    >>> from napari_tomoalign.simulation import simulate
    >>> scan = simulate(size=32, n_angles=24, seed=1)
    >>> options = {"backend": "builtin", "progress": False}
    >>> result = align(scan.projections, scan.angles, **options)
    >>> checked = verify(result, scan.projections, jitter=1.5, **options)
    >>> checked.error < 0.1 * checked.error_before
    True
    """
    if not 0 < jitter < np.inf:
        raise ValueError(f"jitter must be above 0 px and finite, got {jitter}")
    geometry, views = result.geometry, _views(result.geometry)
    settings = {**_settings(result), **parameters}
    run = iterate_alignment(
        projections,
        **views,
        weights=weights,
        backend=result.backend if backend is None else backend,
        **settings,
    )
    subset = _scored(run, result)
    rng = np.random.default_rng(seed)
    injected = rng.uniform(-jitter, jitter, result.shifts.shape) * run.parameters.directions
    displaced, known = _moved(run, injected - result.shifts)
    settings["transmission"] = False  # the run has taken -log already
    again = align(
        displaced,
        **views,
        center=result.center,
        weights=known,
        backend=run.backend,
        callback=callback,
        progress=progress,
        **settings,
    )
    nothing = np.zeros_like(injected)
    seen = injected, geometry.directions, subset
    centers = (result.center, result.center)
    noise = float(np.sqrt(np.nanmean(np.sum(result.standard_error[subset] ** 2, axis=1))))
    return Verification(
        injected=remove_gauge(injected, geometry.directions),
        recovered=remove_gauge(again.shifts, geometry.directions),
        error=alignment_error(again, *seen, centers=centers),
        error_before=alignment_error(nothing, *seen, centers=centers),
        noise=noise,
        subset=subset,
        converged=again.converged,
    )


def _views(geometry: ScanGeometry) -> dict[str, Any]:
    """Return from where each projection was seen, as `align` is told it."""
    return {
        "angles": geometry.angles if geometry.rotations is None else None,
        "rotations": geometry.rotations,
        "in_plane": geometry.in_plane,
    }


def _settings(result: Aligned) -> dict[str, Any]:
    """Return the parameters of a run, with the axis that it found."""
    used = result.parameters
    if isinstance(used, AlignmentParameters):
        used = {field.name: getattr(used, field.name) for field in fields(used)}
    geometry = result.geometry
    return {**used, "axis_angle": geometry.axis_angle, "axis_tilt": geometry.axis_tilt}


def _scored(run: Run, result: Aligned) -> NDArray[np.bool_]:
    """Return the projections that take part in the run and were trusted in the result."""
    if run.geometry.n_angles != len(result.shifts):
        raise ValueError(
            f"the result has {len(result.shifts)} projections, the scan {run.geometry.n_angles}: "
            "pass the scan that the result belongs to"
        )
    subset = np.asarray(run.valid & (result.confidence >= TRUSTED))
    if subset.sum() < _FEWEST:
        raise ValueError(
            f"{subset.sum()} of {len(subset)} projections are registered and fit, at least "
            f"{_FEWEST} are needed: fewer can be anywhere, for where the object lies is free; "
            "ignore fewer, or see why they do not fit"
        )
    return subset


def _moved(run: Run, shifts: Array) -> tuple[Stack, NDArray[Any] | None]:
    """Return a run's images and their weights, moved in one interpolation."""
    images, weights = run.lines.weighted()
    if weights is not None:
        images = fill_ignored(images, weights)  # garbage would spread as the images are moved
    workers = run.parameters.workers
    moved = shift_stack(images, shifts, workers=workers)
    return moved, shift_weights(weights, shifts, run.geometry.projections_shape, workers=workers)
