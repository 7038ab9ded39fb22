"""What seems wrong with a scan or a run, and what to do about it, in words and as parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..findings import Finding
from ..results import TRUSTED, IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .trials import TRIAL_ITERATIONS, explained_by
from .truncation import Truncation
from .verdict import TAKEN_BACK, Verdict

__all__ = ["diagnose"]

_TURNED = 0.02
"""Pixels at the border. Of 33 upright scans of `foreign.py` (porous, slab, smooth; 48^3, 40 angles;
eleven kinds of systematics) two, of parts that move by 1 px, show more, 0.04 and 0.07, one over 120
degrees 0.011, and the others no clear turn. An axis turned by 0.8 degrees leaves 0.03 to 0.07."""


def diagnose(
    run: Run,
    start: Start,
    truncation: Truncation,
    verdict: Verdict,
    history: tuple[IterationRecord, ...],
) -> tuple[Finding, ...]:
    """Return what is likely to be wrong, the frames first; empty where nothing is."""
    found = [note for note in start.notes if note.kind != "background"]
    found += _frames(run, start, history[-1])
    found += _scan(start, verdict, history[-1])
    found += _background(start, verdict)
    found += _turned_axis(run, verdict)
    found += _course(run, start, truncation, verdict, history)
    found += [Finding("refinement", words) for words in history[-1].notes if "refine" in words]
    return tuple(found)


def _names(indices: list[int] | tuple[int, ...]) -> str:
    shown = ", ".join(str(i) for i in indices[:12])
    return shown + (f" and {len(indices) - 12} more" if len(indices) > 12 else "")


def _without(run: Run, frames: list[int] | tuple[int, ...]) -> dict[str, Any]:
    """Return the change that leaves frames out, beside those that are left out already."""
    left_out = {int(i) for i in (*run.parameters.excluded_subset, *frames)}
    return {"excluded_subset": tuple(sorted(left_out))}


def _frames(run: Run, start: Start, record: IterationRecord) -> list[Finding]:
    found = []
    frames = start.frames
    blank = [i for i in frames.blank if i not in frames.saturated]
    if blank:
        found.append(
            Finding(
                "blank frames",
                f"projection {_names(blank)} shows no contrast; not moved and not used: leave "
                "such frames out of the scan",
                _without(run, blank),
            )
        )
    if frames.saturated:
        found.append(
            Finding(
                "saturated frames",
                f"projection {_names(frames.saturated)} has many pixels at its largest value: "
                "mask them with weights, or measure with less exposure",
                _without(run, frames.saturated),
            )
        )
    for first, second in frames.duplicates:
        fits = [(record.confidence[i], -record.residuals[i], i) for i in (first, second)]
        worse = min(fits)[-1]
        found.append(
            Finding(
                "duplicated frames",
                f"projections {first} and {second} are the same image; {worse} fits its angle "
                "worse, so it is probably the copy: leave it out",
                _without(run, (worse,)),
            )
        )
    known = {*frames.blank, *frames.saturated, *(i for pair in frames.duplicates for i in pair)}
    known.update(int(i) for i in np.flatnonzero(run.excluded))
    foreign = [int(i) for i in np.flatnonzero(record.confidence < TRUSTED) if i not in known]
    if foreign:
        found.append(
            Finding(
                "frames that do not fit",
                f"projection {_names(foreign)} differs from what the others predict (another "
                "object, a wrong angle, or lost); not used in the reconstruction: look at them, "
                "and put them in excluded_subset or correct them by hand",
                _without(run, foreign),
            )
        )
    return found


def _scan(start: Start, verdict: Verdict, record: IterationRecord) -> list[Finding]:
    found = []
    outline = start.outline
    if outline.truncated:
        found.append(
            Finding(
                "truncation",
                "the object, or a background offset, reaches the side borders (at "
                f"{outline.sides:.0%} of the mean); centres of mass were not used and the grid "
                "was widened. If the sample ends inside the image, subtract the background",
            )
        )
    n_angles = len(record.shifts)
    if n_angles < 12:
        found.append(
            Finding(
                "few angles",
                f"{n_angles} projections leave much of the object undetermined; expect larger "
                "errors, and measure more if you can",
            )
        )
    if verdict.far:
        largest = np.abs(record.shifts[record.confidence >= TRUSTED]).max()
        found.append(
            Finding(
                "large drift",
                f"shifts reach {largest:.0f} px, more than a third of the image, which may be "
                "beyond capture: align coarsely first and pass initial_shifts",
            )
        )
    return found


def _background(start: Start, verdict: Verdict) -> list[Finding]:
    """Say in one finding what was taken out of the images, and what is left in some."""
    said = [note for note in start.notes if note.kind == "background"]
    if not verdict.spoilt:
        return said
    left = f"of up to {verdict.background:.1%} of the data"
    frames = f"differs from image to image (projection {_names(verdict.spoilt)})"
    text = (
        f"an offset or a ramp {left} {frames} and pulls the shifts along: normalise with flat "
        "fields, or subtract each image's background"
    )
    if said:
        text = f"{said[0].text}; what is left, {left}, {frames} and pulls the shifts along"
    return [Finding("background", text)]


def _course(
    run: Run,
    start: Start,
    truncation: Truncation,
    verdict: Verdict,
    history: tuple[IterationRecord, ...],
) -> list[Finding]:
    found = []
    record = history[-1]
    if verdict.rests and not verdict.certain:
        error = verdict.uncertainty
        known = f"is {error:.2f} px (RMS)" if np.isfinite(error) else "cannot be told"
        reason = truncation.reason
        if verdict.misfit > error / 2:
            reason = "more of it is misfit than noise, so more exposure would not help"
        found.append(Finding("uncertain", f"the standard error of a shift {known}; {reason}"))
    if verdict.taken_back:
        found.append(
            Finding(
                "nothing better found",
                f"{TAKEN_BACK}: see what else is said, and pass initial_shifts where they are "
                "known roughly",
            )
        )
    found += _misfit(run, start, verdict, record)
    if verdict.poor:
        reason = (
            "the rotation centre (given, and kept) may be wrong: leave center out to have it found"
            if run.center_known
            else "the angles may be wrong, the sample may have changed during the scan, or the "
            "background may have a ramp or an offset: check them"
        )
        change = {"center": None} if run.center_known else {}
        missed = f"reprojections miss {verdict.missed:.1%} of the data beside noise"
        found.append(Finding("poor fit", f"{missed}; {reason}", change))
    if not verdict.rests:
        moving = np.flatnonzero(np.hypot(*record.moves.T) >= run.parameters.tolerance)
        found.append(
            Finding(
                "still moving",
                f"projection {_names([int(i) for i in moving])}; raise maxiter, loosen "
                "shift_tolerance, or look at those frames",
                {"maxiter": 2 * run.parameters.maxiter},
            )
        )
    return found


def _turned_axis(run: Run, verdict: Verdict) -> list[Finding]:
    """Say that the axis seems turned in the images, where nothing else is said of their misfit."""
    turn, asked = verdict.distortion.turn, run.parameters.refine
    if verdict.smooth or verdict.distorted or "axis_angle" in asked:
        return []
    if abs(turn) * run.geometry.n_columns / 2 < _TURNED:
        return []
    return [
        Finding(
            "turned axis",
            f"the axis seems turned in the images by {abs(np.rad2deg(turn)):.2g} degrees or more "
            "(a reconstruction follows most of a turn): refine axis_angle",
            {"refine": (*asked, "axis_angle")},
        )
    ]


def _misfit(run: Run, start: Start, verdict: Verdict, record: IterationRecord) -> list[Finding]:
    """Say what makes neighbouring pixels miss alike, as far as it can be told."""
    if not (verdict.smooth or verdict.poor or verdict.distorted):
        return []
    # What was told must have had no less chance than what is tried.
    settled = verdict.rests or record.iteration >= TRIAL_ITERATIONS
    other = explained_by(run, start) if settled and not verdict.converged else None
    if other is not None:
        return [other]
    if not (verdict.smooth or verdict.distorted):
        return []
    distortion = verdict.distortion
    likely, change = [], {}
    if distortion.turn:
        likely.append(
            f"images turned in their plane by {abs(np.rad2deg(distortion.turn)):.2g} degrees or "
            "more (the shift across the axis has a slope along it): refine axis_angle"
        )
        if "axis_angle" not in run.parameters.refine:
            change["refine"] = (*run.parameters.refine, "axis_angle")
    if distortion.growth:
        grows = "grows" if distortion.growth > 0 else "shrinks"
        likely.append(
            f"a sample that {grows} by {abs(distortion.growth):.1%} or more from first to last: "
            "leave out what was measured while it changed"
        )
    reason = " and ".join(likely) or (
        "a sample that changed during the scan, or angles that are wrong: check them, or align "
        "parts of the scan"
    )
    missed = "what the reprojections miss is distorted in all frames alike"
    if verdict.smooth:
        missed = (
            "what the reprojections miss is smooth, which noise is not, and may carry the shifts "
            f"by {verdict.misfit:.2g} px"
        )
    return [
        Finding(
            "no rigid object",
            f"{missed}; it looks like {reason}",
            change,
        )
    ]
