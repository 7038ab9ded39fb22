"""The GPU engine: the built-in one's algorithms and footprint, on the devices that Warp has."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import scipy.fft
import warp as wp
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from .. import solvers
from ..base import BackendUnavailable, Operator, check_vertical
from ..builtin.engine import ITERATIVE, BuiltinBackend, resolve
from ..filters import response
from ..slab import SlabDone, SlabKept, SlabWork
from . import kernels, precision_kernels, slab_kernels, space_kernels
from .arrays import DeviceArray
from .evaluation import evaluate_slab
from .kept import KeptSlab, SlabMadeAgain
from .operators import DeviceOperator, RowOperator, images_on, slices_from, volume_on
from .slabs import in_slabs, lacks_memory, most_rows
from .space import DeviceSpaceOperator, SpaceOperator, operator_of

__all__ = ["WarpBackend", "create"]

Array = NDArray[np.float32]
_T = TypeVar("_T")

_NO_DRIVER = b"Warp CUDA warning: Could not find or load the NVIDIA CUDA driver"
_COMPARED = 5  # more: weights, reprojection, the smoothed one and its slopes; sums as a stack
_HELD = 5  # volumes, and stacks, that a solver holds: two points, a step, scales, one on the way


def create(*, workers: int | None = None, use_gpu: bool = False) -> WarpBackend:
    """Return the GPU engine: on all CUDA devices, or on Warp's CPU device where there is none.

    Raises
    ------
    BackendUnavailable
        ``use_gpu`` is set and there is no CUDA device.
    """
    with wp.ScopedLogLevel(wp.LOG_WARNING):  # its findings are no part of our output
        with _without_its_word_on_drivers():
            wp.init()
        devices = wp.get_cuda_devices()
        if use_gpu and not devices:
            raise BackendUnavailable(
                "use_gpu=True, but Warp finds no CUDA device here: an NVIDIA card and its driver "
                "(nvidia-smi shows them) are needed; without one set use_gpu=False"
            )
        devices = devices or [wp.get_device("cpu")]
        for device in devices:
            for module in (kernels, precision_kernels, slab_kernels, space_kernels):
                wp.load_module(module, device=device)
    return WarpBackend(devices)


@contextmanager
def _without_its_word_on_drivers() -> Iterator[None]:
    """Keep from the standard error what Warp's native code says of a driver that is not there.

    No setting of Warp's silences it, and `WarpBackend.describe` says the same in our words. All
    else, of other threads too, comes out a moment later.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is none, as in a program without a console
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            aside.seek(0)
            for line in aside:
                if not line.startswith(_NO_DRIVER):
                    os.write(2, line)


class WarpBackend(BuiltinBackend):
    """FBP, SIRT and an accelerated gradient on GPUs: the algorithms of the built-in engine.

    Parameters
    ----------
    devices : sequence of warp.Device
        They share the rows, one thread a device.
    """

    name = "warp"

    def __init__(self, devices: Sequence[Any]) -> None:
        self.devices = tuple(devices)
        self._free = list(self.devices)
        self._one_is_free = threading.Condition()

    def describe(self) -> str:
        """Return the cards, each with its memory."""
        return ", ".join(
            f"{device.name} ({device.total_memory / 2**30:.0f} GiB)"
            if device.is_cuda
            else "no NVIDIA card: Warp's CPU device, slow and meant for tests"
            for device in self.devices
        )

    def startup_note(self) -> str | None:
        """Return what the user should know before the first call, or None."""
        if any(device.is_cuda for device in self.devices):
            return None
        return self.describe()

    def supports(self, geometry: ScanGeometry) -> bool:
        """Whether the engine takes a geometry: any; ``"fbp"`` those about a vertical axis."""
        return True

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return the projector of a geometry (see `Backend.operator`)."""
        if not geometry.has_vertical_axis:
            return SpaceOperator(geometry, self.devices[0])
        return RowOperator(geometry, self.devices)

    def reconstruct(
        self,
        projections: Array,
        geometry: ScanGeometry,
        *,
        algorithm: str,
        weights: Array | None = None,
        initial: Array | None = None,
        **options: Any,
    ) -> Array:
        """Reconstruct a volume, slab by slab (see `Backend.reconstruct`, `BuiltinBackend`)."""
        self.check_options(algorithm, options)
        radius, solve = _solver(algorithm, geometry, options)
        out = np.empty(geometry.volume_shape, np.float32)

        def work(rows: slice, device: Any) -> None:
            measured = images_on(device, projections[:, rows])
            A = operator_of(geometry, measured.shape[2], radius, device)
            weight = None if weights is None else images_on(device, weights[:, rows])
            start = None if initial is None else volume_on(device, initial[rows])
            out[rows] = slices_from(solve(A, measured, weight, start))

        if geometry.has_vertical_axis:
            in_slabs(geometry, self.devices, _HELD, work)
        else:
            work(slice(0, geometry.n_rows), self.devices[0])
        return out

    @property
    def n_devices(self) -> int:
        """How many slabs it evaluates at once: one a device."""
        return len(self.devices)

    def evaluate(self, work: SlabWork) -> SlabDone | SlabKept:
        """Evaluate a slab on a device that is free (see `SlabBackend.evaluate`)."""
        self.check_options(work.algorithm, work.options)

        def given(slab: KeptSlab) -> SlabDone | SlabKept:
            sums = slab.sums  # as long as it has the device for itself
            if not work.asked:
                return slab.fetched()
            if work.room:
                return slab
            volume = slab.made if self._holds_beside(slab) else None
            return SlabMadeAgain(work, sums, self._evaluated, volume)

        return self._evaluated(work, given)

    def _evaluated(
        self, work: SlabWork, then: Callable[[KeptSlab], _T], volume: DeviceArray | None = None
    ) -> _T:
        """Evaluate a slab on a device that is free, and return what is then asked of it there.

        With a volume that stayed, on the device that has it.
        """
        radius, solve = _solver(work.algorithm, work.geometry, work.options)
        with self._device(None if volume is None else volume.device) as device:
            try:
                return then(evaluate_slab(work, radius, solve, device, volume))
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                n_rows = work.around.stop - work.around.start
                raise MemoryError(
                    f"{n_rows} rows do not fit into the memory of {device.name}"
                ) from error

    @contextmanager
    def _device(self, wanted: Any | None) -> Iterator[Any]:
        """Take a device, any or a certain one, as soon as it is free."""
        with self._one_is_free:
            while not self._free or wanted not in (None, *self._free):
                self._one_is_free.wait()
            device = self._free[0] if wanted is None else wanted
            self._free.remove(device)
        try:
            yield device
        finally:
            with self._one_is_free:
                self._free.append(device)
                self._one_is_free.notify_all()

    def _holds_beside(self, slab: KeptSlab) -> bool:
        """Whether a device can make another such slab while this one's volume stays."""
        wp.synchronize_device(slab.device)
        images = slab.measured, slab.weights, slab.reprojected, slab.template
        let_go = sum(4 * image.flat.size for image in images)
        geometry = slab.work.geometry
        return geometry.n_rows <= most_rows(geometry, slab.device, _HELD + _COMPARED, let_go)

    def slab_height(self, geometry: ScanGeometry) -> int:
        """Return how many rows fit at once (see `SlabBackend.slab_height`).

        Where not all do, fewer, if that leaves room for the volumes of all of them to stay.
        """
        for device in self.devices:
            wp.synchronize_device(device)  # only then is free what was let go
        arrays, share = _HELD + _COMPARED, -(-geometry.n_rows // len(self.devices))

        def most(volumes: int) -> int:
            less = -4 * volumes * geometry.volume_width**2
            return min(most_rows(geometry, device, arrays, less) for device in self.devices)

        fits = most(0)
        return fits if fits >= share or most(share) < fits // 2 else most(share)


def _solver(
    algorithm: str, geometry: ScanGeometry, options: Mapping[str, Any]
) -> tuple[float, Callable[..., Any]]:
    """Return the radius of the volume, and what reconstructs on a device."""
    if algorithm == "fbp":
        check_vertical("algorithm 'fbp'", geometry)
    settings, radius = resolve(algorithm, options, geometry)

    def solve(
        A: DeviceOperator | DeviceSpaceOperator, measured: Any, weights: Any, initial: Any = None
    ) -> Any:
        given = dict(settings)
        if "angles" in given:
            given["angles"] = A.angles
        if algorithm == "fbp":
            return solvers.fbp(A, measured, filtering=_filtered, **given)
        if initial is not None:
            given["initial"] = initial * A.disc
        return ITERATIVE[algorithm](A, measured, weights=weights, **given)

    return radius, solve


def _filtered(images: Any, window: str) -> Any:
    """Return images that went through the windowed ramp (`filters.filtered`), on their device.

    As a convolution with its response to a single pixel, which needs no Fourier transform and no
    padding.
    """
    n_columns, n_slices = images.shape[1:]
    size: int = scipy.fft.next_fast_len(2 * n_columns, real=True)
    kernel = scipy.fft.irfft(response(size, window), size)[:n_columns]
    there = wp.array(kernel, dtype=wp.float32, device=images.device)
    filtered = DeviceArray.empty(images.shape, images.device)
    wp.launch(
        kernels.convolve,
        (*images.shape[:2], kernels.packs(n_slices)),
        [images.flat, n_columns, n_slices, there],
        [filtered.flat],
        device=images.device,
    )
    return filtered
