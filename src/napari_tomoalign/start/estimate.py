"""First estimates of shifts and centre, before any reconstruction, from projected mass.

What a row of the object absorbs, summed over the columns, is the same at every angle. So the row
profiles of all frames are one profile, displaced: they are registered onto each other over what
they share, which holds for objects that are taller than the field, too. Of the rows that all frames
then share, the centre of mass follows ``center + a cos + b sin``; what departs from that is the
column shift (Helgason and Ludwig's moment conditions of order 0 and 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from .._typing import Array
from ..geometry import ScanGeometry
from ..geometry.gauge import axis_part, remove_gauge
from ..geometry.scan_geometry import directions_of
from .survey import Survey

__all__ = ["Estimate", "estimate_from_mass", "estimate_shifts", "register_profiles"]

# With half and twice each value but `_BLUR`, which is best as it is, five scans of the independent
# generator end the same (``tests/benchmarks/constants.py start.estimate x0.5,x2 --foreign 5``).
_LEAST_OVERLAP = 0.35  # of a profile: what is shared of less is shared by chance
_AROUND = 4  # frames on either side: a few that are misplaced do not lead the others away
_BLUR = 1.0  # rows: profiles under it can be interpolated, and lose little of their detail
_BLURRED = 2 * np.sqrt(np.pi) * _BLUR  # variance of white noise, over what that blur leaves of it
_ROUNDS = 10  # of Newton's method, which mostly rests after 2 to 7
_RESTS = 0.003  # rows: a tenth of what noise leaves of an estimate in good scans
_RIDGE = 1e-6  # of the mean diagonal: holds what all profiles together cannot tell


@dataclass(frozen=True, eq=False)
class Estimate:
    """What projected mass says of the shifts.

    Attributes
    ----------
    shifts : (n_angles, 2) array
        Pixels; 0 for frames that do not count.
    center : float
        Column of the axis.
    standard_error : (2,) array
        Of a shift, in rows and columns, pixels, RMS over the frames; infinite where nothing is
        told.
    mass_spread : float
        Standard deviation over mean of the mass in the rows that all frames share.
    """

    shifts: Array
    center: float
    standard_error: Array
    mass_spread: float


def estimate_shifts(
    survey: Survey,
    angles: Array,
    used: NDArray[np.bool_],
    center: float | None,
    *,
    vertical: bool = True,
) -> Estimate:
    """Estimate shifts, and the centre where it is not given.

    Valid only where no projection is narrower than the object.

    Parameters
    ----------
    survey : Survey
        Of line integrals, background at 0.
    angles : (n_angles,) array
        Radians.
    used : (n_angles,) array of bool
        Frames that count; the others get the shift 0.
    center : float or None
        Column of the axis, if it is known.
    vertical : bool
        Whether frames may be displaced along the rows at all.
    """
    n_columns = survey.shape[2]
    noise = survey.noise_of(used)
    shifts, error = np.zeros((len(angles), 2)), np.full(2, np.inf)
    if vertical:
        profiles = survey.mass[used]
        shifts[used, 0], errors = register_profiles(profiles, noise * np.sqrt(n_columns))
        error[0] = np.sqrt(np.mean(errors**2))
    mass = _over_shared_rows(survey.mass[used], shifts[used, 0])
    moment = _over_shared_rows(survey.moment[used], shifts[used, 0])
    known = (n_columns - 1) / 2 if center is None else center
    spread = float(mass.std() / max(abs(mass.mean()), 1e-30))
    if not mass.min() > 0:
        return Estimate(shifts, known, error, np.inf)
    position = directions_of(angles)[used, 1, 1:]  # of the object's middle in its slice
    design = np.column_stack([position, np.ones(len(position))])
    columns = moment / mass
    if center is not None:
        design, columns = design[:, :2], columns - center
    ridge = 1e-3 * len(angles) * np.eye(design.shape[1])  # gauge that a short range cannot tell
    ridge[2:] = 0
    fit = np.linalg.solve(design.T @ design + ridge, design.T @ columns)
    if center is None:
        known = float(np.clip(fit[2], 0, n_columns - 1))
        columns = columns - known
    shifts[used, 1] = columns - design[:, :2] @ fit[:2]
    n_shared = survey.shape[1] - np.ptp(shifts[used, 0])
    lever = np.sqrt(n_shared * np.sum((np.arange(n_columns) - known) ** 2))
    error[1] = noise * lever / np.median(mass)
    shifts[used] = remove_gauge(shifts[used], angles[used], ridge=1e-3)
    return Estimate(shifts, known, error, spread)


def estimate_from_mass(
    survey: Survey, geometry: ScanGeometry, used: NDArray[np.bool_], center: float | None
) -> Estimate:
    """Estimate shifts from the images' centres of mass alone, for any geometry.

    Each lies where the object's lands: what departs from that is the shift. Valid only where every
    image holds all of the object.

    Parameters
    ----------
    survey, used, center
        As for `estimate_shifts`.
    geometry : ScanGeometry
        Of the scan.
    """
    _, n_rows, n_columns = survey.shape
    rows = np.arange(n_rows) - geometry.row_center
    mass = survey.mass.sum(axis=1)
    known = (n_columns - 1) / 2 if center is None else center
    shifts = np.zeros((len(mass), 2))
    if not mass[used].min() > 0:
        return Estimate(shifts, known, np.full(2, np.inf), np.inf)
    moments = np.stack([survey.mass @ rows, survey.moment.sum(axis=1) - known * mass], axis=1)
    shifts[used] = moments[used] / mass[used, None]
    directions = geometry.directions
    if center is None:
        constant = axis_part(shifts, directions, used)
        moved = float(np.clip(known + constant, 0, n_columns - 1)) - known
        known += moved
        shifts[used, 1] -= moved
    shifts[used] = remove_gauge(shifts[used], directions[used], ridge=1e-3)
    columns = np.arange(n_columns) - known
    levers = np.sqrt([n_columns * (rows @ rows), n_rows * (columns @ columns)])
    error = survey.noise_of(used) * levers / np.median(mass[used])
    return Estimate(shifts, known, error, float(mass[used].std() / mass[used].mean()))


def register_profiles(profiles: Array, noise: float) -> tuple[Array, Array]:
    """Return how far each profile is displaced, and the standard error of that, pixels.

    First to whole pixels, onto the mean of those that were placed before; then all at once, by
    Newton's method on the sum of squares of what departs from the mean of all.

    Parameters
    ----------
    profiles : (n, n_rows) array
        One line of values, seen through windows that are displaced.
    noise : float
        Standard deviation of a value.
    """
    if profiles.shape[1] < 2:
        return np.zeros(len(profiles)), np.full(len(profiles), np.inf)
    return _refine(profiles, _place(profiles, noise), noise)


def _place(profiles: Array, noise: float) -> Array:
    """Return whole displacements: of the first frames from the middle ones, then of each anew.

    With ``w`` rows in common, whose mean square difference is ``d``, a place costs
    ``w log(d + noise^2)`` (the likelihood, its variance estimated) against
    ``w log(V + noise^2)`` for rows about which nothing is known but the variance ``V`` of all.
    Drift may lead far; from its neighbours a frame is off by no more than the rows it may lack.
    """
    n, n_rows = profiles.shape
    jump = int((1 - _LEAST_OVERLAP) * n_rows)
    reach = 2 * jump
    total, count = np.zeros((2, n_rows + 2 * reach))
    variance = noise**2 + 1e-12 * max(float(np.mean(profiles**2)), 1e-300)
    unknown = profiles.var() + variance
    whole: NDArray[np.intp] = np.zeros(n, np.intp)
    placed = np.zeros(n, bool)
    size = fft.next_fast_len(len(total), real=True)
    order = np.argsort(np.abs(np.arange(n) - n // 2), kind="stable")

    def put(i: int, sign: float) -> None:
        window = slice(reach - whole[i], reach - whole[i] + n_rows)
        total[window] += sign * profiles[i]
        count[window] += sign

    def best(i: int) -> int:
        profile = profiles[i]
        known = (count > 0.5).astype(np.float64)
        mean = known * total / np.maximum(count, 1)
        shared, squares = (_running(values, n_rows) for values in (known, mean**2))
        spectra = fft.rfft([known, mean], size)
        products = spectra * fft.rfft([profile**2, -2 * profile], size).conj()
        squares += fft.irfft(products[0] + products[1], size)[: len(squares)]
        difference = np.maximum(squares, 0) / np.maximum(shared, 1)
        cost = shared * np.log((difference + variance) / unknown)
        cost[shared < _LEAST_OVERLAP * n_rows] = np.inf
        around = np.flatnonzero(placed[max(i - _AROUND, 0) : i + _AROUND + 1]) + max(i - _AROUND, 0)
        off = reach - np.arange(len(cost)) - np.median(whole[around])
        cost[np.abs(off) > jump] = np.inf
        return reach - int(np.argmin(cost))

    for again in (False, True):
        for i in order:
            if again:
                put(i, -1)
            if again or i != order[0]:
                whole[i] = best(i)
            put(i, 1)
            placed[i] = True
    centred: Array = whole - whole.mean()
    return centred


def _running(values: Array, width: int) -> Array:
    """Return the sum of so many values from each one on."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    running: Array = sums[width:] - sums[:-width]
    return running


def _refine(profiles: Array, shifts: Array, noise: float) -> tuple[Array, Array]:
    """Return displacements that minimise what departs from the mean, and their standard errors.

    The mean profile is eliminated: with slopes ``G`` and ``c`` profiles that reach a row, the
    normal equations are ``diag(sum G^2) - B B'``, ``B = G / sqrt(c)``. The noise's own slopes look
    like detail; what they add to ``G^2`` tells nothing, and is no information.
    """
    n, n_rows = profiles.shape
    smooth = gaussian_filter1d(profiles, _BLUR, axis=1, mode="nearest")
    splines = [CubicSpline(np.arange(n_rows), profile) for profile in smooth]
    margin = min(1, (n_rows - 2) // 2)  # rows at the ends whose blur lacks its surroundings
    error = np.full(n, np.inf)
    for _ in range(_ROUNDS):
        rows = np.arange(np.floor(-shifts.max()), np.ceil(n_rows - shifts.min()))
        at = rows + shifts[:, None]
        inside = (at >= margin) & (at <= n_rows - 1 - margin)
        count = inside.sum(axis=0)
        inside &= count > 1
        count = np.maximum(count, 1)
        value = inside * np.array([s(a) for s, a in zip(splines, at, strict=True)])
        slope = inside * np.array([s(a, 1) for s, a in zip(splines, at, strict=True)])
        departs = inside * (value - value.sum(axis=0) / count)
        shared = slope / np.sqrt(count)
        normal = np.diag(np.sum(slope**2, axis=1)) - shared @ shared.T
        normal += max(_RIDGE * np.trace(normal) / n, 1e-300) * np.eye(n)
        inverse = np.linalg.inv(normal)
        step = np.clip(-inverse @ np.sum(slope * departs, axis=1), -1, 1)
        step -= step.mean()
        shifts = shifts + step
        freedom = max(np.count_nonzero(inside) - n - len(rows), 1)
        inverse -= inverse.mean(axis=0) + inverse.mean(axis=1)[:, None] - inverse.mean()
        variance = _BLURRED * np.sum(departs**2) / freedom
        steep = np.sum(slope**2, axis=1)
        steep_noise = np.sum(inside, axis=1) * noise**2 / (_BLURRED * 2 * _BLUR**2)
        real = np.clip(1 - steep_noise / np.maximum(steep, 1e-300), 1e-6, 1)
        error = np.sqrt(np.maximum(np.diag(inverse), 0) * variance / real)
        if np.abs(step).max() < _RESTS:
            break
    return shifts - shifts.mean(), error


def _over_shared_rows(sums: Array, shifts: Array) -> Array:
    """Return the integrals of row sums (n, n_rows) over the object's rows that all frames show."""
    n_rows = sums.shape[1]
    first, last = -shifts.min(), n_rows - shifts.max()
    edges = np.arange(n_rows + 1)
    integrals = np.zeros(len(sums))
    if last <= first:
        return integrals
    for i, (row, shift) in enumerate(zip(sums, shifts, strict=True)):
        total = np.concatenate([[0.0], np.cumsum(row)])
        below, above = np.interp([first + shift, last + shift], edges, total)
        integrals[i] = above - below
    return integrals
