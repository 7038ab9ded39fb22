"""The settings of a command as TOML: read as if they were typed, written to be read again."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

__all__ = ["NAME", "read_settings", "typed_values", "words_of", "write_settings"]

NAME = "run.toml"

_HEAD = """\
# napari-tomoalign align --config {name}
# What this run was told, defaults filled in; what is not here was left to the scan's file. Options
# on the command line go before those here.

"""
_SEVERAL = ("angle-range", "first-last")  # take two words, where lists otherwise are one


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


def words_of(path: Path, flags: Collection[str]) -> tuple[list[str], list[str]]:
    """Read a settings file as the words of a command line.

    Parameters
    ----------
    path : Path
        TOML.
    flags : collection of str
        Of the command: a switch that knows no ``--no-`` is off when it is not there.

    Returns
    -------
    scan, options : list of str

    Raises
    ------
    ValueError
        No TOML, or a value that no option takes.
    """
    settings = read_settings(path)
    scan = settings.pop("scan", [])
    options: list[str] = []
    for key, value in settings.items():
        options += _words(key.replace("_", "-"), value, path, flags)
    return [scan] if isinstance(scan, str) else [str(one) for one in scan], options


def _words(key: str, value: Any, path: Path, flags: Collection[str]) -> list[str]:
    flag = f"--{key}"
    if value is True:
        return [flag]
    if value is False:
        return [f"--no-{key}"] if f"--no-{key}" in flags or flag not in flags else []
    if isinstance(value, list):
        parts = [str(part) for part in value]
        return [flag, *parts] if key in _SEVERAL else [f"{flag}={','.join(parts)}"]
    if isinstance(value, dict):
        return [f"{flag}={name}={one!r}" for name, one in value.items()]
    if isinstance(value, (str, int, float)):
        return [f"{flag}={value}"]
    raise ValueError(f"{path}: {key} = {value!r} is no number, text, list or table")


def typed_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the options were given as: numbers, or the words of the command line; defaults.

    The parser in ``arguments`` cannot be used afterwards: it converts nothing any more.
    """
    parser = arguments.parser
    for action in parser._actions:  # argparse has no public way to ask for them
        if action.default is not argparse.SUPPRESS:
            action.type = None
    typed = vars(parser.parse_intermixed_args(list(arguments.words)))
    numbers = {name: value for name, value in vars(arguments).items() if _is_number(value)}
    return {**typed, **numbers}


def _is_number(value: Any) -> bool:
    if isinstance(value, list) and value:
        return all(_is_number(one) for one in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def write_settings(
    path: Path, values: Mapping[str, Any], parameters: Mapping[str, Any], overwrite: bool
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
    overwrite : bool
        Replace a file that is there.
    """
    import tomli_w

    from ..io import atomic_path

    settings = {key: _plain(value) for key, value in values.items() if value is not None}
    for key, value in parameters.items():
        if key == "projection_cropping" and value is not None:
            ends = [["" if end is None else end for end in pair] for pair in value]
            value = ",".join(f"{first}:{last}" for first, last in ends)
        if value is not None:
            settings[key] = _plain(value)
    text = _HEAD.format(name=path.name) + tomli_w.dumps(
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
