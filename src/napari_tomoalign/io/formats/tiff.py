"""TIFF: a stack in one file, or a folder with one image a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import FlatSource
from ..angles import angles_beside, read_angles
from ..errors import ScanFileError
from ..raw import RawScan, ReadOptions, Store, stack_of

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".tif", ".tiff")
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FIELDS = {"white": re.compile(r"(flat|white)", re.I), "dark": re.compile(r"dark", re.I)}


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
    scan = _read_folder(path) if path.is_dir() else _read_file(path, options)
    beside = angles_beside(path)
    if beside is None and path.is_dir():
        inside = [file for file in path.iterdir() if file.suffix.lower() in (".rawtlt", ".tlt")]
        beside = inside[0] if len(inside) == 1 else None
    if beside is None or options.angles_known:
        return scan
    angles, words = read_angles(beside, options.angle_unit)
    return RawScan(
        scan.stack,
        angles=angles,
        white=scan.white,
        dark=scan.dark,
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        source={**scan.source, "angles": words},
        rotation_axis=scan.rotation_axis,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except ScanFileError:
        raise
    except Exception as error:  # the decoders of TIFF have no exception in common
        raise ScanFileError(
            f"{path} cannot be read as TIFF: {error}; it seems to be truncated or damaged, copy "
            "it again from where it came"
        ) from error


@dataclass(frozen=True)
class _Series:
    """The first series of a TIFF file, of which whole pages are decoded.

    Attributes
    ----------
    path : Path
        The file.
    shape, dtype : tuple of int, numpy.dtype
        Of the series.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out."""
        with _opened(self.path) as file:
            if len(self.shape) > 3:
                return np.asarray(file.series[0].asarray()[cuts])
            frames = range(self.shape[0])[cuts[0]]
            pages = file.series[0].pages
            return np.stack([pages[index].asarray()[cuts[1:]] for index in frames])


def _read_file(path: Path, options: ReadOptions) -> RawScan:
    with _opened(path) as file:
        series = file.series[0]
        shape, dtype = tuple(int(n) for n in series.shape), series.dtype
        if "S" in series.axes:
            raise ScanFileError(
                f"{path} holds colour images (axes {series.axes}); convert them to one grey value "
                "a pixel"
            )
        _refuse_unequal(path, file)
        _refuse_truncated(path, file, series)
        if len(shape) == 2:
            raise ScanFileError(
                f"{path} holds one image of {shape[0]} x {shape[1]} pixels, expected a stack; for "
                "one image a file, give the folder"
            )
        contiguous = series.dataoffset
        said = _our_description(file)

    store: Store = _Series(path, shape, np.dtype(dtype))
    if contiguous is not None:
        dtype = np.dtype(dtype).newbyteorder(_byte_order(path))
        store = FlatSource(path, int(contiguous), shape, dtype)
    source = {"data": f"{path.name}, {' x '.join(map(str, shape))}, {dtype}"}
    if "aligned_with" in said:
        source["aligned"] = str(said["aligned_with"])
    return RawScan(
        stack_of(store, n_angles=options.n_angles, where=str(path), angle_axis=options.angle_axis),
        pixel_size=said.get("pixel_size"),
        pixel_unit=said.get("pixel_unit", ""),
        source=source,
        rotation_axis=said.get("rotation_axis"),
    )


def _byte_order(path: Path) -> str:
    with path.open("rb") as file:
        return "<" if file.read(2) == b"II" else ">"


def _refuse_unequal(path: Path, file: Any) -> None:
    if len(file.series) > 1:
        shapes = sorted({tuple(series.shape[-2:]) for series in file.series})
        if len(shapes) > 1:
            raise ScanFileError(
                f"{path} holds images of unequal size ({', '.join(map(str, shapes))}); all "
                "projections must have the same"
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
    files = sorted(
        (file for file in path.iterdir() if file.suffix.lower() in SUFFIXES), key=_natural
    )
    groups: dict[str, list[Path]] = {"data": [], "white": [], "dark": []}
    for file in files:
        kind = next((kind for kind, name in _FIELDS.items() if name.match(file.name)), "data")
        groups[kind].append(file)
    images = groups["data"]
    if not images:
        raise ScanFileError(f"{path} holds flat or dark fields, but no projections")
    shape, dtype = _header(images[0])
    for file in files:
        other = _header(file)
        if other[0] != shape or (other[1] != dtype and file in images):
            raise ScanFileError(
                f"{file} is an image of {other[0]} pixels, {other[1]}, but {images[0].name} has "
                f"{shape}, {dtype}: unequal frames; all projections must have the same size and "
                "type"
            )
    stack = stack_of(_Images(tuple(images), shape, dtype), n_angles=len(images), where=str(path))
    source = {"data": f"{len(images)} images, {images[0].name} to {images[-1].name}, {dtype}"}
    means = {}
    for kind, words in (("white", "flats"), ("dark", "darks")):
        if groups[kind]:
            frames = [_image(file) for file in groups[kind]]
            means[kind] = np.asarray(np.mean(frames, axis=0, dtype=np.float64), dtype=np.float32)
            source[words] = f"{len(frames)} images, {groups[kind][0].name} and on"
    return RawScan(stack, white=means.get("white"), dark=means.get("dark"), source=source)


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


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a key that sorts ``image2`` before ``image10``."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
