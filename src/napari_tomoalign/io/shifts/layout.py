"""How the shifts file lies on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...findings import Finding
from ...geometry import RotationAxis, turn_projections
from ...results import IterationRecord
from ..errors import ScanFileError, reading
from ..hdf5_file import Hdf5File, is_hdf5
from ..outputs import SHIFTS_FORMAT
from .contents import ShiftsFile

__all__ = ["from_hdf5", "to_hdf5"]

_VERSION = 2
"""1 had no group ``geometry``: the axis was upright in the images."""
_MEANING = (
    "How far each measured image is displaced from where the model puts it: measured(r, c) = "
    "model(r - shift[0], c - shift[1]). To align an image, move it by minus its shift."
)
_SCALARS = ("iteration", "binning", "center", "largest_move", "rms_move", "residual", "seconds")
_TURNED = ("shifts", "moves", "standard_error")
_LISTS = ("residuals", "confidence")
_GEOMETRY = {
    "axis_angle": "turn of the axis in the image, from the direction along it (of the rows' index "
    "where it is vertical, of the columns' where horizontal) towards larger index across it",
    "axis_tilt": "by how much the axis leans along the beam, its end at larger index downstream",
    "in_plane": "turn of each image beside that, counted as axis_angle",
    "rotations": "take (z, y, x) of the object to (along the axis, along the beam, across it) of "
    "the image, in place of angles and axis",
}
_FOUND = ("geometry", "geometry_moves", "geometry_error")
_JSON = (
    "generator_state",
    "parameters",
    "versions",
    "diagnosis",
    "source",
    "preparation",
)
_TEXT = ("pixel_unit", "rotation_axis", "backend", "message", "data_hash", "applied")


def to_hdf5(contents: ShiftsFile) -> bytes:
    """Return the bytes of a shifts file."""
    import h5py

    buffer = io.BytesIO()
    axis = contents.rotation_axis
    shape = (contents.n_rows, contents.n_columns)
    with h5py.File(buffer, "w") as file:
        file.attrs["format"] = SHIFTS_FORMAT
        file.attrs["format_version"] = _VERSION
        file.attrs["image_shape"] = shape if axis == "vertical" else shape[::-1]
        file["center"] = contents.center
        file["center"].attrs["meaning"] = (
            f"{'column' if axis == 'vertical' else 'row'} of the rotation axis in the image as "
            "measured, pixel centres at integers"
        )
        file["center"].attrs["units"] = "pixel"
        file.attrs["converged"] = contents.converged
        if contents.pixel_size is not None:
            file.attrs["pixel_size"] = contents.pixel_size
        for name in _TEXT:
            file.attrs[name] = getattr(contents, name)
        _array(file, "shifts", turn_projections(contents.shifts, axis), "pixel", _MEANING)
        _array(file, "angles", contents.angles, "radians", "angle of each projection")
        _array(
            file,
            "standard_error",
            turn_projections(contents.standard_error, axis),
            "pixel",
            "estimated standard error of each shift; NaN where unknown",
        )
        _write_geometry(file.create_group("geometry"), contents)
        _array(file, "confidence", contents.confidence, "1", "0 (does not fit, not moved) to 1")
        for name in ("shifts", "standard_error"):
            file[name].attrs["order"] = "row, column of the image as measured"
        file["shifts"].attrs["sign"] = "positive towards larger index"
        for name in _JSON:
            file.create_dataset(name, data=json.dumps(getattr(contents, name), default=_plain))
        changes = [finding.change for finding in contents.findings]
        file.create_dataset("changes", data=json.dumps(changes, default=_plain))
        file["changes"].attrs["meaning"] = "what each sentence of the diagnosis advises to run with"
        _write_history(file.create_group("history"), contents.history, axis)
    return buffer.getvalue()


def _array(file: Any, name: str, values: NDArray[Any], units: str, meaning: str) -> None:
    dataset = file.create_dataset(name, data=np.asarray(values, np.float64, order="C"))
    dataset.attrs["units"] = units
    dataset.attrs["meaning"] = meaning


def _write_geometry(group: Any, contents: ShiftsFile) -> None:
    for name, meaning in _GEOMETRY.items():
        value = getattr(contents, name)
        if value is not None:
            _array(group, name, value, "1" if name == "rotations" else "radians", meaning)
    errors = group.create_group("standard_error")
    for name, error in contents.geometry_error.items():
        _array(errors, name, error, "radians", "estimated, of what was found; NaN where unknown")


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, slice):
        return [value.start, value.stop]
    return dict(value) if hasattr(value, "keys") else repr(value)


def _write_history(group: Any, history: Sequence[IterationRecord], axis: RotationAxis) -> None:
    group.attrs["meaning"] = (
        "one entry an iteration; shifts and moves as in /shifts, pixels of the full image; drawn: "
        "the projections that were registered, filled up with -1; seconds of wall time"
    )
    for name in _SCALARS:
        group[name] = np.array([getattr(record, name) for record in history])
    for name in (*_TURNED, *_LISTS):
        arrays = [getattr(record, name) for record in history]
        if name in _TURNED:
            arrays = [turn_projections(array, axis) for array in arrays]
        if arrays:
            group.create_dataset(name, data=np.stack(arrays), compression="gzip", shuffle=True)
    longest = max((len(record.drawn) for record in history), default=0)
    drawn = np.full((len(history), longest), -1, dtype=np.int64)
    for row, record in zip(drawn, history, strict=True):
        row[: len(record.drawn)] = record.drawn
    group["drawn"] = drawn
    group["notes"] = json.dumps([list(record.notes) for record in history])
    for name in _FOUND:
        columns = group.create_group(name)
        columns.attrs["units"] = "radians"
        for unknown in getattr(history[0], name) if history else ():
            columns[unknown] = np.stack([getattr(record, name)[unknown] for record in history])


def from_hdf5(path: Path) -> ShiftsFile:
    """Return what a shifts file holds.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It is no shifts file, or a damaged one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no shifts file at {path}")
    with path.open("rb") as head:
        if not is_hdf5(head.read(8)):
            raise ScanFileError(
                f"{path} is no shifts file (it is not HDF5); shifts in another format are read by "
                "import_shifts"
            )
    with reading(path), Hdf5File(path) as opened:
        file = opened.root
        if file.attrs.get("format") != SHIFTS_FORMAT:
            raise ScanFileError(
                f"{path} is HDF5 but no shifts file of this program; give the shifts.h5 of a run"
            )
        if file.attrs["format_version"] > _VERSION:
            raise ScanFileError(
                f"{path} was written by a newer version (layout {file.attrs['format_version']}, "
                f"known up to {_VERSION}); update napari-tomoalign"
            )
        return ShiftsFile(**_fields(file, path))


def _fields(file: Any, path: Path) -> dict[str, Any]:
    axis: RotationAxis = file.attrs["rotation_axis"]
    shape = tuple(int(n) for n in file.attrs["image_shape"])
    n_rows, n_columns = shape if axis == "vertical" else shape[::-1]
    values: dict[str, Any] = {name: str(file.attrs[name]) for name in _TEXT}
    for name in _JSON:
        value = json.loads(file[name][()])
        values[name] = tuple(value) if isinstance(value, list) else value
    told = values.pop("diagnosis")
    changes = json.loads(file["changes"][()]) if "changes" in file else [{} for _ in told]
    size = file.attrs.get("pixel_size")
    return (
        values
        | _read_geometry(file.get("geometry", {}))
        | {
            "shifts": np.ascontiguousarray(turn_projections(file["shifts"][()], axis)),
            "angles": file["angles"][()],
            "center": float(file["center"][()]),
            "n_rows": n_rows,
            "n_columns": n_columns,
            "confidence": file["confidence"][()],
            "standard_error": np.ascontiguousarray(
                turn_projections(file["standard_error"][()], axis)
            ),
            "pixel_size": None if size is None else float(size),
            "history": _read_history(file["history"], axis),
            "findings": tuple(
                Finding.told(sentence, {name: _tuples(value) for name, value in change.items()})
                for sentence, change in zip(told, changes, strict=True)
            ),
            "converged": bool(file.attrs["converged"]),
            "path": path,
        }
    )


def _read_geometry(group: Any) -> dict[str, Any]:
    """Return the geometry as fields of a `ShiftsFile`; of an older file, a vertical axis."""
    values: dict[str, Any] = {name: group[name][()] for name in _GEOMETRY if name in group}
    for name in ("axis_angle", "axis_tilt"):
        values[name] = float(values.get(name, 0.0))
    errors = group.get("standard_error", {})
    return values | {"geometry_error": {name: errors[name][()] for name in errors}}


def _tuples(value: Any) -> Any:
    """Return a value of a parameter, which JSON has made lists of."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _read_history(group: Any, axis: RotationAxis) -> tuple[IterationRecord, ...]:
    count = len(group["iteration"])
    if not count:
        return ()
    columns = {
        field.name: group[field.name][()]
        for field in fields(IterationRecord)
        if field.name not in _FOUND
    }
    columns["notes"] = json.loads(columns["notes"])
    records = []
    for index in range(count):
        values = {name: column[index] for name, column in columns.items()}
        for name in _TURNED:
            values[name] = np.ascontiguousarray(turn_projections(values[name], axis))
        for name in _SCALARS:
            values[name] = values[name].item()
        values["drawn"] = values["drawn"][values["drawn"] >= 0].astype(np.intp)
        values["notes"] = tuple(values["notes"])
        for name in _FOUND:
            unknowns = group.get(name, {})  # those of before know none
            values[name] = {unknown: unknowns[unknown][index] for unknown in unknowns}
        records.append(IterationRecord(**values))
    return tuple(records)
