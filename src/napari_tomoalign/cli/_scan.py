"""The options that say how a scan is read, for every command that reads one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io import settings

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
    _add_angles(group)
    _add_images(group)


def _add_angles(group: argparse._ArgumentGroup) -> None:
    """Add where the angles are and what they mean."""
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
    group.add_argument(
        "--angle-axis",
        type=int,
        metavar="N",
        help="axis of the dataset along which the angles lie, from 0 (default: the first, or the "
        "only one that is as long as there are angles)",
    )


def _add_images(group: argparse._ArgumentGroup) -> None:
    """Add where the images are, which part of them is read, and what is done to them."""
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
        type=_typed(settings.as_rows),
        help="read these rows along the rotation axis only, counted before binning",
    )
    group.add_argument(
        "--channels",
        metavar="N,N-N,... or NAME,...",
        type=_typed(settings.as_channels),
        help="keep these channels of a scan with several (default: all)",
    )
    group.add_argument(
        "--subtract",
        metavar="auto|none|COUNTS",
        type=_typed(settings.as_background),
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
    return settings.reading_options(vars(arguments))


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


def _typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type for argparse, which tells no reason but this one's."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed
