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
    digest = hashlib.sha256(repr((tuple(projections.shape), "<f4")).encode())
    source = as_source(projections)
    for start, stop in blocks_of(projections.shape):
        block = np.ascontiguousarray(source.read(slice(start, stop)), dtype="<f4")
        digest.update(block.data)
    return digest.hexdigest()


def hashes(projections: Any) -> Iterator[str]:
    """Yield the hashes of all that can have been aligned: the stack, a channel, their mean."""
    yield data_hash(projections)
    if projections.ndim == 4:
        values = np.asarray(projections)
        yield data_hash(values.mean(axis=-1))
        for channel in range(values.shape[3]):
            yield data_hash(values[..., channel])


def digest_of(shifts: NDArray[np.float64]) -> str:
    """Return twelve digits by which shifts are known again in a file that they made."""
    return hashlib.sha256(np.ascontiguousarray(shifts, dtype="<f8").tobytes()).hexdigest()[:12]
