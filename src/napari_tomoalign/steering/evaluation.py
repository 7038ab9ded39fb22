"""The images at shifts that no run has just reached: chosen, nudged, loaded or undone ones."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..backends import get_backend
from ..geometry import turn_projections
from ..parameters import AlignmentParameters
from ..report.comparing import slice_at, with_images
from ..results import AlignmentState
from .course import Course
from .frames import Frame, frames_of, moved_frame
from .scan_source import ScanSource

__all__ = ["Evaluation", "Frames", "enlarge", "evaluate", "unaligned_slice"]

Frames = dict[str, Frame]
Evaluation = Generator[Frames, None, tuple[AlignmentState | None, Frames]]


def evaluate(
    scan: ScanSource, parameters: AlignmentParameters, course: Course, difference: bool
) -> Evaluation:
    """Move, reconstruct and reproject a scan at a course's shifts.

    The layer ``reference`` is yielded as soon as it is moved; all layers are returned, with the
    state that they belong to. Where no iteration is on show, the scan is moved, and that is all.
    Of a scan on a disk whose images are shown binned, the full images are never held: they are
    read once, and the layers come together.
    """
    state = course.shown_state()
    lines, frames = scan.line_integrals(parameters), {}
    if state is None or state.binning == 1 or not scan.is_read_in_pieces:
        stack = course.moved(turn_projections(np.asarray(lines), scan.rotation_axis))
        stack.flags.writeable = False
        frames = {"reference": moved_frame(stack, state, scan.place, scan)}
        yield frames
    if state is None:
        return None, frames
    found = with_images(state, lines, scan.upright_weights())
    return found, frames_of(found, scan.place, difference=difference, scan=scan)


def enlarge(state: AlignmentState, scan: ScanSource, difference: bool) -> Evaluation:
    """Make the images of a run that ended on binned ones at full size."""
    assert state.whole is not None  # asked of the end of a run only
    yield from ()  # the binned ones are of the same shifts: nothing is shown before these are there
    volume, projections, reference = state.whole()
    if not isinstance(volume, np.ndarray):  # the memory does not hold them: the binned ones stay
        return state, frames_of(state, scan.place, difference=difference, scan=scan)
    full = replace(
        state,
        reconstruction=volume,
        projections=projections,
        reference=reference,
        geometry=state.measured_geometry.with_changes(volume_width=volume.shape[2]),
        whole=None,
    )
    return full, frames_of(full, scan.place, difference=difference, scan=scan)


def unaligned_slice(
    state: AlignmentState, scan: ScanSource, index: int, shape: tuple[int, ...]
) -> tuple[int, NDArray[np.float32]]:
    """Return the index of a layer's slice, and that slice on the layer's grid, unaligned.

    It is made by the engine and the parameters of the state; ``shape`` is the layer's.
    """
    stack = scan.line_integrals(state.parameters)
    _, rows, columns = stack.shape
    geometry = state.measured_geometry.with_changes(
        n_rows=rows, n_columns=columns, center=(columns - 1) / 2
    )
    _, slice_ = slice_at(
        stack,
        geometry,
        np.zeros((len(stack), 2)),
        min(index * rows // shape[0], rows - 1),
        get_backend(state.backend, workers=state.parameters.workers),
        state.parameters,
        np.ones(len(stack), dtype=bool),
    )
    # The layer may be binned, or wider than the images.
    width = shape[-1]
    at = (np.arange(width) + 0.5) * max(len(slice_) / width, 1.0) - 0.5
    margin = max(width - len(slice_), 0) // 2
    nearest = np.clip(np.round(at).astype(int) - margin, 0, len(slice_) - 1)
    return index, slice_[np.ix_(nearest, nearest)]
