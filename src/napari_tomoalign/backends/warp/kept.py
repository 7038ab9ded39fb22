"""What was made of a slab, on the device that made it: sums over it, and images when asked for.

It stays there (`KeptSlab`), or is made there again for whoever asks (`SlabMadeAgain`), from its
volume where that can stay: of a scan that the devices do not hold, too, only sums come back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ..slab import ImageName, SlabDone, SlabSums, SlabWork
from . import precision_kernels, slab_kernels
from .arrays import DeviceArray
from .lines import added, coefficients, slopes
from .operators import images_from, slices_from
from .precision_kernels import N_CROSS, N_SCATTER

__all__ = ["KeptSlab", "SlabMadeAgain"]

_AT_ONCE = 64  # images that are moved together: a small part of what the device has held before


class _OfWork:
    """What is known of a slab before it is made."""

    work: SlabWork

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of whole images."""
        return self.work.coefficients.shape[1], self.work.coefficients.shape[2]

    @property
    def window_shape(self) -> tuple[int, int]:
        """Rows and columns of the window of whole images that is registered."""
        rows, columns = self.work.window
        return rows.stop - rows.start, columns.stop - columns.start


@dataclass(frozen=True, eq=False)
class KeptSlab(_OfWork):
    """A slab that stays on a device (see `SlabKept`).

    Attributes
    ----------
    work : SlabWork
    measured, weights, reprojected, template, made : DeviceArray
        Images, the smoothed reprojection, and the volume.
    counted : warp.array
        Pixels that count, column by column.
    device : warp.Device
    """

    work: SlabWork
    measured: DeviceArray
    weights: DeviceArray
    reprojected: DeviceArray
    template: DeviceArray
    made: DeviceArray
    counted: Any
    device: Any

    @cached_property
    def sums(self) -> SlabSums:
        """Sums over the slab's own rows."""
        return _parts(self._compared(), self._volume_moments())

    def _compared(self) -> NDArray[np.float64]:
        """Return the sums over images, (n_angles, N_SUMS)."""
        n_angles, n_columns, n_around = self.template.shape
        slanted = slopes(self.template, 2), slopes(self.template, 1)
        all_of = self.measured, self.weights, self.reprojected, *slanted
        first, n_rows = self.work.inner.start, self.work.inner.stop - self.work.inner.start
        given = [image.flat for image in all_of] + [self.counted, n_columns, n_around]
        given += [first, n_rows, self.work.around.start + first]
        kernel, n_sums = slab_kernels.add_up, int(slab_kernels.N_SUMS)
        return added(kernel, n_angles, n_rows, n_sums, given, self.device)

    def _volume_moments(self) -> NDArray[np.float64]:
        """Return the mass of the slab's slices and its moments along slices, y and x."""
        n, _, n_slices = self.made.shape
        first, n_rows = self.work.inner.start, self.work.inner.stop - self.work.inner.start
        given = [self.made.flat, n, n_slices, first, n_rows, self.work.around.start + first]
        lines = added(slab_kernels.add_volume, n, n, 4, given, self.device)
        return np.asarray(lines.sum(axis=0))

    def fetched(self) -> SlabDone:
        """Return all of it, with the rows around the slab."""
        return SlabDone(
            images_from(self.measured),
            images_from(self.weights),
            slices_from(self.made),
            images_from(self.reprojected),
            self.sums,
        )

    def images(self, name: ImageName, which: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Return images of some projections, of the slab's own rows."""
        found: DeviceArray = getattr(self, name)
        return images_from(found if which is None else found.take(which), self.work.inner)

    def volume(self) -> NDArray[np.float32]:
        """Return the volume's slices of the slab's own rows."""
        return slices_from(self.made, self.work.inner)

    def cross(self) -> NDArray[np.float64]:
        """Return the sums of the template's columns times the model's and the difference."""
        n, inner = len(self.work.back), self.work.inner
        n_rows = inner.stop - inner.start
        given = [*self._seen, inner.start, n_rows]
        sums = added(precision_kernels.add_cross, n, n_rows, int(N_CROSS), given, self.device)
        return sums.reshape(n, 4, 5)

    def scatter(self, solution: NDArray[np.float64], block: int) -> NDArray[np.float64]:
        """Return outer products of the template's columns at a solution."""
        n, first = len(solution), self.work.around.start
        top = self.work.window[0].start - first  # of the window, in rows of the images here
        inner = self.work.inner
        before = max(0, -(-(inner.start - top) // block))  # blocks that others begin
        end = min(inner.stop, self.work.window[0].stop - first)
        begin = top + before * block
        n_blocks = max(0, -(-(end - begin) // block))
        there = wp.array(solution.ravel(), dtype=wp.float64, device=self.device)
        given = [*self._seen, begin, n_blocks, block, there]
        kernel = precision_kernels.add_scatter
        sums = added(kernel, n, n_blocks, int(N_SCATTER), given, self.device)
        return _from_halves(sums.reshape(n, 3, 10))

    def blocks(
        self, which: NDArray[np.intp], size: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return sums of what is missed over blocks, and of the weights over all pixels."""
        (rows, columns), (n_rows, n_columns), n = size, self.shape, len(which)
        n_down, n_across = n_rows // rows, n_columns // columns
        first, inner = self.work.around.start, self.work.inner
        lines = n_down + 1, n_across + 1  # what is left beyond whole blocks, and the weights
        sums = wp.empty(n * math.prod(lines), dtype=wp.float64, device=self.device)
        images = self.measured, self.weights, self.reprojected
        given = [*(one.flat for one in images), wp.array(which, dtype=wp.int32, device=self.device)]
        given += [n_columns, self.measured.shape[2], first]
        given += [first + inner.start, first + inner.stop, rows, columns, n_across, lines[0]]
        kernel = precision_kernels.add_blocks
        wp.launch(kernel, (n, lines[0]), given, [sums], device=self.device)
        found = sums.numpy().reshape(n, *lines)
        return found[:, :n_down, :n_across], found[:, :, n_across].sum(axis=1)

    def squares(self, which: NDArray[np.intp], steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weighted squares of measured minus the template after steps."""
        parts = range(0, len(which), _AT_ONCE)
        ends = [slice(first, first + _AT_ONCE) for first in parts]
        return np.concatenate([self._squares(which[part], steps[part]) for part in ends])

    def _squares(self, which: NDArray[np.intp], steps: NDArray[np.float64]) -> NDArray[np.float64]:
        work, n_columns, n_around = self.work, *self.template.shape[1:]
        spline = coefficients(self.template.take(which))
        moved = DeviceArray.empty(spline.shape, self.device)
        shifts = wp.array(steps.ravel(), dtype=wp.float64, device=self.device)
        first, n_rows = work.around.start, work.coefficients.shape[1]
        wp.launch(
            slab_kernels.move,
            moved.shape,
            [spline.flat, first, n_around, n_rows, n_columns, shifts, first, n_around],
            [moved.flat],
            device=self.device,
        )
        n_inner = work.inner.stop - work.inner.start
        some = wp.array(which, dtype=wp.int32, device=self.device)
        images = self.measured, self.weights, moved
        given = [*(one.flat for one in images), self.counted, some, n_columns, n_around]
        given += [work.inner.start, n_inner]
        kernel = precision_kernels.add_squares
        return added(kernel, len(which), n_inner, 1, given, self.device)[:, 0]

    @property
    def _seen(self) -> Iterator[Any]:
        """What the kernels of precision begin with."""
        images = self.measured, self.weights, self.reprojected, self.template
        yield from (image.flat for image in images)
        yield self.counted
        yield from self.template.shape[1:]
        (rows, columns), first = self.work.window, self.work.around.start
        ends = rows.start - first, rows.stop - 1 - first, columns.start, columns.stop - 1
        yield wp.vec4i(*ends)


@dataclass(frozen=True, eq=False)
class SlabMadeAgain(_OfWork):
    """A slab that found no room to stay, and is made again for each question (see `SlabKept`).

    Its volume, one of many arrays that a device holds while it reconstructs, stays where it can:
    the images are then moved again and reprojected once, which a solver does some fifty times.

    Attributes
    ----------
    work : SlabWork
    sums : SlabSums
    make : callable
        Called with the work, with what is to be asked of the slab as long as it is there, and with
        its volume.
    made : DeviceArray or None
        The volume, if it stayed.
    """

    work: SlabWork
    sums: SlabSums
    make: Callable[[SlabWork, Callable[[KeptSlab], Any], DeviceArray | None], Any]
    made: DeviceArray | None

    def images(self, name: ImageName, which: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Return images of some projections, of the slab's own rows."""
        found: NDArray[np.float32] = self._ask(lambda slab: slab.images(name, which))
        return found

    def volume(self) -> NDArray[np.float32]:
        """Return the volume's slices of the slab's own rows."""
        if self.made is not None:
            return slices_from(self.made, self.work.inner)
        found: NDArray[np.float32] = self._ask(KeptSlab.volume)
        return found

    def cross(self) -> NDArray[np.float64]:
        """Return the sums of the template's columns times the model's and the difference."""
        found: NDArray[np.float64] = self._ask(KeptSlab.cross)
        return found

    def scatter(self, solution: NDArray[np.float64], block: int) -> NDArray[np.float64]:
        """Return outer products of the template's columns at a solution."""
        found: NDArray[np.float64] = self._ask(lambda s: s.scatter(solution, block))
        return found

    def blocks(
        self, which: NDArray[np.intp], size: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return sums of what is missed over blocks, and of the weights over all pixels."""
        missed, weights = self._ask(lambda slab: slab.blocks(which, size))
        return missed, weights

    def squares(self, which: NDArray[np.intp], steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weighted squares of measured minus the template after steps."""
        found: NDArray[np.float64] = self._ask(lambda s: s.squares(which, steps))
        return found

    def _ask(self, what: Callable[[KeptSlab], Any]) -> Any:
        return self.make(self.work, what, self.made)


def _parts(sums: NDArray[np.float64], volume: NDArray[np.float64]) -> SlabSums:
    """Return the sums in their order in `slab_kernels.add_up` by name."""
    return SlabSums(
        normal=_from_halves(sums[:, :10]),
        right=sums[:, 10:14],
        squares=sums[:, 14],
        count=sums[:, 15],
        difference=sums[:, 16],
        power=sums[:, 17],
        pixels=sums[:, 18],
        moments=sums[:, 19:22],
        volume=volume,
    )


def _from_halves(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return symmetric matrices of 4 by 4 from their lower halves, row by row (..., 10)."""
    whole = np.zeros((*lower.shape[:-1], 4, 4))
    rows, columns = np.tril_indices(4)
    whole[..., rows, columns] = lower
    whole[..., columns, rows] = lower
    return whole
