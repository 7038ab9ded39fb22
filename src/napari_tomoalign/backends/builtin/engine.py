"""The built-in engine: needs nothing but numba, and outruns what it stands in for.

Slices are independent, so everything works on blocks of rows: besides the stack and the volume
only one block is held, in the kernels' layout.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ...images._threads import available_threads, threads
from .. import solvers
from ..base import Backend, BackendUnavailable, Operator, check_count, check_switch, check_vertical
from ..filters import WINDOWS, filtered
from . import kernels
from .operators import BlockOperator, RowOperator, images_block, row_blocks, volume_block
from .space import SpaceOperator

__all__ = ["ITERATIVE", "OPTIONS", "BuiltinBackend", "create", "resolve"]

Array = NDArray[np.float32]

OPTIONS: dict[str, dict[str, Any]] = {
    "fbp": {"filter_name": "hann", "non_negative": False, "circle": True},
    "sirt": {"num_iter": 10, "non_negative": True, "relaxation": 1.0, "circle": True},
    "gradient": {"num_iter": 10, "non_negative": True, "circle": True},
    "ordered_subsets": {"num_iter": 50, "subset_size": 10, "non_negative": True, "circle": True},
}
ITERATIVE: dict[str, Callable[..., Any]] = {
    "sirt": solvers.sirt,
    "gradient": solvers.gradient,
    "ordered_subsets": solvers.ordered_subsets,
}
_OF_ANGLES = ("fbp", "ordered_subsets")  # what the angles are makes a difference to these
_FROM_ZERO = ("fbp", "ordered_subsets")


def resolve(
    algorithm: str, options: Mapping[str, Any], geometry: ScanGeometry
) -> tuple[dict[str, Any], float]:
    """Return what a solver is called with, and the radius in which it looks for the object."""
    settings = {**OPTIONS[algorithm], **options}
    radius = geometry.support_radius if settings.pop("circle") else math.inf
    if algorithm in _OF_ANGLES:
        settings["angles"] = geometry.angles
    return settings, radius


def create(*, workers: int | None = None, use_gpu: bool = False) -> BuiltinBackend:
    """Return the built-in engine.

    Raises
    ------
    BackendUnavailable
        ``use_gpu`` is set: this engine has none.
    """
    if use_gpu:
        raise BackendUnavailable(
            "use_gpu=True, but the built-in engine runs on the CPU only: set use_gpu=False, or "
            "backend='warp'"
        )
    return BuiltinBackend(workers)


class BuiltinBackend(Backend):
    """Joseph's projector and its transpose in numba, with FBP and iterations.

    Parameters
    ----------
    workers : int, optional
        Number of threads. None takes all that numba has.
    """

    name = "builtin"
    algorithms: Sequence[str] = tuple(OPTIONS)

    def __init__(self, workers: int | None = None) -> None:
        available = available_threads()
        self.workers = available if workers is None else min(workers, available)

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the default algorithm and its options (see `Backend.default_for`).

        50 steps on subsets of 10: against 20 steps of the accelerated gradient, the error of an
        alignment falls from 1.7 to 1.3 times the bound on porous objects, from 3.1 to 1.8 on a
        rod and from 40 to 3.5 on a tube that leave the field. 40 on subsets of 12, as fast, leave
        slow waves of the column shifts behind: a slab over 140 degrees ends at 2.4 to 3.5 times
        the bound and not converged, where it ends at 2.1 to 2.7 (three sets of seeds). 60 on
        subsets of 8 follow the noise of many angles (180: 1.14 for 1.10) and what lies outside
        the images (``accuracy.py --quick``; ``foreign_kinds.py --algorithm ordered_subsets
        --option num_iter=60 --option subset_size=8``, both in ``tests/benchmarks``).
        """
        return "ordered_subsets", {"num_iter": 50}

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse an unknown algorithm, option or value (see `Backend.check_options`)."""
        if algorithm not in OPTIONS:
            raise ValueError(
                f"unknown algorithm {algorithm!r} for backend {self.name!r}; known are "
                f"{', '.join(self.algorithms)}"
            )
        unknown = sorted(set(options) - set(OPTIONS[algorithm]))
        if unknown:
            raise ValueError(
                f"algorithm {algorithm!r} of backend {self.name!r} has no option "
                f"{', '.join(map(repr, unknown))}; known are {', '.join(OPTIONS[algorithm])}"
            )
        for count in ("num_iter", "subset_size"):
            check_count(count, options.get(count, 1))
        relaxation = options.get("relaxation", 1.0)
        if not isinstance(relaxation, numbers.Real) or not 0 < float(relaxation) < 2:
            raise ValueError(f"relaxation must lie in (0, 2), got {relaxation!r}")
        for name in ("non_negative", "circle"):
            check_switch(name, options.get(name, False))
        window = options.get("filter_name", "ramp")
        if window not in WINDOWS:
            raise ValueError(f"unknown filter_name {window!r}; known are {', '.join(WINDOWS)}")

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are left out: by the iterative methods."""
        return algorithm != "fbp"

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume: sirt and gradient."""
        return algorithm not in _FROM_ZERO

    def startup_note(self) -> str | None:
        """Return what the user should know while the first call takes long, or None."""
        kept = kernels.project.stats.cache_path
        if kernels.project.signatures or (kept and any(Path(kept).glob("kernels.*.nbi"))):
            return None
        if kept is None:
            return (
                "compiling the kernels, about half a minute in every run, for no folder can be "
                "written to: give one in NUMBA_CACHE_DIR"
            )
        return "compiling the kernels, once: about half a minute"

    def supports(self, geometry: ScanGeometry) -> bool:
        """Whether the engine takes a geometry: any; ``"fbp"`` those about a vertical axis."""
        return True

    def operator(self, geometry: ScanGeometry) -> Operator:
        """Return the projector of a geometry (see `Backend.operator`)."""
        if not geometry.has_vertical_axis:
            return SpaceOperator(geometry, self.workers)
        return RowOperator(geometry, self.workers)

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

        ``"fbp"``: ``filter_name`` (`filters.WINDOWS`), ``non_negative``. ``"sirt"``: ``num_iter``,
        ``non_negative``, ``relaxation``. ``"gradient"``: the same preconditioned step with
        Nesterov's acceleration, ``num_iter``, ``non_negative``. ``"ordered_subsets"``: those steps
        on some projections at a time, ``num_iter``, ``subset_size``, ``non_negative``. All take
        ``circle``: the volume is 0 outside the circle that a scan can tell
        (`ScanGeometry.support_radius`).

        Raises
        ------
        ValueError
            An unknown algorithm or option, or an initial volume for one that starts from zero.
        """
        self.check_options(algorithm, options)
        if initial is not None and not self.accepts_initial(algorithm):
            raise ValueError(
                f"algorithm {algorithm!r} cannot start from a volume; leave out initial"
            )
        settings, radius = resolve(algorithm, options, geometry)
        if not geometry.has_vertical_axis:
            if algorithm == "fbp":
                check_vertical("algorithm 'fbp'", geometry)
            space = SpaceOperator(geometry, self.workers, radius)
            if initial is not None:
                settings["initial"] = np.asarray(initial, np.float32) * space.disc
            given = None if weights is None else np.asarray(weights, np.float32)
            return np.asarray(
                ITERATIVE[algorithm](
                    space, np.asarray(projections, np.float32), weights=given, **settings
                )
            )
        out = np.empty(geometry.volume_shape, np.float32)
        with threads(self.workers):
            for rows in row_blocks(geometry):
                part = projections[:, rows]
                if algorithm == "fbp":
                    some = geometry.with_changes(n_rows=part.shape[1])
                    A = RowOperator(some, self.workers, radius, at_once=part.shape[1])
                    filtering = functools.partial(filtered, workers=self.workers)
                    out[rows] = solvers.fbp(A, part, filtering=filtering, **settings)
                    continue
                block = BlockOperator(geometry, part.shape[1], radius)
                if initial is not None:
                    settings["initial"] = volume_block(initial[rows]) * block.disc
                volume = ITERATIVE[algorithm](
                    block,
                    images_block(part),
                    weights=None if weights is None else images_block(weights[:, rows]),
                    **settings,
                )
                out[rows] = volume[1:-1, 1:-1].transpose(2, 0, 1)
                del volume  # make room for the next one
        return out
