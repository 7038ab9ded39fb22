"""Write the shifts that a layer of a run carries: File > Save on the layer ``reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._metadata import KEY
from ._shift_files import write_state

__all__ = ["write_shifts_of_layer"]


def write_shifts_of_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the shifts of a layer to a file; the format is that of the suffix.

    Parameters
    ----------
    path : str
        ``.h5`` (the shifts file, with its history), ``.csv``, ``.xf`` or ``.npz``.
    data : array
        Of the layer; not written.
    meta : dict
        Of the layer; its ``metadata`` says where the layer comes from.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    ValueError
        The layer carries no shifts.
    """
    own = meta.get("metadata", {}).get(KEY, {})
    if "state" not in own:
        raise ValueError(
            f"layer {meta.get('name', '')!r} carries no shifts: select the layer 'reference', "
            "'projections' or 'reconstruction' of an alignment, or save the image as TIFF"
        )
    return [str(write_state(Path(path), own["state"], own.get("scan")))]
