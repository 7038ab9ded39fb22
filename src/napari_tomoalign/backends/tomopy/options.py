"""The options of TomoPy's algorithms: their names, what is filled in, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ..base import check_count, check_switch

__all__ = [
    "ASTRA_ON_GPU",
    "ASTRA_OPTIONS",
    "DEFAULTS",
    "DIRECT",
    "FILTERS",
    "POSITIVE",
    "check_inputs",
    "check_values",
]

Array = NDArray[np.float32]

# TomoPy's names of windows, and ours; no window, no ramp: "none".
FILTERS = {
    "none": "",
    "shepp": "shepp-logan",
    "cosine": "cosine",
    "hann": "hann",
    "hamming": "hamming",
    "ramlak": "ramp",
    "parzen": "parzen",
    "butterworth": "butterworth",
}
DIRECT = ("gridrec", "fbp")
POSITIVE = ("mlem", "osem", "ospml_hybrid", "ospml_quad", "pml_hybrid", "pml_quad")
_REG_PAR_LENGTH = {"tikh": 2, "pml_hybrid": 2, "ospml_hybrid": 2}

# Filled in where the caller says nothing: TomoPy's own default is one iteration, which shows
# nothing, and a regularisation with which grad and tikh diverge.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gridrec": {"filter_name": "shepp"},
    "fbp": {"filter_name": "shepp"},
    "sirt": {"num_iter": 20},
    "mlem": {"num_iter": 20},
    "osem": {"num_iter": 20},
    "art": {"num_iter": 5},
    "bart": {"num_iter": 20},
    "tv": {"num_iter": 40, "reg_par": (0.01,)},
    "grad": {"num_iter": 20, "reg_par": (-1.0,)},
    "tikh": {"num_iter": 20, "reg_par": (-1.0, 1e-3)},
    "ospml_hybrid": {"num_iter": 20},
    "ospml_quad": {"num_iter": 20},
    "pml_hybrid": {"num_iter": 20},
    "pml_quad": {"num_iter": 20},
    "astra": {"method": "SIRT", "proj_type": "linear", "num_iter": 20},
}
ASTRA_ON_GPU = {"method": "SIRT_CUDA", "proj_type": "cuda"}
ASTRA_OPTIONS = ("method", "num_iter", "proj_type", "extra_options", "gpu_list")


def check_values(algorithm: str, options: Mapping[str, Any]) -> None:
    """Refuse values of options that an algorithm would stumble over or misread."""
    for count in ("num_iter", "num_block"):
        check_count(count, options.get(count, 1))
    check_switch("non_negative", options.get("non_negative", False))
    name = options.get("filter_name", "none")
    if name not in FILTERS:
        raise ValueError(f"unknown filter_name {name!r}; known are {', '.join(FILTERS)}")
    needed = {
        "filter_par": 2 if name == "butterworth" else 1,
        "reg_par": _REG_PAR_LENGTH.get(algorithm, 1),
    }
    for option, length in needed.items():
        given = np.asarray(options.get(option, np.zeros(length)))
        if given.size < length or given.dtype.kind not in "fiu":
            raise ValueError(
                f"{option} of algorithm {algorithm!r} must have at least {length} "
                f"number{'s' if length > 1 else ''}, got {options[option]!r}"
            )


def check_inputs(
    algorithm: str,
    geometry: ScanGeometry,
    weights: Array | None,
    initial: Array | None,
    options: Mapping[str, Any],
) -> None:
    """Refuse what TomoPy would ignore, or read beyond the end of."""
    if weights is not None:
        raise ValueError("TomoPy has no weights: fill the pixels to be ignored before")
    if initial is not None and algorithm in DIRECT:
        raise ValueError(f"algorithm {algorithm!r} cannot start from a volume; leave out initial")
    if options.get("num_block", 1) > geometry.n_angles:
        raise ValueError(
            f"num_block must be at most the number of projections, {geometry.n_angles}, got "
            f"{options['num_block']}"
        )
    order = options.get("ind_block")
    if order is not None and sorted(np.ravel(order)) != list(range(geometry.n_angles)):
        raise ValueError(
            f"ind_block must hold every index from 0 to {geometry.n_angles - 1} once, got {order!r}"
        )
    shape = np.shape(options.get("reg_data", np.broadcast_to(0, geometry.volume_shape)))
    if shape != geometry.volume_shape:
        raise ValueError(f"reg_data must have the volume's shape {geometry.volume_shape}, {shape}")
