"""How each image was taken, as far as it is known: shifts, turns and the axis, as one thing.

On the *detector*, images are as they were measured; shifts and moves are of it. In the *frame* in
which they are compared they are turned in their plane until the axis is upright, so that slices
stay independent wherever they can be. An engine that moves the images itself gets them as they are:
the frame is the detector then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._typing import Array
from ..geometry import ScanGeometry
from ..results import IterationRecord
from ..start.prepare import Start
from ..start.run import Run

__all__ = ["Poses"]


@dataclass(frozen=True, eq=False)
class Poses:
    """Shifts and geometry, pixels of the full images.

    Attributes
    ----------
    shifts : (n_angles, 2) array
        Row and column on the detector.
    geometry : ScanGeometry
        Of the full images as measured, with the centre.
    turning : bool
        Whether images are turned upright to be compared.
    """

    shifts: Array
    geometry: ScanGeometry
    turning: bool

    @classmethod
    def at_start(cls, run: Run, start: Start) -> Poses:
        """Return where a run starts, or started where it is resumed."""
        return cls(start.shifts, start.geometry, run.turns_images)

    @classmethod
    def of_record(cls, run: Run, record: IterationRecord) -> Poses:
        """Return where a run stood after an iteration."""
        geometry = run.geometry.with_changes(center=record.center)
        poses = cls(record.shifts, geometry, run.turns_images)
        return poses.with_geometry(record.geometry)

    def found(self, name: str) -> Array:
        """Return what is known of the geometry by an unknown's name, radians."""
        value = getattr(self.geometry, name)
        if value is None:  # no image is turned
            value = np.zeros(self.geometry.n_angles)
        return np.asarray(value, np.float64)

    def with_geometry(self, found: Mapping[str, Array]) -> Poses:
        """Return the poses in a geometry of which something else is known, by its names."""
        if not found:
            return self
        changes = {name: float(v) if np.ndim(v) == 0 else v for name, v in found.items()}
        return replace(self, geometry=self.geometry.with_changes(**changes))

    @property
    def center(self) -> float:
        """Column of the axis."""
        return self.geometry.center

    @property
    def absolute(self) -> Array:
        """The shifts with the centre in them, where acceleration sees both move."""
        both: Array = self.shifts + np.array([0.0, self.center])
        return both

    @cached_property
    def turns(self) -> Array | None:
        """Radians, (n_angles,), by which images are turned to be compared; None: not at all."""
        turns = self.geometry.turns if self.turning else None
        return turns if turns is not None and turns.any() else None

    @cached_property
    def frame(self) -> ScanGeometry:
        """The geometry of the full images in the frame in which they are compared."""
        return self.geometry.upright if self.turning else self.geometry

    def on_detector(self, moves: Array) -> Array:
        """Return moves (n_angles, 2) of the frame as they are on the detector."""
        return moves if self.turns is None else _turned(moves, self.turns)

    def in_frame(self, moves: Array) -> Array:
        """Return moves (n_angles, 2) on the detector as they are in the frame."""
        return moves if self.turns is None else _turned(moves, -self.turns)

    def errors_on_detector(self, errors: Array) -> Array:
        """Return standard errors (n_angles, 2) of moves of the frame as they are on the detector.

        What nothing tells (NaN) along an axis of the frame stays untold along the nearer one.
        """
        if self.turns is None:
            return errors
        share = np.stack([np.cos(self.turns), np.sin(self.turns)], axis=1) ** 2
        squares = np.nan_to_num(errors) ** 2
        turned = np.sqrt(share[:, :1] * squares + share[:, 1:] * squares[:, ::-1])
        nearer = np.where(share[:, :1] >= share[:, 1:], errors, errors[:, ::-1])
        turned[np.isnan(nearer)] = np.nan
        return turned

    def displaced(self, step: Array) -> Poses:
        """Return the poses with the images displaced by a step of the frame."""
        return replace(self, shifts=self.shifts + self.on_detector(step))


def _turned(moves: Array, turns: Array) -> Array:
    """Return (row, column) turned from the rows' direction towards larger columns."""
    cos, sin = np.cos(turns), np.sin(turns)
    rows, columns = moves[:, 0], moves[:, 1]
    turned: Array = np.stack([rows * cos - columns * sin, columns * cos + rows * sin], axis=1)
    return turned
