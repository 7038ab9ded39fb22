"""Everything that can be set about an alignment, in one frozen, validated class.

Ranges stand once, in the annotations, and are enforced from there.

The command line, the widget and the record in the shifts file are generated from it, so a
parameter that exists here exists everywhere.
"""

# No ``from __future__ import annotations``: the ranges in ``Annotated`` are read at run time.
import itertools
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ._memory import bytes_of

__all__ = ["OF_IMAGE", "OF_SCAN", "AlignmentParameters"]

OF_SCAN = ("axis_angle", "axis_tilt")
"""Unknowns of a geometry that are the scan's."""
OF_IMAGE = ("in_plane", "angles")
"""Unknowns of a geometry that each projection has."""
Refinable = Literal["shifts", "axis_angle", "axis_tilt", "in_plane", "angles"]

_QUARTER = {"min": -math.pi / 2, "max": math.pi / 2, "step": 0.001}

Cropping = tuple[slice, slice]


def _advanced(default: Any = None, *, factory: Callable[[], Any] | None = None) -> Any:
    """Return a dataclass field which a face of the program may fold away."""
    metadata = {"advanced": True}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class AlignmentParameters:
    """Parameters of the phase-matching loop.

    Parameters
    ----------
    maxiter : int
        Largest number of iterations, all binning levels together.
    reconstruction_pipeline : str or callable, optional
        Name of an algorithm of the backend, or any callable
        ``(projections, geometry, **kwargs) -> volume``, which also gets ``weights`` where it has
        an argument of this name. None takes the backend's own choice.
    center_estimation : bool
        Estimate the rotation centre from the data before the loop, and refine it in the loop.
        Only where no ``center`` is given.
    reconstruction_pipeline_kwargs : mapping
        Options passed to the reconstruction as they are.
    ignored_subset : tuple of int
        Indices of projections that are never registered. They take part in the reconstruction,
        whatever they look like; their shifts stay exactly as they were given, and the others'
        are found relative to them.
    excluded_subset : tuple of int
        Indices of projections that are not used at all: not registered, and not reconstructed.
        They keep their numbers, and get no confidence.
    projection_cropping : tuple of slice, optional
        ``(rows, columns)``: the window of each image that is registered. None takes all of it.
    transmission : bool
        The projections are transmission (I / I0), not line integrals.
    use_absorbances : bool
        Align ``-log`` of the transmission. When False, the mean over the channels is aligned as
        it comes. Data that are line integrals already are the same either way.
    invert : bool, optional
        The object is darker than its background (phases, bright field): turn the images over to
        align them, and what comes out back. None finds out from the borders.
    background : {"found", "none", "offset", "plane"}
        What differs from image to image and is no object is taken out of the data: told from the
        side borders where they show vacuum, and from what a few rounds of reconstructing leave
        where the object fills the images. ``"found"`` takes out what there is, ``"offset"`` and
        ``"plane"`` take for granted that there is one.
    gain : bool, optional
        Divide each image by its projected mass, relative to the others, where the object lies
        inside every image. None does so where the masses differ.
    upsampling : int
        The cross-correlation is resolved to ``1 / upsampling`` pixels.
    shift_tolerance : float, optional
        Pixels. The loop ends when no projection's latest move reaches it.
        None stands for ``1 / upsampling``.
    shift_cutoff : float, optional
        Pixels. What an iteration changes of a shift, all told, is scaled down to this length
        (Euclidean). None: no limit.
    precision : float
        Pixels. The run ends on the coarsest binning level where the standard error of a shift, RMS
        over the projections, is no larger by more than a tenth, and the moves rest below half of
        it. 0 goes on to the last level: as well as the data tell, at many times the cost. An object
        that leaves the images is followed to the last level anyway.
    relative_sample_size : float
        Share of the valid projections that are registered in one iteration, drawn at random.
    relaxation_weight : float
        Pixels. Largest step of the stochastic relaxation towards the mean shift.
    center_of_mass_shift_weight : float
        Weight of the step, at most 1 px each way, that brings the measured centre of mass onto
        the one of the reconstruction's projection.
    axis_angle, axis_tilt : float
        By how much the axis is turned in the images, from the rows' direction towards larger
        columns, and leans along the beam, its end at larger rows downstream. Radians in Python.
    refine : tuple of str
        What is found: the shifts always, and any of ``"axis_angle"`` and ``"axis_tilt"``, by which
        the axis is turned in the images and leans along the beam; ``"in_plane"`` and ``"angles"``,
        the turn of each image in its plane and the angle of each.
    align_vertical : bool
        Find shifts along the rows (along the rotation axis).
    align_horizontal : bool
        Find shifts along the columns (across the rotation axis).
    normalization : {None, "phase"}
        Normalisation of the cross-correlation. ``"phase"`` fails on smooth or noisy images.
    gauss_newton : bool
        After the cross-correlation has captured, refine by Gauss-Newton steps on the filtered
        image difference.
    levels : tuple of int, optional
        Binning of each level, coarse to fine, such as ``(4, 2, 1)``. None chooses by image size.
    initial_estimate : bool
        Before the loop, estimate vertical shifts from the projected mass and horizontal ones
        from the centre of mass, where the object lies inside every image.
    down_weight : bool
        Give projections that do not fit (blank, foreign, badly placed) less weight in the
        reconstruction, and do not move them.
    use_gpu : bool
        Ask the backend for its GPU.
    memory : int or str, optional
        What a run may take beside the projections that were given in memory: bytes, or such as
        ``"4 GB"``. Levels that it does not hold are not run. None: half of what is free, in a
        container or a cluster's job too.
    workers : int, optional
        Number of threads for everything. None takes all cores that the process may use.
    seed : int
        Seed of the random draws.

    Raises
    ------
    ValueError
        A value outside its range, or both directions switched off.
    TypeError
        A value of the wrong type.
    """

    maxiter: Annotated[int, {"min": 1, "max": 1_000_000}] = 40
    reconstruction_pipeline: str | Callable[..., Any] | None = None
    center_estimation: bool = True
    reconstruction_pipeline_kwargs: Mapping[str, Any] = _advanced(factory=dict)
    ignored_subset: tuple[int, ...] = _advanced(())
    excluded_subset: tuple[int, ...] = _advanced(())
    projection_cropping: Cropping | None = _advanced(None)
    transmission: bool = _advanced(False)
    use_absorbances: bool = _advanced(True)
    invert: bool | None = _advanced(None)
    background: Literal["found", "none", "offset", "plane"] = _advanced("found")
    gain: bool | None = _advanced(None)
    upsampling: Annotated[int, {"min": 1, "max": 1000}] = _advanced(100)
    shift_tolerance: Annotated[float | None, {"min": 1e-12, "max": 100.0, "step": 0.01}] = (
        _advanced(None)
    )
    shift_cutoff: Annotated[float | None, {"min": 1e-12, "max": 1000.0, "step": 0.5}] = _advanced(
        None
    )
    precision: Annotated[float, {"min": 0.0, "max": 100.0, "step": 0.01}] = _advanced(0.02)
    relative_sample_size: Annotated[float, {"min": 0.01, "max": 1.0, "step": 0.05}] = _advanced(1.0)
    relaxation_weight: Annotated[float, {"min": 0.0, "max": 10.0, "step": 0.05}] = _advanced(0.0)
    center_of_mass_shift_weight: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = (
        _advanced(0.0)
    )
    axis_angle: Annotated[float, _QUARTER] = _advanced(0.0)
    axis_tilt: Annotated[float, _QUARTER] = _advanced(0.0)
    refine: tuple[Refinable, ...] = _advanced(("shifts",))
    align_vertical: bool = _advanced(True)
    align_horizontal: bool = _advanced(True)
    normalization: Literal["phase"] | None = _advanced(None)
    gauss_newton: bool = _advanced(True)
    levels: tuple[int, ...] | None = _advanced(None)
    initial_estimate: bool = _advanced(True)
    down_weight: bool = _advanced(True)
    use_gpu: bool = _advanced(False)
    memory: int | str | None = _advanced(None)
    workers: Annotated[int | None, {"min": 1, "max": 1024}] = _advanced(None)
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = _advanced(0)

    def __post_init__(self) -> None:
        """Bring every value into its one form and refuse what cannot be."""
        put = object.__setattr__
        for name, hint in _hints().items():
            value = getattr(self, name)
            if hint is bool:
                put(self, name, _boolean(name, value))
            elif get_origin(hint) is Annotated:
                put(self, name, _in_range(name, hint, value))
        if not (self.align_vertical or self.align_horizontal):
            raise ValueError(
                "align_vertical and align_horizontal are both off, so there is nothing to align: "
                "switch at least one of them on"
            )
        for name in ("invert", "gain"):
            if getattr(self, name) is not None:
                put(self, name, _boolean(name, getattr(self, name)))
        if self.background not in ("found", "none", "offset", "plane"):
            raise ValueError(
                "background must be 'found', 'none', 'offset' or 'plane', got "
                f"{self.background!r}; 'found' takes out what there is"
            )
        if self.memory is not None:
            put(self, "memory", bytes_of(self.memory))
        if self.normalization not in (None, "phase"):
            raise ValueError(
                f"normalization must be None or 'phase', got {self.normalization!r}; None is the "
                "robust choice"
            )
        pipeline = self.reconstruction_pipeline
        if not (pipeline is None or isinstance(pipeline, str) or callable(pipeline)):
            raise TypeError(
                "reconstruction_pipeline must be the name of an algorithm, a callable "
                "(projections, geometry, **kwargs) -> volume, or None; got "
                f"{type(pipeline).__name__}"
            )
        if not isinstance(self.reconstruction_pipeline_kwargs, Mapping):
            raise TypeError(
                "reconstruction_pipeline_kwargs must be a mapping of option names to values, got "
                f"{type(self.reconstruction_pipeline_kwargs).__name__}"
            )
        put(self, "reconstruction_pipeline_kwargs", dict(self.reconstruction_pipeline_kwargs))
        for name in ("ignored_subset", "excluded_subset"):
            put(self, name, _indices(name, getattr(self, name)))
        both = set(self.ignored_subset) & set(self.excluded_subset)
        if both:
            raise ValueError(
                f"projection {min(both)} is in ignored_subset and in excluded_subset: the first is "
                "for what is reconstructed but not moved, the second for what is not used"
            )
        put(self, "refine", _refinable(self.refine))
        put(self, "projection_cropping", _cropping(self.projection_cropping))
        if self.levels is not None:
            put(self, "levels", _levels(self.levels))

    @property
    def tolerance(self) -> float:
        """Pixels below which a move counts as none: ``shift_tolerance`` or ``1 / upsampling``."""
        return 1.0 / self.upsampling if self.shift_tolerance is None else self.shift_tolerance

    @property
    def unknowns(self) -> tuple[str, ...]:
        """What is found beside the shifts: names of fields of a geometry."""
        return tuple(name for name in (*OF_SCAN, *OF_IMAGE) if name in self.refine)

    @property
    def directions(self) -> NDArray[np.float64]:
        """1 for each direction (row, column) that is aligned and 0 for the others."""
        return np.array([self.align_vertical, self.align_horizontal], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON; a callable becomes its qualified name."""
        values = asdict(self)
        if callable(self.reconstruction_pipeline):
            target = self.reconstruction_pipeline
            name = getattr(target, "__qualname__", type(target).__qualname__)
            values["reconstruction_pipeline"] = f"{target.__module__}:{name}"
        if self.projection_cropping is not None:
            values["projection_cropping"] = [[s.start, s.stop] for s in self.projection_cropping]
        values["refine"] = list(self.refine)
        values["ignored_subset"] = list(self.ignored_subset)
        values["excluded_subset"] = list(self.excluded_subset)
        values["levels"] = None if self.levels is None else list(self.levels)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AlignmentParameters":
        """Build parameters from plain values.

        Raises
        ------
        TypeError
            A name that is no parameter.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise TypeError(
                f"unknown parameter {', '.join(map(repr, unknown))}; known are {', '.join(known)}"
            )
        return cls(**values)

    def with_changes(self, **changes: Any) -> "AlignmentParameters":
        """Return a copy with some values changed, validated anew."""
        return replace(self, **changes)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


@cache
def _hints() -> Mapping[str, Any]:
    """Return the types of the fields, with their ranges."""
    return get_type_hints(AlignmentParameters, include_extras=True)


def _in_range(name: str, hint: Any, value: Any) -> Any:
    """Return a number of the annotated kind, or refuse what is none or lies outside the range."""
    kind, limits = get_args(hint)
    if value is None and kind in (int | None, float | None):
        return None
    number = _integer(name, value) if kind in (int, int | None) else _number(name, value)
    if not limits["min"] <= number <= limits["max"]:
        if name in OF_SCAN:  # degrees on the command line and in the window
            ends = limits["min"], limits["max"], number
            low, high, got = (f"{math.degrees(end):.6g}" for end in ends)
            raise ValueError(
                f"{name} must be between {low} and {high} degrees ({limits['min']:.6g} and "
                f"{limits['max']:.6g} radians), got {got} degrees ({number:.6g} radians)"
            )
        raise ValueError(
            f"{name} must be between {limits['min']:.12g} and {limits['max']:.12g}, got {value}"
        )
    return number


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _at_least(name: str, value: Any, low: int) -> int:
    number = _integer(name, value)
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    return number


def _indices(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of indices such as (0, 5, 6), got {value!r}")
    return tuple(sorted({_at_least(f"each index in {name}", index, 0) for index in value}))


def _cropping(value: Any) -> Cropping | None:
    if value is None:
        return None
    try:
        rows, columns = value
        return _window(rows), _window(columns)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "projection_cropping must be (rows, columns), each a slice or a (start, stop) pair "
            f"without a step, got {value!r}"
        ) from error


def _window(value: Any) -> slice:
    if not isinstance(value, slice):
        start, stop = value
        value = slice(start, stop)
    if value.step not in (None, 1):
        raise ValueError("a step is not allowed")
    ends = [None if end is None else operator.index(end) for end in (value.start, value.stop)]
    return slice(*ends)


def _refinable(value: Any) -> tuple[Refinable, ...]:
    known = get_args(Refinable)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"refine must be a sequence such as ('shifts', 'axis_angle'), got {value!r}"
        )
    given = tuple(value)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"refine names {unknown[0]!r}; known are {', '.join(map(repr, known))}")
    return tuple(name for name in known if name == "shifts" or name in given)


def _levels(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"levels must be a sequence such as (4, 2, 1), got {value!r}")
    levels = tuple(_at_least("each binning in levels", level, 1) for level in value)
    if not levels or any(a <= b for a, b in itertools.pairwise(levels)):
        raise ValueError(f"levels must fall from coarse to fine, such as (4, 2, 1); got {levels}")
    return levels
