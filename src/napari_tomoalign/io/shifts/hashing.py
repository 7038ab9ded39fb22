"""By what a scan is known again: the hash of its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import as_source, blocks_of

__all__ = ["HashedWhenRead", "data_hash", "digest_of", "hashes"]


def data_hash(projections: Any) -> str:
    """Return the SHA-256 of a stack: of its shape, type and values.

    Parameters
    ----------
    projections : array
        In memory or read when indexed; taken as float32, as it is computed with.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = _begun(projections.shape)
    source = as_source(projections)
    for start, stop in blocks_of(projections.shape):
        _add(digest, source.read(slice(start, stop)))
    return str(digest.hexdigest())


class HashedWhenRead:
    """A source whose hash is taken by the first pass over it, which reads it anyway.

    Of a large scan in a file a pass of its own costs as much as the survey. It is pickled as what
    it reads.

    Parameters
    ----------
    source : Source
        It prepares what it reads (``prepared``), as `io.lazy.LazyProjections` does.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._digest = _begun(source.shape)
        self._next = 0  # frames before it are in the digest

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        return tuple(self._source.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read."""
        kind: np.dtype[Any] = self._source.dtype
        return kind

    def prepared(
        self, frames: slice = slice(None), rows: slice = slice(None)
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Read and prepare frames; whole ones that follow those before are hashed."""
        values, weights = self._source.prepared(frames, rows)
        first, last, _ = frames.indices(self.shape[0])
        whole = rows.indices(self.shape[1]) == (0, self.shape[1], 1)
        if whole and first == self._next < last:
            _add(self._digest, values)
            self._next = last
        return values, weights

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> NDArray[Any]:
        """Return these frames, cut to these rows; both slices of step 1."""
        return self.prepared(frames, rows)[0]

    @property
    def data_hash(self) -> str:
        """As the function gives it: what no pass has read yet is read for it."""
        for _, stop in blocks_of(self.shape):
            if stop > self._next:
                self.read(slice(self._next, stop))
        return str(self._digest.hexdigest())

    def __reduce__(self) -> tuple[Any, ...]:
        return as_source, (self._source,)


def hashes(projections: Any) -> Iterator[str]:
    """Yield the hashes of what can have been aligned: the stack, its channels' mean, each one."""
    yield data_hash(projections)
    if projections.ndim != 4:
        return
    source, shape = as_source(projections), projections.shape
    digests = [_begun(shape[:3]) for _ in range(1 + shape[3])]
    for start, stop in blocks_of(shape):
        block = source.read(slice(start, stop))
        for digest, images in zip(
            digests, (block.mean(axis=-1), *np.moveaxis(block, -1, 0)), strict=True
        ):
            _add(digest, images)
    yield from (str(digest.hexdigest()) for digest in digests)


def _begun(shape: tuple[int, ...]) -> Any:
    return hashlib.sha256(repr((tuple(shape), "<f4")).encode())


def _add(digest: Any, images: NDArray[Any]) -> None:
    digest.update(np.ascontiguousarray(images, dtype="<f4").data)


def digest_of(shifts: NDArray[np.float64]) -> str:
    """Return twelve digits by which shifts are known again in a file that they made."""
    return hashlib.sha256(np.ascontiguousarray(shifts, dtype="<f8").tobytes()).hexdigest()[:12]
