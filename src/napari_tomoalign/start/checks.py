"""Check what a run is given, before any work, and bring it into one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._counting import how_many
from ..backends import Backend, BackendUnavailable, available_backends, get_backend
from ..backends.base import check_vertical
from ..geometry import ScanGeometry
from ..images.arrays import as_array, require_real
from ..images.source import ArraySource, Source, as_source, is_read_in_pieces
from ..parameters import AlignmentParameters
from ..results import IterationRecord, Resume
from .axis import Axis, geometry_of
from .held import finest_held, memory_for_slabs
from .lines import Lines, Values
from .run import Loop, Run
from .survey import read_blocks

__all__ = ["check"]


def check(
    projections: ArrayLike,
    axis: Axis,
    weights: ArrayLike | None,
    backend: str | Backend,
    initial_shifts: ArrayLike | None,
    resume: Resume | None,
    parameters: Mapping[str, Any],
    loop: Loop,
) -> Run:
    """Check everything and return a run of ``loop`` that can start; see `iterate_alignment`.

    Raises
    ------
    TypeError, ValueError
        What was expected, what came and what to do.
    BackendUnavailable
        The backend, or its GPU, is not here.
    """
    settings = AlignmentParameters.from_dict(parameters)
    source, good = _source(projections)
    n, n_rows, n_columns = source.shape[:3]
    given = _weights(weights, (n, n_rows, n_columns))
    if good is not None:
        given = good.astype(np.float32) if given is None else given * good
    geometry = geometry_of(axis, n, n_rows, n_columns, settings)
    start = _shifts(initial_shifts, n, (n_rows, n_columns))
    held, excluded = _subsets(settings, n)
    _check_cropping(settings, n_rows, n_columns)
    _check_levels(settings.levels, geometry)
    if resume is not None:
        _check_resume(resume, geometry, settings)
    engine, algorithm, options = _pipeline(backend, settings, geometry)
    run = Run(
        lines=_lines(source, given, excluded, settings),
        geometry=geometry,
        center_known=axis.center is not None,
        initial_shifts=start,
        held=held,
        excluded=excluded,
        backend=engine,
        algorithm=algorithm,
        options=options,
        parameters=settings,
        resume=resume,
        loop=loop,
    )
    finest, _ = finest_held(run)
    gone = finest if resume is None else min(record.binning for record in resume.history)
    if resume is not None and gone < finest and not memory_for_slabs(run, finest):
        raise ValueError(
            f"resume has gone on to binning {resume.history[-1].binning}, and the memory holds "
            f"binning {finest} at the finest: give more (memory=, --memory)"
        )
    return run


def _source(projections: Any) -> tuple[Source, NDArray[np.bool_] | None]:
    """Return what is aligned, read when it is asked for, and the good pixels of a masked array."""
    stack: Any = projections
    good: NDArray[np.bool_] | None = None
    if not (isinstance(stack, Source) or is_read_in_pieces(stack)):
        stack, good = as_array(projections, "projections")
    require_real(stack, "projections must be", ": take the modulus or the phase of complex data")
    if len(stack.shape) not in (3, 4) or 0 in stack.shape:
        raise ValueError(
            "projections must be (n_angles, n_rows, n_columns), or with channels as a fourth "
            f"axis, none of them empty; got shape {stack.shape}"
        )
    if stack.shape[0] < 3:
        raise ValueError(
            f"at least 3 projections are needed, got {stack.shape[0]}: is the first axis the angle?"
        )
    if stack.shape[2] < 8:
        raise ValueError(
            f"projections must be at least 8 columns wide, got {stack.shape[2]}: are the axes in "
            "the order (n_angles, n_rows, n_columns)?"
        )
    if good is not None and good.ndim == 4:
        good = np.asarray(good.all(axis=3))
    return as_source(stack), good


def _weights(weights: ArrayLike | None, shape: tuple[int, int, int]) -> NDArray[np.float32] | None:
    if weights is None:
        return None
    array, good = as_array(weights, "weights")
    if good is not None:
        array = np.where(good, array, 0)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"weights must be real numbers or a boolean mask, got dtype {array.dtype}")
    if array.shape not in (shape, shape[1:]):
        raise ValueError(
            f"weights must have the shape of the projections, {shape}, or of one image, "
            f"{shape[1:]}; got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"weights must be finite, but {int((~np.isfinite(array)).sum())} are NaN or infinite: "
            "set those to 0 (ignore the pixel)"
        )
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            "weights must lie between 0 (ignore the pixel) and 1, got values from "
            f"{array.min():g} to {array.max():g}: scale them"
        )
    if not array.any():
        raise ValueError("all weights are 0, so no pixel is left: 0 means ignore, 1 means use")
    return np.array(np.broadcast_to(array, shape), dtype=np.float32)


def _shifts(shifts: ArrayLike | None, n: int, size: tuple[int, int]) -> NDArray[np.float64] | None:
    if shifts is None:
        return None
    if np.iscomplexobj(shifts):
        raise TypeError(f"initial_shifts must be real numbers, pixels; got {shifts!r:.60}")
    try:
        array = np.array(np.ma.filled(shifts, np.nan), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"initial_shifts must be numbers, pixels, got {shifts!r:.60}") from error
    if array.shape != (n, 2):
        raise ValueError(
            f"initial_shifts must be (row, column) for each projection, shape ({n}, 2); got "
            f"{array.shape}"
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        raise ValueError(f"initial_shifts must be finite; {bad} of {n} are not: set those to 0")
    beyond = np.flatnonzero((np.abs(array) >= size).any(axis=1))
    if len(beyond):
        row, column = array[beyond[0]]
        raise ValueError(
            f"initial_shifts displace {len(beyond)} of {n} projections by more than their "
            f"{size[0]} x {size[1]} pixels (projection {beyond[0]}: {row:g}, {column:g}): are they "
            "pixels of these images, not of others or of a length?"
        )
    return array


def _subsets(settings: AlignmentParameters, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which projections keep their shifts, and which are not used."""
    masks = []
    for name in ("ignored_subset", "excluded_subset"):
        named = list(getattr(settings, name))
        outside = [i for i in named if i >= n]
        if outside:
            raise ValueError(
                f"{name} names projection {outside[0]}, but there are {n}: 0 to {n - 1}"
            )
        mask = np.zeros(n, bool)
        mask[named] = True
        masks.append(mask)
    held, excluded = masks
    if (held | excluded).all():
        which = " and ".join(
            name
            for name, mask in (("ignored_subset", held), ("excluded_subset", excluded))
            if mask.any()
        )
        names = "name" if " and " in which else "names"
        raise ValueError(f"{which} {names} every projection, so none is left to register")
    return held, excluded


def _check_cropping(settings: AlignmentParameters, n_rows: int, n_columns: int) -> None:
    if settings.projection_cropping is None:
        return
    for window, n, what in zip(
        settings.projection_cropping, (n_rows, n_columns), ("rows", "columns"), strict=True
    ):
        start, stop, _ = window.indices(n)
        if stop - start < 4 and not (n < 4 and stop - start == n):
            raise ValueError(
                f"projection_cropping leaves {max(stop - start, 0)} of {n} {what} "
                f"({window.start}:{window.stop}): at least 4 are needed to register"
            )


def _check_levels(levels: tuple[int, ...] | None, geometry: ScanGeometry) -> None:
    n_columns = geometry.n_columns
    if levels is not None and n_columns // levels[0] < 8:
        raise ValueError(
            f"levels starts at binning {levels[0]}, which leaves {n_columns // levels[0]} of "
            f"{n_columns} columns: at least 8 are needed"
        )
    n_rows = geometry.n_rows
    if levels is not None and not geometry.upright.has_vertical_axis and n_rows // levels[0] < 4:
        raise ValueError(
            f"levels starts at binning {levels[0]}, which leaves {n_rows // levels[0]} of {n_rows} "
            "rows: at least 4 are needed where the axis leans, for rows are binned as columns are"
        )


def _check_resume(resume: Resume, geometry: ScanGeometry, settings: AlignmentParameters) -> None:
    if not isinstance(resume, Resume):
        raise TypeError(f"resume must be a Resume, or None; got {type(resume).__qualname__}")
    if not resume.history:
        raise ValueError("resume has an empty history: start a new run instead")
    if not all(isinstance(record, IterationRecord) for record in resume.history):
        raise TypeError("resume must have the history of a state or a result: Resume.of(state)")
    last = resume.history[-1]
    n, n_rows, n_columns = geometry.projections_shape
    if len(last.shifts) != n:
        raise ValueError(
            f"resume belongs to a scan of {len(last.shifts)} projections, this one has {n}: it is "
            "another scan"
        )
    if tuple(resume.image_shape) != (n_rows, n_columns):
        raise ValueError(
            f"resume belongs to images of {' x '.join(map(str, resume.image_shape))} pixels, these "
            f"have {n_rows} x {n_columns}: it is another scan, or binned or cut otherwise"
        )
    if len(resume.history) > settings.maxiter:
        raise ValueError(
            f"resume has {how_many(len(resume.history), 'iteration')} behind it and maxiter is "
            f"{settings.maxiter}: raise maxiter to go on"
        )
    binnings = list(dict.fromkeys(record.binning for record in resume.history))
    if settings.levels is not None and binnings != list(settings.levels[: len(binnings)]):
        raise ValueError(
            f"resume went through the binnings {', '.join(map(str, binnings))}, levels are "
            f"{', '.join(map(str, settings.levels))}: go on with the levels of that run"
        )
    generator = np.random.default_rng()
    try:
        generator.bit_generator.state = dict(resume.generator_state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            "resume has a generator state that is not the one of a PCG64 generator, as states and "
            f"results have it in generator_state ({type(error).__name__}: {error}): start a new "
            "run with initial_shifts instead"
        ) from error


def _pipeline(
    backend: str | Backend, settings: AlignmentParameters, geometry: ScanGeometry
) -> tuple[Backend, str | Callable[..., Any], dict[str, Any]]:
    """Return the backend, what reconstructs, and its options."""
    engine = _engine(backend, settings, geometry)
    pipeline = settings.reconstruction_pipeline
    given = dict(settings.reconstruction_pipeline_kwargs)
    if callable(pipeline):
        return engine, pipeline, given
    default, default_options = engine.default_for(geometry)
    algorithm = default if pipeline is None else pipeline
    options = {**default_options, **given} if algorithm == default else given
    engine.check_options(algorithm, options)
    if algorithm == "fbp":  # every engine's filter is one along rows
        check_vertical("reconstruction_pipeline='fbp'", geometry.upright)
    return engine, algorithm, options


def _engine(
    backend: str | Backend, settings: AlignmentParameters, geometry: ScanGeometry
) -> Backend:
    """Return the backend, which takes the geometry: ``"auto"`` the first that does."""
    if not isinstance(backend, (str, Backend)):
        raise TypeError(
            "backend must be a name or an object that fulfils the Backend protocol, got "
            f"{type(backend).__name__}"
        )
    # Turns in the plane are the loop's, and any engine takes what is left where it is vertical.
    needed = geometry.upright

    def named(name: str) -> Backend:
        return get_backend(name, workers=settings.workers, use_gpu=settings.use_gpu)

    engine = named(backend) if isinstance(backend, str) else backend
    if engine.supports(needed):
        return engine
    able = []
    for name in available_backends():
        with suppress(BackendUnavailable):
            other = named(name)
            if other.supports(needed):
                able.append(other)
    if backend == "auto" and able:
        return able[0]
    names = " or ".join(f"backend={other.name!r}" for other in able) or "none that is here"
    raise ValueError(
        f"backend {engine.name!r} does not take this geometry, whose axis is not vertical even "
        f"when the images are turned in their plane; engines that do: {names}"
    )


def _lines(
    source: Source,
    weights: NDArray[np.float32] | None,
    excluded: NDArray[np.bool_],
    settings: AlignmentParameters,
) -> Lines:
    """Return what is aligned; what is in memory is looked at here, what is not when it is read."""
    lines = Lines(source, weights, settings.transmission and settings.use_absorbances)
    array = source.array if isinstance(source, ArraySource) else None
    if not isinstance(array, np.ndarray):
        return lines
    found = Values(excluded)
    for part in read_blocks(lines.shape):
        found.add(*lines.as_given(part), part.start)
    found.refuse()
    if found.gaps and lines.in_memory is not None:  # where they do not count
        return replace(lines, source=ArraySource(lines.read()))
    return lines
