"""What an HDF5 file of unknown layout holds, in words, and how to point at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["contents_in_words"]


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


def contents_in_words(datasets: Sequence[Listed]) -> str:
    """Return in words what could be projections and angles, and how to point at them."""
    numbers = [one for one in datasets if one.dtype.kind in "iufb"]
    stacks = [one for one in numbers if len(one.shape) in (3, 4) and 0 not in one.shape]
    stacks = list({(one.path, one.item.name): one for one in reversed(stacks)}.values())[::-1]
    if not stacks:
        return "it holds no 3-D dataset at all, so there are no projections in it"
    stacks.sort(key=lambda one: (_is_field(one.name), -math.prod(one.shape)))
    data = stacks[0]
    fields = [one for one in stacks[1:] if _is_field(one.name)]
    lists = [one for one in numbers if len(one.shape) == 1 and one.shape[0] in data.shape]
    keys = [one for one in lists if "key" in one.name.rpartition("/")[2].lower()]
    lists = [one for one in lists if one not in keys]
    lists.sort(key=lambda one: (not _is_angle(one.name), one.shape[0] != data.shape[0]))
    angles = lists[0].name if lists else "/where/the/angles/are"
    options = {"data": data.name, "angles": angles}
    for one in fields:
        options.setdefault("darks" if "dark" in one.name.lower() else "flats", one.name)
    if keys:
        options["keys"] = keys[0].name
    python = ", ".join(
        f"{'angles_path' if kind == 'angles' else kind}={name!r}" for kind, name in options.items()
    )
    line = " ".join(f"--{kind} {name}" for kind, name in options.items())
    return (
        f"3-D datasets in it: {_listed(stacks)}. 1-D datasets of fitting length: "
        f"{_listed(lists + keys) or 'none'}. Point at what belongs to the scan, for example "
        f"{python} (on the command line {line})"
    )


def _listed(found: Sequence[Listed]) -> str:
    return "; ".join(f"{one.name} {one.shape} {one.dtype}" for one in found[:20])


def _is_field(name: str) -> bool:
    """Tell whether a dataset is called like a flat or dark field."""
    last = name.rpartition("/")[2].lower()
    return any(word in last for word in ("flat", "white", "bkg", "background", "dark", "ref"))


def _is_angle(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return any(word in last for word in ("angle", "theta", "rotation", "omega", "tilt"))
