"""``simulate``: a scan of a known object with known shifts, as a detector would write it."""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..simulation import as_counts, simulate
from ._options import add_options, chosen, options_of_function

__all__ = ["USAGE", "add_arguments", "run"]

USAGE = "-o FILE [options]"

# Masks and garbage pixels have no place in a file of counts.
_LEFT_OUT = ("masked_fraction", "garbage_fraction")
# What differs from the function: a name is all that can be typed, and counts have counting noise.
_TEXTS = {
    "kind": "The object: ellipsoids, soft, granular, fibrous, shell or asymmetric.",
    "noise": "Counting noise, on average this much of the largest line integral.",
    "photons": "Photons in the brightest pixel of the beam, in place of --noise.",
}
_OPTIONS = tuple(
    replace(option, text=_TEXTS.get(option.name, option.text))
    for option in options_of_function(simulate)
    if option.name not in _LEFT_OUT
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and every option of `simulation.simulate` that a file of counts can hold."""
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        type=Path,
        help="the scan, Data Exchange HDF5 (.h5); the true shifts, for a rotation axis in the "
        "middle, are written beside it too, "
        "as FILE with _shifts.csv in place of its suffix",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_options(parser, _OPTIONS, usual="the scan")


def run(arguments: argparse.Namespace) -> int:
    """Simulate and write."""
    from ..io import check_outputs, write_scan

    path: Path = arguments.output
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise ValueError(f"{path}: a scan is written as HDF5; give a name that ends in .h5")
    beside = path.with_name(f"{path.stem}_shifts.csv")
    check_outputs([path, beside], overwrite=arguments.overwrite)
    given = chosen(arguments, _OPTIONS)
    scan = simulate(**given)
    counts = as_counts(scan, photons=scan.photons, seed=given.get("seed", 0))
    middle = (counts.data.shape[2] - 1) / 2
    shifts = counts.shifts + np.array([0.0, counts.center - middle])
    write_scan(
        path,
        counts.data,
        scan.angles,
        white=counts.data_white,
        dark=counts.data_dark,
        true_shifts=shifts,
        overwrite=arguments.overwrite,
    )
    _write_shifts(beside, scan.angles, shifts, arguments.overwrite)
    n_angles, n_rows, n_columns = counts.data.shape
    print(f"{path}: {n_angles} projections of {n_rows} x {n_columns} pixels, counts")
    print(f"{beside}: the true shifts (row, column), pixels, for an axis in the middle")
    return 0


def _write_shifts(
    path: Path, angles: NDArray[np.float64], shifts: NDArray[np.float64], overwrite: bool
) -> None:
    """Write the true shifts as `napari_tomoalign.io.import_shifts` reads them."""
    from ..io import atomic_path

    with (
        atomic_path(path, overwrite=overwrite) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["projection", "angle_degrees", "shift_row", "shift_column"])
        for index, values in enumerate(np.column_stack([np.rad2deg(angles), shifts])):
            writer.writerow([index, *(format(value, ".10g") for value in values)])
