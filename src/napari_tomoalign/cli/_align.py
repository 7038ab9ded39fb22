"""``align``: read, check, run the loop under a progress bar, write, and say what was found."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..backends import backend_names
from ..parameters import AlignmentParameters
from ._options import add_options, chosen, name_or_callable, options_of_dataclass
from ._scan import add_scan_arguments, outline, reading_options, tell_remarks
from ._text import print_pairs

if TYPE_CHECKING:
    from types import FrameType

    from ..io.scan import Scan
    from ..io.shifts.contents import ShiftsFile
    from ..results import AlignmentResult, AlignmentState
    from ..start.run import Run

__all__ = ["PARAMETERS", "USAGE", "Interrupt", "add_arguments", "run"]

USAGE = "SCAN [SCAN ...] -o DIR [options]"

PARAMETERS = options_of_dataclass(AlignmentParameters)
_ALIASES = {
    "reconstruction_pipeline": "--algorithm",
    "reconstruction_pipeline_kwargs": "--reconstruction-option",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the scan, the output, the start and every field of `AlignmentParameters`."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="where the results go (needed)"
    )
    add_scan_arguments(parser)
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--backend",
        choices=("auto", *backend_names()),
        help="the reconstruction engine (default: auto, TomoPy where it is installed)",
    )
    group.add_argument(
        "--center",
        type=float,
        metavar="X",
        help="column of the rotation axis, pixels of the file's images, counted from 0 at the "
        "first pixel's middle; the row for a horizontal axis (default: estimated)",
    )
    group.add_argument(
        "--initial-shifts",
        metavar="FILE|none",
        type=Path,
        help="shifts to start from: a shifts file, or one of another program (see 'export'); "
        "default: the translations in the scan's file, if there are any",
    )
    group.add_argument(
        "--channel", metavar="NAME", help="channel to align on (default: the mean of all)"
    )
    group.add_argument(
        "--resume",
        metavar="DIR",
        type=Path,
        help="go on with the run in DIR, with its parameters and start; results go there too "
        "unless -o is given",
    )
    group.add_argument(
        "--truth",
        metavar="FILE",
        type=Path,
        help="true shifts for an axis in the middle of the images, to say how far the found ones "
        "are from them (default: those in a simulated scan)",
    )
    group = parser.add_argument_group("the results")
    group.add_argument(
        "--format",
        choices=("h5", "tif", "mrc"),
        default="h5",
        help="of the aligned stack and the reconstruction (default: h5)",
    )
    group.add_argument("--overwrite", action="store_true", help="replace results that are there")
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show a progress bar (default: on)",
    )
    add_options(
        parser,
        PARAMETERS,
        usual="parameters of the alignment",
        advanced="advanced parameters of the alignment",
        aliases=_ALIASES,
    )


@dataclass(frozen=True, eq=False)
class _Job:
    """What was asked for, read and checked."""

    name: str
    scan: Scan
    output: Path
    run: Run
    true_shifts: NDArray[np.float64] | None

    def truth_for(self, center: float) -> NDArray[np.float64] | None:
        """Return the true shifts as they read with the axis at a column.

        A constant in the columns and the place of the axis are the same thing, so shifts mean
        something only together with it.
        """
        if self.true_shifts is None:
            return None
        middle = (self.scan.projections.shape[2] - 1) / 2
        moved: NDArray[np.float64] = self.true_shifts - np.array([0.0, center - middle])
        return moved


class Interrupt:
    """The first Ctrl-C ends the run and keeps what was reached, the second one aborts."""

    def __init__(self) -> None:
        self.asked = False
        self.running = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt("aborted by a second Ctrl-C; files that are there are whole")
        self.asked = True
        print("\nCtrl-C: writing what has been reached; once more aborts", file=sys.stderr)
        if self.running:
            raise KeyboardInterrupt("interrupted before the first iteration; nothing was written")


def run(arguments: argparse.Namespace) -> int:
    """Align; return 130 where Ctrl-C ended it, else 0."""
    from ..io import write_result
    from ..report import describe

    job = _prepare(arguments)
    print(f"{job.name}: {outline(job.scan)}", flush=True)
    tell_remarks(job.scan)
    if job.run.startup_note and arguments.progress:
        print(f"note: {job.run.startup_note}", file=sys.stderr)
    made = not job.output.exists()
    job.output.mkdir(parents=True, exist_ok=True)
    try:
        with Interrupt() as interrupt:
            result = _iterate(job, interrupt, arguments.progress)
            written = write_result(
                job.output, result, job.scan, overwrite=True, suffix=f".{arguments.format}"
            )
            report = _report(job, result, [path.name for path in written.values()])
    finally:
        if made and not any(job.output.iterdir()):
            job.output.rmdir()
    names = ", ".join(path.name for path in (*written.values(), *report))
    pairs = [*describe(result, job.truth_for(result.center)), ("files", f"{job.output}: {names}")]
    print_pairs(pairs)
    if interrupt.asked:
        again = shlex.join(["align", *arguments.scan, "--resume", str(job.output)])
        print(f"interrupted: what was reached is written; to go on: napari-tomoalign {again}")
    return 130 if interrupt.asked else 0


def _report(job: _Job, result: AlignmentResult, saved: list[str]) -> tuple[Path, Path]:
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


def _iterate(job: _Job, interrupt: Interrupt, progress: bool) -> AlignmentResult:
    """Run the loop with a progress bar and a checkpoint for every iteration."""
    from tqdm import tqdm

    from ..alignment import finish
    from ..io import Checkpoint

    checkpoint = Checkpoint(job.output / "shifts.h5", job.scan, overwrite=True)
    with tqdm(total=job.run.parameters.maxiter, unit="iteration", disable=not progress) as bar:

        def follow(state: AlignmentState) -> bool:
            checkpoint(state)
            bar.n = state.iteration
            bar.total = state.iteration if state.finished else bar.total
            move, residual = state.record.largest_move, state.record.residual
            bar.set_postfix_str(f"largest move {move:.3f} px, residual {residual:.4f}")
            return not interrupt.asked

        interrupt.running = True
        try:
            return finish(job.run, callback=follow, progress=False)
        finally:
            interrupt.running = False


def _prepare(arguments: argparse.Namespace) -> _Job:
    """Read and check everything; write nothing."""
    from ..alignment import Resume, iterate_alignment
    from ..io import check_output, read_scan, read_shifts, scan_for_alignment

    output: Path | None = arguments.output or arguments.resume
    if output is None:
        raise ValueError("nowhere to put the results: give a directory with -o DIR")
    goes_on_there = arguments.resume is not None and output.resolve() == arguments.resume.resolve()
    overwrite = arguments.overwrite or goes_on_there
    check_output(output, overwrite=overwrite, inputs=arguments.scan)
    stored = read_shifts(arguments.resume / "shifts.h5") if arguments.resume else None
    reading = reading_options(arguments)
    if stored and arguments.rotation_axis is None:
        reading["rotation_axis"] = stored.rotation_axis
    parameters = _parameters(arguments, stored)
    if parameters.transmission and parameters.use_absorbances:
        # The reader takes -log once, counts what cannot be and gives it no weight.
        parameters = parameters.with_changes(transmission=False)
        reading["transmission"] = True
    elif parameters.transmission:
        reading["transmission"] = False
    scan = read_scan(arguments.scan, **reading)
    channel = arguments.channel
    lines = scan_for_alignment(
        scan, int(channel) if channel is not None and channel.isdecimal() else channel
    )
    center = arguments.center
    if center is not None:
        center = (center + 0.5) / arguments.binning - 0.5
        parameters = parameters.with_changes(center_estimation=False)
    elif stored and not parameters.center_estimation:
        center = stored.center
    initial = _shifts(arguments.initial_shifts, "--initial-shifts", scan, arguments)
    if arguments.initial_shifts is None:
        initial = scan.initial_shifts
    settings: dict[str, Any] = {
        **{field.name: getattr(parameters, field.name) for field in fields(parameters)},
        "backend": arguments.backend or (stored.backend if stored else "auto"),
        "center": center,
        "initial_shifts": initial,
        "resume": None,
    }
    if stored:
        history, generator_state = stored.for_scan(scan).resume
        settings["resume"] = Resume(history, dict(generator_state))
    truth = _shifts(arguments.truth, "--truth", scan, arguments)
    run = iterate_alignment(lines.projections, lines.angles, weights=lines.weights, **settings)
    name = ", ".join(Path(path).name for path in arguments.scan)
    return _Job(
        name,
        scan,
        output,
        run,
        scan.true_shifts if truth is None else truth,
    )


def _parameters(arguments: argparse.Namespace, stored: ShiftsFile | None) -> AlignmentParameters:
    """Return the parameters: defaults, or those of the run that goes on, and what was given."""
    values = dict(stored.parameters) if stored else {}
    pipeline = values.get("reconstruction_pipeline")
    if pipeline is not None:
        values["reconstruction_pipeline"] = name_or_callable(pipeline)
    return AlignmentParameters.from_dict({**values, **chosen(arguments, PARAMETERS)})


def _shifts(
    path: Path | None, option: str, scan: Scan, arguments: argparse.Namespace
) -> NDArray[np.float64] | None:
    """Read shifts that belong to the images in the file and bring them to the scan's pixels."""
    from ..io import import_shifts, read_shifts

    if path is None or str(path) == "none":
        return None
    if path.suffix.lower() in (".h5", ".hdf5"):
        return read_shifts(path).for_scan(scan).shifts
    shifts: NDArray[np.float64] = import_shifts(path, rotation_axis=scan.rotation_axis)
    if len(shifts) != len(scan.angles):
        raise ValueError(
            f"{option} {path} has {len(shifts)} shifts, but the scan has {len(scan.angles)} "
            "projections: give one line for each projection"
        )
    return shifts / float(arguments.binning)
