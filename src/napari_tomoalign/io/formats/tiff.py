"""TIFF: a stack in one file, or a folder with one image a file."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import FlatSource
from ..angle_files import angles_beside, read_angles
from ..errors import ScanFileError, reading
from ..image_names import Names, kind_of, ordered
from ..limits import refuse_inflated
from ..raw import RawScan, ReadOptions, Store, named_axes, stack_of
from ..units import METRES

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".tif", ".tiff")
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CUT = re.compile(r"page|offset|truncat|corrupt|end of file|out of range|reshape", re.I)


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the first bytes are TIFF's, or the folder holds TIFF files."""
    if path.is_dir():
        return any(file.suffix.lower() in SUFFIXES for file in path.iterdir())
    return head[:4] in _MAGIC


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the headers of a stack, or of all the images of a folder.

    Raises
    ------
    ScanFileError
        Truncated files, colour images, or images of unequal size.
    """
    options.refuse_unused(path)
    scan = _read_folder(path) if path.is_dir() else _read_file(path, options)
    beside = angles_beside(path)
    if beside is None or options.angles_known:
        return scan
    angles, words = read_angles(beside, options.angle_unit)
    return replace(scan, angles=angles, source={**scan.source, "angles": words})


class _Complaints(logging.Handler):
    """Collects what tifffile writes into its log instead of raising it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file whose every page is there."""
    import tifffile

    complaints = _Complaints()
    log = logging.getLogger("tifffile")
    log.addHandler(complaints)
    try:
        with reading(path), tifffile.TiffFile(path) as file:
            len(file.pages)  # walks through all of them
            cut = [line for line in complaints.lines if _CUT.search(line)]
            if cut:
                raise ScanFileError(
                    f"{path} is truncated or damaged: {cut[0]}; copy it again from where it came"
                )
            yield file
    finally:
        log.removeHandler(complaints)


@dataclass(frozen=True)
class _Series:
    """The images of a TIFF file, decoded page by page.

    Attributes
    ----------
    path : Path
        The file.
    shape, dtype : tuple of int, numpy.dtype
        Of all of them together.
    paged : bool
        Each page is one image, so that pages can be decoded alone.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    paged: bool

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out."""
        with _opened(self.path) as file:
            if not self.paged:
                return np.asarray(file.series[0].asarray()[cuts])
            pages = _pages(file)
            *outer, rows, columns = (*cuts, *[slice(None)] * (len(self.shape) - len(cuts)))
            wanted = [range(n)[cut] for n, cut in zip(self.shape, outer, strict=False)]
            strides = [math.prod(self.shape[axis + 1 : -2]) for axis in range(len(wanted))]
            images = [
                pages[sum(stride * indices[at] for stride, indices, at in parts)].asarray()
                for parts in (
                    list(zip(strides, wanted, place, strict=True))
                    for place in np.ndindex(*(len(indices) for indices in wanted))
                )
            ]
            cut = [image[rows, columns] for image in images]
            return np.stack(cut).reshape([*map(len, wanted), *cut[0].shape])


def _pages(file: Any) -> list[Any]:
    """Return the pages of the first series, or of all where each is a series of its own."""
    return [page for series in file.series for page in series.pages]


def _read_file(path: Path, options: ReadOptions) -> RawScan:
    with _opened(path) as file:
        series = file.series[0]
        shape, dtype, axes = tuple(map(int, series.shape)), np.dtype(series.dtype), series.axes
        if "S" in axes:
            raise ScanFileError(
                f"{path} holds colour images (axes {axes}); convert them to one grey value a pixel"
            )
        _refuse_unequal(path, file)
        if any(page is None for page in series.pages):
            raise ScanFileError(
                f"{path} belongs to a scan of several files, of which some are not there; put "
                "them beside it"
            )
        _refuse_truncated(path, file, series)
        stored = sum(sum(page.databytecounts) for page in series.pages)
        refuse_inflated(series.nbytes, stored, path, inflate=options.inflate)
        contiguous = series.dataoffset
        if len(shape) == 2 and len(file.series) > 1:
            shape, axes, contiguous = (len(file.series), *shape), "QYX", None
        if len(shape) == 2:
            raise ScanFileError(
                f"{path} holds one image of {shape[0]} x {shape[1]} pixels, expected a stack; for "
                "one image a file, give the folder"
            )
        said = _our_description(file)
        size, unit, where = _pixel_size(file, said)
        paged = len(_pages(file)) == math.prod(shape[:-2])
        named = bool(file.is_ome or file.is_imagej)
    store: Store = _Series(path, shape, dtype, paged)
    if contiguous is not None:
        dtype = dtype.newbyteorder(_byte_order(path))
        store = FlatSource(path, int(contiguous), shape, dtype)
    source = {"data": f"{path.name}, {' x '.join(map(str, shape))}, {dtype}"}
    if where:
        source["pixel_size"] = where
    if "aligned_with" in said:
        source["aligned"] = str(said["aligned_with"])
    return RawScan(
        stack_of(
            store,
            n_angles=options.n_angles,
            where=str(path),
            angle_axis=options.angle_axis,
            axes=named_axes(axes, shape, str(path))
            if named and options.angle_axis is None
            else None,
        ),
        pixel_size=size,
        pixel_unit=unit,
        source=source,
        rotation_axis=said.get("rotation_axis"),
    )


def _byte_order(path: Path) -> str:
    with path.open("rb") as file:
        return "<" if file.read(2) == b"II" else ">"


def _refuse_unequal(path: Path, file: Any) -> None:
    kinds = {(tuple(series.shape[-2:]), series.dtype) for series in file.series}
    if len(kinds) > 1:
        shapes = ", ".join(sorted(f"{shape} {kind}" for shape, kind in kinds))
        raise ScanFileError(
            f"{path} holds images of unequal size ({shapes}); all projections must have the same"
        )


def _refuse_truncated(path: Path, file: Any, series: Any) -> None:
    size = path.stat().st_size
    last = file.pages[-1]
    ends = [
        offset + count for offset, count in zip(last.dataoffsets, last.databytecounts, strict=False)
    ]
    if series.dataoffset is not None:
        ends.append(series.dataoffset + series.nbytes)
    if ends and max(ends) > size:
        raise ScanFileError(
            f"{path} is truncated: its last image ends at byte {max(ends)}, but the file has "
            f"{size}; copy it again from where it came"
        )


def _our_description(file: Any) -> dict[str, Any]:
    """Return what this program wrote into the file beside the images."""
    try:
        described = json.loads(file.pages[0].description)
    except ValueError:
        return {}
    said = described.get("napari-tomoalign", {}) if isinstance(described, dict) else {}
    return said if isinstance(said, dict) else {}


def _pixel_size(file: Any, said: dict[str, Any]) -> tuple[float | None, str, str]:
    """Return the edge of a pixel, its unit and who says so: this program, OME or ImageJ."""
    size, unit, where = said.get("pixel_size"), str(said.get("pixel_unit", "")), ""
    if file.is_ome:
        found = {
            name: re.search(rf'\bPhysicalSizeX{name}="([^"]*)"', file.ome_metadata or "")
            for name in ("", "Unit")
        }
        size = float(found[""][1]) if found[""] else None
        unit, where = (found["Unit"][1] if found["Unit"] else "um"), "OME metadata"
    elif file.is_imagej:
        unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "u")
        resolution = float(file.pages[0].resolution[0])
        size, where = (1 / resolution if unit and resolution > 0 else None), "ImageJ metadata"
    if not isinstance(size, (int, float)):
        return None, "", ""
    if where and unit in METRES:
        size, unit = size * METRES[unit] * 1e9, "nm"
    return float(size), unit, where


@dataclass(frozen=True)
class _Images:
    """Image files, one a frame.

    Attributes
    ----------
    files : tuple of Path
        In their order.
    image : tuple of int
        Rows and columns.
    dtype : numpy.dtype
        Of the images.
    """

    files: tuple[Path, ...]
    image: tuple[int, int]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the stack."""
        return (len(self.files), *self.image)

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out."""
        return np.stack([_image(file)[cuts[1:]] for file in self.files[cuts[0]]])


def _image(path: Path) -> NDArray[Any]:
    with _opened(path) as file:
        image: NDArray[Any] = file.pages[0].asarray()
        return image


def _read_folder(path: Path) -> RawScan:
    files = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    groups: dict[str, list[Path]] = {"data": [], "white": [], "dark": []}
    for file in files:
        groups[kind_of(file.stem)].append(file)
    if not groups["data"]:  # a sample that is called white, or dark
        groups = {"data": files, "white": [], "dark": []}
    names = ordered(groups["data"])
    images = names.files
    shape, dtype = _header(images[0])
    for file in (*images, *groups["white"], *groups["dark"]):
        other = _header(file)
        if other[0] != shape or (other[1] != dtype and file in images):
            raise ScanFileError(
                f"{file} is an image of {other[0]} pixels, {other[1]}, but {images[0].name} has "
                f"{shape}, {dtype}: unequal frames; all projections must have the same size and "
                "type"
            )
    stack = stack_of(_Images(images, shape, dtype), n_angles=len(images), where=str(path))
    source = {"data": f"{len(images)} images, {images[0].name} to {images[-1].name}, {dtype}"}
    means = {}
    for kind, words in (("white", "flats"), ("dark", "darks")):
        if groups[kind]:
            means[kind] = _mean(groups[kind])
            source[words] = f"{len(groups[kind])} images, {min(groups[kind]).name} and on"
    return RawScan(
        stack,
        white=means.get("white"),
        dark=means.get("dark"),
        source=source,
        names=names,
        notes=_notes(names),
    )


def _mean(files: list[Path]) -> NDArray[np.float32]:
    total = np.zeros(_image(files[0]).shape, np.float64)
    for file in files:
        total += _image(file)
    return (total / len(files)).astype(np.float32)


def _notes(names: Names) -> tuple[str, ...]:
    if not names.gaps:
        return ()
    return (f"the numbers {names.gaps} are missing between the images of the folder",)


def _header(path: Path) -> tuple[tuple[int, int], np.dtype[Any]]:
    with _opened(path) as file:
        page = file.pages[0]
        if len(file.pages) > 1 or len(page.shape) != 2:
            raise ScanFileError(
                f"{path} holds {len(file.pages)} images of shape {page.shape}; in a folder, "
                "each file must hold one grey image"
            )
        _refuse_truncated(path, file, file.series[0])
        return (int(page.shape[0]), int(page.shape[1])), np.dtype(page.dtype)
