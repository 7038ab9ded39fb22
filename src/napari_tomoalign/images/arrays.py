"""Arrays of any kind as NumPy's, and what their masks say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array"]


def as_array(values: Any, name: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return values as an array of NumPy, and where they are not masked.

    Parameters
    ----------
    values : array
        Of NumPy, or what can become one: of dask, xarray or torch on the CPU, a nested list.
    name : str
        By which an error calls them.

    Returns
    -------
    array : ndarray
        What is masked holds anything.
    good : array of bool or None
        True where a masked array is not masked; None where nothing is.

    Raises
    ------
    TypeError
        A kind of array that cannot become one of NumPy; the message names it.
    ValueError
        Lists that are no array.
    """
    try:
        array = np.asanyarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be images of one size: {error}") from error
    except (TypeError, RuntimeError, NotImplementedError) as error:
        kind = f"{type(values).__module__}.{type(values).__qualname__}"
        raise TypeError(
            f"{name} of type {kind} cannot become an array of NumPy ({error}): convert them "
            "first, a tensor with .detach().cpu().numpy()"
        ) from error
    good: NDArray[np.bool_] | None = None
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        good = ~mask if mask.any() else None
    return np.asarray(array), good
