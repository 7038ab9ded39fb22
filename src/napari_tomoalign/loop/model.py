"""The reconstruction at some shifts: what it was made of, and what it predicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._on_demand import make_on_demand
from .._typing import Array, Stack
from ..backends.slab import ImageName, SlabKept
from ..geometry import ScanGeometry
from .kept import of_each, read
from .poses import Poses
from .slabs import Slab, Sums

__all__ = ["Model", "joined", "without_halo"]


_IMAGES: tuple[ImageName, ...] = ("measured", "weights", "reprojected")


@dataclass(frozen=True, eq=False)
class Model:
    """The reconstruction at some shifts, what it was made of and what it predicts.

    Attributes
    ----------
    measured, weights, reprojected : (n_angles, n_rows, n_columns) array of float32
        The data moved by minus the shifts, the weights moved alike, and the reprojections. Those
        that an engine keeps are fetched when they are first read.
    volume : (n_rows, volume_width, volume_width) array of float32
    geometry : ScanGeometry
        Of the level, with the centre that was used.
    sums : Sums
        Over the pixels of these images; of a level that is evaluated by slabs (`Bands`), of all
        slabs, where the images are those of some.
    poses : Poses
        At which the images were moved.
    seen : (n_angles, 2) array, optional
        How much of the information on rows and columns is in the images. None: all.
    kept : tuple of SlabKept
        Where the images are, if they are not here.
    """

    measured: Stack
    weights: NDArray[Any]
    volume: Stack
    reprojected: Stack
    geometry: ScanGeometry
    sums: Sums
    poses: Poses
    seen: Array | None = None
    kept: tuple[SlabKept, ...] = ()

    @classmethod
    def of_kept(
        cls, kept: tuple[SlabKept, ...], geometry: ScanGeometry, sums: Sums, poses: Poses
    ) -> Model:
        """Return the model whose images an engine keeps, slab by slab."""
        images: dict[str, Any] = {name: partial(read, kept, name) for name in _IMAGES}
        images["volume"] = lambda: np.concatenate(of_each(kept, lambda slab: slab.volume()))
        return cls(**images, geometry=geometry, sums=sums, poses=poses, kept=kept)

    def frames(self, which: NDArray[np.intp]) -> tuple[Stack, NDArray[Any], Stack]:
        """Return measured, weights and reprojected of some projections."""
        if not self.kept:
            return self.measured[which], self.weights[which], self.reprojected[which]
        measured, weights, reprojected = (read(self.kept, name, which) for name in _IMAGES)
        return measured, weights, reprojected

    def backgrounds(self, trusted: NDArray[np.bool_]) -> Array:
        """Return, of each frame, the sum of squares of a background that the others do not have.

        It is the plane, an offset and two slopes, that fits the difference best, which neither an
        object nor a shift brings about. What the trusted frames have in common is the
        reconstruction's: filtered back projection clipped at 0 lifts all reprojections alike.
        """
        n_rows, n_columns = self.measured.shape[1:]
        down, right = np.meshgrid(
            np.linspace(-1, 1, n_rows), np.linspace(-1, 1, n_columns), indexing="ij"
        )
        design = np.stack([np.ones_like(down), down, right]).reshape(3, -1)
        planes, normals = np.empty((len(self.measured), 3)), np.empty((len(self.measured), 3, 3))
        for i, weight in enumerate(self.weights):
            difference = (weight * (self.measured[i] - self.reprojected[i])).ravel()
            normals[i] = (design * weight.ravel()) @ design.T
            planes[i] = np.linalg.lstsq(normals[i], design @ difference, rcond=None)[0]
        planes -= np.median(planes[trusted], axis=0)
        squares: Array = np.einsum("ni,nij,nj->n", planes, normals, planes)
        return squares


make_on_demand(Model, *_IMAGES, "volume")


def without_halo(made: Model, slab: Slab) -> Model:
    """Return the model of a slab's rows without those around them."""
    if slab.around == slab.rows:
        return made
    rows = slab.inner
    return replace(
        made,
        measured=made.measured[:, rows],
        weights=made.weights[:, rows],
        volume=made.volume[rows],
        reprojected=made.reprojected[:, rows],
    )


def joined(parts: Iterable[Model], slabs: Sequence[Slab]) -> Model:
    """Return the model of whole images from those of slabs, as they come."""
    whole: Model | None = None
    for part, slab in zip(parts, slabs, strict=True):
        if part.kept:
            kept, sums = part.kept, part.sums
            if whole is not None:
                kept, sums = whole.kept + kept, whole.sums + sums
            whole = Model.of_kept(kept, part.geometry, sums, part.poses)
            continue
        if whole is None:
            n_rows = slabs[-1].rows.stop
            images = [
                np.empty((len(stack), n_rows, stack.shape[2]), stack.dtype)
                for stack in (part.measured, part.weights, part.reprojected)
            ]
            volume = np.empty((n_rows, *part.volume.shape[1:]), np.float32)
            measured, weights, reprojected = images
            made = measured, weights, volume, reprojected
            whole = Model(*made, part.geometry, part.sums, part.poses)
        else:
            whole = replace(whole, sums=whole.sums + part.sums)
        whole.measured[:, slab.rows] = part.measured
        whole.weights[:, slab.rows] = part.weights
        whole.reprojected[:, slab.rows] = part.reprojected
        whole.volume[slab.rows] = part.volume
    assert whole is not None  # images have at least one row
    return whole
