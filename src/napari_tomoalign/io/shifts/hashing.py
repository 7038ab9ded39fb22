"""By what a scan is known again: the hash of its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import as_source, blocks_of

__all__ = ["data_hash", "digest_of", "hashes"]


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
