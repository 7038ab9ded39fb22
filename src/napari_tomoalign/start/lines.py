"""The line integrals that are aligned, made of what was given, when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counting import how_many
from .._typing import Stack
from ..findings import Finding
from ..images.absorbance import absorbance
from ..images.source import ArraySource, Source, as_source

__all__ = ["Lines", "Values"]

_LARGEST_VALUE = 1e15  # the sum of the squares of 1e8 pixels, float32, is then 1e38: in range


class Values:
    """What is found of the values as they are read: such as cannot be aligned are refused.

    Parameters
    ----------
    excluded : (n_angles,) array of bool
        Frames that need not have values.
    """

    def __init__(self, excluded: NDArray[np.bool_]) -> None:
        self._excluded = excluded
        self._bad = 0
        self._frames: set[int] = set()
        self._first: tuple[int, ...] = ()
        self._dark = 0
        self._largest = 0.0
        self.gaps = False  # some are not finite, where they do not count

    def add(self, values: Stack, weights: NDArray[Any] | None, first: int) -> None:
        """Look at some frames."""
        with np.errstate(invalid="ignore"):
            if max(values.max(), -values.min()) < _LARGEST_VALUE:  # cheap: no stack of booleans
                return
            bad = ~(np.abs(values) < _LARGEST_VALUE)
        self.gaps = True
        bad[self._excluded[first : first + len(values)]] = False
        if weights is not None:
            bad &= weights > 0
        if not bad.any():
            return
        self._largest = float(np.maximum(self._largest, np.abs(values[bad]).max()))  # NaN stays
        if not self._bad:
            frame, row, column = (int(i) for i in np.argwhere(bad)[0])
            self._first = (first + frame, row, column)
        self._bad += int(bad.sum())
        self._frames.update(first + int(i) for i in np.flatnonzero(bad.any(axis=(1, 2))))

    def add_dark(self, dark: NDArray[np.bool_], weights: NDArray[Any] | None) -> None:
        """Look at which pixels have no logarithm."""
        self._dark += int(np.count_nonzero(dark if weights is None else dark & (weights > 0)))

    def refuse(self) -> None:
        """Refuse what cannot be aligned.

        Raises
        ------
        ValueError
            NaN or infinite values that count, or such as are too large.
        """
        if not self._bad:
            return
        if np.isfinite(self._largest):
            raise ValueError(
                f"projections reach {self._largest:.3g}, and sums of their squares are more than "
                "single precision holds: divide them"
            )
        raise ValueError(
            f"{self._bad} values of the projections are NaN or infinite, in {len(self._frames)} of "
            f"{len(self._excluded)} projections (the first at {self._first}): mask them with "
            "weights=np.isfinite(projections), or leave those projections out with excluded_subset"
        )

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What deserves a word."""
        few = f"{how_many(self._dark, 'pixel')} of transmission 0 or less ignored"
        return (Finding("dark pixels", few),) if self._dark else ()


@dataclass(frozen=True, eq=False)
class Lines:
    """A stack of line integrals (or what stands for them), a `Source` of float32.

    Channels are averaged, the logarithm is taken where it is asked for, and what has no value gets
    weight 0, piece by piece. It can be pickled where what it is made of can.

    Attributes
    ----------
    source : Source
        As given, ``(n_angles, n_rows, n_columns[, n_channels])``. One that prepares what it reads
        says which pixels are good (``prepared``, as `io.lazy.LazyProjections` has it).
    given : Source or array, optional
        Weights, 0 (ignore) to 1: of that shape, or of one image.
    logarithm : bool
        The source is transmission.
    """

    source: Source
    given: Any = None
    logarithm: bool = False

    @classmethod
    def of(cls, projections: Stack, weights: Stack | None = None) -> Lines:
        """Return line integrals that are in memory."""
        return cls(ArraySource(projections), weights)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n_angles, n_rows, n_columns)``."""
        n_angles, n_rows, n_columns = self.source.shape[:3]
        return n_angles, n_rows, n_columns

    @property
    def ndim(self) -> int:
        """Of a stack: 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Single precision, whatever was given."""
        return np.dtype(np.float32)

    @property
    def in_memory(self) -> Stack | None:
        """The whole, where it is held in memory as it is; else None."""
        array = getattr(self.source, "array", None)
        held = isinstance(array, np.ndarray) and array.dtype == np.float32 and array.ndim == 3
        return array if held and not self.logarithm else None

    @property
    def elsewhere(self) -> bool:
        """Whether the values lie in a file, or are computed when they are read."""
        return not isinstance(getattr(self.source, "array", None), np.ndarray)

    @property
    def weighs(self) -> bool:
        """Whether pixels may have weights: those of a file are known when it is read."""
        return self.given is not None or hasattr(self.source, "prepared")

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> Stack:
        """Return these frames, cut to these rows; both slices of step 1."""
        return self.weighted(frames, rows)[0]

    def as_given(
        self, frames: slice = slice(None), rows: slice = slice(None)
    ) -> tuple[Stack, NDArray[Any] | None]:
        """Return these frames before the logarithm, with what may not be finite, and weights."""
        weights: NDArray[Any] | None = None
        if hasattr(self.source, "prepared"):
            values, weights = self.source.prepared(frames, rows)
        else:
            values = self.source.read(frames, rows)
            if isinstance(values, np.ma.MaskedArray):
                weights, values = ~np.ma.getmaskarray(values), values.data
        if values.ndim == 4:
            with np.errstate(invalid="ignore"):
                values = _single(values).mean(axis=3)
            weights = None if weights is None else weights.min(axis=3)
        values = _single(values)
        if self.given is not None:
            own = _cut(self.given, frames, rows)
            weights = own if weights is None else own * weights
        return values, weights

    def weighted(
        self,
        frames: slice = slice(None),
        rows: slice = slice(None),
        looked_at: Values | None = None,
    ) -> tuple[Stack, Stack | None]:
        """Return these frames, cut to these rows, and their weights; None where all count.

        Parameters
        ----------
        frames, rows : slice
            Of step 1.
        looked_at : Values, optional
            Where to note what is found of the values.
        """
        values, weights = self.as_given(frames, rows)
        if looked_at is not None:
            looked_at.add(values, weights, range(self.shape[0])[frames].start)
        ends = (values.min(initial=0), values.max(initial=0))
        if not np.isfinite(ends).all():  # where it does not count, as is checked
            values = np.where(np.isfinite(values), values, np.float32(0))
        if self.logarithm:
            values, lit = absorbance(values)
            if not lit.all():
                if looked_at is not None:
                    looked_at.add_dark(~lit, weights)
                weights = lit if weights is None else weights * lit
        if weights is not None and not (np.asarray(weights) == 1).all():
            return values, np.broadcast_to(np.asarray(weights, np.float32), values.shape)
        return values, None

    def __getitem__(self, key: Any) -> Stack:
        """Read what is indexed: slices of frames and rows are read alone."""
        keys = key if isinstance(key, tuple) else (key,)
        plain = [isinstance(k, slice) and k.step in (None, 1) for k in keys[:2]]
        if keys and all(plain) and Ellipsis not in keys[2:]:
            return self.read(*keys[:2])[(slice(None), slice(None), *keys[2:])]
        return np.asarray(np.asarray(self)[key])

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        values = self.read()
        return values if dtype is None else values.astype(dtype, copy=False)


def _single(values: NDArray[Any]) -> Stack:
    """Return values in single precision; such as it does not hold are its largest, not infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.asarray(values, np.float32)
        if single is not values and np.isinf(single).any():
            most = np.finfo(np.float32).max
            single = np.where(np.isfinite(values), np.clip(single, -most, most), single)
    return single


def _cut(given: Any, frames: slice, rows: slice) -> NDArray[Any]:
    if len(given.shape) == 2:
        return np.asarray(given[rows])[None]
    return np.asarray(as_source(given).read(frames, rows))
