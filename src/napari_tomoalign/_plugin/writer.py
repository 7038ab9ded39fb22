"""Write shifts: those on show, or those that a layer carries (File > Save on ``reference``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..io import ShiftsFile, export_shifts, write_shifts
from ..results import AlignmentState
from ..steering import ScanSource
from ..steering.frames import KEY

__all__ = ["write_shifts_of_layer", "write_state"]

_OWN = (".h5", ".hdf5")


def write_state(path: Path, state: AlignmentState, source: ScanSource | None) -> Path:
    """Write the shifts of a state, which belong to a scan; its images are not looked at.

    The suffix says the format; none stands for ``.h5``. A file that is there is replaced.
    """
    scan = None if source is None else source.load()
    path = path if path.suffix else path.with_suffix(".h5")
    if path.suffix.lower() in _OWN:
        return write_shifts(path, state, scan, overwrite=True)
    return export_shifts(ShiftsFile.of(state, scan), path, overwrite=True)


def write_shifts_of_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the shifts that a layer's metadata has, and not its data.

    To ``.h5`` (the shifts file, with its history), ``.csv``, ``.xf`` or ``.npz``.
    """
    own = meta.get("metadata", {}).get(KEY, {})
    if "state" not in own:
        raise ValueError(
            f"layer {meta.get('name', '')!r} carries no shifts: select the layer 'reference', "
            "'projections' or 'reconstruction' of an alignment, or save the image as TIFF"
        )
    return [str(write_state(Path(path), own["state"], own.get("scan")))]
