"""Open scans in napari: each channel as a layer, with the angles in its metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..io import NoAngles, ScanFileError, can_read, load, read_scan
from ..io.angle_files import angles_beside, read_angles
from ..io.scan import Scan

__all__ = ["get_reader", "open_scan", "scan_layers"]

IN_MEMORY = 2**30
"""Bytes of a file up to which it is read at once."""

_COMMON = {".tif", ".tiff", ".npy"}  # what is a scan only where there are angles beside it
_LISTS = ("*.txt", "*.csv", "*.dat", "*.tlt", "*.rawtlt", "*.mdoc", "*.npy")

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what reads the file or folder, or None where it is no scan of ours.

    Parameters
    ----------
    path : str or sequence of str
        Files that are opened together each give their own layers.
    """
    paths = [path] if isinstance(path, str) else list(path)
    if not all(_is_scan(Path(each)) for each in paths):
        return None
    return lambda asked: [
        layer
        for each in ([asked] if isinstance(asked, str) else asked)
        for layer in open_scan(each)
    ]


def _is_scan(path: Path) -> bool:
    if path.is_dir() or path.suffix.lower() in _COMMON:
        beside = angles_beside(path) is not None or _lists_beside(path, None) != []
        return beside and can_read(path)
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
    place = Path(path)
    lazy = place.is_file() and place.stat().st_size > IN_MEMORY
    options: dict[str, Any] = dict(parts)
    try:
        scan = read_scan(path, lazy=lazy, **options)
    except NoAngles:
        scan = read_scan(path, lazy=lazy, first_last=(0, 0), **options)  # taken off again below
        return _without_angles(scan, place)
    if lazy and scan.projections.ndim > 3:
        scan = load(scan)
    layers = scan_layers(scan, place.stem)
    for _, attributes, _ in layers:
        said = {"angles" if name == "angles_path" else name: parts[name] for name in parts}
        attributes["metadata"]["read_with"] = said
    return layers


def _without_angles(scan: Scan, path: Path) -> list[LayerData]:
    layers = scan_layers(scan, path.stem)
    found = _lists_beside(path, len(scan.angles))
    for _, attributes, _ in layers:
        metadata = attributes["metadata"]
        del metadata["angles"]
        if len(found) == 1:
            metadata["angles"], words = read_angles(found[0])
            metadata["read_with"] = {"angles": str(found[0].absolute())}
            metadata["preparation"] = (*_words_of(scan), f"angles: {words}")
    return layers


def _lists_beside(path: Path, count: int | None) -> list[Path]:
    """Return the files in or beside a scan that hold so many numbers, as angles would be."""
    folders = [path, path.parent] if path.is_dir() else [path.parent]
    found = []
    for folder in folders:
        for file in sorted({file for pattern in _LISTS for file in folder.glob(pattern)} - {path}):
            try:
                angles = read_angles(file)[0]
            except (OSError, ScanFileError):
                continue
            if count is None or len(angles) == count:
                found.append(file)
        if found:
            break
    return found


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
        "preparation": _words_of(scan),
        "rotation_axis": scan.rotation_axis,
        "file": scan.source.get("file"),
    }
    return {key: value for key, value in known.items() if value is not None}


def _words_of(scan: Scan) -> tuple[str, ...]:
    """Return what the reader remarks and what was done to the counts, each once."""
    return tuple(dict.fromkeys((*scan.remarks, *scan.preparation)))
