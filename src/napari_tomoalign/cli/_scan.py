"""The options that say how a scan is read, for every command that reads one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._indices import indices

if TYPE_CHECKING:
    from ..io.scan import Scan

__all__ = ["add_scan_arguments", "outline", "reading_options", "tell_remarks"]


def add_scan_arguments(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Add the scan itself, which may be said elsewhere where not needed, and how to read it."""
    parser.add_argument(
        "scan",
        nargs="+" if needed else "*",
        metavar="SCAN",
        help="the scan's file or folder: Data Exchange, NeXus or other HDF5, HyperSpy, EMD, MRC, "
        "TIFF, npy, npz, zarr; several files are the channels of one scan",
    )
    group = parser.add_argument_group("reading the scan")
    group.add_argument(
        "--angles",
        metavar="FILE|/PATH",
        help="a file of angles (.rawtlt, .tlt, .mdoc, .txt, .csv, .npy), or a dataset inside the "
        "scan's file",
    )
    group.add_argument(
        "--angle-range",
        "--first-last",
        nargs=2,
        type=float,
        metavar=("FIRST", "LAST"),
        help="evenly spaced angles, degrees, both ends included",
    )
    group.add_argument(
        "--angle-unit",
        choices=("degrees", "radians"),
        help="unit of the angles (default: recognised, and said by 'info')",
    )
    group.add_argument(
        "--angles-from-start",
        action="store_true",
        help="of more angles than projections take the first ones: the scan was stopped",
    )
    group.add_argument(
        "--angles-from-names",
        action="store_true",
        help="take the angles, degrees, that stand in the names of a folder's images",
    )
    for name, what in (
        ("data", "the projections"),
        ("flats", "the flat fields"),
        ("darks", "the dark fields"),
        ("keys", "what each frame is (0 projection, 1 flat, 2 dark)"),
    ):
        group.add_argument(f"--{name}", metavar="PATH", help=f"dataset of {what} inside the file")
    group.add_argument(
        "--inflate",
        action="store_true",
        help="read even what is more than a thousand times larger in memory than in the file",
    )
    group.add_argument(
        "--angle-axis",
        type=int,
        metavar="N",
        help="axis of the dataset along which the angles lie, from 0 (default: the first, or the "
        "only one that is as long as there are angles)",
    )
    group.add_argument(
        "--rotation-axis",
        choices=("vertical", "horizontal"),
        help="direction of the rotation axis in the images (default: what the file says, "
        "else vertical)",
    )
    group.add_argument(
        "--binning", type=int, default=1, metavar="N", help="bin the pixels N x N (default: 1)"
    )
    group.add_argument(
        "--rows",
        metavar="FIRST:LAST",
        type=_rows,
        help="read these rows along the rotation axis only, counted before binning",
    )
    group.add_argument(
        "--channels",
        metavar="N,N-N,... or NAME,...",
        type=_channels,
        help="keep these channels of a scan with several (default: all)",
    )
    group.add_argument(
        "--subtract",
        metavar="auto|none|COUNTS",
        type=_background,
        default="auto",
        help="counts to subtract from every pixel on reading (default: auto)",
    )
    group.add_argument(
        "--normalise",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="apply flat and dark fields and take -log where the file has them (default: on)",
    )


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `napari_tomoalign.io.read_scan` is to be called with, besides the files."""
    if arguments.binning < 1:
        raise ValueError(f"--binning must be at least 1, got {arguments.binning}")
    angles = arguments.angles
    inside = angles is not None and angles.startswith("/") and not Path(angles).exists()
    return {
        "angles": None if inside else angles,
        "angle_unit": arguments.angle_unit,
        "first_last": None if arguments.angle_range is None else tuple(arguments.angle_range),
        "angles_from_start": arguments.angles_from_start,
        "angles_from_names": arguments.angles_from_names,
        "data": arguments.data,
        "angles_path": angles if inside else None,
        "flats": arguments.flats,
        "darks": arguments.darks,
        "keys": arguments.keys,
        "angle_axis": arguments.angle_axis,
        "inflate": arguments.inflate,
        "rotation_axis": arguments.rotation_axis,
        "binning": arguments.binning,
        "rows": arguments.rows,
        "channels": arguments.channels,
        "background": arguments.subtract,
        "normalise": arguments.normalise,
    }


def tell_remarks(scan: Scan) -> None:
    """Say what the reader has to remark, one line each, where errors go."""
    for remark in scan.remarks:
        print(f"note: {remark}", file=sys.stderr)


def outline(scan: Scan) -> str:
    """Say in one line how large a scan is and over which angles it goes."""
    n_angles, n_rows, n_columns = scan.projections.shape[:3]
    degrees = np.degrees(scan.angles)
    text = (
        f"{n_angles} projections of {n_rows} x {n_columns} pixels (rows x columns), "
        f"{degrees.min():.6g} to {degrees.max():.6g} degrees"
    )
    if scan.projections.ndim == 4:
        text += f", {scan.projections.shape[3]} channels"
    return text


def _rows(text: str) -> tuple[int | None, int | None]:
    first, colon, last = text.partition(":")
    if not colon or not all(not end or end.isdecimal() for end in (first, last)):
        raise argparse.ArgumentTypeError(f"expected rows such as 10:50, got {text!r}")
    return int(first) if first else None, int(last) if last else None


def _channels(text: str) -> tuple[int, ...] | tuple[str, ...]:
    try:
        return indices(text)
    except ValueError:
        return tuple(text.split(","))


def _background(text: str) -> str | float | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected auto, none or a number of counts, got {text!r}"
        ) from None
