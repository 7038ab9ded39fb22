"""The model of a measurement: image = sign x (gain x displaced projection + plane) + pattern.

What belongs to the detector and the beam is told apart from the object and taken out of the data,
frame by frame, in one place. What no model explains, such as pixels that say the same in every
frame, gets weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._counting import how_many
from .._typing import Array, Stack
from ..findings import Finding
from ..parameters import AlignmentParameters
from .borders import Borders
from .survey import NOISELESS, Survey

__all__ = ["Measurement", "gains_of", "measurement_of", "stuck_of"]

# With half and twice each value five scans of the independent generator end the same
# (``tests/benchmarks/constants.py start.measurement x0.5,x2 --foreign 5``).
_STUCK = 0.1  # of the noise: a pixel that varies less over the frames is no measurement
# Masses of clean whole objects scatter by 0.1 to 0.9 % (foreign.py and simulate, noise to 10 %).
_UNEVEN = 0.02
_CERTAIN = 4.0  # standard errors by which gains must scatter to be any
_OPEN = 0.3  # of absorbance: no open beam is brighter than 1.35 times what it was divided by
_EDGE = 0.02  # of the mean absorbance, in any frame: where more reaches a border, mass leaves it


@dataclass(frozen=True, eq=False)
class Measurement:
    """What lies between the object's projections and the images.

    Attributes
    ----------
    sign : int
        -1 where the object is darker than its background.
    planes : (n_angles, 3) array
        Each frame's background, of the image turned over: offset, slopes over the rows and the
        columns, from -1 to 1 across the image.
    gains : (n_angles,) array
        Relative, their mean 1.
    stuck : (n_rows, n_columns) array of bool
        Pixels that say the same in every frame.
    """

    sign: int
    planes: Array
    gains: Array
    stuck: NDArray[np.bool_]

    @classmethod
    def plain(cls, shape: tuple[int, int, int]) -> Measurement:
        """Return that of images that are projections, and nothing else."""
        n = shape[0]
        return cls(1, np.zeros((n, 3)), np.ones(n), np.zeros(shape[1:], bool))

    @property
    def changes(self) -> bool:
        """Whether the values of the images are others than the projections'."""
        return bool(self.sign < 0 or self.planes.any() or (self.gains != 1).any())

    @property
    def takes_out(self) -> bool:
        """Whether anything of the images is changed or ignored."""
        return self.changes or bool(self.stuck.any())

    @property
    def differs(self) -> bool:
        """Whether the background differs from image to image."""
        return bool(np.ptp(self.planes, axis=0).any())

    def projections(
        self, images: Stack, frames: slice = slice(None), rows: slice = slice(None)
    ) -> Stack:
        """Return the projections that some rows of some images hold; these are not modified."""
        if not self.changes:
            return images
        n_rows, n_columns = self.stuck.shape
        down = np.linspace(-1, 1, n_rows, dtype=np.float32)[rows, None]
        across = np.linspace(-1, 1, n_columns, dtype=np.float32)
        offset, over_rows, over_columns = self.planes[frames].T.astype(np.float32)[..., None, None]
        plane = offset + over_rows * down + over_columns * across
        gains = self.gains[frames].astype(np.float32)[:, None, None]
        found: Stack = (np.float32(self.sign) * images - plane) / gains
        return found


def measurement_of(
    parameters: AlignmentParameters,
    survey: Survey,
    borders: Borders,
    used: NDArray[np.bool_],
    stuck: NDArray[np.bool_],
    planes: Array | None = None,
) -> tuple[Measurement, tuple[Finding, ...]]:
    """Return the model that the parameters ask for or the survey finds, and what to say of it.

    Survey and borders are those of images without ``stuck`` pixels (`stuck_of`). ``planes`` are
    each frame's background, where more is known of it than the borders say. The gains follow later,
    from the mass of what is left (`gains_of`).

    Raises
    ------
    ValueError
        A transmission that is counts, where no open beam is in view.
    """
    found = replace(Measurement.plain(survey.shape), stuck=stuck)
    notes: list[Finding] = []
    invert = borders.dark if parameters.invert is None else parameters.invert
    if invert:
        found = replace(found, sign=-1)
        notes.append(
            Finding(
                "inverted",
                "the object is darker than its background, so it was turned over to be aligned, "
                "and what comes out is turned back",
            )
        )
    wanted = borders.background if parameters.background == "found" else parameters.background
    told = "what a reconstruction from all of them predicts" if planes is not None else ""
    if planes is None and borders.vacuum and wanted != "none":
        planes, told = found.sign * borders.planes, "the side borders"
        if parameters.background == "found" and not borders.differs:
            planes = np.tile(np.median(planes[used], axis=0), (len(planes), 1))
        if wanted == "offset":
            planes = planes * [1.0, 0.0, 0.0]
    if planes is not None:
        size = float(np.sqrt(np.mean(np.sum(planes[used] ** 2, axis=1))))
        contrast = max(float(np.median(survey.contrast[used])), 1e-30)
        found = replace(found, planes=planes)
        notes.append(
            Finding(
                "background",
                f"{'a plane' if planes[:, 1:].any() else 'an offset'} in each image, "
                f"{size / contrast:.1%} of the contrast (RMS), was told from {told} and "
                "taken out",
            )
        )
    beam = float(np.median(borders.level[used]))
    if parameters.transmission and parameters.use_absorbances and beam < -_OPEN:
        if not borders.vacuum:
            raise ValueError(
                "transmission must be 1 where nothing is in the beam, but it is "
                f"{np.exp(-beam):.3g} at the borders, so these are counts, and no open beam is in "
                "view to divide by: divide by flat-field images first"
            )
        planes = found.planes.copy()
        planes[:, 0] = borders.level
        found = replace(found, planes=planes)
        notes.append(
            Finding(
                "counts",
                f"the transmission is {np.exp(-beam):.3g} at the borders, not 1, so each image "
                "was divided by its own open beam there",
            )
        )
    return found, tuple(notes)


def stuck_of(
    survey: Survey, used: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """Return the pixels that do not vary though there is something to be seen, and what to say.

    Vacuum does not vary either, where data have no noise or are clipped: what shows nothing is
    taken for that.
    """
    nothing = max(survey.noise_of(used), NOISELESS * float(np.median(survey.contrast[used])))
    still: NDArray[np.bool_] = survey.spread <= _STUCK * nothing
    still &= np.abs(survey.mean) > nothing
    if not still.any():
        return still, ()
    pixels = how_many(int(still.sum()), "pixel")
    said = f"{pixels} with the same value in every projection, ignored"
    return still, (Finding("stuck pixels", said),)


def gains_of(
    parameters: AlignmentParameters, survey: Survey, used: NDArray[np.bool_]
) -> tuple[Array, tuple[Finding, ...]]:
    """Return each frame's gain, 1 where none is found, and what to say of it.

    The mass of an object that lies inside every image is the same at every angle.
    """
    n, n_rows, n_columns = survey.shape
    gains = np.ones(n)
    mass = survey.mass.sum(axis=1)
    usual = float(np.median(mass[used]))
    borders = [survey.strips[:, k].mean(axis=1) for k in (0, 3)]
    borders += [survey.mass[:, k] / n_columns for k in (0, -1)]
    reaches = max(float(np.max(border[used])) for border in borders)
    error = survey.noise_of(used) * np.sqrt(n_rows * n_columns)
    allowed = _EDGE * usual / (n_rows * n_columns) + 4 * survey.noise_of(used) / np.sqrt(n_rows)
    if parameters.gain is False or not (usual > 0 and mass[used].min() > 0) or reaches > allowed:
        return gains, ()
    spread = float(mass[used].std())
    if parameters.gain is None and spread < max(_UNEVEN * usual, _CERTAIN * error):
        return gains, ()
    gains[used] = mass[used] / mass[used].mean()
    return gains, (
        Finding(
            "gain",
            f"the projected mass differs by {spread / usual:.1%} from image to image (RMS), "
            "which a gain explains; taken out",
        ),
    )
