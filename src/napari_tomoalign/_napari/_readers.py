"""Open scans in napari: each channel as a layer, with the angles in its metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..io import can_read, load, read_scan
from ..io.scan import Scan

__all__ = ["get_reader", "scan_layers"]

IN_MEMORY = 2**30
"""Bytes of a file up to which it is read at once."""

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what reads the file, or None where it is no scan of ours.

    Parameters
    ----------
    path : str or sequence of str
        Files that are opened together each give their own layers.
    """
    paths = [path] if isinstance(path, str) else list(path)
    if not all(Path(each).is_file() and can_read(each) for each in paths):
        return None
    return lambda asked: [
        layer for each in ([asked] if isinstance(asked, str) else asked) for layer in _open(each)
    ]


def _open(path: str) -> list[LayerData]:
    """Read a file; a large one of one channel stays on disk, and its images are read as shown."""
    lazy = Path(path).stat().st_size > IN_MEMORY
    scan = read_scan(path, lazy=lazy)
    if lazy and scan.projections.ndim > 3:
        scan = load(scan)
    return scan_layers(scan, Path(path).stem)


def scan_layers(scan: Scan, name: str) -> list[LayerData]:
    """Return a scan as layers, one a channel.

    Parameters
    ----------
    scan : Scan
        With a vertical axis.
    name : str
        Of the layer; the channel's name is added where there are several.
    """
    stack = scan.projections
    channels = [stack] if stack.ndim == 3 else np.moveaxis(stack, 3, 0)
    names = scan.channels or [f"channel {index}" for index in range(len(channels))]
    size = 1.0 if scan.pixel_size is None else scan.pixel_size
    unit = scan.pixel_unit if scan.pixel_size is not None and scan.pixel_unit else "pixel"
    return [
        (
            images,
            {
                "name": name if len(channels) == 1 else f"{name} {channel}",
                "scale": (1.0, size, size),
                "units": ("pixel", unit, unit),
                "metadata": _metadata(scan),
            },
            "image",
        )
        for images, channel in zip(channels, names, strict=False)
    ]


def _metadata(scan: Scan) -> dict[str, Any]:
    """Return what travels with the layer; a key that has no value is left out."""
    known = {
        "angles": scan.angles,
        "weights": scan.weights,
        "true_shifts": scan.true_shifts,
        "source": dict(scan.source),
        "preparation": scan.preparation,
    }
    return {key: value for key, value in known.items() if value is not None}
