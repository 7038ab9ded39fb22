"""The settings of a run as TOML, written beside its results and read as if they were typed."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._indices import indices
from ..parameters import OF_SCAN
from .atomic import atomic_path

__all__ = [
    "OF_READING",
    "SETTINGS",
    "as_background",
    "as_channels",
    "as_rows",
    "read_settings",
    "reading_options",
    "write_settings",
]

SETTINGS = "run.toml"
"""Name of the file."""

OF_READING = (
    *("angles", "angle_range", "angle_unit", "angles_from_start", "angles_from_names"),
    *("data", "flats", "darks", "keys", "angle_axis", "inflate", "rotation_axis"),
    *("binning", "rows", "channels", "subtract", "normalise"),
)
"""Options of the command line that say how a scan is read."""

_HEAD = """\
# napari-tomoalign align --config {name}
# What this run was told, defaults filled in; what is not here was left to the scan's file. Options
# on the command line go before those here.
"""


def read_settings(path: Path) -> dict[str, Any]:
    """Return what a settings file says, names as options have them inside (``angle_range``).

    Raises
    ------
    ValueError
        It is no TOML.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # as Notepad writes it
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file of settings: {error}") from error
    return {key.replace("-", "_"): value for key, value in settings.items()}


def write_settings(
    path: Path,
    values: Mapping[str, Any],
    parameters: Mapping[str, Any],
    *,
    remark: str = "",
    overwrite: bool,
) -> Path:
    """Write a settings file; what is None is left out: it is the default wherever it is allowed.

    Parameters
    ----------
    path : Path
        Such as ``run.toml``.
    values : mapping
        Of the options, by name, as they are typed.
    parameters : mapping
        Plain values of `AlignmentParameters`.
    remark : str
        What cannot be said in options, for the head.
    overwrite : bool
        Replace a file that is there.
    """
    import tomli_w

    settings = {key: _plain(value) for key, value in values.items() if value is not None}
    for key, value in parameters.items():
        if key == "projection_cropping" and value is not None:
            ends = [["" if end is None else end for end in pair] for pair in value]
            value = ",".join(f"{first}:{last}" for first, last in ends)
        if key in OF_SCAN:  # the command line reads them so
            value = math.degrees(value)
        if value is not None:
            settings[key] = _plain(value)
    head = _HEAD.format(name=path.name) + (f"# {remark}\n" if remark else "")
    text = f"{head}\n" + tomli_w.dumps(
        {key.replace("_", "-"): value for key, value in settings.items()}
    )
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_text(text, encoding="utf-8")
    return path


def reading_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `read_scan` is to be called with, besides the files.

    Parameters
    ----------
    settings : mapping
        Of the command line's options, by name: values, or words as they are typed. What is not
        there, or None, is left to `read_scan`.

    Raises
    ------
    ValueError
        Words that say nothing.
    """
    known = {name: settings[name] for name in OF_READING if settings.get(name) is not None}
    angles = known.get("angles")
    if angles is not None and angles.startswith("/") and not Path(angles).exists():
        known["angles_path"] = known.pop("angles")
    if known.get("binning", 1) < 1:
        raise ValueError(f"--binning must be at least 1, got {known['binning']}")
    if "angle_range" in known:
        known["first_last"] = tuple(known.pop("angle_range"))
    for name, read in (("rows", as_rows), ("channels", as_channels)):
        if name in known:
            known[name] = read(known[name])
    if "subtract" in settings:
        known.pop("subtract", None)
        known["background"] = as_background(settings["subtract"])
    return known


def as_rows(words: Any) -> Any:
    """Return a first and a last row, such as ``10:50``."""
    if not isinstance(words, str):
        return words
    first, colon, last = words.partition(":")
    if not colon or not all(not end or end.isdecimal() for end in (first, last)):
        raise ValueError(f"expected rows such as 10:50, got {words!r}")
    return int(first) if first else None, int(last) if last else None


def as_channels(words: Any) -> Any:
    """Return the numbers of channels, such as ``0,2-4``, or their names."""
    if not isinstance(words, str):
        return words
    try:
        return indices(words)
    except ValueError:
        return tuple(words.split(","))


def as_background(words: Any) -> Any:
    """Return counts, ``auto``, or None for ``none``."""
    if words in ("auto", "none", None):
        return words if words == "auto" else None
    try:
        return float(words)
    except ValueError:
        raise ValueError(f"expected auto, none or a number of counts, got {words!r}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, str):  # TOML is Unicode, which a file's name need not be
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return _plain(str(value))
