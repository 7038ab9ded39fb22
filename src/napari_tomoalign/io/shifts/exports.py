"""Files of shifts for other programs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...geometry import turn_projections
from ..conventions import to_astra, to_imod, to_mumott, to_nxtomo, to_tomopy
from ..outputs import CREATOR
from ..units import METRES
from .contents import ShiftsFile

__all__ = ["MUMOTT_ROWS", "WRITERS"]

MUMOTT_ROWS: Literal["j", "k"] = "k"
"""The image axis along which mumott's default geometry has the rotation axis, as ours is along the
rows."""
_NX_SAMPLE = "/entry/sample"


def _write_csv(path: Path, found: ShiftsFile) -> None:
    error = turn_projections(found.standard_error, found.rotation_axis)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(
            "# how far each measured image is displaced, pixels of the image as measured, positive "
            "towards larger index; to align an image move it by minus this, which puts the "
            "rotation axis in the middle of the images\n"
        )
        writer = csv.writer(file)
        names = ["shift_row", "shift_column", "error_row", "error_column", "confidence"]
        writer.writerow(["projection", "angle_degrees", *names])
        table = np.column_stack(
            [np.rad2deg(found.angles), found.measured_shifts, error, found.confidence]
        )
        for index, row in enumerate(table):
            writer.writerow([index, *(format(value, ".10g") for value in row)])


def _write_imod(path: Path, found: ShiftsFile) -> None:
    turns = found.geometry.turns
    if found.rotation_axis == "horizontal":  # rows and columns change places, and so does the sense
        turns = -turns
    np.savetxt(path, to_imod(found.measured_shifts, turns), fmt=["%12.7f"] * 4 + ["%12.6f"] * 2)


def _write_astra(path: Path, found: ShiftsFile) -> None:
    vectors = to_astra(found.shifts, found.geometry)
    if found.rotation_axis == "horizontal":  # rows and columns change places
        vectors = np.concatenate([vectors[:, :6], vectors[:, 9:], vectors[:, 6:9]], axis=1)
    with path.open("wb") as file:
        np.save(file, vectors)


def _write_npz(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, creator=np.array(CREATOR), **arrays)


def _write_tomopy(path: Path, found: ShiftsFile) -> None:
    sx, sy = to_tomopy(found.measured_shifts)
    _write_npz(path, sx=sx, sy=sy, center=found.center, detector_width=found.n_columns)


def _write_mumott(path: Path, found: ShiftsFile) -> None:
    j, k = to_mumott(found.shifts, rows=MUMOTT_ROWS)
    rotations = found.geometry.orientations[:, ::-1, ::-1]  # of (x, y, z) to (j, beam, k)
    _write_npz(path, j_offsets=j, k_offsets=k, rotations=rotations, rotation_axis_along=MUMOTT_ROWS)


def _write_nxtomo(path: Path, found: ShiftsFile) -> None:
    import h5py

    if found.pixel_size is None or found.pixel_unit not in METRES:
        raise ValueError(
            "NXtomo has translations in metres, but the pixel size is "
            f"{found.pixel_size} {found.pixel_unit!r}; give a scan with a pixel size in one of "
            f"{', '.join(METRES)}, or export to another format"
        )
    pixel = found.pixel_size * METRES[found.pixel_unit]
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = CREATOR
        for name, kind in (("/entry", "NXentry"), (_NX_SAMPLE, "NXsample")):
            file.create_group(name).attrs["NX_class"] = kind
        file["/entry/definition"] = "NXtomo"
        sample = file[_NX_SAMPLE]
        sample["rotation_angle"] = np.rad2deg(found.angles)
        sample["rotation_angle"].attrs["units"] = "degree"
        names = ("x_translation", "y_translation")
        meanings = ("towards larger column", "upwards, towards smaller row")
        pair = to_nxtomo(found.measured_shifts, pixel)
        for name, meaning, values in zip(names, meanings, pair, strict=True):
            sample[name] = values
            sample[name].attrs.update({"units": "m", "positive": meaning})
        detector = file.create_group("/entry/instrument/detector")
        for name in ("x_pixel_size", "y_pixel_size"):
            detector[name] = pixel
            detector[name].attrs["units"] = "m"


WRITERS: dict[str, Callable[[Path, ShiftsFile], None]] = {
    "astra": _write_astra,
    "csv": _write_csv,
    "imod": _write_imod,
    "mumott": _write_mumott,
    "nxtomo": _write_nxtomo,
    "tomopy": _write_tomopy,
}
