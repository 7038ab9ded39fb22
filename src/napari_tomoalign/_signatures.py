"""Signatures that say what is handed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import Parameter, signature
from typing import Annotated, Any, TypeVar, get_args, get_origin

from .parameters import AlignmentParameters

__all__ = ["spelled_out"]

_F = TypeVar("_F", bound=Callable[..., Any])


def spelled_out(*others: Callable[..., Any]) -> Callable[[_F], _F]:
    """Spell out the keywords that a function hands on, for ``help`` and for completion.

    In place of its ``**keywords`` the signature then names the arguments of ``others`` and the
    fields of `AlignmentParameters`, with their defaults, each of which is written in one place.
    """

    def spelled(function: _F) -> _F:
        own = signature(function)
        taken = [one for f in others for one in signature(f).parameters.values()]
        taken += own.parameters.values()
        known = {f.name for f in fields(AlignmentParameters)}
        named = {
            one.name: one
            for one in taken
            if one.kind is not Parameter.VAR_KEYWORD and one.name not in known
        }
        settings = [
            one.replace(annotation=get_args(one.annotation)[0])
            if get_origin(one.annotation) is Annotated
            else one
            for one in signature(AlignmentParameters).parameters.values()
        ]
        every = (*named.values(), *settings)
        ordered = sorted(every, key=lambda one: one.kind)
        function.__signature__ = own.replace(parameters=ordered)  # type: ignore[attr-defined]
        return function

    return spelled
