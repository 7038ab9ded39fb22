"""What an HDF5 file of unknown layout holds, in words, and how to point at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["contents_in_words", "proposal"]


class Listed(Protocol):
    """What of a dataset is needed."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def item(self) -> Any: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


def proposal(datasets: Sequence[Listed]) -> dict[str, str]:
    """Return which dataset may be what, by argument of `read_scan`: by size, length and name."""
    stacks, lists, keys = _candidates(datasets)
    named = {"data": stacks[0].name} if stacks else {}
    if lists and _is_angle(lists[0].name):
        named["angles_path"] = lists[0].name
    images = [one for one in datasets if len(one.shape) == 2 and one.dtype.kind in "iufb"]
    for one in (*stacks[1:], *images):
        if _is_field(one.name):
            named.setdefault("darks" if "dark" in one.name.lower() else "flats", one.name)
    if keys:
        named["keys"] = keys[0].name
    return named


def contents_in_words(datasets: Sequence[Listed]) -> str:
    """Return in words what could be projections and angles, and how to point at them."""
    stacks, lists, keys = _candidates(datasets)
    if not stacks:
        return "it holds no 3-D dataset at all, so there are no projections in it"
    angles = lists[0].name if lists else "/where/the/angles/are"
    named = {"data": stacks[0].name, "angles_path": angles, **proposal(datasets)}
    python = ", ".join(f"{kind}={name!r}" for kind, name in named.items())
    line = " ".join(f"--{kind.removesuffix('_path')} {name}" for kind, name in named.items())
    return (
        f"3-D datasets in it: {_listed(stacks)}. 1-D datasets of fitting length: "
        f"{_listed(lists + keys) or 'none'}. Point at what belongs to the scan, for example "
        f"{python} (on the command line {line})"
    )


def _candidates(datasets: Sequence[Listed]) -> tuple[list[Listed], list[Listed], list[Listed]]:
    """Return what may be projections, angles and keys, the likeliest first."""
    numbers = [one for one in datasets if one.dtype.kind in "iufb"]
    stacks = [one for one in numbers if len(one.shape) in (3, 4) and 0 not in one.shape]
    stacks = list({(one.path, one.item.name): one for one in reversed(stacks)}.values())[::-1]
    stacks.sort(key=lambda one: (_is_field(one.name), -math.prod(one.shape)))
    shape = stacks[0].shape if stacks else ()
    lists = [one for one in numbers if len(one.shape) == 1 and one.shape[0] in shape]
    keys = [one for one in lists if "key" in one.name.rpartition("/")[2].lower()]
    lists = [one for one in lists if one not in keys]
    lists.sort(key=lambda one: (not _is_angle(one.name), one.shape[0] != shape[0]))
    return stacks, lists, keys


def _listed(found: Sequence[Listed]) -> str:
    return "; ".join(f"{one.name} {one.shape} {one.dtype}" for one in found[:20])


def _is_field(name: str) -> bool:
    """Tell whether a dataset is called like a flat or dark field."""
    last = name.rpartition("/")[2].lower()
    return any(word in last for word in ("flat", "white", "bkg", "background", "dark", "ref"))


def _is_angle(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return any(word in last for word in ("angle", "theta", "rotation", "omega", "tilt"))
