"""Arrays on a device that the solvers' NumPy calls work on.

NumPy hands its functions over to the class of their arguments (NEP 13 and NEP 18), so `solvers` is
written once, in NumPy, for host and device alike. What is here is what the solvers use; anything
else is refused by NumPy itself, with a TypeError that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import warp as wp
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from . import kernels

__all__ = ["DeviceArray", "Shape"]

HOW = (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.greater)
"""The ufuncs that `kernels.combine` knows, in its order."""

Shape = tuple[int, int, int]


class DeviceArray(NDArrayOperatorsMixin):
    """A contiguous array of float32 with three axes, on one device.

    Combined number by number with others that broadcast, and with numbers. A comparison gives 0
    and 1.

    Parameters
    ----------
    flat : warp.array of float32
        Its memory.
    shape : tuple of three int
    """

    def __init__(self, flat: Any, shape: Shape) -> None:
        self.flat, self.shape = flat, shape

    @classmethod
    def empty(cls, shape: Shape, device: Any) -> DeviceArray:
        """Return an array of anything."""
        return cls(wp.empty(math.prod(shape), dtype=wp.float32, device=device), shape)

    @classmethod
    def of(cls, values: NDArray[Any], device: Any) -> DeviceArray:
        """Return a copy, on a device, of an array on the host; its axes may lie in any order."""
        host = np.asarray(values, np.float32)
        order = tuple(int(axis) for axis in np.argsort([-abs(s) for s in host.strides]))
        there = wp.array(
            np.ascontiguousarray(host.transpose(order)), dtype=wp.float32, device=device
        )
        moved = there.transpose(tuple(int(axis) for axis in np.argsort(order)))
        out = cls.empty((host.shape[0], host.shape[1], host.shape[2]), device)
        wp.copy(out.flat.reshape(out.shape), moved)
        return out

    def host(self, axes: tuple[int, int, int], last: slice = slice(None)) -> NDArray[np.float32]:
        """Return a copy on the host with the axes in another order, as `numpy.transpose` has it.

        ``last`` chooses some of what the last axis counts, here.
        """
        turned = self.flat.reshape(self.shape)[:, :, last].transpose(axes)
        values: NDArray[np.float32] = turned.contiguous().numpy()
        return values

    @property
    def device(self) -> Any:
        """Where it lies."""
        return self.flat.device

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Its numbers' type."""
        return np.dtype(np.float32)

    def take(self, which: NDArray[np.intp]) -> DeviceArray:
        """Return a copy of some of what the first axis counts."""
        some = self.empty((len(which), *self.shape[1:]), self.device)
        size = self.shape[1] * self.shape[2]
        wp.launch(
            kernels.take,
            (len(which), size),
            [self.flat, wp.array(which, dtype=wp.int32, device=self.device), size],
            [some.flat],
            device=self.device,
        )
        return some

    def copy(self) -> DeviceArray:
        """Return a copy."""
        return DeviceArray(wp.clone(self.flat), self.shape)

    def __getitem__(self, which: NDArray[np.intp] | slice) -> DeviceArray:
        """Return a copy of some of what the first axis counts, as NumPy indexes by integers."""
        return self.take(np.arange(self.shape[0])[which])

    def max(self, initial: float) -> float:
        """Return the largest number, at least ``initial``."""
        found = wp.full(1, initial, dtype=wp.float32, device=self.device)
        lines, n_slices = self.shape[0] * self.shape[1], self.shape[2]
        wp.launch(kernels.largest, lines, [self.flat, n_slices], [found], device=self.device)
        return float(found.numpy()[0])

    def __array_ufunc__(
        self,
        ufunc: np.ufunc,
        method: str,
        *inputs: Any,
        out: tuple[DeviceArray] | None = None,
        where: DeviceArray | bool = True,
    ) -> Any:
        """Combine two arrays (NEP 13)."""
        if method != "__call__" or ufunc not in HOW:
            return NotImplemented
        first, second, allowed = (self._operand(value) for value in (*inputs, where))
        if out is None:
            shape = np.broadcast_shapes(first.shape, second.shape)
            result = self.empty((shape[0], shape[1], shape[2]), self.device)
        else:
            (result,) = out
        wp.launch(
            kernels.combine,
            result.shape,
            [HOW.index(ufunc)]
            + [
                argument
                for array in (first, second, allowed)
                for argument in (array.flat, array._strides(result.shape))
            ],
            [result.flat, result._strides(result.shape)],
            device=self.device,
        )
        return result

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return zeros of the same kind (NEP 18)."""
        if function is not np.zeros_like:
            return NotImplemented
        return self._zeros_like(*args, **kwargs)

    @staticmethod
    def _zeros_like(like: DeviceArray, *, shape: Shape | None = None) -> DeviceArray:
        zeros = DeviceArray.empty(like.shape if shape is None else shape, like.device)
        zeros.flat.zero_()
        return zeros

    def _operand(self, value: Any) -> DeviceArray:
        """Return an array on the device, and a number as an array of one."""
        if isinstance(value, DeviceArray):
            return value
        if isinstance(value, np.ndarray):
            return DeviceArray.of(value, self.device)
        one = wp.full(1, float(value), dtype=wp.float32, device=self.device)
        return DeviceArray(one, (1, 1, 1))

    def _strides(self, shape: Shape) -> Any:
        """Return how far apart neighbours lie along each axis of a shape that this broadcasts to.

        Raises
        ------
        ValueError
            It does not.
        """
        if np.broadcast_shapes(self.shape, shape) != shape:
            raise ValueError(f"an array of shape {self.shape} does not broadcast to {shape}")
        _, n, m = self.shape
        return wp.vec3i(
            *(
                0 if size == 1 else apart
                for size, apart in zip(self.shape, (n * m, m, 1), strict=True)
            )
        )
