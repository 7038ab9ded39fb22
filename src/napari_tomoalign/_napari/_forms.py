"""Forms that magicgui makes from an annotated dataclass, and what it lacks for them.

What is typed as text (indices, options, optional numbers: magicgui's boxes round these, or make 0
of None) is a line that is read and written by functions; a choice of layers keeps its layer where
others come and go, and tells when it is gone.
"""

# No ``from __future__ import annotations``: the hints are read at run time.
import ast
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import partial
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from docstring_parser import parse
from magicgui.types import Undefined
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, create_widget
from magicgui.widgets.bases import ValueWidget
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtWidgets import QComboBox, QWidget

from .._indices import indices, indices_text
from ._layout import form
from ._words import title_of

__all__ = [
    "LayerChooser",
    "OptionalChoice",
    "TextField",
    "form_of",
    "in_degrees",
    "narrow",
    "widgets_of",
]

_NARROW = 90  # pixels: what a control asks for at least, so that the dock stays narrow
_DECIMALS = 3  # of a number: magicgui's two round in silence
_FAULT = "border: 1px solid #d9534f;"


class TextField(LineEdit):
    """A line of text that stands for a value; one that cannot be read is marked and told.

    ``read`` and ``write`` lead from text to value, with a ValueError that says what was expected,
    and back; the example is shown while the line is empty.
    """

    def __init__(
        self,
        value: Any = Undefined,
        *,
        read: Callable[[str], Any] = str,
        write: Callable[[Any], str] = str,
        example: str = "",
        **kwargs: Any,
    ) -> None:
        self._read, self._write = read, write
        super().__init__(value=value, **kwargs)
        self.native.setPlaceholderText(example)
        self._hint = self.tooltip
        self.changed.connect(self._mark)

    @property
    def text(self) -> str:
        """What is typed."""
        return str(super().get_value()).strip()

    @text.setter
    def text(self, text: str) -> None:
        super().set_value(text)

    def get_value(self) -> Any:
        """Return what the text stands for; raise ValueError, by the field's name, if nothing."""
        try:
            return self._read(self.text)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def set_value(self, value: Any) -> None:
        """Write a value."""
        super().set_value(self._write(value))

    def _on_value_change(self, value: Any = None) -> None:
        self.changed.emit(self.text)  # the value may not be one yet

    def _mark(self, text: str) -> None:
        fault = ""
        try:
            self._read(self.text)
        except ValueError as error:
            fault = str(error)
        self.native.setStyleSheet(_FAULT if fault else "")
        self.native.setToolTip(f"⚠ {fault}" if fault else self._hint)


class OptionalChoice(ComboBox):
    """A choice among values or none of them, which has a name."""

    def __init__(self, *args: Any, none: str = "none", **kwargs: Any) -> None:
        self.null_string = none
        super().__init__(*args, **{"nullable": True, **kwargs})


class LayerChooser(OptionalChoice):
    """A choice among the viewer's layers that fit; keeps its layer where others come and go.

    napari calls `reset_choices` of a docked widget when the layers change.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        fits: Callable[[Layer], bool],
        *,
        nullable: bool = True,
        **kwargs: Any,
    ) -> None:
        def offered(_: Any = None) -> list[tuple[str, Layer]]:
            return [(layer.name, layer) for layer in viewer.layers if fits(layer)]

        self.value: Layer | None
        self._chosen: Layer | None = None
        super().__init__(choices=offered, nullable=nullable, **kwargs)
        narrow(self)
        self._chosen = self.value
        self.changed.connect(lambda layer: setattr(self, "_chosen", layer))

    def reset_choices(self, *_: Any) -> None:
        """Offer what is there now, keep the choice where it is, and tell where it is not."""
        with self.changed.blocked():
            super().reset_choices()
            if self._chosen is not self.value and self._chosen in self.choices:
                self.value = self._chosen
        if self.value is not self._chosen:
            self.changed.emit(self.value)


def widgets_of(
    cls: type, names: tuple[str, ...], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, ValueWidget]:
    """Return a control for each of these fields of a dataclass, by name.

    Parameters
    ----------
    cls : type
        A dataclass whose hints may be ``Annotated`` with magicgui's options; its docstring gives
        the tooltips.
    names : tuple of str
        Of fields.
    options : mapping of str to mapping
        More of magicgui's options, by the field's name; ``label`` among them.
    """
    hints = get_type_hints(cls, include_extras=True)
    texts = {item.arg_name: item.description or "" for item in parse(cls.__doc__ or "").params}
    made = {}
    for spec in fields(cls):
        if spec.name not in names:
            continue
        own = {"label": title_of(spec.name), **options.get(spec.name, {})}
        text = " ".join(texts.get(spec.name, "").replace("``", "").split())
        own["tooltip"] = f"<qt><b>{spec.name}</b><br>{text}</qt>"
        hint = hints[spec.name]
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if "widget_type" not in own:
            own = {**_own_way(plain), **own}
        if "widget_type" in own:  # which knows no ranges
            hint = plain
        default = spec.default_factory() if spec.default_factory is not MISSING else spec.default
        made[spec.name] = widget = create_widget(
            value=default, annotation=hint, name=spec.name, label=own.pop("label"), options=own
        )
        if isinstance(widget, FloatSpinBox):
            widget.native.setDecimals(_DECIMALS)
        narrow(widget)
    return made


def form_of(fields: Iterable[ValueWidget]) -> QWidget:
    """Return the fields one below the other, their labels in a column of their own."""
    holder = QWidget()
    layout = form()
    holder.setLayout(layout)
    for field in fields:
        if isinstance(field, CheckBox):  # says itself what it is
            layout.addRow(field.native)
        else:
            layout.addRow(field.label, field.native)
    return holder


def in_degrees(name: str) -> dict[str, Any]:
    """Return magicgui's options for a parameter in radians that is shown in degrees."""
    return {
        "widget_type": TextField,
        "read": lambda text: math.radians(_number(float, text or "0")),
        "write": lambda value: f"{math.degrees(value):.10g}",
        "label": f"{title_of(name)}, °",
    }


def _own_way(hint: Any) -> dict[str, Any]:
    """Return magicgui's options for a type that it does not, or not faithfully, make itself."""
    union = get_origin(hint) in (types.UnionType, typing.Union)
    kinds = [kind for kind in (get_args(hint) if union else (hint,)) if kind is not type(None)]
    optional, kind = union and len(kinds) < len(get_args(hint)), kinds[0]
    if optional and (kind is bool or get_origin(kind) is Literal):
        named = {"yes": True, "no": False} if kind is bool else {str(v): v for v in get_args(kind)}
        none = "found" if kind is bool else "none"
        return {"widget_type": OptionalChoice, "choices": [*named.items()], "none": none}
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    if get_origin(kind) is tuple:
        numbers = int in get_args(kind)
        read, write = (indices, indices_text) if numbers else (_names, ", ".join)
        example = "0, 5-7" if numbers else ""
    elif get_origin(kind) in (Mapping, dict):
        read, write, example = _options, _written, "num_iter=10, ..."
    elif optional and {int, str} <= {*kinds}:  # the parameter itself says what it may be
        read, write, example = str, str, ""
    elif optional and kind in (int, float):
        read, write, example = partial(_number, kind), "{:.10g}".format, ""
    else:
        return {}
    return {
        "widget_type": TextField,
        "read": lambda text: None if optional and not text else read(text),
        "write": lambda value: "" if value is None else write(value),
        "example": "default" if optional else example,
    }


def _written(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in named.items())


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        whole = "a whole number" if kind is int else "a number"
        raise ValueError(f"expected {whole}, or nothing, got {text!r}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def narrow(widget: ValueWidget) -> None:
    """Let a control be as narrow as the dock needs it, and speak when its editing is done."""
    native = widget.native
    if isinstance(native, QComboBox):
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    native.setMinimumWidth(_NARROW)
    if hasattr(native, "setKeyboardTracking"):
        native.setKeyboardTracking(False)


def _options(text: str) -> dict[str, Any]:
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
