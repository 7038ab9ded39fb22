"""Files of angles: lists, tables, logs and the ``.mdoc`` of a tilt series.

Nothing in such a file is guessed: a column is taken because its name says so or because there is
no other one, and a line that cannot be read is named.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .angles import AngleUnit, in_radians
from .errors import ScanFileError, reading

__all__ = ["angles_beside", "lists_beside", "read_angles", "tilt_axis_angle"]

_NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)?\.?|\.\d+)(?:[eE][-+]?\d+)?"
"""With a decimal point or comma."""
_LOGGED = re.compile(rf"\b((?:\w+[ _])?(?:angle|theta|omega)\w*)\s*[:=]\s*({_NUMBER})", re.I)
_ANGLE_WORDS = ("angle", "theta", "tilt", "omega", "rotation")
_LARGEST = 64 * 2**20
"""Bytes: a million lines of a log."""
_LISTS = ("*.txt", "*.csv", "*.dat", "*.tlt", "*.rawtlt", "*.mdoc", "*.npy")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Line = tuple[int, str]


def read_angles(path: str | Path, unit: AngleUnit | None = None) -> tuple[NDArray[np.float64], str]:
    """Read the angles of a scan from a file of their own.

    Parameters
    ----------
    path : path
        ``.rawtlt`` and ``.tlt`` (degrees, one a line), ``.mdoc`` (degrees, in the order of its
        ``ZValue``), ``.npy``, or text: one angle a line or all in one; a table in which one
        column only has numbers, or whose header names the angles; a log with ``angle: 4.5``.
    unit : {"degrees", "radians"}, optional
        Of text and ``.npy`` files. None: as the header says, else recognised by the range.

    Returns
    -------
    (n_angles,) array of float64
        Radians.
    str
        Where they come from and what unit they were taken to have.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It holds no list of angles, or leaves it open which numbers are the angles.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of angles at {path}")
    suffix = path.suffix.lower()
    with reading(path):
        if suffix == ".npy":
            values = np.load(path, allow_pickle=False, mmap_mode="r")
            if values.size > _LARGEST // 8:
                raise ScanFileError(
                    f"{path} holds {values.size} numbers, expected a list of angles"
                )
            return in_radians(values, unit, path.name)
        text = _text(path)
        if suffix == ".mdoc":
            return in_radians(_mdoc_angles(text, path), "degrees", path.name)
        column = _angles_in(text, path)
        stated = "degrees" if suffix in (".rawtlt", ".tlt") else unit or column.unit
        where = f"{path.name}, {column.said}" if column.said else path.name
        return in_radians(column.values, stated, where)


def angles_beside(path: Path) -> Path | None:
    """Return the file of angles that belongs to a file or a folder of images, or None."""
    names = [path.with_suffix(suffix) for suffix in (".tlt", ".rawtlt", ".mdoc")]
    names.append(path.with_name(path.name + ".mdoc"))
    names += [path.with_name(f"{path.stem}_angles{suffix}") for suffix in (".txt", ".csv", ".npy")]
    if path.is_dir():
        names += [path / f"angles{suffix}" for suffix in (".txt", ".csv", ".npy")]
        inside = [
            file for file in path.iterdir() if file.suffix.lower() in (".rawtlt", ".tlt", ".mdoc")
        ]
        names += inside if len(inside) == 1 else []
    return next((name for name in names if name.is_file()), None)


def lists_beside(path: Path, count: int | None = None) -> list[Path]:
    """Return the files in a folder of images, else beside it or a file, that may be its angles.

    Parameters
    ----------
    path : Path
        Of a scan that says nothing of its angles.
    count : int, optional
        Numbers that they must hold. Default: any.
    """
    for folder in (path, path.parent) if path.is_dir() else (path.parent,):
        files = {file for pattern in _LISTS for file in folder.glob(pattern)} - {path}
        found = [file for file in sorted(files) if _holds(file, count)]
        if found:
            return found
    return []


def _holds(file: Path, count: int | None) -> bool:
    try:
        return count in (None, len(read_angles(file)[0]))
    except (OSError, ScanFileError):
        return False


def tilt_axis_angle(text: str) -> float | None:
    """Return the angle of the tilt axis that a header or an ``.mdoc`` states, degrees, or None.

    As IMOD and SerialEM have it: from the vertical, so that 90 is a horizontal axis.
    """
    found = re.search(rf"tilt\s*axis\s*(?:angle)?\s*=\s*({_NUMBER})", text, re.I)
    return None if found is None else float(_point(found[1]))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ScanFileError(f"{path} is larger than {_LARGEST} bytes, so it is no list of angles")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ScanFileError(
            f"{path} is not a text file of angles; expected one angle a line"
        ) from error


def _mdoc_angles(text: str, path: Path) -> list[float]:
    """Return the angles by ``ZValue``, which says which image of the stack a section is about."""
    first, *parts = re.split(r"^\s*\[\s*ZValue\s*=\s*(\d+)\s*\]", text, flags=re.M)
    angle = re.compile(rf"^\s*TiltAngle\s*=\s*({_NUMBER})", re.M)
    if not parts:
        angles = [float(_point(value)) for value in angle.findall(first)]
        if not angles:
            raise ScanFileError(
                f"{path} has no line 'TiltAngle = ...'; give the angles another way"
            )
        return angles
    sections = dict(zip(map(int, parts[::2]), map(angle.search, parts[1::2]), strict=True))
    if len(sections) < len(parts) // 2 or sorted(sections) != list(range(len(sections))):
        raise ScanFileError(
            f"{path} has the sections ZValue = {sorted(map(int, parts[::2]))}, expected each of 0 "
            "to the number of images less 1 once; mend it, or give the angles another way"
        )
    missing = [number for number, found in sections.items() if found is None]
    if missing:
        raise ScanFileError(f"{path} has no TiltAngle in the section ZValue = {missing[0]}")
    return [float(_point(sections[number][1])) for number in range(len(sections))]  # type: ignore[index]


@dataclass(frozen=True)
class _Column:
    """Angles as they stand in a text, what the text calls them, and the unit that it names."""

    values: list[float]
    said: str = ""

    @property
    def unit(self) -> str | None:
        """As the column's name says."""
        said = re.search(r"(?:^|[^a-z])(deg|rad)", self.said.lower())
        return None if said is None else said[1]


def _angles_in(text: str, path: Path) -> _Column:
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    comments = [line.lstrip("#").strip() for _, line in numbered if line.startswith("#")]
    lines = [(number, line.split("#")[0].strip()) for number, line in numbered]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise ScanFileError(f"{path} holds no angles; expected one angle a line")
    logged = [found for _, line in lines for found in _LOGGED.findall(line)]
    if logged:
        names = sorted({name for name, _ in logged})
        if len(names) > 1:
            raise ScanFileError(
                f"{path} has lines of {', '.join(names)}: which are the angles? Keep those alone"
            )
        return _Column(
            [float(_point(value)) for _, value in logged], f"{len(logged)} values of {names[0]!r}"
        )
    return _column_of(_cells(lines), comments, path)


def _cells(lines: Sequence[Line]) -> list[tuple[int, list[str]]]:
    """Return the fields of each line; which character separates them, all lines say together."""
    body = [line for _, line in lines[1:] or lines]  # the first one may be a header
    if all(";" in line for line in body):
        return [(n, [_point(cell) for cell in line.rstrip(";").split(";")]) for n, line in lines]
    if any("," in line for line in body) and not _decimal_commas(body):
        return [(n, [cell.strip() for cell in line.rstrip(",").split(",")]) for n, line in lines]
    return [(n, [_point(cell) for cell in line.split()]) for n, line in lines]


def _point(cell: str) -> str:
    cell = cell.strip()
    return cell.replace(",", ".") if re.fullmatch(r"[-+]?\d+,\d+", cell) else cell


def _decimal_commas(body: Sequence[str]) -> bool:
    """Tell whether commas can be nothing else than decimal points.

    In ``4,500`` under ``0,000`` they are: nobody writes a whole number as 000. In ``4,5`` under
    ``0,2`` they can as well be what separates two columns.
    """
    tokens = [token for line in body for token in line.split()]
    if any(re.fullmatch(r"[-+]?\d+\.\d+", token) for token in tokens):
        return False
    commas = [re.fullmatch(r"[-+]?\d+,(\d+)", token) for token in tokens if "," in token]
    digits = [found[1] for found in commas if found is not None]
    padded = len(set(map(len, digits))) == 1 and any(re.match(r"0\d", text) for text in digits)
    return len(digits) == len(commas) and padded


def _column_of(rows: list[tuple[int, list[str]]], comments: Sequence[str], path: Path) -> _Column:
    number, first = rows[0]
    if len(rows) == 1 and len(first) > 1 and all(_is_number(cell) for cell in first):
        return _Column([float(cell) for cell in first], "all in one line")
    header: list[str] = []
    if not any(_is_number(cell) for cell in first):
        header, rows = first, rows[1:]
    if not rows:
        raise ScanFileError(f"{path} holds no angles; expected one angle a line")
    width = len(rows[0][1])
    if not header:
        named = [re.split(r"[,;\s]+", comment) for comment in comments]
        header = next((names for names in named if len(names) == width > 1), [])
    for number, cells in rows:
        if len(cells) != width:
            raise ScanFileError(
                f"{path}, line {number}: expected an angle, got {' '.join(cells)[:60]!r}: "
                f"{len(cells)} fields where the lines before have {width}"
            )
    numeric = [
        column
        for column in range(width)
        if 2 * sum(_is_number(cells[column]) for _, cells in rows) > len(rows)
    ]
    column = _chosen(numeric, header if len(header) == width else [], rows, path)
    values = []
    for number, cells in rows:
        if not _is_number(cells[column]):
            raise ScanFileError(
                f"{path}, line {number}: expected an angle, got {cells[column][:60]!r}"
            )
        values.append(float(cells[column]))
    return _Column(values, f"column {header[column]!r}" if column < len(header) else "")


def _chosen(
    numeric: list[int], header: list[str], rows: list[tuple[int, list[str]]], path: Path
) -> int:
    """Return the column of the angles."""
    words = [name.lower() for name in header]
    named = [at for at in numeric if words and any(w in words[at] for w in _ANGLE_WORDS)]
    if len(named) == 1:
        return named[0]
    if len(numeric) == 1:
        return numeric[0]
    number, cells = rows[0]
    if not numeric:
        raise ScanFileError(
            f"{path}, line {number}: expected an angle, got {' '.join(cells)[:60]!r}"
        )
    raise ScanFileError(
        f"{path} has {len(numeric)} columns of numbers (line {number}: {' '.join(cells)[:60]!r}"
        + (f", under {', '.join(header)}" if header else "")
        + "): which has the angles? Put a line of column names over them with 'angle' over that "
        "one alone, or keep only it; decimal commas must become points"
    )


def _is_number(cell: str) -> bool:
    if "_" in cell:  # Python's own notation, and nobody else's: a name such as 2024_01
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True
