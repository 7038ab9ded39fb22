"""Rows dealt out to devices, slab by slab; a slab that does not fit is halved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...geometry import ScanGeometry

__all__ = ["in_slabs", "lacks_memory", "most_rows"]

_LARGEST = 2**31 - 1  # numbers in an array: the kernels count with 32 bits
_NO_MEMORY = "Failed to allocate"  # how Warp's RuntimeError begins (1.19, _src/context.py)


def in_slabs(
    geometry: ScanGeometry,
    devices: Sequence[Any],
    arrays: int,
    work: Callable[[slice, Any], None],
) -> None:
    """Call ``work(rows, device)`` for all rows, one thread a device.

    A device takes as many rows as its free memory holds; where that proves too much, since
    others use it too, it halves the slab and goes on with slabs of that size. Slices are
    independent, so the borders make no difference.

    Parameters
    ----------
    geometry : ScanGeometry
    devices : sequence of warp.Device
    arrays : int
        Volumes, and stacks of images, that the work holds at once.
    work : callable
        Called with the rows of a slab and a device. Called again for half of them where Warp could
        not allocate memory, so it starts from nothing each time.

    Raises
    ------
    MemoryError
        Not even one row fits.
    """
    share = -(-geometry.n_rows // len(devices))
    lock = threading.Lock()
    waiting = [slice(0, geometry.n_rows)]

    def take(most: int) -> slice | None:
        with lock:
            if not waiting:
                return None
            rows = waiting.pop()
            end = min(rows.stop, rows.start + most)
            if end < rows.stop:
                waiting.append(slice(end, rows.stop))
            return slice(rows.start, end)

    def serve(device: Any) -> None:
        most = min(share, most_rows(geometry, device, arrays))
        while (rows := take(most)) is not None:
            try:
                work(rows, device)
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                if rows.stop - rows.start == 1:
                    raise MemoryError(
                        f"one row of {geometry.n_angles} projections of {geometry.n_columns} "
                        f"columns does not fit into the memory of {device.name}: free some, or "
                        "take the built-in engine (use_gpu=False)"
                    ) from error
                most = (rows.stop - rows.start) // 2
                with lock:
                    waiting.append(rows)

    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(serve, devices))


def most_rows(geometry: ScanGeometry, device: Any, arrays: int, more: int = 0) -> int:
    """Return how many rows of volumes and stacks the free memory of a device holds, at least 1.

    ``more`` bytes of it: what will be let go, or is to be left, less than 0.
    """
    slice_size, row_size = geometry.volume_width**2, geometry.n_angles * geometry.n_columns
    rows = _LARGEST // max(slice_size, row_size)
    if device.is_cuda:
        rows = min(rows, (device.free_memory + more) // (4 * arrays * (slice_size + row_size)))
    return max(1, rows)


def lacks_memory(error: RuntimeError) -> bool:
    """Tell whether Warp could not allocate memory."""
    return str(error).startswith(_NO_MEMORY)
