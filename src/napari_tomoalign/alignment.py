"""The phase-matching loop: reconstruct, reproject, register, smooth, update, again.

The method is the one of mumott's phase-matching alignment, with the differences that the README
lists; the joint reprojection is that of Gürsoy et al. 2017 (doi 10.1038/s41598-017-12141-9). One
generator is the whole algorithm: nobody else steps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import astuple, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._typing import Array
from .backends import Backend
from .geometry.gauge import axis_part, gauge_part
from .images._pairs import Registration
from .images.capturing import correlate
from .images.filtering import inside_margin, smooth
from .images.refining import gauss_newton
from .loop.level import Level, choose_levels, level_of
from .loop.model import Coarser, Model, evaluate
from .loop.outcome import make_record, make_state, result_from_state
from .loop.schedule import Schedule
from .loop.steps import center_of_mass_term, cut_off, relaxation
from .loop.weak_modes import Trends, measure_trends
from .results import AlignmentResult, AlignmentState, IterationRecord, Resume
from .start.checks import check
from .start.frames import TRUSTED, copies, fit_confidence
from .start.prepare import Start, prepare
from .start.run import Run

__all__ = ["Resume", "align", "finish", "iterate_alignment", "result_from_state"]

_TEMPLATE_BLUR = 0.8  # pixels: reprojections are smoothed by it, for their noise is the data's own
_BLURRED_MARGIN = 2  # pixels along the borders where the smoothing lacks its surroundings
_OWN_NOISE = 1.12  # times a step's standard error: part of a frame's noise is reprojected with it
_AT_ONCE = 8  # projections that are registered in one go: bounds the memory
_LOST = 0.5  # pixels of the level: a frame that does not fit moves only if it was this far off
_WEAK_PEAK = 0.6  # of the median correlation: a frame below has not earned the trust to move


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
) -> Run:
    """Check everything and return a run, which is iterated: one `AlignmentState` an iteration.

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
    **parameters
        Fields of `AlignmentParameters`.

    Returns
    -------
    Run
        Iterate it, once or again from the start. Each state is self-contained and read-only; its
        images belong to its shifts. The last one has ``finished`` set.

    Raises
    ------
    TypeError, ValueError
        Input that cannot be aligned, before any work: what was expected, what came, what to do.
    BackendUnavailable
        The backend, or its GPU, is not here.

    Examples
    --------
    >>> from napari_tomoalign import iterate_alignment
    >>> from napari_tomoalign.simulation import simulate
    >>> scan = simulate(size=16, n_angles=12)
    >>> run = iterate_alignment(scan.projections, scan.angles, backend="builtin", maxiter=3)
    >>> [state.iteration for state in run]
    [1, 2, 3]
    """
    return check(
        projections, angles, center, weights, backend, initial_shifts, resume, parameters, _iterate
    )


def _iterate(run: Run) -> Generator[AlignmentState, None, None]:
    """Take the twelve steps of an iteration, level by level, until the schedule ends."""
    start = prepare(run)
    rng = np.random.default_rng(run.parameters.seed)
    schedule = Schedule(run.parameters, start.registered, run.geometry, start.least_residual)
    shifts, center = start.shifts, start.geometry.center
    confidence = start.usable.astype(np.float64)
    error = np.full(shifts.shape, np.nan)
    history, trends = _replay(run, start, schedule, rng)
    if history:
        confidence, error = history[-1].confidence, history[-1].standard_error.copy()
    level = level_of(start, schedule.binning, wide=schedule.last)
    began = time.perf_counter()
    coarser = _coarser(run, start, history, level.binning)
    model = evaluate(run, level, shifts, center, confidence >= TRUSTED, coarser)
    while not schedule.finished:
        drawn = _draw(run, start, rng)
        found = _register(run, level, model, drawn, confidence, schedule.captured)
        moves, notes = _moves(run, level, model, found, drawn, shifts, rng)
        error[drawn] = _OWN_NOISE * found.standard_error * level.pixel
        confidence = _confidence(run, start, model, confidence, schedule.captured)
        trends = _trends(run, start, schedule, trends, shifts, center, confidence)
        if trends is not None:
            error[drawn] = trends.uncertain(error)[drawn]
        step = schedule.accelerate(_absolute(shifts, center), moves, drawn, confidence, trends)
        shifts, center = _update(run, shifts + step, center, confidence)
        del model  # make room for the next one
        model = evaluate(run, level, shifts, center, confidence >= TRUSTED, coarser)
        record = make_record(
            model,
            iteration=len(history) + 1,
            binning=level.binning,
            center=center,
            shifts=shifts,
            moves=moves,
            essential=schedule.essential(moves, drawn, confidence),
            drawn=drawn,
            standard_error=error,
            confidence=confidence,
            seconds=time.perf_counter() - began,
            notes=notes,
        )
        history = (*history, record)
        schedule.feed(record)
        yield make_state(run, start, schedule, model, history, rng)
        began = time.perf_counter()
        if schedule.binning != level.binning:
            level = level_of(start, schedule.binning, wide=schedule.last)
            coarser = model.volume, model.geometry
            del model
            model = evaluate(run, level, shifts, center, confidence >= TRUSTED, coarser)


def _replay(
    run: Run, start: Start, schedule: Schedule, rng: np.random.Generator
) -> tuple[tuple[IterationRecord, ...], Trends | None]:
    """Bring schedule and generator to where a resumed run stood; return its history and trends."""
    trends: Trends | None = None
    if run.resume is None:
        return (), trends
    before = run.resume.history[0]  # neither momentum nor trends begin with the first one
    for record in run.resume.history:
        at, center, confidence = before.shifts, before.center, record.confidence
        trends = _trends(run, start, schedule, trends, at, center, confidence)
        absolute = _absolute(at, center)
        schedule.accelerate(absolute, record.moves, record.drawn, confidence, trends)
        schedule.feed(record)
        before = record
    schedule.finished = False
    rng.bit_generator.state = dict(run.resume.generator_state)
    return tuple(run.resume.history), trends


def _trends(
    run: Run,
    start: Start,
    schedule: Schedule,
    known: Trends | None,
    shifts: Array,
    center: float,
    confidence: Array,
) -> Trends | None:
    """Measure once, on binned images, how much of a trend is found where the object is wider."""
    if known is not None or not (start.wide and schedule.has_momentum and schedule.last):
        return known
    level = level_of(start, choose_levels(run.geometry.n_columns)[-2:][0], wide=True)
    trusted = confidence >= TRUSTED
    counted = start.registered & trusted
    drawn = np.flatnonzero(counted)

    def find_moves(displaced: Array) -> Array:
        model = evaluate(run, level, displaced, center, trusted)
        moves = np.zeros_like(displaced)
        moves[drawn] = _register(run, level, model, drawn, confidence, True).shifts * level.pixel
        return moves

    return measure_trends(find_moves, shifts, run.geometry.angles, counted)


def _coarser(
    run: Run, start: Start, history: tuple[IterationRecord, ...], binning: int
) -> Coarser | None:
    """Make anew the volume in which the level coarser than ``binning`` ended, if there was one."""
    coarser: Coarser | None = None
    ends = {record.binning: record for record in history if record.binning > binning}
    for record in ends.values():
        level = level_of(start, record.binning, wide=False)
        trusted = record.confidence >= TRUSTED
        model = evaluate(run, level, record.shifts, record.center, trusted, coarser)
        coarser = model.volume, model.geometry
    return coarser


def _absolute(shifts: Array, center: float) -> Array:
    """Return the shifts with the centre in them, where momentum sees both move."""
    absolute: Array = shifts + np.array([0.0, center])
    return absolute


def _draw(run: Run, start: Start, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw the projections of this iteration, without replacement: step 5."""
    candidates = np.flatnonzero(start.registered)
    share = run.parameters.relative_sample_size
    if share >= 1:
        return candidates
    count = int(np.ceil(len(candidates) * share - 1e-9))
    return np.sort(rng.choice(candidates, size=count, replace=False))


def _register(
    run: Run,
    level: Level,
    model: Model,
    drawn: NDArray[np.intp],
    confidence: Array,
    captured: bool,
) -> Registration:
    """Crop and register each pair: step 6. Shifts in pixels of the level.

    Frames that do not fit are captured again rather than refined, and move only far, and onto a
    peak like the others'.
    """
    trusted = confidence[drawn] >= TRUSTED
    refined = trusted & (captured and run.parameters.gauss_newton)
    shifts, error = np.empty((2, len(drawn), 2))
    peak = np.empty(len(drawn))
    for refine in (True, False):
        group = np.flatnonzero(refined == refine)
        for first in range(0, len(group), _AT_ONCE):
            part = group[first : first + _AT_ONCE]
            found = _register_pairs(run, level, model, drawn[part], refine)
            shifts[part], peak[part], error[part] = astuple(found)
    usual = float(np.median(peak[trusted])) if trusted.any() else 0.0
    frozen = peak < _WEAK_PEAK * usual
    frozen |= ~trusted & (np.hypot(*shifts.T) < _LOST)
    shifts[frozen & np.isfinite(shifts).all(axis=1)] = 0.0
    return Registration(shifts, peak, error)


def _register_pairs(
    run: Run, level: Level, model: Model, which: NDArray[np.intp], refine: bool
) -> Registration:
    """Crop some projections and their reprojections, and refine or capture their shifts."""
    parameters = run.parameters
    rows, columns = level.window(parameters.projection_cropping, run.geometry)
    measured = model.measured[which, rows, columns]
    reprojected = smooth(model.reprojected[which, rows, columns], _TEMPLATE_BLUR)
    weights = inside_margin(model.weights[which, rows, columns], _BLURRED_MARGIN)
    # Sums of fourth powers in float32: a power of two near the data's scale keeps them in range.
    unit = np.float32(np.exp2(np.round(np.log2(max(float(np.abs(measured).max()), 1e-30)))))
    measured, reprojected = measured / unit, reprojected / unit
    if refine:
        return gauss_newton(measured, reprojected, weights, workers=parameters.workers)
    return correlate(
        measured,
        reprojected,
        weights,
        upsampling=parameters.upsampling,
        normalization=parameters.normalization,
        workers=parameters.workers,
    )


def _moves(
    run: Run,
    level: Level,
    model: Model,
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
        registered[lost] = 0.0
    moves = np.zeros_like(shifts)
    moves[drawn] = cut_off(registered, parameters.shift_cutoff)
    moves[drawn] += relaxation(shifts, parameters.relaxation_weight, rng)[drawn]
    moves[drawn] += (
        level.pixel
        * center_of_mass_term(
            model.measured,
            model.weights,
            model.volume,
            model.geometry,
            parameters.center_of_mass_shift_weight,
        )[drawn]
    )
    return moves * run.parameters.directions, notes


def _confidence(run: Run, start: Start, model: Model, before: Array, captured: bool) -> Array:
    """Say how well each frame fits: 0 to 1. Before capture, every frame that shows something.

    A frame that was not trusted comes back only when it fits as well as the others do, so that
    none comes and goes. A copy may fit well where its original lies at a near angle; it gets 0.
    """
    if not captured or not run.parameters.down_weight:
        return start.usable.astype(np.float64)
    difference, _ = model.misfit()
    pixels = np.maximum(model.weights.sum(axis=(1, 2), dtype=np.float64), 1.0)
    confidence = fit_confidence(np.sqrt(difference / pixels), start.usable, run.geometry.angles)
    doubtful = (before < TRUSTED) & (confidence < 1)
    confidence[doubtful] = np.minimum(confidence, TRUSTED / 2)[doubtful]
    pairs = start.frames.duplicates
    confidence[copies(pairs, model.measured, model.reprojected, model.weights)] = 0.0
    return confidence


def _update(run: Run, shifts: Array, center: float, confidence: Array) -> tuple[Array, float]:
    """Take out of the new shifts what the object's position and the axis account for: step 12.

    The gauge goes with the volume, which is made anew; a constant in the
    columns is the position of the axis, and goes there unless the caller has fixed it.
    """
    angles = run.geometry.angles
    if run.moves_center:
        constant = axis_part(shifts, angles, confidence)
        moved = float(np.clip(center + constant, 0, run.geometry.n_columns - 1))
        shifts = shifts - np.array([0.0, moved - center])
        center = moved
    shifts = shifts - gauge_part(shifts, angles, confidence) * run.parameters.directions
    return shifts, center


def align(
    projections: ArrayLike,
    angles: ArrayLike,
    *,
    callback: Callable[[AlignmentState], object] | None = None,
    progress: bool = True,
    **arguments: Any,
) -> AlignmentResult:
    """Align the projections of a tomographic scan.

    Parameters
    ----------
    projections, angles, **arguments
        As `iterate_alignment` takes them: ``center``, ``weights``, ``backend``,
        ``initial_shifts``, ``resume``, and the fields of `AlignmentParameters`.
    callback, progress
        As `finish` takes them.

    Returns
    -------
    AlignmentResult
        Its ``shifts`` say how far each measured image is displaced; aligning moves the data by
        minus that. Ctrl-C ends the run with what was reached.

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `iterate_alignment` does, before any work.
    """
    if not (callback is None or callable(callback)):
        raise TypeError(f"callback must be callable with each state, got {callback!r:.60}")
    run = iterate_alignment(projections, angles, **arguments)
    return finish(run, callback=callback, progress=progress)


def finish(
    run: Run,
    *,
    callback: Callable[[AlignmentState], object] | None = None,
    progress: bool = True,
) -> AlignmentResult:
    """Iterate a run to its end and return what it found.

    Parameters
    ----------
    run : Run
        From `iterate_alignment`.
    callback : callable, optional
        Called with each `AlignmentState`. Returning False stops the run with what was reached.
    progress : bool
        Show a progress bar.
    """
    from tqdm.auto import tqdm

    state: AlignmentState | None = None
    reached: Resume | None = None
    stopped = ""
    with (
        closing(iter(run)) as states,
        tqdm(desc="align", unit="it", total=run.parameters.maxiter, disable=not progress) as bar,
    ):
        bar.set_postfix_str(run.startup_note or "")
        try:
            for state in states:
                bar.set_postfix(
                    move=f"{state.record.largest_move:.3f} px",
                    residual=f"{state.record.residual:.4f}",
                )
                bar.update()
                if callback is not None and callback(state) is False:
                    stopped = "stopped by the callback"
                    break
                if not state.finished:
                    reached = Resume(state.history, dict(state.generator_state))
                    state = None  # its images would stand in the next ones' way
        except KeyboardInterrupt:
            stopped = "interrupted"
            if state is None and reached is None:
                raise
    if state is None and reached is not None:
        state = next(iter(replace(run, resume=reached)))  # images for what was reached
    assert state is not None  # maxiter is at least 1
    if stopped and not state.finished:
        state = replace(state, message=f"{stopped} after iteration {state.iteration}")
    return result_from_state(state)
