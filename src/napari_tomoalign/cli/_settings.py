"""The settings of a command: from TOML as if they were typed, and as they were typed."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

__all__ = ["typed_values", "words_of"]

_SEVERAL = ("angle-range", "first-last")  # take two words, where lists otherwise are one


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
    from ..io.settings import read_settings

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
