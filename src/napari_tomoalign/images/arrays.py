"""Arrays of any kind as NumPy's, and what their masks say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array", "computed", "require_real"]


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
        array = computed(values)
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


def computed(values: Any) -> NDArray[Any]:
    """Return an array as NumPy's, one of dask with its mask, which it drops when NumPy asks."""
    return np.asanyarray(values.compute() if hasattr(values, "compute") else values)


def require_real(values: Any, said: str, advice: str = "") -> None:
    """Refuse what holds anything but real numbers.

    Parameters
    ----------
    values : array
        Its type is looked at, no more.
    said, advice : str
        How the message begins, and what is to be done.

    Raises
    ------
    TypeError
        The message names the type.
    """
    if values.dtype.kind not in "fiub":
        raise TypeError(
            f"{said} real numbers (float, integer or boolean), got dtype {values.dtype}{advice}"
        )
