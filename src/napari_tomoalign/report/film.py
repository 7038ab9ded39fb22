"""A film of an alignment: a slice gets sharp while the shifts grow, iteration by iteration."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backends import BackendUnavailable, get_backend
from ..geometry import ScanGeometry
from ..geometry.gauge import remove_gauge
from ..images.source import Source, as_source
from ..io.atomic import atomic_path
from ..io.outputs import CREATOR, check_outputs
from ..parameters import AlignmentParameters
from ..results import IterationRecord
from .comparing import row_of_images, slice_at
from .figure import COLUMNS, ROWS

__all__ = ["film_frames", "write_film"]

_MOST = 60  # frames: a longer run is shown in steps
_SECONDS = 0.5  # a frame
_LAST = 2.0  # seconds that the result is looked at
_SIZE, _DOTS = (8.0, 4.0), 80  # inches, dots an inch: pixels divisible by 16, as MP4 wants them


class Finished(Protocol):
    """What of a result is needed; a shifts file that was read has it too."""

    @property
    def angles(self) -> NDArray[np.float64]: ...
    @property
    def geometry(self) -> ScanGeometry: ...
    @property
    def history(self) -> Sequence[IterationRecord]: ...
    @property
    def backend(self) -> str: ...
    @property
    def parameters(self) -> AlignmentParameters | Mapping[str, Any]: ...


def write_film(
    path: str | Path,
    result: Finished,
    projections: ArrayLike,
    *,
    row: int | None = None,
    overwrite: bool = True,
) -> Path:
    """Write a film of an alignment.

    Parameters
    ----------
    path : path
        ``.gif``; or ``.mp4``, which needs imageio-ffmpeg.
    result : AlignmentResult or ShiftsFile
        With its history.
    projections : (n_angles, n_rows, n_columns) array
        Line integrals, as they were measured; in memory or read when indexed.
    row : int, optional
        Of the slice. Default: the row with the most contrast.
    overwrite : bool
        Replace a film of this program that is there.

    Raises
    ------
    FileExistsError, FolderInUse
        See `check_outputs`.
    ValueError
        Another suffix, or no history to show.
    ModuleNotFoundError
        An MP4 without imageio-ffmpeg; the message says how to install it.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".gif", ".mp4"):
        raise ValueError(f"a film is a .gif or an .mp4, got {path.name!r}")
    if kind == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(
            'an MP4 needs imageio-ffmpeg: pip install "napari-tomoalign[film]"; a .gif needs '
            "nothing more"
        )
    check_outputs([path], overwrite=overwrite)
    frames = list(film_frames(result, projections, row=row))
    with atomic_path(path, overwrite=overwrite) as aside:
        (_write_gif if kind == ".gif" else _write_mp4)(aside, frames)
    return path


def film_frames(
    result: Finished, projections: ArrayLike, *, row: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a film, (height, width, 3), one for each iteration shown.

    The first shows the scan as it was measured. Parameters: see `write_film`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    history = list(result.history)
    if not history:
        raise ValueError("there is no history of iterations, so there is nothing to film")
    stack = projections if hasattr(projections, "shape") else np.asarray(projections)
    row = row_of_images(stack) if row is None else row
    slices = _Slices(result, _RowsKept(as_source(stack)), row)
    steps = _steps(len(history))
    start, end = slices.at(None), slices.at(history[-1])
    low, high = np.percentile(end, (1, 99.8))
    figure = Figure(figsize=_SIZE, dpi=_DOTS, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    picture = left.imshow(start, cmap="gray", vmin=low, vmax=max(high, low + 1e-12))
    left.set_axis_off()
    order = np.argsort(result.angles, kind="stable")
    degrees = np.degrees(result.angles)[order]
    lines = [
        right.plot(degrees, np.zeros_like(degrees), ".-", color=color, label=label, lw=1, ms=3)[0]
        for color, label in ((ROWS, "along the axis"), (COLUMNS, "across it"))
    ]
    reach = 1.1 * max(np.abs(_without_position(history[-1], result.angles)).max(), 0.1)
    right.set(xlabel="angle / degrees", ylabel="shift / px", ylim=(-reach, reach))
    right.grid(True, alpha=0.3)
    right.legend(loc="upper right", fontsize=8, frameon=False, ncols=2)
    for number in (0, *steps):
        record = history[number - 1] if number else None
        if record is not None:
            picture.set_data(end if number == len(history) else slices.at(record))
            shifts = _without_position(record, result.angles)
            for line, direction in zip(lines, (0, 1), strict=True):
                line.set_ydata(shifts[order, direction])
        left.set_title(f"slice {slices.row}", fontsize=10)
        right.set_title(_words(record, len(history)), fontsize=10)
        canvas.draw()  # type: ignore[no-untyped-call]
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


class _RowsKept:
    """A source that keeps the rows that were asked for: those of a slice, whatever its shifts."""

    def __init__(self, source: Source) -> None:
        self._source, self._rows = source, range(0)
        self.shape, self.dtype = source.shape, source.dtype
        self._kept: NDArray[Any] = np.empty(0)

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> NDArray[np.generic]:
        """Return these frames, cut to these rows; both slices of step 1."""
        wanted, kept = range(self.shape[1])[rows], self._rows
        if not kept or wanted.start < kept.start or wanted.stop > kept.stop:
            ends = [end for part in (wanted, kept) if part for end in (part.start, part.stop)]
            self._rows = range(min(ends), max(ends))
            self._kept = self._source.read(slice(None), slice(self._rows.start, self._rows.stop))
        first = self._rows.start
        return self._kept[frames, wanted.start - first : wanted.stop - first]


class _Slices:
    """One slice at the shifts of any iteration, by the run's own engine."""

    def __init__(self, result: Finished, stack: _RowsKept, row: int) -> None:
        self._result, self._stack, self.row = result, stack, row
        settings = result.parameters
        if isinstance(settings, Mapping):
            settings = AlignmentParameters.from_dict(settings)
        self._parameters = settings
        try:
            self._backend = get_backend(result.backend, workers=settings.workers)
        except BackendUnavailable:  # a run of another machine
            self._backend = get_backend("builtin", workers=settings.workers)

    def at(self, record: IterationRecord | None) -> NDArray[np.float32]:
        """Return the slice at an iteration's shifts; None: as measured."""
        n_angles, n_rows, n_columns = self._stack.shape
        shifts, center = np.zeros((n_angles, 2)), (n_columns - 1) / 2
        used = np.ones(n_angles, dtype=bool)
        if record is not None:
            shifts, center = record.shifts, record.center
            used = record.confidence > 0 if (record.confidence > 0).any() else used
        geometry = self._result.geometry.with_changes(
            n_rows=n_rows, n_columns=n_columns, center=center
        )
        return slice_at(
            self._stack, geometry, shifts, self.row, self._backend, self._parameters, used
        )[1]


def _steps(count: int) -> list[int]:
    """Return the numbers of the iterations that are shown; the last one is among them."""
    stride = -(-count // _MOST)
    return sorted({*range(1, count + 1, stride), count})


def _without_position(record: IterationRecord, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return remove_gauge(record.shifts, angles)


def _words(record: IterationRecord | None, count: int) -> str:
    if record is None:
        return "as measured"
    level = f", binning {record.binning}" if record.binning > 1 else ""
    number = f"iteration {record.iteration} of {count}{level}"
    return f"{number}: residual {record.residual:.3f}"


def _write_gif(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    from PIL import Image

    colours = Image.fromarray(frames[-1]).quantize(128)  # of all pictures: they do not flicker
    pictures = [Image.fromarray(frame).quantize(palette=colours) for frame in frames]
    times = [int(1000 * _SECONDS)] * (len(frames) - 1) + [int(1000 * _LAST)]
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=times,
        loop=0,
        comment=CREATOR,
    )


def _write_mp4(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    rate = 1 / _SECONDS
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=rate,
        codec="libx264",
        output_params=["-f", "mp4", "-metadata", f"comment={CREATOR}"],
    )
    writer.send(None)
    for frame in (*frames, *[frames[-1]] * int(_LAST * rate - 1)):
        writer.send(np.ascontiguousarray(frame))
    writer.close()
