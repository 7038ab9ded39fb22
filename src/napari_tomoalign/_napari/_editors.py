"""One control for one field of a dataclass, chosen by the field's type."""

# No ``from __future__ import annotations``: the hints are read at run time by the callers.
import ast
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field
from typing import Annotated, Any, Literal, get_args, get_origin

from docstring_parser import parse
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)

__all__ = ["Editor", "editor_for", "parse_indices", "parse_options", "tooltips_of", "write_indices"]

_NARROW = 90  # pixels: what a control asks for at least, so that the dock stays narrow


class Editor:
    """A control, how to read it, how to set it, and what happens when it changes.

    Attributes
    ----------
    widget : QWidget
        The control.
    get : callable
        Returns the value; raises ValueError with a clear text where what was typed is none.
    set : callable
        Takes a value.
    """

    def __init__(self, widget: QWidget, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        self.widget = widget
        self.get = get
        self.set = put


def tooltips_of(cls: type) -> dict[str, str]:
    """Return what the docstring says about each field, one line of text each."""
    return {
        item.arg_name: " ".join((item.description or "").replace("``", "").split())
        for item in parse(cls.__doc__ or "").params
    }


def editor_for(spec: Field[Any], hint: Any, tooltip: str) -> Editor:
    """Return the control for a field.

    Parameters
    ----------
    spec : dataclasses.Field
        Its name and default.
    hint : type
        With ``Annotated`` options ``min``, ``max`` and ``step`` where it is a number.
    tooltip : str
        What it means; a text that starts with "Pixels" gives the control this unit.
    """
    options: Mapping[str, Any] = {}
    if get_origin(hint) is Annotated:
        hint, options = get_args(hint)[0], get_args(hint)[1]
    union = get_origin(hint) in (types.UnionType, typing.Union)
    optional = union and type(None) in get_args(hint)
    kinds = [kind for kind in (get_args(hint) if union else (hint,)) if kind is not type(None)]
    kind = kinds[0]
    if kind is bool:
        editor = _tick()
    elif kind in (int, float):
        unit = " px" if tooltip.startswith("Pixels") else ""
        editor = _number(kind, options, optional, unit)
    elif get_origin(kind) is Literal:
        editor = _choice([None, *get_args(kind)] if optional else list(get_args(kind)))
    elif get_origin(kind) is tuple:
        editor = _line(parse_indices, write_indices, "4, 2, 1" if optional else "0, 5-7", optional)
    elif get_origin(kind) in (Mapping, dict):
        editor = _line(parse_options, _write_options, "num_iter=10, ...", optional=False)
    else:
        raise TypeError(f"no control is known for {spec.name}: {hint}")
    editor.widget.setToolTip(f"<qt>{tooltip}</qt>")
    editor.widget.setObjectName(spec.name)
    default = spec.default_factory() if spec.default_factory is not MISSING else spec.default
    editor.set(default)
    return editor


def parse_indices(text: str) -> tuple[int, ...]:
    """Return the whole numbers in a text such as ``"0, 5-7"``.

    Raises
    ------
    ValueError
        A part that is neither a number nor a range.
    """
    found: list[int] = []
    for part in filter(None, (piece.strip() for piece in text.replace(";", ",").split(","))):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(
                f"expected whole numbers and ranges such as '0, 5-7', got {part!r} in {text!r}"
            )
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def write_indices(numbers: tuple[int, ...] | None) -> str:
    """Return numbers as text, runs of three and more as ranges; the inverse of `parse_indices`."""
    runs: list[list[int]] = []
    for number in numbers or ():
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(parts)


def parse_options(text: str) -> dict[str, Any]:
    """Return the options in a text such as ``"num_iter=10, filter_name='hann'"``.

    Raises
    ------
    ValueError
        Not of that form, or a value that is no literal.
    """
    try:
        call = ast.parse(f"options({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or None in [k.arg for k in call.keywords]:
            raise ValueError("not a list of names with values")
        return {str(item.arg): ast.literal_eval(item.value) for item in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            "expected options such as num_iter=10, filter_name='hann' (texts in quotes), "
            f"got {text!r}"
        ) from error


def _write_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _tick() -> Editor:
    box = QCheckBox()
    return Editor(box, box.isChecked, box.setChecked)


def _number(kind: type, options: Mapping[str, Any], optional: bool, unit: str) -> Editor:
    """Return a box for a number; an optional one is "default" one step below its least value."""
    box = QSpinBox() if kind is int else QDoubleSpinBox()
    step = options.get("step", 1)
    low = options.get("min", 0) - (step if optional else 0)
    if kind is float:
        box.setDecimals(3)
    box.setRange(low, options.get("max", 10**6))
    box.setSingleStep(step)
    box.setSuffix(unit)
    box.setKeyboardTracking(False)
    box.setMinimumWidth(_NARROW)
    box.setAlignment(Qt.AlignmentFlag.AlignRight)
    if not optional:
        return Editor(box, box.value, box.setValue)
    box.setSpecialValueText("default")
    return Editor(
        box,
        lambda: None if box.value() == box.minimum() else box.value(),
        lambda value: box.setValue(box.minimum() if value is None else value),
    )


def _choice(values: list[Any]) -> Editor:
    box = QComboBox()
    for value in values:
        box.addItem("none" if value is None else str(value), value)
    return Editor(box, box.currentData, lambda value: box.setCurrentIndex(values.index(value)))


def _line(
    read: Callable[[str], Any], write: Callable[[Any], str], example: str, optional: bool
) -> Editor:
    line = QLineEdit()
    line.setMinimumWidth(_NARROW)
    line.setPlaceholderText("default" if optional else example)

    def get() -> Any:
        text = line.text().strip()
        return None if optional and not text else read(text)

    return Editor(line, get, lambda value: line.setText("" if value is None else write(value)))
