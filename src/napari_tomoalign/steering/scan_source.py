"""A scan as it is steered: an array that may be lazy, its masks, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis, turn_projections
from ..images.absorbance import absorbance
from ..images.source import Source, as_source, blocks_of, is_read_in_pieces
from ..io.scan import Scan
from ..parameters import AlignmentParameters
from ..start.lines import Lines

__all__ = ["Placement", "ScanSource"]

Mask = Callable[[tuple[int, int, int]], NDArray[Any]]


@dataclass(frozen=True)
class Placement:
    """Where the scan's layer lies in the world, in the order (angle, row, column).

    Attributes
    ----------
    scale, translate : tuple of float
        Of the layer's pixels.
    units : tuple of str
        Of the world's axes.
    rotation_axis : {"vertical", "horizontal"}
        Direction of the axis in the layer's images.
    source : str
        Name of the layer.
    shape : tuple of int, optional
        (rows, columns) of the layer's images. None where they are not known; the images of a
        binned level then are taken to be binned alike in rows and columns.
    """

    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    translate: tuple[float, ...] = (0.0, 0.0, 0.0)
    units: tuple[str, ...] = ("pixel", "pixel", "pixel")
    rotation_axis: RotationAxis = "vertical"
    source: str = ""
    shape: tuple[int, ...] | None = None

    def pixels(self, images: tuple[int, ...], binning: int) -> tuple[tuple[float, float], ...]:
        """Return size and first middle of the pixels of smaller images, for rows and columns.

        ``images`` is their shape, and ``binning`` counts where the layer's shape is not known.
        """
        places = []
        for axis in (0, 1):
            many = binning if self.shape is None else self.shape[axis] // images[axis]
            scale = self.scale[1 + axis]
            places.append((scale * many, self.translate[1 + axis] + scale * (many - 1) / 2))
        return tuple(places)


@dataclass(frozen=True, eq=False)
class ScanSource:
    """A scan as a viewer knows it: nothing is read or copied before `load`.

    Attributes
    ----------
    data : array-like
        (n_angles, n_rows, n_columns), as measured; in memory or lazy.
    angles : (n_angles,) array
        Radians.
    place : Placement
        Where the layer lies, its name, and the direction of the axis.
    masks : tuple of callable
        Each takes the shape of the data and returns weights that broadcast to it; ValueError where
        it does not fit.
    weights : array, optional
        What came of the masks, like the data; see `settled`.
    file : str
        Where the scan was read from; empty where that is not known.
    options : mapping
        How the command line is told what the file itself does not say, such as its angles.
    rotations : (n_angles, 3, 3) array, optional
        Of a scan about more than one axis, in place of the angles, see `ScanGeometry`.
    in_plane : (n_angles,) array, optional
        By how much images are turned beside that, radians.
    """

    data: Any
    angles: NDArray[np.float64]
    place: Placement
    masks: tuple[Mask, ...] = ()
    weights: NDArray[np.float32] | None = None
    file: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    rotations: NDArray[np.float64] | None = None
    in_plane: NDArray[np.float64] | None = None

    @property
    def rotation_axis(self) -> RotationAxis:
        """Direction of the axis in the layer's images."""
        return self.place.rotation_axis

    def is_same(self, other: ScanSource) -> bool:
        """Whether both are the same data, seen the same way; masks are taken to differ."""
        return (
            self.data is other.data
            and np.array_equal(self.angles, other.angles)
            and np.array_equal(self.rotations, other.rotations)  # type: ignore[arg-type]  # or None
            and np.array_equal(self.in_plane, other.in_plane)  # type: ignore[arg-type]
            and self.rotation_axis == other.rotation_axis
            and not (self.masks or other.masks)
        )

    def settled(self) -> ScanSource:
        """Return the source with its masks worked out: what is painted later does not count."""
        if self.weights is not None or not self.masks:
            return self
        weights = np.ones(self.data.shape, dtype=np.float32)
        for mask in self.masks:
            weights *= mask(weights.shape)
        weights.flags.writeable = False
        return replace(self, weights=weights)

    def upright_weights(self) -> NDArray[np.float32] | None:
        """Return what came of the masks, the rotation axis vertical."""
        weights = self.settled().weights
        return None if weights is None else turn_projections(weights, self.rotation_axis)

    def upright(self) -> Any:
        """Return the images with the axis vertical; those on a disk stay there where it was."""
        if self.is_read_in_pieces and self.rotation_axis == "vertical":
            return self.data
        return turn_projections(np.asarray(self.data), self.rotation_axis)

    def load(self) -> Scan:
        """Return the scan with its axis vertical; see `upright`."""
        unit = self.place.units[2]
        return Scan(
            projections=self.upright(),
            angles=self.angles,
            weights=self.upright_weights(),
            pixel_size=None if unit == "pixel" else abs(self.place.scale[2]),
            pixel_unit="" if unit == "pixel" else unit,
            rotation_axis=self.rotation_axis,
            source={"layer": self.place.source, **({"file": self.file} if self.file else {})},
            rotations=self.rotations,
        )

    def line_integrals(self, parameters: AlignmentParameters) -> Any:
        """Return the images that the loop sees, the rotation axis vertical.

        An array; or `Lines` where they lie on a disk, of which only what is looked at is read.
        """
        if not self.is_read_in_pieces:
            return _seen(self.upright(), parameters)
        source = as_source(self.data)
        if self.rotation_axis == "horizontal":
            source = _Turned(source)
        return Lines(source, logarithm=_takes_logarithm(parameters))

    @property
    def is_read_in_pieces(self) -> bool:
        """Whether the images lie on a disk, or are computed when they are looked at."""
        return isinstance(self.data, Source) or is_read_in_pieces(self.data)

    def sinogram(self, row: int, parameters: AlignmentParameters) -> NDArray[Any]:
        """Return a row along the axis of all the images that the loop sees, (n_angles, n)."""
        upright = self.rotation_axis == "vertical"
        rows = self.data[:, row] if upright else self.data[:, :, row]
        found: NDArray[Any] = _seen(np.asarray(rows), parameters)
        return found


@dataclass(frozen=True, eq=False)
class _Turned:
    """A source whose images have their rows and columns swapped, see `turn_projections`."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the images as they are returned."""
        n_angles, n_rows, n_columns = self.source.shape
        return n_angles, n_columns, n_rows

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the source."""
        return self.source.dtype

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> NDArray[Any]:
        """Return these frames, cut to these rows; of the source, whole frames are read in turn."""
        wanted, cut = range(self.shape[0])[frames], range(self.shape[1])[rows]
        found = np.empty((len(wanted), len(cut), self.shape[2]), self.dtype)
        for start, stop in blocks_of((len(wanted), *self.shape[1:])):
            block = self.source.read(slice(wanted.start + start, wanted.start + stop))
            found[start:stop] = np.swapaxes(block, 1, 2)[:, cut.start : cut.stop]
        return found


def _takes_logarithm(parameters: AlignmentParameters) -> bool:
    return parameters.transmission and parameters.use_absorbances


def _seen(images: Any, parameters: AlignmentParameters) -> Any:
    return absorbance(np.asarray(images))[0] if _takes_logarithm(parameters) else images
