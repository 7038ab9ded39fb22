"""The phase-matching loop: the order of its steps, and nothing else.

One iteration:

1. move the **original** data by minus the current total shifts, in one interpolation, never
   wrapping round; what comes from outside has weight 0;
2. reconstruct, from the frames that are trusted;
3. reproject at every angle (`loop.evaluating.evaluate` does these three);
4. the reference is the measured data: absorbance, or the mean over channels (`start.checks`);
5. draw a share of the projections, without replacement, from those that are not ignored;
6. crop both and register each pair (`loop.matching`): by the weighted cross-correlation until
   shifts are captured, by Gauss-Newton steps on the image difference from then on;
7. an answer that is not finite counts as 0 and is reported;
8. a move longer than ``shift_cutoff`` is scaled down to it, as the whole change of a shift is;
9. stochastic relaxation towards the mean shift;
10. the step that brings the measured centre of mass onto the reconstruction's;
11. a direction that is switched off stays as it was (`loop.steps` for 7 to 11);
12. accelerate, add to the total shifts, take out what only says that the object lies elsewhere,
    and stop when nothing moves any more; a last step that noise hides is not taken
    (`loop.schedule`).

Levels of binned images come first. The method is that of mumott's phase-matching alignment (joint
reprojection: Gürsoy et al. 2017, doi 10.1038/s41598-017-12141-9). On purpose otherwise here: the
correlation is not phase-normalised by default, for that finds nothing on noisy images; masks and
sub-pixel shifts go together; a sample is rounded up and holds at least one projection; the stop
rule looks at every projection's latest whole move; the centre of mass is the measured image's,
measured from the rotation axis; the generator is seeded and no input is changed; images in a state
belong to its shifts.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._executors import as_executor
from ._signatures import spelled_out
from .backends import Backend
from .loop.backgrounds import prepared
from .loop.cleaning import cleaned
from .loop.geometry_errors import geometry_errors, known_to
from .loop.level import level_of
from .loop.mass_trend import steadied, told_by_mass
from .loop.matching import draw, find_geometry, match, pull_of_held
from .loop.outcome import make_record, make_state, result_from_state, taken_back, unsettled
from .loop.poses import Poses
from .loop.probing import learn
from .loop.refinement import stepped
from .loop.resting import look_twice, stays
from .loop.resuming import replay
from .loop.retreat import Explained, beginnings, best_explained
from .loop.schedule import Schedule
from .loop.standard_errors import Known, standard_errors
from .loop.standing import Standing
from .loop.steps import find_moves, update
from .loop.truncation import truncation_of
from .loop.trust import judge_frames
from .loop.verdict import judge
from .loop.whole_steps import ask_axis, longest
from .results import TRUSTED, AlignmentResult, AlignmentState, Resume
from .start.axis import Axis
from .start.checks import check
from .start.run import Run

__all__ = ["Resume", "align", "finish", "iterate_alignment", "result_from_state"]

_LOG = logging.getLogger(__name__)


@spelled_out()
def iterate_alignment(
    projections: ArrayLike,
    angles: ArrayLike | None,
    *,
    rotations: ArrayLike | None = None,
    in_plane: ArrayLike | None = None,
    center: float | None = None,
    weights: ArrayLike | None = None,
    backend: str | Backend = "auto",
    initial_shifts: ArrayLike | None = None,
    resume: Resume | None = None,
    executor: Executor | None = None,
    scratch: str | os.PathLike[str] | None = None,
    **parameters: Any,
) -> Run:
    """Check everything and return a run, which is iterated: one `AlignmentState` an iteration.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns[, n_channels]) array
        Line integrals (absorbance), or transmission with ``transmission=True``. The rotation axis
        runs along the rows' index direction (vertical). Any real dtype; not changed.
    angles : (n_angles,) array
        Radians, in any order and range. None where ``rotations`` are given.
    rotations : (n_angles, 3, 3) array, optional
        Of each projection, in place of angles and axis: take (z, y, x) of the object to (row,
        depth, column), as two axes or laminography need it.
    in_plane : (n_angles,) array, optional
        Radians by which each image is turned in its plane beside all that, counted as
        ``axis_angle``.
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
        Go on where an earlier run of the same scan and parameters stood. One that had ended gives
        its last state again.
    executor : concurrent.futures.Executor, optional
        Evaluates slabs of rows: a pool of processes, or a client of ``dask.distributed``. It is not
        shut down. The same bits come of any number of workers.
    scratch : path, optional
        Folder that all workers see, for the images that they read pieces of: as much room as the
        projections take, in single precision. Levels that the memory does not hold are written
        there, too. Default: among the system's temporary files, where workers of this machine see
        it.
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
    workers = as_executor(executor)
    folder = None if scratch is None else Path(scratch)
    if folder is not None and not folder.is_dir():
        raise ValueError(f"scratch must be a folder that is there, got {scratch}")
    run = check(
        projections,
        Axis(angles, rotations, center, in_plane),
        weights,
        backend,
        initial_shifts,
        resume,
        parameters,
        _iterate,
    )
    return replace(run, executor=workers, folder=folder)


def _iterate(run: Run) -> Generator[AlignmentState, None, None]:
    """Take the steps of each iteration, level by level, until the schedule ends."""
    start = cleaned(run, prepared(run))
    truncation = truncation_of(run, start)
    schedule = Schedule(run, start)
    rng = np.random.default_rng(run.parameters.seed)
    poses, confidence = Poses.at_start(run, start), start.usable.astype(np.float64)
    history = replay(run, start, truncation, schedule, rng)
    if history:
        poses, confidence = Poses.of_record(run, history[-1]), history[-1].confidence
    level = level_of(start, schedule.binning, truncation.grid(poses.frame, last=schedule.last))
    began = time.perf_counter()
    at = Standing.of(run, start, level, truncation, poses, confidence)
    known: Known | None = None
    if schedule.finished:  # a run that had ended: what is missing are its images
        misfit = standard_errors(run, start, level, at.model, confidence).misfit
        seen = at.pictured
        ended = judge(run, start, truncation, schedule, seen.model, history[-1], misfit)
        yield make_state(seen, ended, history, rng)
    while not schedule.finished:
        model, captured = at.model, schedule.captured
        drawn = draw(run, start, rng)
        found = match(run, level, model, drawn, confidence, captured)
        pull = pull_of_held(run, start, level, model, poses, confidence, captured)
        told = find_geometry(run, model, confidence, captured)
        moves, notes = find_moves(run, start, level, model, found, drawn, poses, rng)
        confidence = judge_frames(run, start, model, confidence, captured)
        learn(run, start, truncation, schedule, poses, confidence)
        axis = ask_axis(run, start, level, truncation, poses, confidence, told)
        turns = {**told.moves, **axis.whole(longest(poses))}
        step, turn = schedule.accelerate(poses, moves, drawn, confidence, truncation, turns)
        there = stepped(update(run, start, poses, step, pull, confidence), turn)
        known = stays(at, known, schedule, moves, drawn, there, confidence)
        if known is not None:
            at = replace(at, confidence=confidence)
        else:
            poses = there
            del model, at  # make room for the next one
            at = Standing.of(run, start, level, truncation, poses, confidence)
            known = standard_errors(run, start, level, at.model, confidence)
        record = make_record(
            at,
            len(history) + 1,
            drawn,
            moves,
            gauge_free=schedule.gauge_free(moves, drawn, confidence),
            standard_error=poses.errors_on_detector(known.errors),
            geometry_moves=turns,
            geometry_error=geometry_errors(run, level, at.model, known, confidence),
            seconds=time.perf_counter() - began,
            notes=notes + told.notes,
        )
        schedule.feed(record)
        error, seen, verdict = known_to(run, start, record), at.pictured, None
        if schedule.rests and schedule.ends(error):
            if (wanted := told_by_mass(at)) is not None:
                before = at.beside_another
                del at, seen  # they hold the model
                at, record = steadied(run, start, level, truncation, poses, wanted, record, before)
                del before
                poses, seen = at.poses, at.pictured
            record, known = look_twice(at, seen, record, known)
            error = known_to(run, start, record)
        schedule.settle(error)
        if schedule.finished:
            record = record if schedule.rests else unsettled(record)
            verdict = judge(run, start, truncation, schedule, seen.model, record, known.misfit)
            if verdict.astray and (places := beginnings(run, start, poses, confidence)):
                ended = Explained.of(run, level, at.model, start.usable & (confidence >= TRUSTED))
                del at, seen  # they hold the model
                end = poses, confidence, places, ended
                at = best_explained(run, start, level, truncation, *end, far=verdict.far)
                seen = at.pictured
                if at.poses is not poses:
                    record = taken_back(record, at)
                    verdict = judge(
                        run, start, truncation, schedule, seen.model, record, known.misfit
                    )
        history = (*history, record)
        yield make_state(seen, verdict, history, rng)
        del seen  # it holds the model
        began = time.perf_counter()
        if schedule.binning != level.binning:
            del at
            level = level_of(
                start, schedule.binning, truncation.grid(poses.frame, last=schedule.last)
            )
            at = Standing.of(run, start, level, truncation, poses, confidence)
            known = None


@spelled_out(iterate_alignment)
def align(
    projections: ArrayLike,
    angles: ArrayLike | None,
    *,
    callback: Callable[[AlignmentState], object] | None = None,
    progress: bool = True,
    **arguments: Any,
) -> AlignmentResult:
    """Align the projections of a tomographic scan.

    Parameters
    ----------
    projections, angles, **arguments
        As `iterate_alignment` takes them: ``rotations``, ``in_plane``, ``center``, ``weights``,
        ``backend``, ``initial_shifts``, ``resume``, ``executor``, ``scratch``, and the fields of
        `AlignmentParameters`.
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
                _LOG.info("binning %d, %s", state.binning, state.message)
                bar.set_postfix(
                    move=f"{state.record.largest_move:.3f} px",
                    residual=f"{state.record.residual:.4f}",
                )
                bar.update()
                if callback is not None and callback(state) is False:
                    stopped = "stopped by the callback"
                    break
                if not state.finished:
                    reached = Resume.of(state)
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
