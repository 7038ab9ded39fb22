"""Open a finished run in napari."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry, turn_projections, turn_volume
from ..geometry.scan_geometry import binned_position
from ..io import ScanFileError, ShiftsFile, read_scan, read_shifts
from ._frames import Frame, Placement, volume_frame
from ._layers import AlignmentLayers
from ._metadata import KEY

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["open_run", "read_run", "view"]

_SUFFIXES = (".h5", ".tif", ".mrc")


def view(directory: str | Path) -> None:
    """Open a finished run in napari and wait until the window is closed.

    Parameters
    ----------
    directory : path
        What ``napari-tomoalign align SCAN -o DIR`` wrote.

    Raises
    ------
    FileNotFoundError
        No finished run lies there.
    ScanFileError
        A file of the run is damaged.
    """
    frames, file = read_run(Path(directory))
    import napari

    viewer = napari.Viewer(title=f"{Path(directory).resolve().name} - napari-tomoalign")
    open_run(viewer, frames, file)
    napari.run()


def open_run(viewer: Viewer, frames: dict[str, Frame], file: ShiftsFile) -> None:
    """Show the layers and the plots of a finished run in a viewer."""
    from ._plots import RunPlots

    layers = AlignmentLayers(viewer)
    layers.begin(None, new=True)
    layers.show(frames)
    plots = RunPlots(viewer.theme)
    viewer.events.theme.connect(lambda event: plots.set_theme(viewer.theme))
    plots.show_run(file.history, file.measured_shifts, file.angles, len(file.history))
    viewer.window.add_dock_widget(plots, name="Run", area="right")
    viewer.status = file.message


def read_run(directory: Path) -> tuple[dict[str, Frame], ShiftsFile]:
    """Read the shifts, the aligned stack and the reconstruction of a run."""
    if not (directory / "shifts.h5").is_file():
        raise FileNotFoundError(
            f"no finished run in {directory}: expected the files shifts.h5, aligned and "
            "reconstruction that 'napari-tomoalign align SCAN -o DIR' writes"
        )
    file = read_shifts(directory / "shifts.h5")
    axis = file.rotation_axis
    aligned = read_scan(
        _one_of(directory, "aligned"),
        rotation_axis=axis,
        angles=file.angles,
        angle_unit="radians",
        background=None,
        transmission=False,
    )
    stack = aligned.projections if aligned.projections.ndim == 3 else aligned.projections[..., 0]
    measured = turn_projections(stack, axis)
    size = 1.0 if file.pixel_size is None else file.pixel_size
    unit = file.pixel_unit if file.pixel_size is not None and file.pixel_unit else "pixel"
    shape = (measured.shape[1], measured.shape[2])
    place = Placement((1.0, size, size), (0.0, 0.0, 0.0), ("pixel", unit, unit), axis, "", shape)
    own = {
        "source": str(directory),
        "shifts": file.measured_shifts,
        "center": file.center,
        "converged": file.converged,
        "message": file.message,
        "parameters": dict(file.parameters),
        "backend": file.backend,
    }
    stacked = {KEY: {**own, "role": "reference", "applied": "by this run"}, "angles": file.angles}
    volume = turn_volume(_read_volume(_one_of(directory, "reconstruction")), axis)
    binning = file.history[-1].binning if file.history else 1
    geometry = ScanGeometry(
        file.angles,
        len(volume),
        stack.shape[2] // binning,
        binned_position(file.center, binning),
        volume.shape[2],
    )
    frames = {
        "reference": Frame(measured, place.scale, place.translate, place.units, stacked),
        "reconstruction": volume_frame(
            volume, geometry, place, binning, {KEY: {**own, "role": "reconstruction"}}
        ),
    }
    return frames, file


def _one_of(directory: Path, name: str) -> Path:
    """Return the file of this name, whatever its format."""
    for suffix in _SUFFIXES:
        if (directory / f"{name}{suffix}").is_file():
            return directory / f"{name}{suffix}"
    raise FileNotFoundError(
        f"{directory} has shifts.h5 but no {name}{' or '.join(_SUFFIXES)}: run 'napari-tomoalign "
        "align' on the scan again, with --overwrite"
    )


def _read_volume(path: Path) -> NDArray[np.float32]:
    values: Any
    try:
        if path.suffix == ".h5":
            import h5py

            with h5py.File(path) as file:
                values = file["/reconstruction/volume"][()]
        elif path.suffix == ".tif":
            import tifffile

            values = tifffile.imread(path)
        else:
            import mrcfile

            with mrcfile.open(path) as file:
                values = np.array(file.data)
    except (OSError, KeyError, ValueError) as error:
        raise ScanFileError(
            f"{path} cannot be read as a reconstruction ({error}): run 'napari-tomoalign align' "
            "again, with --overwrite"
        ) from error
    return np.asarray(values, dtype=np.float32)
