"""TomoPy behind the protocol: its algorithms, its projector, our conventions.

Two of TomoPy's conventions differ from ours. All but gridrec (and ASTRA, through TomoPy) count
the centre from the left edge of the first pixel, we from its middle. Gridrec counts as we do, but
puts the axis on a voxel of its own choice; see `_pad_gridrec`.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ..base import Backend, BackendUnavailable, Operator, check_vertical
from ..filters import filtered
from ..solvers import golden_order
from . import sinograms as _sinograms
from .options import (
    ASTRA_ON_GPU,
    ASTRA_OPTIONS,
    DEFAULTS,
    DIRECT,
    FILTERS,
    POSITIVE,
    check_inputs,
    check_values,
)
from .rays import LOCK, Rays, edge_center, row_blocks

__all__ = ["TomopyBackend", "create"]

Array = NDArray[np.float32]

_BLOCK_BYTES = 32 * 2**20  # of projections handed to TomoPy at once, which gridrec has padded

_GRIDREC_SCALE = 1.117  # of its volumes, which it tends to as they are padded: discs and blobs


def create(*, workers: int | None = None, use_gpu: bool = False) -> TomopyBackend:
    """Return TomoPy as a backend.

    Raises
    ------
    BackendUnavailable
        TomoPy does not load; or a GPU is asked for and ASTRA, or its GPU, is not there.
    """
    if use_gpu:
        _check_gpu()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of optional libraries that it lacks
            import tomopy
    except (ImportError, OSError, AttributeError) as error:
        raise BackendUnavailable(
            f"TomoPy is installed but does not load ({type(error).__name__}: {error}); install "
            "it anew, conda install -c conda-forge tomopy, or choose backend='builtin'"
        ) from error
    return TomopyBackend(tomopy, workers, use_gpu=use_gpu)


def _check_gpu() -> None:
    """Refuse a GPU that TomoPy's algorithms cannot use.

    Raises
    ------
    BackendUnavailable
        What is missing, and how to get it.
    """
    reason = "astra-toolbox is not installed here: conda install -c astra-toolbox astra-toolbox"
    if _has_astra():
        astra = importlib.import_module("astra")
        if astra.use_cuda():
            return
        reason = "astra-toolbox finds no CUDA device here: an NVIDIA card and its driver are needed"
    raise BackendUnavailable(
        "use_gpu=True, but of TomoPy's algorithms that take part in the loop only ASTRA's run on a "
        f"GPU, and {reason}. The others run on the CPU: set use_gpu=False, or take backend='warp'"
    )


def _has_astra() -> bool:
    astra = importlib.util.find_spec("astra")
    return astra is not None and astra.origin is not None  # a mere folder has no origin


class TomopyBackend(Backend):
    """TomoPy's reconstructions and projector.

    An algorithm takes TomoPy's options for it, and ``non_negative``, which clips the volume at 0.
    The grid follows from the geometry. Not offered are the ``accelerated`` variants of sirt and
    mlem, which ignore the rotation centre, and filters given as arrays, whose length depends on
    how the projections are padded here. On a GPU there are ASTRA's algorithms, called by TomoPy;
    the projector stays on the CPU.

    Parameters
    ----------
    tomopy : module
        TomoPy.
    workers : int, optional
        Number of threads. None takes all cores that the process may use.
    use_gpu : bool
        Reconstruct on the GPU.
    """

    name = "tomopy"

    def __init__(
        self, tomopy: ModuleType, workers: int | None = None, *, use_gpu: bool = False
    ) -> None:
        from tomopy.recon import algorithm

        self._tomopy = tomopy
        self.workers = _usable_cores() if workers is None else workers
        withheld = {"num_gridx", "num_gridy"}.union(*algorithm.allowed_accelerated_kwargs.values())
        self._options = {
            name: tuple(option for option in options if option not in withheld)
            for name, options in algorithm.allowed_recon_kwargs.items()
            if name in DEFAULTS
        }
        if _has_astra():
            self._options["astra"] = ASTRA_OPTIONS
        self._defaults = dict(DEFAULTS)
        self._use_gpu = use_gpu
        if use_gpu:
            self._options = {"astra": ASTRA_OPTIONS}
            self._defaults["astra"] = {**DEFAULTS["astra"], **ASTRA_ON_GPU}

    @property
    def algorithms(self) -> Sequence[str]:
        """Names of TomoPy's algorithms, with ``"astra"`` where its toolbox is installed."""
        return tuple(self._options)

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the default algorithm and its options (see `Backend.default_for`).

        gridrec is by far the fastest. Where angles are missing or few, it makes streaks, which
        the loop follows: there it is osem. On a GPU it is ASTRA's SIRT.
        """
        if self._use_gpu:
            return "astra", self._defaults["astra"]
        if geometry is None or geometry.has_angular_coverage:
            return "gridrec", {"filter_name": "hann", "non_negative": True}
        return "osem", {"num_iter": 3, "num_block": 5}

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse an unknown algorithm, option or value (see `Backend.check_options`)."""
        if algorithm not in self._options:
            raise ValueError(
                f"unknown algorithm {algorithm!r} for backend 'tomopy'; known are "
                f"{', '.join(self.algorithms)}"
                + (" (astra needs astra-toolbox)" if algorithm == "astra" else "")
            )
        known = (*self._options[algorithm], "non_negative")
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(
                f"algorithm {algorithm!r} of backend 'tomopy' has no option "
                f"{', '.join(map(repr, unknown))}; known are {', '.join(known)}"
            )
        check_values(algorithm, options)
        given = {**self._defaults[algorithm], **options}
        if self._use_gpu and not (
            str(given["method"]).endswith("_CUDA") and given["proj_type"] == "cuda"
        ):
            raise ValueError(
                "use_gpu=True needs one of ASTRA's methods that end with _CUDA, and "
                f"proj_type='cuda'; got method={given['method']!r}, "
                f"proj_type={given['proj_type']!r}: change them, or set use_gpu=False"
            )

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are left out: TomoPy has no weights."""
        return False

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume: the iterative ones."""
        return algorithm not in DIRECT

    def supports(self, geometry: ScanGeometry) -> bool:
        """Whether the axis is vertical: TomoPy has no other."""
        return geometry.has_vertical_axis

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return the projector of a geometry (see `Backend.operator`).

        It is that under ``tomopy.project``, and its transpose is what TomoPy's fbp does with no
        filter: along the same rays, with the same lengths.
        """
        check_vertical("backend 'tomopy'", geometry)
        return Rays(geometry, self.workers)

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
        """Reconstruct a volume (see `Backend.reconstruct`).

        Raises
        ------
        ValueError
            An unknown algorithm, an option that it does not take, weights, or an initial volume
            for gridrec or fbp.
        FloatingPointError
            The algorithm diverged.
        """
        self.check_options(algorithm, options)
        check_vertical("backend 'tomopy'", geometry)
        check_inputs(algorithm, geometry, weights, initial, options)
        settings = {**self._defaults[algorithm], **options}
        if algorithm in DIRECT:
            # TomoPy's own 0.5 turns hann and hamming round halfway, up again to the full ramp
            cutoff = 1.0 if settings["filter_name"] in ("hann", "hamming") else 0.5
            settings.setdefault("filter_par", (cutoff, 8.0))
        non_negative = settings.pop("non_negative", False)
        out = np.empty(geometry.volume_shape, np.float32)
        row_bytes = 4 * geometry.n_angles * geometry.n_columns
        size = max(2 * self.workers, _BLOCK_BYTES // row_bytes)
        with _one_call():
            for rows in row_blocks(geometry.n_rows, size):
                sinograms = projections[:, rows].swapaxes(0, 1)
                start = None if initial is None else initial[rows]
                blank = ~np.any(sinograms > 0 if algorithm in POSITIVE else sinograms, axis=(1, 2))
                if "reg_data" in settings:
                    settings["reg_data"] = options["reg_data"][rows]
                block = self._reconstruct_block(sinograms, geometry, algorithm, start, settings)
                if "reg_data" not in settings:
                    block[blank] = 0  # some algorithms divide 0 by 0 there
                out[rows] = block
        if not np.isfinite(out).all():
            raise FloatingPointError(_diverged(algorithm, out, options))
        if non_negative:
            np.maximum(out, 0, out=out)
        return out

    def _reconstruct_block(
        self,
        sinograms: Array,
        geometry: ScanGeometry,
        algorithm: str,
        start: Array | None,
        settings: Mapping[str, Any],
    ) -> Array:
        """Reconstruct some rows, (row, angle, column); returns a volume of its own."""
        width = geometry.volume_width
        options = dict(settings)
        method: Any = algorithm
        angles = geometry.angles
        if algorithm == "gridrec":
            sinograms, center = _sinograms.padded_for_gridrec(sinograms, geometry)
        elif algorithm == "astra":
            sinograms = _sinograms.about_the_middle(sinograms, geometry)
            center = sinograms.shape[-1] / 2
            method, options = self._tomopy.astra, {"options": options}
        else:
            sinograms, center = _sinograms.onto_grid(sinograms, geometry)
            if algorithm == "fbp":
                sinograms, left = _sinograms.edge_continued(sinograms, width)
                sinograms = _filtered(sinograms, **options)
                center += left
                options = {"filter_name": "none"}
            center = edge_center(center, sinograms.shape[-1])
        if algorithm == "art":
            # Art corrects for one projection at a time; in their own order the last ones displace
            # what the others agree on by a fraction of a pixel.
            order = np.argsort(angles)[golden_order(len(angles))]
            sinograms, angles = sinograms[:, order], angles[order]
        if algorithm in POSITIVE:
            sinograms = _made_positive(sinograms)
        if algorithm == "tikh" and "reg_data" not in options:
            options["reg_data"] = np.zeros((len(sinograms), width, width), np.float32)
        result: Array = self._tomopy.recon(
            sinograms,
            angles,
            center=center,
            sinogram_order=True,
            algorithm=method,
            init_recon=_starting_block(algorithm, sinograms, width, start),
            ncore=1 if "reg_data" in settings else self.workers,  # it would not be split
            num_gridx=width,
            num_gridy=width,
            **options,
        )
        if algorithm == "gridrec":
            result /= _GRIDREC_SCALE
            result += _sinograms.gridrec_background(sinograms)[:, None, None]
        return result


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _one_call() -> Iterator[None]:
    """Keep other calls out, and put back what TomoPy leaves in the environment when it fails."""
    variable = "TOMOPY_PYTHON_THREADS"
    with LOCK:
        before = os.environ.get(variable)
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = before


def _filtered(sinograms: Array, filter_name: str, filter_par: Any) -> Array:
    """Return sinograms filtered for back projection, which TomoPy's fbp leaves undone.

    The windows are gridrec's, so that a name means the same in both.
    """
    scale = np.float32(np.pi / sinograms.shape[1])
    if filter_name == "none":
        return sinograms * scale
    cutoff, order = (*np.ravel(filter_par), 8.0)[:2]
    return filtered(sinograms, FILTERS[filter_name], cutoff=cutoff, order=order) * scale


def _made_positive(sinograms: Array) -> Array:
    """Return sinograms without what TomoPy's multiplicative algorithms come to divide by."""
    peaks = sinograms.max(axis=(1, 2), keepdims=True)
    positive: Array = np.maximum(sinograms, np.where(peaks > 0, 1e-4 * peaks, 1), dtype=np.float32)
    return positive


def _starting_block(algorithm: str, sinograms: Array, width: int, start: Array | None) -> Array:
    """Return what TomoPy computes in: ours, because it is overwritten.

    A zero voxel stays zero in the multiplicative algorithms, so they start above it.
    """
    shape = (len(sinograms), width, width)
    if algorithm not in POSITIVE:
        return np.zeros(shape, np.float32) if start is None else np.array(start, np.float32)
    level: Array = sinograms.mean(axis=(1, 2), keepdims=True) / width
    if start is None:
        return np.broadcast_to(level, shape).copy()
    positive: Array = np.maximum(start, 1e-3 * level, dtype=np.float32)
    return positive


def _diverged(algorithm: str, volume: Array, options: Mapping[str, Any]) -> str:
    bad = int((~np.isfinite(volume).all(axis=(1, 2))).sum())
    given = ", ".join(f"{name}={value!r}" for name, value in options.items() if np.size(value) < 9)
    return (
        f"algorithm {algorithm!r} of TomoPy diverged ({given or 'with its default options'}): "
        f"{bad} of {len(volume)} slices hold values that are not finite; take fewer blocks or "
        "iterations, the default reg_par, or another algorithm, such as 'sirt'"
    )
