"""What ``align`` was asked for, read and checked, before any work."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..parameters import AlignmentParameters
from ._options import chosen, name_or_callable, options_of_dataclass
from ._scan import reading_options

if TYPE_CHECKING:
    from ..io.reconstruction import Method
    from ..io.scan import Scan
    from ..io.shifts.contents import ShiftsFile
    from ..start.run import Run

__all__ = ["PARAMETERS", "Job", "is_small", "prepare"]

_LOG = logging.getLogger(__name__)
_KEPT = 0.25  # of the memory: a run takes three times as much beside it, at the least
PARAMETERS = options_of_dataclass(AlignmentParameters)


@dataclass(frozen=True, eq=False)
class Job:
    """What was asked for, read and checked.

    Attributes
    ----------
    name : str
        Of the scan, fit to be shown.
    scan : Scan
        All channels.
    output : Path
        Folder of the results.
    run : Run
        Fit to be iterated.
    parameters : AlignmentParameters
        As they were asked for.
    true_shifts : (n_angles, 2) array of float64, optional
        For an axis in the middle.
    method : Method, optional
        How the reconstruction is made that is written. None: none is.
    """

    name: str
    scan: Scan
    output: Path
    run: Run
    parameters: AlignmentParameters
    true_shifts: NDArray[np.float64] | None
    method: Method | None

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


def prepare(arguments: argparse.Namespace) -> Job:
    """Read and check everything, also what the end needs; write nothing."""
    from ..alignment import iterate_alignment
    from ..io import load, read_scan, read_shifts, require_results_room, scan_for_alignment

    output = _checked_folder(arguments)
    stored = read_shifts(arguments.resume / "shifts.h5") if arguments.resume else None
    reading = reading_options(arguments)
    if stored and arguments.rotation_axis is None:
        reading["rotation_axis"] = stored.rotation_axis
    asked = parameters = _parameters(arguments, stored)
    if parameters.transmission and parameters.use_absorbances:
        # The reader takes -log once, counts what cannot be and gives it no weight.
        parameters = parameters.with_changes(transmission=False)
        reading["transmission"] = True
    elif parameters.transmission:
        reading["transmission"] = False
    scan = read_scan(arguments.scan, lazy=True, **reading)
    if scan.projections.ndim == 4 or (is_small(scan, parameters) and not arguments.dry_run):
        scan = load(scan)
    for what, words in scan.source.items():
        _LOG.info("%s: %s", what, words)
    channel = arguments.channel
    lines = scan_for_alignment(
        scan, int(channel) if channel is not None and channel.isdecimal() else channel
    )
    center = arguments.center
    if center is not None:
        center = (center + 0.5) / arguments.binning - 0.5
        asked = asked.with_changes(center_estimation=False)
        parameters = parameters.with_changes(center_estimation=False)
    elif stored and not parameters.center_estimation:
        center = stored.center
    start = _shifts(arguments.initial_shifts, "--initial-shifts", scan, arguments)
    initial = scan.initial_shifts if arguments.initial_shifts is None else None
    if start is not None:
        initial = start.shifts
        lies = {"axis_angle": start.axis_angle, "axis_tilt": start.axis_tilt}
        lies = {name: angle for name, angle in lies.items() if name not in vars(arguments)}
        asked, parameters = asked.with_changes(**lies), parameters.with_changes(**lies)
    settings: dict[str, Any] = {
        **{field.name: getattr(parameters, field.name) for field in fields(parameters)},
        "backend": arguments.backend or (stored.backend if stored else "auto"),
        "center": center,
        "initial_shifts": initial,
        "resume": None,
    }
    if stored:
        settings["resume"] = stored.for_scan(scan).resume
    truth = _truth(scan, arguments)
    before = stored or start
    if before:
        if lines.rotations is None:
            lines = replace(lines, rotations=before.rotations)
        # Turns that were found are in the history.
        found = bool(stored) and "in_plane" in before.geometry_error
        settings["in_plane"] = None if found else before.in_plane
    run = iterate_alignment(lines.projections, weights=lines.weights, **lines.views, **settings)
    method = _method(arguments, run) if arguments.reconstruction else None
    require_results_room(
        output,
        scan,
        suffix=f".{arguments.format}",
        aligned=arguments.aligned,
        reconstruction=arguments.reconstruction,
    )
    name = ", ".join(Path(path).name for path in arguments.scan)
    name = name.encode("utf-8", "backslashreplace").decode()  # some are no text at all
    return Job(name, scan, output, run, asked, truth, method)


def _checked_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the results, where nothing of others' would be replaced."""
    from ..io import all_result_files, check_outputs

    if not arguments.scan:
        raise ValueError("no scan to align: give its file or folder")
    output: Path | None = arguments.output or arguments.resume
    if output is None:
        raise ValueError("nowhere to put the results: give a directory with -o DIR")
    if arguments.scratch is not None and (
        arguments.cluster is None or not arguments.scratch.is_dir()
    ):
        raise ValueError(
            f"--scratch {arguments.scratch}: expected a folder that is there, for the workers of "
            "--cluster"
        )
    goes_on_there = arguments.resume is not None and output.resolve() == arguments.resume.resolve()
    overwrite = arguments.overwrite or goes_on_there
    given = (arguments.angles, arguments.initial_shifts, arguments.truth)
    inputs = [*arguments.scan, *(one for one in given if one is not None)]
    if arguments.resume and not goes_on_there:
        inputs.append(arguments.resume / "shifts.h5")
    files = all_result_files(output)
    check_outputs(files, inputs=inputs, overwrite=overwrite, record=True)
    return output


def _method(arguments: argparse.Namespace, run: Run) -> Method:
    """Return how the reconstruction is made that is written."""
    from ..backends import get_backend
    from ..io.reconstruction import Method, slab_height

    slab_height(run.geometry.upright, run.parameters.memory)
    engine, settings = run.backend, run.parameters
    if arguments.final_backend is not None:
        engine = get_backend(
            arguments.final_backend, workers=settings.workers, use_gpu=settings.use_gpu
        )
    given = getattr(arguments, "final_option", {})
    try:
        return Method.of(engine, run.geometry, arguments.final_algorithm, given)
    except ValueError as error:
        raise ValueError(f"--final-algorithm, --final-option: {error}") from error


def is_small(scan: Scan, parameters: AlignmentParameters) -> bool:
    """Tell whether a scan is read once and kept, beside what a run takes."""
    from ..io.limits import free_memory

    memory = parameters.memory
    if memory is None:
        free = free_memory()
        memory = None if free is None else free // 2
    assert not isinstance(memory, str)  # the parameters bring it into bytes
    return memory is None or scan.projections.nbytes <= _KEPT * memory


def _parameters(arguments: argparse.Namespace, stored: ShiftsFile | None) -> AlignmentParameters:
    """Return the parameters: defaults, or those of the run that goes on, and what was given."""
    values = dict(stored.parameters) if stored else {}
    pipeline = values.get("reconstruction_pipeline")
    if pipeline is not None:
        values["reconstruction_pipeline"] = name_or_callable(pipeline)
    return AlignmentParameters.from_dict({**values, **chosen(arguments, PARAMETERS)})


def _truth(scan: Scan, arguments: argparse.Namespace) -> NDArray[np.float64] | None:
    """Return true shifts that the end of the run can be compared with."""
    if str(arguments.truth) == "none":
        return None
    given = _shifts(arguments.truth, "--truth", scan, arguments)
    truth = scan.true_shifts if given is None else given.shifts
    if truth is not None and (truth.shape != (len(scan.angles), 2) or not np.isfinite(truth).all()):
        bad = int((~np.isfinite(truth)).any(axis=-1).sum())
        raise ValueError(
            f"the true shifts have shape {truth.shape} and {bad} of them are not finite, expected "
            f"({len(scan.angles)}, 2) finite numbers, (row, column) of each projection: give "
            "others with --truth FILE, or do without, --truth none"
        )
    return truth


def _shifts(
    path: Path | None, option: str, scan: Scan, arguments: argparse.Namespace
) -> ShiftsFile | None:
    """Read shifts for the scan, about an axis in the middle of its images."""
    from ..io import shifts_for

    if path is None or str(path) == "none":
        return None
    try:
        found = shifts_for(path, scan, binning=arguments.binning)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error
    return found.centred
