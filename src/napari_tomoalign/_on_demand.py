"""A field whose value is made when it is first read: images that few ask for."""

from __future__ import annotations

from typing import Any

__all__ = ["make_on_demand"]


def make_on_demand(kind: type, *names: str) -> None:
    """Let these fields of a dataclass hold functions, which are called when they are first read."""
    for name in names:
        setattr(kind, name, _MadeOnDemand(name))


class _MadeOnDemand:
    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = vars(instance)[self._name]
        if callable(value):
            value = vars(instance)[self._name] = value()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._name] = value
