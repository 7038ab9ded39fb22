"""Command-line options made from dataclasses and functions: none can be missing or differ.

Name, type and default come from the fields or the signature, the help from the NumPy docstring,
the usual range from ``Annotated[..., {"min": ..., "max": ...}]``.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import math
import os
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from .._indices import indices
from ..parameters import OF_SCAN

__all__ = [
    "Collect",
    "Option",
    "add_options",
    "chosen",
    "named_value",
    "options_of_dataclass",
    "options_of_function",
    "parameter_texts",
]


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of the command line.

    Attributes
    ----------
    name : str
        Of the field or argument.
    kind : type
        Its type without ``Annotated`` and without None.
    default : Any
        What holds when the option is not given.
    optional : bool
        None is a value too, written ``none``.
    text : str
        From the docstring, one paragraph.
    bounds : mapping
        ``min`` and ``max`` of the usual range, where stated.
    advanced : bool
        Seldom needed: folded away in the help.
    """

    name: str
    kind: Any
    default: Any
    optional: bool
    text: str
    bounds: Mapping[str, float]
    advanced: bool


def parameter_texts(documented: Any) -> dict[str, str]:
    """Return the text of each parameter in a NumPy docstring, as one paragraph.

    Parameters
    ----------
    documented : class or function
        With a ``Parameters`` section.
    """
    lines = (inspect.getdoc(documented) or "").splitlines()
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    inside = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"-{3,}", below):
            inside = line.strip() == "Parameters"
            names = []
        elif inside and (header := re.match(r"(\w+(?:, \w+)*)\s*(?::|$)", line)):
            names = header.group(1).split(", ")
            texts.update((name, []) for name in names)
        elif inside and line.startswith(" "):
            for name in names:
                texts[name].append(line.strip())
    return {name: " ".join(parts).replace("``", "") for name, parts in texts.items()}


def options_of_dataclass(cls: type) -> tuple[Option, ...]:
    """Return an option for every field of a documented dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    texts = parameter_texts(cls)
    return tuple(
        _option(
            field.name,
            hints[field.name],
            field.default_factory() if callable(field.default_factory) else field.default,
            texts.get(field.name, ""),
            bool(field.metadata.get("advanced", False)),
        )
        for field in dataclasses.fields(cls)
    )


def options_of_function(function: Callable[..., Any]) -> tuple[Option, ...]:
    """Return an option for every argument of a documented function that has a default."""
    hints = get_type_hints(function, include_extras=True)
    texts = parameter_texts(function)
    return tuple(
        _option(name, hints[name], parameter.default, texts.get(name, ""), False)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    )


def _option(name: str, hint: Any, default: Any, text: str, advanced: bool) -> Option:
    bounds: Mapping[str, float] = {}
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)[:2]
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = [member for member in members if member is not type(None)]
    # What can also be a callable or an array is given as a string here.
    kind = next((k for k in kinds if k is str), kinds[0])
    kind = int | str if {int, str} <= {*kinds} else kind
    return Option(name, kind, default, len(kinds) < len(members), text, bounds, advanced)


def add_options(
    parser: argparse.ArgumentParser,
    options: Sequence[Option],
    *,
    usual: str,
    advanced: str = "advanced options",
    aliases: Mapping[str, str] | None = None,
) -> None:
    """Add options to a parser, the usual ones and the advanced ones in groups of their own.

    An option that is not given leaves no trace in the namespace, see `chosen`.

    Parameters
    ----------
    parser : ArgumentParser
        Gets the options.
    options : sequence of Option
        What to add.
    usual, advanced : str
        Titles of the groups.
    aliases : mapping of str to str, optional
        A second flag for some names.
    """
    groups = {False: parser.add_argument_group(usual)}
    if any(option.advanced for option in options):
        groups[True] = parser.add_argument_group(advanced)
    for option in options:
        flags = ["--" + option.name.replace("_", "-")]
        if aliases and option.name in aliases:
            flags.insert(0, aliases[option.name])
        settings: dict[str, Any] = {
            "dest": option.name,
            "default": argparse.SUPPRESS,
            "help": _help(option),
        }
        if option.kind is bool:
            settings["action"] = argparse.BooleanOptionalAction
        else:
            settings["metavar"], settings["type"] = _syntax(option)
            if get_origin(option.kind) in _MAPPINGS:
                settings["action"] = Collect
        groups[option.advanced].add_argument(*flags, **settings)


def chosen(namespace: argparse.Namespace, options: Sequence[Option]) -> dict[str, Any]:
    """Return the values that were given on the command line."""
    given = vars(namespace)
    return {option.name: given[option.name] for option in options if option.name in given}


def _help(option: Option) -> str:
    text = option.text
    low, high = option.bounds.get("min"), option.bounds.get("max")
    notes = []
    if low is not None and high is not None and high <= 1:
        notes.append(f"{low:g} to {high:g}")
    elif low is not None and option.kind is int:
        notes.append(f"at least {low:g}")
    if option.kind is bool:
        defaults = {True: "on", False: "off", None: "found from the data"}
        notes.append(f"default: {defaults[option.default]}")
    elif option.default not in (None, (), {}):
        notes.append(f"default: {option.default}")
    if notes:
        text = f"{text} ({'; '.join(notes)})"
    return text.replace("%", "%%").strip()


_MAPPINGS = (Mapping, dict)


def _syntax(option: Option) -> tuple[str, Callable[[str], Any]]:
    """Return the metavar and the converter of an option that takes a value."""
    kind, origin = option.kind, get_origin(option.kind)
    metavar: str
    convert: Callable[[str], Any]
    if option.name in OF_SCAN:  # radians
        metavar, convert = "DEGREES", degrees
    elif kind is int:
        metavar, convert = "N", int
    elif kind is float:
        metavar, convert = "X", float
    elif kind == int | str:
        metavar, convert = "N|TEXT", str
    elif origin is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        metavar = "|".join([*choices, *(["none"] if option.optional else [])])
        convert = _one_of(choices)
    elif origin in _MAPPINGS:
        return "NAME=VALUE", _named(named_value)
    elif origin is tuple and get_args(kind)[0] is slice:
        metavar, convert = "FIRST:LAST,FIRST:LAST", two_windows
    elif origin is tuple and get_args(kind)[0] is int:
        metavar, convert = "N,N,..." if option.optional else "N,N-N,...", indices
    elif origin is tuple and get_origin(get_args(kind)[0]) is Literal:
        metavar, convert = "NAME,NAME,...", names
    elif origin is tuple:
        metavar, convert = "X,X,...", numbers
    else:
        metavar, convert = "NAME", name_or_callable
    return metavar, _or_none(convert) if option.optional else _named(convert)


def _named(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Say what was expected where a conversion fails without saying so."""
    expected = {int: "a whole number", float: "a number"}.get(convert)  # type: ignore[call-overload]

    def checked(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            reason = f"expected {expected}, got {text!r}" if expected else str(error)
            raise argparse.ArgumentTypeError(reason) from error

    return checked


def _or_none(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    checked = _named(convert)

    def optional(text: str) -> Any:
        return None if text.lower() == "none" else checked(text)

    return optional


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {' or '.join(map(repr, choices))}, got {text!r}")
        return text

    return convert


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def degrees(text: str) -> float:
    """Read an angle in degrees, and return it in radians.

    Raises
    ------
    ValueError
        No number.
    """
    try:
        return math.radians(float(text))
    except ValueError as error:
        raise ValueError(f"expected an angle in degrees, got {text!r}") from error


def numbers(text: str) -> tuple[float, ...]:
    """Read numbers with commas between them.

    Raises
    ------
    ValueError
        Anything else.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"expected numbers such as 0.5,2, got {text!r}") from error


def two_windows(text: str) -> tuple[slice, slice]:
    """Read the rows and columns of a window: ``10:50,5:60``; an end may be left out.

    Raises
    ------
    ValueError
        Anything else.
    """
    match = re.fullmatch(r"\s*(-?\d*):(-?\d*)\s*,\s*(-?\d*):(-?\d*)\s*", text)
    if not match:
        raise ValueError(f"expected rows,columns such as 10:50,5:60 or 10:50,:, got {text!r}")
    ends = [int(end) if end else None for end in match.groups()]
    return slice(ends[0], ends[1]), slice(ends[2], ends[3])


def named_value(text: str) -> tuple[str, Any]:
    """Read ``name=value``, the value as Python writes it, or else as a string.

    Raises
    ------
    ValueError
        No name, or no ``=``.
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise ValueError(f"expected name=value such as num_iter=10, got {text!r}")
    try:
        return name.strip(), ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name.strip(), value


def name_or_callable(text: str) -> Any:
    """Return the text, or for ``module:function`` the function."""
    module, colon, name = text.partition(":")
    if not colon:
        return text
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"expected a name, or module:function that can be imported; got {text!r} ({error})"
        ) from error


class Collect(argparse.Action):
    """Gather repeated ``name=value`` into a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add one pair."""
        collected = dict(getattr(namespace, self.dest, {}))
        collected.update([values])
        setattr(namespace, self.dest, collected)
