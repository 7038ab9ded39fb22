"""The phase-matching loop: reconstruct, reproject, register, smooth, update, again.

The method is the one of mumott's phase-matching alignment, with the differences that SPEC.md
section 3 lists; the joint reprojection is that of Gürsoy et al. 2017 (doi
10.1038/s41598-017-12141-9). One generator is the whole algorithm.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backends import Backend
from .gauge import gauge_part
from .geometry import ScanGeometry
from .inputs import Resume, Run, check_inputs
from .pyramid import Level, choose_levels, enlarge
from .registration import Registration, correlate, gauss_newton
from .results import AlignmentResult, AlignmentState, IterationRecord, freeze
from .smoothing import center_of_mass_term, cut_off, relaxation

__all__ = ["Resume", "align", "check_inputs", "iterate_alignment", "result_from_state"]

Array = NDArray[np.float64]
Stack = NDArray[np.float32]

_CAPTURED = 0.5  # pixels of the level: below this, Gauss-Newton steps take over
_COARSE_TOLERANCE = 0.1  # pixels of a coarse level: good enough to hand on
_COARSE_ITERATIONS = 10  # at most, at one coarse level


def iterate_alignment(
    projections: ArrayLike,
    angles: ArrayLike,
    *,
    center: float | None = None,
    weights: ArrayLike | None = None,
    backend: str | Backend = "auto",
    initial_shifts: ArrayLike | None = None,
    resume: Resume | None = None,
    **parameters: Any,
) -> Generator[AlignmentState, None, None]:
    """Align step by step: yield a state after every iteration.

    The arguments are those of `align`. They are checked when this is called, before the first
    state is asked for.

    Yields
    ------
    AlignmentState
        Self-contained and read-only; its images belong to its shifts. The last one has
        ``converged`` set, unless ``maxiter`` was reached.
    """
    run = check_inputs(
        projections,
        angles,
        center=center,
        weights=weights,
        backend=backend,
        initial_shifts=initial_shifts,
        resume=resume,
        **parameters,
    )
    return _iterate(run)


def _iterate(run: Run) -> Generator[AlignmentState, None, None]:
    """Drain the levels, coarse to fine, each until its shifts rest."""
    parameters = run.parameters
    rng = np.random.default_rng(parameters.seed)
    history: tuple[IterationRecord, ...] = ()
    shifts = np.zeros((run.geometry.n_angles, 2))
    if run.initial_shifts is not None:
        shifts = run.initial_shifts.copy()
    levels = parameters.levels or choose_levels(run.geometry.n_columns)
    levels = levels[-parameters.maxiter :]
    model: _Model | None = None
    for position, binning in enumerate(levels):
        last = position == len(levels) - 1
        level = Level.of(run.projections, run.weights, run.geometry, binning)
        allowed = parameters.maxiter - len(history) - (len(levels) - 1 - position)
        if not last:
            allowed = min(allowed, _COARSE_ITERATIONS)
        tolerance = parameters.tolerance
        if not last:
            tolerance = max(tolerance, _COARSE_TOLERANCE * binning)
        latest = np.where(run.valid, np.inf, 0.0)  # the last move of each projection
        captured = position > 0
        started = time.perf_counter()
        model = _evaluate(run, level, shifts, model, warm=False)
        for count in range(1, allowed + 1):
            drawn = _draw(run, rng)
            found = _register(run, level, model, drawn, captured)
            moves, notes = _moves(run, level, model, found, drawn, shifts, rng)
            shifts = shifts + moves
            shifts -= gauge_part(shifts - shifts.mean(axis=0) * 0, run.geometry.angles) * _free(run)
            latest[drawn] = np.abs(moves[drawn]).max(axis=1)
            rests = bool(latest.max() < tolerance)
            captured = captured or bool(latest.max() < _CAPTURED * binning)
            model = _evaluate(run, level, shifts, model, warm=False)
            record = _record(
                run,
                level,
                model,
                len(history) + 1,
                shifts,
                moves,
                found,
                drawn,
                notes,
                time.perf_counter() - started,
            )
            started = time.perf_counter()
            history = (*history, record)
            done = last and rests
            yield _state(run, model, history, done, done or (last and count == allowed), rng)
            if rests:
                break


@dataclass(frozen=True, eq=False)
class _Model:
    """The reconstruction at some shifts, with what it was made of and what it predicts."""

    measured: Stack
    weights: Stack
    volume: Stack
    reprojected: Stack
    geometry: ScanGeometry


def _evaluate(
    run: Run, level: Level, shifts: Array, before: _Model | None, *, warm: bool
) -> _Model:
    """Move the original data by minus the shifts, reconstruct and reproject: steps 1 to 3."""
    workers = run.parameters.workers
    measured, weights = level.moved(shifts, workers)
    geometry = level.geometry
    initial = None
    if warm and before is not None:
        initial = before.volume
        if before.geometry.volume_shape != geometry.volume_shape:
            initial = enlarge(initial, geometry, geometry.n_columns / before.geometry.n_columns)
    volume = _reconstruct(run, measured, weights, geometry, initial)
    reprojected = np.asarray(run.backend.project(volume, geometry), np.float32)
    return _Model(measured, weights, volume, reprojected, geometry)


def _reconstruct(
    run: Run, measured: Stack, weights: Stack, geometry: ScanGeometry, initial: Stack | None
) -> Stack:
    if callable(run.algorithm):
        volume = np.asarray(run.algorithm(measured, geometry, **run.options), np.float32)
        if volume.shape != geometry.volume_shape:
            raise ValueError(
                f"reconstruction_pipeline returned shape {volume.shape}, expected (slice, y, x) "
                f"= {geometry.volume_shape}"
            )
        return volume
    backend = run.backend
    return backend.reconstruct(
        measured,
        geometry,
        algorithm=run.algorithm,
        weights=weights if backend.accepts_weights(run.algorithm) else None,
        initial=initial if backend.accepts_initial(run.algorithm) else None,
        **run.options,
    )


def _draw(run: Run, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw the projections of this iteration, without replacement: step 5."""
    valid = np.flatnonzero(run.valid)
    share = run.parameters.relative_sample_size
    if share >= 1:
        return valid
    count = int(np.ceil(len(valid) * share))
    return np.sort(rng.choice(valid, size=count, replace=False))


def _register(
    run: Run, level: Level, model: _Model, drawn: NDArray[np.intp], captured: bool
) -> Registration:
    """Crop and register each pair: step 6. Shifts in pixels of the level."""
    parameters = run.parameters
    rows, columns = _window(run, level)
    measured = model.measured[drawn, rows, columns]
    reprojected = model.reprojected[drawn, rows, columns]
    weights = model.weights[drawn, rows, columns]
    if captured and parameters.gauss_newton:
        return gauss_newton(measured, reprojected, weights, workers=parameters.workers)
    return correlate(
        measured,
        reprojected,
        weights,
        upsampling=parameters.upsampling,
        normalization=parameters.normalization,
        workers=parameters.workers,
    )


def _window(run: Run, level: Level) -> tuple[slice, slice]:
    cropping = run.parameters.projection_cropping
    if cropping is None:
        return slice(None), slice(None)
    full = (run.geometry.n_rows, run.geometry.n_columns)
    windows = []
    for window, n, pixel in zip(cropping, full, level.pixel, strict=True):
        start, stop, _ = window.indices(n)
        windows.append(slice(int(start // pixel), int(-(-stop // pixel))))
    return windows[0], windows[1]


def _moves(
    run: Run,
    level: Level,
    model: _Model,
    found: Registration,
    drawn: NDArray[np.intp],
    shifts: Array,
    rng: np.random.Generator,
) -> tuple[Array, tuple[str, ...]]:
    """Turn what was registered into moves, pixels of the full image: steps 7 to 11."""
    parameters = run.parameters
    notes: tuple[str, ...] = ()
    registered = found.shifts * level.pixel
    lost = ~np.isfinite(registered).all(axis=1)
    if lost.any():
        names = ", ".join(str(i) for i in drawn[lost])
        notes = (f"projection {names}: no shift could be found, so it was not moved",)
        registered = np.where(lost[:, None], 0.0, registered)
    moves = np.zeros_like(shifts)
    moves[drawn] = cut_off(registered, parameters.shift_cutoff)
    smooth = relaxation(shifts, parameters.relaxation_weight, rng)
    smooth += level.pixel * center_of_mass_term(
        model.measured,
        model.weights,
        model.volume,
        model.geometry,
        parameters.center_of_mass_shift_weight,
    )
    moves[drawn] += smooth[drawn]
    return moves * _free(run), notes


def _free(run: Run) -> Array:
    """Return 1 for each direction (row, column) that is aligned and 0 for the others."""
    parameters = run.parameters
    return np.array([parameters.align_vertical, parameters.align_horizontal], dtype=np.float64)


def _record(
    run: Run,
    level: Level,
    model: _Model,
    iteration: int,
    shifts: Array,
    moves: Array,
    found: Registration,
    drawn: NDArray[np.intp],
    notes: tuple[str, ...],
    seconds: float,
) -> IterationRecord:
    lengths = np.hypot(*moves[drawn].T)
    weighted = np.einsum(
        "nij,nij,nij->n",
        model.weights,
        model.measured - model.reprojected,
        model.measured - model.reprojected,
    )
    power = np.einsum("nij,nij,nij->n", model.weights, model.measured, model.measured)
    standard_error = np.full(shifts.shape, np.nan)
    standard_error[drawn] = found.standard_error * level.pixel
    return IterationRecord(
        iteration=iteration,
        binning=level.binning,
        center=run.geometry.center,
        shifts=freeze(shifts.copy()),
        moves=freeze(moves.copy()),
        drawn=freeze(drawn),
        largest_move=float(lengths.max()),
        rms_move=float(np.sqrt(np.mean(lengths**2))),
        residual=float(np.sqrt(weighted.sum() / max(power.sum(), 1e-30))),
        residuals=freeze(np.sqrt(weighted / np.maximum(power, 1e-30))),
        standard_error=freeze(standard_error),
        confidence=freeze(np.ones(len(shifts))),
        seconds=seconds,
        notes=notes,
    )


def _state(
    run: Run,
    model: _Model,
    history: tuple[IterationRecord, ...],
    converged: bool,
    ended: bool,
    rng: np.random.Generator,
) -> AlignmentState:
    record = history[-1]
    tolerance = run.parameters.tolerance
    if converged:
        message = (
            f"converged after {len(history)} iterations: the largest move, "
            f"{record.largest_move:.3g} px, is below {tolerance:g} px"
        )
    elif ended:
        message = (
            f"not converged: the limit of {run.parameters.maxiter} iterations was reached with a "
            f"largest move of {record.largest_move:.3g} px (tolerance {tolerance:g} px)"
        )
    else:
        message = f"iteration {len(history)}: largest move {record.largest_move:.3g} px"
    return AlignmentState(
        history=history,
        reconstruction=freeze(model.volume),
        projections=freeze(model.reprojected),
        reference=freeze(model.measured),
        geometry=model.geometry,
        parameters=run.parameters,
        backend=run.backend.name,
        converged=converged,
        message=message,
        generator_state=rng.bit_generator.state,
    )


def align(
    projections: ArrayLike,
    angles: ArrayLike,
    *,
    center: float | None = None,
    weights: ArrayLike | None = None,
    backend: str | Backend = "auto",
    initial_shifts: ArrayLike | None = None,
    resume: Resume | None = None,
    callback: Callable[[AlignmentState], object] | None = None,
    progress: bool = True,
    **parameters: Any,
) -> AlignmentResult:
    """Align the projections of a tomographic scan.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns[, n_channels]) array
        Line integrals (absorbance), or transmission with ``transmission=True``. The rotation axis
        runs along the rows' index direction (vertical). Any real dtype; not changed.
    angles : (n_angles,) array
        Radians, in any order and range.
    center : float, optional
        Column of the rotation axis, pixel centres at integers. Default: estimated, starting from
        ``(n_columns - 1) / 2``.
    weights : (n_angles, n_rows, n_columns) or (n_rows, n_columns) array, optional
        0 (ignore this pixel) to 1. A boolean mask is weights.
    backend : str or Backend
        ``"auto"`` (TomoPy where it is installed, the built-in engine otherwise), a name, or an
        object that fulfils the `Backend` protocol.
    initial_shifts : (n_angles, 2) array, optional
        Where to start, (row, column), pixels.
    resume : Resume, optional
        Go on where an earlier run of the same scan and parameters stood.
    callback : callable, optional
        Called with each `AlignmentState`. Returning False stops the run with what was reached.
    progress : bool
        Show a progress bar.
    **parameters
        Fields of `AlignmentParameters`.

    Returns
    -------
    AlignmentResult
        Its ``shifts`` say how far each measured image is displaced; aligning moves the data by
        minus that. Ctrl-C ends the run with what was reached.

    Raises
    ------
    TypeError, ValueError
        Input that cannot be aligned, before any work: what was expected, what came, what to do.
    BackendUnavailable
        The backend, or its GPU, is not here.
    """
    from tqdm.auto import tqdm

    states = iterate_alignment(
        projections,
        angles,
        center=center,
        weights=weights,
        backend=backend,
        initial_shifts=initial_shifts,
        resume=resume,
        **parameters,
    )
    state: AlignmentState | None = None
    stopped = ""
    with closing(states), tqdm(desc="align", unit="it", disable=not progress) as bar:
        try:
            for state in states:
                bar.total = state.parameters.maxiter
                bar.set_postfix(
                    move=f"{state.record.largest_move:.3f} px",
                    residual=f"{state.record.residual:.4f}",
                )
                bar.update()
                if callback is not None and callback(state) is False:
                    stopped = "stopped by the callback"
                    break
        except KeyboardInterrupt:
            if state is None:
                raise
            stopped = "interrupted"
    assert state is not None  # maxiter is at least 1
    if stopped and not state.converged:
        state = replace(state, message=f"{stopped} after iteration {state.iteration}")
    return result_from_state(state)


def result_from_state(state: AlignmentState) -> AlignmentResult:
    """Return the result of a run that ended, or was stopped, at a state."""
    return AlignmentResult(
        shifts=state.shifts,
        reconstruction=state.reconstruction,
        projections=state.projections,
        reference=state.reference,
        angles=state.geometry.angles,
        center=state.center,
        history=state.history,
        converged=state.converged,
        message=state.message,
        diagnosis=(),
        parameters=state.parameters,
        backend=state.backend,
        versions=_versions(state.backend),
        generator_state=state.generator_state,
    )


def _versions(backend: str) -> dict[str, str]:
    """Return the versions of what took part."""
    versions = {"python": platform.python_version()}
    names = ["napari-tomoalign", "numpy", "scipy"]
    names.append({"builtin": "numba"}.get(backend, backend))
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
