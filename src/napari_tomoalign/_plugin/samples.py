"""Sample data made on the fly: scans of a phantom with known shifts."""

from __future__ import annotations

from typing import Any

from ..simulation import simulate

__all__ = ["medium_phantom", "small_phantom"]

LayerData = tuple[Any, dict[str, Any], str]


def small_phantom() -> list[LayerData]:
    """Return 60 projections of 64 x 64 pixels, displaced by up to about 6 pixels."""
    return _scan("small phantom", size=64, n_angles=60)


def medium_phantom() -> list[LayerData]:
    """Return 180 projections of 128 x 128 pixels, displaced by up to about 6 pixels."""
    return _scan("medium phantom", size=128, n_angles=180)


def _scan(name: str, size: int, n_angles: int) -> list[LayerData]:
    scan = simulate(size, n_angles)
    metadata = {"angles": scan.angles, "true_shifts": scan.shifts}
    return [(scan.projections, {"name": name, "metadata": metadata}, "image")]
