"""TomoPy's ``align_seq`` and ``align_joint``, by name and signature, on this package's loop.

In a script that uses them, only the import changes. What is different, on purpose:

- the input is never modified, and the stack that comes back is the aligned one, moved once;
- both names run the same loop, which takes every algorithm;
- it stops when nothing moves any more; then ``conv`` goes on with zeros;
- edges are tapered and weighted by the loop itself: ``blur``, ``rin`` and ``rout`` are accepted,
  so that scripts run, and change nothing.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..alignment import align
from ..geometry import ScanGeometry
from ..images.applying import move
from ..io import to_tomopy
from ..results import AlignmentState

__all__ = ["align_joint", "align_seq"]

Algorithm = str | Callable[..., Any]
Aligned = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

# TomoPy's algorithms, and what comes closest to each in the built-in engine
_BUILTIN = {
    "sirt": "sirt",
    "fbp": "fbp",
    "gridrec": "fbp",
    "art": "sirt",
    "bart": "sirt",
    "mlem": "gradient",
    "osem": "gradient",
    "ospml_hybrid": "gradient",
    "ospml_quad": "gradient",
    "pml_hybrid": "gradient",
    "pml_quad": "gradient",
    "tv": "gradient",
    "grad": "gradient",
    "tikh": "gradient",
}


def align_seq(
    prj: ArrayLike,
    ang: ArrayLike,
    fdir: str = ".",
    iters: int = 10,
    pad: tuple[int, int] = (0, 0),
    blur: bool = True,
    center: ArrayLike | None = None,
    algorithm: Algorithm = "sirt",
    upsample_factor: int = 10,
    rin: float = 0.5,
    rout: float = 0.8,
    save: bool = False,
    debug: bool = True,
) -> Aligned:
    """Align projections by reprojection; see `align_joint`, which is the same here."""
    return _align(prj, ang, fdir, iters, pad, center, algorithm, upsample_factor, save, debug)


def align_joint(
    prj: ArrayLike,
    ang: ArrayLike,
    fdir: str = "./",
    iters: int = 10,
    pad: tuple[int, int] = (0, 0),
    blur: bool = True,
    center: ArrayLike | None = None,
    algorithm: Algorithm = "sirt",
    upsample_factor: int = 10,
    rin: float = 0.5,
    rout: float = 0.8,
    save: bool = False,
    debug: bool = True,
) -> Aligned:
    """Align projections by reprojection, called as TomoPy's function of this name.

    Parameters
    ----------
    prj : (n_angles, n_rows, n_columns) array
        Line integrals, of any real type; not modified.
    ang : (n_angles,) array
        Radians.
    fdir : str
        Folder for what ``save`` writes.
    iters : int
        Largest number of iterations.
    pad : (int, int)
        Columns and rows of zeros to put on each side; they have no weight, and they are part of
        what is returned.
    blur, rin, rout : bool, float, float
        Accepted and not used: the loop tapers the edges itself.
    center : float, optional
        Rotation axis as TomoPy counts it: from the edge of the first pixel, except for
        ``"gridrec"``, which counts from its middle. None: the middle of the image.
    algorithm : str or callable
        A name that TomoPy knows, or a function as ``tomopy.recon`` takes it. Without TomoPy, the
        closest algorithm of the built-in engine stands in, with a warning where it is another.
    upsample_factor : int
        The cross-correlation is resolved to ``1 / upsample_factor`` pixels.
    save : bool
        Write the aligned projections, the reprojections and the reconstruction of each iteration
        below ``fdir/tmp/iters``. Coarse levels are smaller.
    debug : bool
        Print a line for each iteration.

    Returns
    -------
    prj : (n_angles, n_rows, n_columns) array of float32
        The aligned stack, padded as asked for.
    sx, sy : (n_angles,) array of float64
        Row and column shifts, as ``tomopy.prep.alignment.shift_images`` takes them.
    conv : (iters,) array of float64
        Norm of the change of the shifts in each iteration, in pixels; 0 after nothing moves.

    Raises
    ------
    TypeError, ValueError
        As `align` does; or an algorithm that TomoPy does not know.

    Warns
    -----
    UserWarning
        TomoPy is not installed and the algorithm is replaced.
    """
    return _align(prj, ang, fdir, iters, pad, center, algorithm, upsample_factor, save, debug)


def _align(
    prj: ArrayLike,
    ang: ArrayLike,
    fdir: str,
    iters: int,
    pad: tuple[int, int],
    center: ArrayLike | None,
    algorithm: Algorithm,
    upsample_factor: int,
    save: bool,
    debug: bool,
) -> Aligned:
    stack, weights = _padded(np.asarray(prj), pad)
    backend, pipeline = _pipeline(algorithm)

    def follow(state: AlignmentState) -> None:
        if debug:
            print(f"iter={state.iteration - 1}, err={np.linalg.norm(state.record.moves)}")
        if save:
            _save(state, fdir)

    result = align(
        stack,
        ang,
        center=_axis(center, algorithm, stack.shape[2]),
        weights=weights,
        backend=backend,
        callback=follow,
        progress=False,
        maxiter=iters,
        upsampling=upsample_factor,
        reconstruction_pipeline=pipeline,
    )
    sx, sy = to_tomopy(result.shifts)
    conv, before = np.zeros(iters), np.zeros_like(result.shifts)
    for record in result.history:
        conv[record.iteration - 1] = np.linalg.norm(record.shifts - before)
        before = record.shifts
    return move(stack, result.shifts), sx, sy, conv


def _padded(
    stack: NDArray[Any], pad: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Return the stack with zeros around it, and weights that leave them out."""
    columns, rows = (int(size) for size in pad)
    if min(columns, rows) < 0 or stack.ndim != 3:
        raise ValueError(
            f"prj must be (n_angles, n_rows, n_columns) and pad two sizes of at least 0; got shape "
            f"{stack.shape} and pad={pad}"
        )
    if not (columns or rows):
        return stack, None
    widths = ((0, 0), (rows, rows), (columns, columns))
    measured = np.pad(np.ones(stack.shape, dtype=np.float32), widths)
    return np.pad(stack, widths), measured


def _pipeline(algorithm: Algorithm) -> tuple[str, Algorithm]:
    """Return backend and algorithm for what TomoPy would be asked for."""
    has_tomopy = importlib.util.find_spec("tomopy") is not None
    if callable(algorithm):
        if not has_tomopy:
            raise ValueError(
                "an algorithm of your own is called through TomoPy, which is not installed here: "
                "conda install -c conda-forge tomopy; or give it to napari_tomoalign.align as "
                "reconstruction_pipeline"
            )
        return "tomopy", _through_tomopy(algorithm)
    if has_tomopy:
        return "tomopy", algorithm
    if algorithm not in _BUILTIN:
        raise ValueError(f"unknown algorithm {algorithm!r}; known are {', '.join(_BUILTIN)}")
    stand_in = _BUILTIN[algorithm]
    if stand_in != algorithm:
        warnings.warn(
            f"TomoPy is not installed here, so {stand_in!r} of the built-in engine stands in for "
            f"{algorithm!r}; for TomoPy's own: conda install -c conda-forge tomopy",
            UserWarning,
            stacklevel=4,
        )
    return "builtin", stand_in


def _through_tomopy(algorithm: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pipeline that calls a function in the way of ``tomopy.recon``."""

    def reconstruct(
        projections: NDArray[np.float32], geometry: ScanGeometry, **_: Any
    ) -> NDArray[np.float32]:
        import tomopy

        from ..backends.tomopy.engine import _one_call

        with _one_call():
            volume: NDArray[np.float32] = tomopy.recon(
                projections,
                geometry.angles,
                center=geometry.center + 0.5,
                algorithm=algorithm,
                num_gridx=geometry.volume_width,
                num_gridy=geometry.volume_width,
            )
        return volume

    return reconstruct


def _axis(center: ArrayLike | None, algorithm: Algorithm, n_columns: int) -> float:
    """Return the rotation axis in our pixels."""
    if center is None:
        return (n_columns - 1) / 2
    values = np.unique(np.asarray(center, dtype=np.float64))
    if values.size != 1:
        raise ValueError(
            f"center must be one number, or the same for every slice; got {values.size} different "
            "ones"
        )
    return float(values[0]) - (0.0 if algorithm == "gridrec" else 0.5)


def _save(state: AlignmentState, fdir: str) -> None:
    """Write what TomoPy writes after an iteration, where it writes it."""
    import tifffile

    for name, values in (
        ("prj", state.reference),
        ("sim", state.projections),
        ("rec", state.reconstruction),
    ):
        folder = os.path.join(fdir, "tmp", "iters", name)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{state.iteration - 1}.tiff")
        tifffile.imwrite(path, values, photometric="minisblack")
