"""Put what an iteration and a run gave into records, states and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from .._counting import how_many
from .._typing import Array, Stack
from ..findings import Finding
from ..results import (
    TRUSTED,
    AlignmentResult,
    AlignmentState,
    Images,
    IterationRecord,
    freeze,
    versions_of,
)
from ..start.prepare import Start
from ..start.run import Run
from .by_rows import images_by_rows
from .diagnosis import diagnose
from .evaluating import evaluate
from .level import level_of
from .model import Model
from .poses import Poses
from .standing import Standing
from .truncation import Truncation
from .verdict import TAKEN_BACK, Verdict

__all__ = ["make_record", "make_state", "placed", "result_from_state", "taken_back", "unsettled"]


def make_record(
    at: Standing,
    iteration: int,
    drawn: NDArray[np.intp],
    moves: Array,
    *,
    gauge_free: Array,
    standard_error: Array,
    geometry_moves: Mapping[str, Array],
    geometry_error: Mapping[str, Array],
    seconds: float,
    notes: tuple[str, ...],
) -> IterationRecord:
    """Return the record of an iteration that ended where the run stands.

    ``gauge_free`` are the moves that count, see `Schedule.gauge_free`.
    """
    poses, lengths = at.poses, np.hypot(*gauge_free[drawn].T)
    return IterationRecord(
        iteration=iteration,
        binning=at.level.binning,
        center=poses.center,
        shifts=freeze(poses.shifts.copy()),
        moves=freeze(moves.copy()),
        drawn=freeze(drawn),
        largest_move=float(lengths.max()),
        rms_move=float(np.sqrt(np.mean(lengths**2))),
        **_residuals(at),
        standard_error=freeze(standard_error.copy()),
        confidence=freeze(at.confidence.copy()),
        seconds=seconds,
        notes=notes,
        geometry={name: freeze(poses.found(name)) for name in geometry_moves},
        geometry_moves={name: freeze(move) for name, move in geometry_moves.items()},
        geometry_error={name: freeze(error) for name, error in geometry_error.items()},
    )


def _residuals(at: Standing) -> dict[str, Any]:
    difference, power = at.model.sums.difference, at.model.sums.power
    counted = at.confidence >= TRUSTED  # a blank or foreign frame has no say in how the others fit
    if not counted.any():
        counted[:] = True
    return {
        "residual": float(np.sqrt(difference[counted].sum() / max(power[counted].sum(), 1e-30))),
        "residuals": freeze(np.sqrt(difference / np.maximum(power, 1e-30))),
    }


def unsettled(record: IterationRecord) -> IterationRecord:
    """Return the last record of a run that does not rest: how far it has to go is not known."""
    return replace(record, standard_error=freeze(np.full_like(record.standard_error, np.nan)))


def placed(record: IterationRecord, at: Standing, why: str) -> IterationRecord:
    """Return the last record of a run that stands elsewhere than it went, with a note why."""
    poses = at.poses
    return replace(
        record,
        center=poses.center,
        shifts=freeze(poses.shifts.copy()),
        **_residuals(at),
        confidence=freeze(at.confidence.copy()),
        notes=(*record.notes, why),
        geometry={name: freeze(poses.found(name)) for name in record.geometry},
    )


def taken_back(record: IterationRecord, at: Standing) -> IterationRecord:
    """Return the last record of a run that goes back to where it began, and stands there."""
    unknown = {
        name: freeze(np.full_like(error, np.nan)) for name, error in record.geometry_error.items()
    }
    return replace(placed(unsettled(record), at, TAKEN_BACK), geometry_error=unknown)


def make_state(
    at: Standing,
    verdict: Verdict | None,
    history: tuple[IterationRecord, ...],
    rng: np.random.Generator,
) -> AlignmentState:
    """Return the state after the last record; a verdict makes it the final one.

    ``at`` has whole images, see `Standing.pictured`.
    """
    run, start, truncation, model = at.run, at.start, at.truncation, at.model
    shown = _when_read(at) if model.kept and verdict is None else _images(start, model)
    whole: Callable[[], Images] | None = None
    if max(start.binning) > 1:
        by_rows = images_by_rows(run, start, truncation, at.poses, at.confidence)
        whole = None if by_rows is None else lambda: by_rows
    elif history[-1].binning > 1:
        whole = partial(_whole, run, start, truncation, at.poses, at.confidence)
    findings: tuple[Finding, ...] = ()
    if verdict is not None:
        findings = diagnose(run, start, truncation, verdict, history)
    return AlignmentState(
        history=history,
        reconstruction=shown[0],
        projections=shown[1],
        reference=shown[2],
        geometry=model.geometry.with_changes(volume_width=model.geometry.n_columns),
        parameters=run.parameters,
        backend=run.backend.name,
        converged=verdict is not None and verdict.converged,
        finished=verdict is not None,
        message=_message(run, verdict, history),
        findings=findings,
        generator_state=rng.bit_generator.state,
        measured=start.full,
        measured_geometry=at.poses.geometry,
        whole=whole,
    )


def _images(start: Start, model: Model) -> Images:
    """Return reconstruction, reprojections and reference as they are given out.

    Within the field of view, and turned back where the object is darker than its background.
    """
    margin = (model.geometry.volume_width - model.geometry.n_columns) // 2
    inside = slice(margin, margin + model.geometry.n_columns)
    images = model.volume[:, inside, inside], model.reprojected, model.measured
    volume, reprojected, measured = (
        freeze(-one if start.measurement.sign < 0 else one) for one in images
    )
    return volume, reprojected, measured


def _when_read(at: Standing) -> tuple[Any, Any, Any]:
    """Return functions that fetch the images that an engine keeps.

    Whoever keeps the state must not keep the engine's memory: where the run has gone on by the time
    that they are asked for, the model is evaluated again.
    """
    run, start, level, truncation = at.run, at.start, at.level, at.truncation
    there, poses, used = ref(at.model), at.poses, at.used

    def images() -> Images:
        model = there()
        if model is None:
            model = evaluate(run, level, truncation, poses, used)
        return _images(start, model)

    return _each_of(images)


def _each_of(images: Callable[[], Images]) -> tuple[Any, Any, Any]:
    """Return functions for one image each, of which the first that is called makes all."""
    made = cache(images)
    return partial(_one_of, made, 0), partial(_one_of, made, 1), partial(_one_of, made, 2)


def _whole(
    run: Run, start: Start, truncation: Truncation, poses: Poses, confidence: Array
) -> Images:
    """Return the images that belong to some poses at full size."""
    alone = replace(run, executor=None, scratch=None)  # what its workers read may be gone
    level = level_of(start, 1, truncation.grid(poses.frame, last=True))
    used = start.taking_part(confidence)
    return _images(start, evaluate(alone, level, truncation, poses, used))


def _message(run: Run, verdict: Verdict | None, history: tuple[IterationRecord, ...]) -> str:
    """Say in words where the run stands."""
    largest, taken = history[-1].largest_move, how_many(len(history), "iteration")
    if verdict is None:
        return f"iteration {len(history)}: largest move {largest:.2g} px"
    tolerance = verdict.tolerance
    if verdict.converged:
        return (
            f"converged after {taken}: the largest move, {largest:.2g} px, is below "
            f"{tolerance:g} px"
        )
    if verdict.taken_back:
        return f"not converged: after {taken} {verdict.doubt}"
    if verdict.rests:
        return f"not converged: nothing moves any more after {taken}, but {verdict.doubt}"
    limit = how_many(run.parameters.maxiter, "iteration")
    return (
        f"not converged: the limit of {limit} was reached with a largest "
        f"move of {largest:.2g} px (tolerance {tolerance:g} px)"
    )


def result_from_state(state: AlignmentState) -> AlignmentResult:
    """Return the result of a run that ended, or was stopped, at a state."""
    images: tuple[Any, ...] = state.reconstruction, state.projections, state.reference
    if state.whole is not None:
        images = _each_of(state.whole)
    return AlignmentResult(
        shifts=state.shifts,
        reconstruction=images[0],
        projections=images[1],
        reference=images[2],
        angles=state.geometry.angles,
        center=state.center,
        history=state.history,
        converged=state.converged,
        message=state.message,
        findings=state.findings,
        parameters=state.parameters,
        backend=state.backend,
        versions=versions_of(state.backend),
        generator_state=state.generator_state,
        measured=state.measured,
        geometry=state.measured_geometry,
        preview=state.reconstruction,
    )


def _one_of(made: Callable[[], Images], which: int) -> Stack:
    return made()[which]
