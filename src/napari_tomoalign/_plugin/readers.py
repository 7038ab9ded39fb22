"""Open scans in napari: each channel as a layer, with the angles in its metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry import turn_projections
from ..io import NoAngles, can_read, load, read_scan
from ..io.angle_files import angles_beside, lists_beside, read_angles
from ..io.scan import Scan

__all__ = ["get_reader", "open_scan", "scan_layers"]

IN_MEMORY = 2**30
"""Bytes of a file up to which it is read at once."""

_COMMON = {".tif", ".tiff", ".npy"}  # what is a scan only where there are angles beside it

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what reads the file or folder, or each of several; None where one is no scan."""
    paths = [path] if isinstance(path, str) else list(path)
    if not all(_is_scan(Path(each)) for each in paths):
        return None
    return lambda _: [layer for each in paths for layer in open_scan(each)]


def _is_scan(path: Path) -> bool:
    if path.is_dir() or path.suffix.lower() in _COMMON:
        return (angles_beside(path) is not None or bool(lists_beside(path))) and can_read(path)
    return path.is_file() and can_read(path)


def open_scan(path: str, **parts: str) -> list[LayerData]:
    """Read a scan as layers; a large one of one channel stays on disk, and is read as shown.

    Where it has no angles and one list beside it has as many numbers as there are projections,
    these are its angles, and it is said; else the layer carries none.

    Parameters
    ----------
    path : str
        A file, or a folder of images.
    **parts
        Datasets of an HDF5 file, by the names of `read_scan`: data, angles_path, flats, darks,
        keys.
    """
    place, known = Path(path), True
    lazy = place.is_file() and place.stat().st_size > IN_MEMORY
    options: dict[str, Any] = dict(parts)
    try:
        scan = read_scan(path, lazy=lazy, **options)
    except NoAngles:
        known = False
        scan = read_scan(path, lazy=lazy, first_last=(0, 0), **options)  # taken off again below
    if lazy and (scan.projections.ndim > 3 or scan.rotation_axis == "horizontal"):
        scan = load(scan)
    said = {"angles" if name == "angles_path" else name: parts[name] for name in parts}
    layers = scan_layers(scan, place.stem)
    found = [] if known else lists_beside(place, len(scan.angles))
    for _, attributes, _ in layers:
        metadata = attributes["metadata"]
        metadata["read_with"] = said
        if not known:
            del metadata["angles"]
        if len(found) == 1:
            metadata["angles"], words = read_angles(found[0])
            metadata["read_with"] = {**said, "angles": str(found[0].absolute())}
            metadata["preparation"] = (*metadata["preparation"], f"angles: {words}")
    return layers


def scan_layers(scan: Scan, name: str) -> list[LayerData]:
    """Return a scan as layers, one a channel, as measured; the name is that of the layers."""
    stack = turn_projections(scan.projections, scan.rotation_axis)
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
    axis = scan.rotation_axis
    known = {
        "angles": scan.angles,
        "rotations": scan.rotations,
        "weights": None if scan.weights is None else turn_projections(scan.weights, axis),
        "true_shifts": None
        if scan.true_shifts is None
        else turn_projections(scan.true_shifts, axis),
        "source": dict(scan.source),
        "preparation": tuple(dict.fromkeys((*scan.remarks, *scan.preparation))),
        "rotation_axis": axis,
        "file": scan.source.get("file"),
    }
    return {key: value for key, value in known.items() if value is not None}
