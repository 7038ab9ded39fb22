"""The settings of a run as TOML, written beside its results and read as if they were typed."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..parameters import OF_SCAN
from .atomic import atomic_path

__all__ = ["SETTINGS", "read_settings", "write_settings"]

SETTINGS = "run.toml"
"""Name of the file."""

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
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
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
