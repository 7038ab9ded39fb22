"""Run what was prepared, write its results, and say what was found."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.settings import SETTINGS, read_settings, write_settings
from ._follow import Follow, FollowWriting
from ._job import PARAMETERS, Job
from ._outcome import NOT_CONVERGED, summary
from ._scan import outline, tell_remarks
from ._text import print_pairs

if TYPE_CHECKING:
    from ..io import Checkpoint
    from ..io.shifts.hashing import HashedWhenRead
    from ..results import AlignmentResult, AlignmentState
    from ._interrupt import Interrupt

__all__ = ["run_job"]

# What belongs to one giving of a command, not to the run; the parameters are written by themselves.
_NOT_SETTINGS = {
    *(
        "cluster",
        "config",
        "debug",
        "dry_run",
        "scratch",
        "each",
        "json",
        "overwrite",
        "progress",
        "resume",
        "verbose",
    ),
    *("interrupt", "parser", "run", "words"),
    *(option.name for option in PARAMETERS),
}


def run_job(
    arguments: argparse.Namespace, job: Job, typed: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """Run a job and write its results; return the exit code and what was found, as plain values."""
    from ..io import Checkpoint, folder_lock, write_result
    from ..report import describe

    interrupt: Interrupt = arguments.interrupt
    if not arguments.json:
        print(f"{job.name}: {outline(job.scan)}", flush=True)
    tell_remarks(job.scan)
    if job.run.startup_note and arguments.progress:
        print(f"note: {job.run.startup_note}", file=sys.stderr)
    with folder_lock(job.output), _with_workers(arguments, job) as job:
        job, read = _hashed(job)
        checkpoint = Checkpoint(job.output / "shifts.h5", job.scan, overwrite=True, read=read)
        result = _iterate(arguments, job, checkpoint, typed)
        interrupt.writing = True
        with (
            _saying_how_to_go_on(arguments, job, checkpoint),
            closing(FollowWriting(shown=arguments.progress)) as follow,
        ):
            written = write_result(
                job.output,
                result,
                job.scan,
                overwrite=True,
                suffix=f".{arguments.format}",
                aligned=arguments.aligned,
                reconstruction=arguments.reconstruction,
                method=job.method,
                only_missing=job.run.resume is not None,
                hashed=checkpoint.data_hash,
                executor=job.run.executor,
                progress=follow,
            )
        report = _report(job, result, [path.name for path in written.values()])
        interrupt.writing = interrupt.reached = False
    names = [path.name for path in (*written.values(), job.output / SETTINGS, *report)]
    truth = job.truth_for(result.center)
    found = summary(job.name, job.output, result, truth, names)
    if arguments.json:
        print(json.dumps(found), flush=True)
    else:
        files = f"{job.output}: {', '.join(names)}"
        print_pairs([*describe(result, truth), ("files", files)])
        if interrupt.asked:
            again = _going_on(arguments, job)
            print(f"interrupted: what was reached is written; to go on: napari-tomoalign {again}")
    return interrupt.code or (0 if result.converged else NOT_CONVERGED), found


def _hashed(job: Job) -> tuple[Job, HashedWhenRead | None]:
    """Let the run's own reading hash a scan that lies in a file; what is in memory is at hand."""
    from ..io.shifts.hashing import HashedWhenRead

    lines, given = job.run.lines, job.scan.projections
    if isinstance(given, np.ndarray) or lines.source is not given:
        return job, None
    read = HashedWhenRead(given)
    return replace(job, run=replace(job.run, lines=replace(lines, source=read))), read


@contextmanager
def _with_workers(arguments: argparse.Namespace, job: Job) -> Iterator[Job]:
    """Give the job, with the workers of a cluster where one is asked for."""
    if arguments.cluster is None:
        yield job
        return
    from .._executors import as_executor
    from ._cluster import LOCAL, cluster_client

    scratch = arguments.scratch
    if scratch is None and arguments.cluster != LOCAL:
        scratch = job.output
    files = [*map(Path, arguments.scan), *([] if scratch is None else [scratch])]
    if arguments.format == "zarr":
        files.append(job.output)  # which they write to
    with cluster_client(arguments.cluster, files) as client:
        run = replace(job.run, executor=as_executor(client), folder=scratch)
        yield replace(job, run=run)


def _write_settings(job: Job, typed: dict[str, Any]) -> None:
    """Write with which settings the same run can be had again; those of a run that goes on stay."""
    path = job.output / SETTINGS
    values = {name: value for name, value in typed.items() if name not in _NOT_SETTINGS}
    values["scan"] = [str(Path(one).absolute()) for one in typed["scan"]]
    values["output"] = str(job.output.absolute())
    values["backend"] = job.run.backend.name
    values["rotation_axis"] = job.scan.rotation_axis
    for name in ("angles", "initial_shifts", "truth"):
        if values[name] is not None and Path(values[name]).exists():
            values[name] = str(Path(values[name]).absolute())
    if job.run.resume is not None and path.exists():
        values = {**values, **read_settings(path)}
    write_settings(path, values, job.parameters.to_dict(), overwrite=True)


def _report(job: Job, result: AlignmentResult, saved: list[str]) -> tuple[Path, Path]:
    """Draw the run and write the picture and the page."""
    from ..io import DiskFull
    from ..report import compare, write_report

    comparison = compare(
        result,
        job.run.projections,
        initial_shifts=job.run.initial_shifts,
        initial_center=job.run.geometry.center if job.run.center_known else None,
    )
    try:
        return write_report(
            job.output,
            result,
            comparison,
            true_shifts=job.truth_for(result.center),
            scan=job.scan,
            title=job.name,
        )
    except DiskFull as error:
        raise DiskFull(
            error.errno, f"{error.strerror}. Saved in {job.output}: {', '.join(saved)}"
        ) from error


def _iterate(
    arguments: argparse.Namespace, job: Job, checkpoint: Checkpoint, typed: dict[str, Any]
) -> AlignmentResult:
    """Run the loop; write a checkpoint after every iteration, and with the first the settings."""
    from ..alignment import finish

    interrupt: Interrupt = arguments.interrupt
    with closing(Follow(job.run.parameters.maxiter, shown=arguments.progress)) as follow:

        def keep(state: AlignmentState) -> bool:
            first, interrupt.reached = not interrupt.reached, True
            checkpoint(state)
            if first:
                _write_settings(job, typed)
            follow(state)
            return not interrupt.asked

        with _saying_how_to_go_on(arguments, job, checkpoint):
            return finish(job.run, callback=keep, progress=False)


@contextmanager
def _saying_how_to_go_on(
    arguments: argparse.Namespace, job: Job, checkpoint: Checkpoint
) -> Iterator[None]:
    """Leave a word, where something goes wrong after the first iteration, on what is safe."""
    from ..io import DiskFull

    try:
        yield
    except Exception as error:
        interrupt: Interrupt = arguments.interrupt
        if interrupt.reached and not isinstance(error, DiskFull):  # which says it itself
            print(
                f"note: the last iteration is safe in {checkpoint.path}; to go on from there: "
                f"napari-tomoalign {_going_on(arguments, job)}",
                file=sys.stderr,
            )
        raise


def _going_on(arguments: argparse.Namespace, job: Job) -> str:
    return shlex.join(["align", *arguments.scan, "--resume", str(job.output)])
