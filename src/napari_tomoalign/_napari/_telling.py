"""How the user hears of an error: as napari tells it, and the widget stays ready."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from napari.utils.notifications import show_error

__all__ = ["text_of", "told"]

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_EXPECTED = (ValueError, TypeError, OSError)


def told(
    method: Callable[Concatenate[_Self, _P], None],
) -> Callable[Concatenate[_Self, _P], None]:
    """Tell the user about an expected error of a method instead of raising it."""

    @wraps(method)
    def wrapped(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except _EXPECTED as error:
            show_error(str(error))

    return wrapped


def text_of(error: Exception) -> str:
    """Return an error's own text, and its kind where that was not expected."""
    text = str(error)
    known = (*_EXPECTED, RuntimeError)
    if isinstance(error, known) or type(error).__module__.startswith("napari_tomoalign"):
        return text
    return f"{type(error).__name__}: {text}"
