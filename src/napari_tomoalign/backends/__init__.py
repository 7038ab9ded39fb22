"""The engines that can take part in the loop, by name."""

from __future__ import annotations

import importlib
import importlib.util

from .base import Backend, BackendUnavailable

__all__ = ["Backend", "BackendUnavailable", "available_backends", "backend_names", "get_backend"]

# name: (module of this package, what it needs, how to get that), in the order of preference
_BACKENDS = {
    "tomopy": ("tomopy.engine", "tomopy", "conda install -c conda-forge tomopy"),
    "builtin": ("builtin.engine", "numba", "pip install numba"),
}


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends, installed or not, in the order of preference."""
    return tuple(_BACKENDS)


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be used here, in the order of preference."""
    return tuple(name for name in _BACKENDS if how_to_install(name) is None)


def how_to_install(name: str) -> str | None:
    """Return the command that makes a backend available, or None where it is already."""
    _, package, command = _BACKENDS[name]
    return None if importlib.util.find_spec(package) is not None else command


def get_backend(
    name: str = "auto", *, workers: int | None = None, use_gpu: bool = False
) -> Backend:
    """Return a backend, ready to use.

    Parameters
    ----------
    name : str
        ``"auto"`` takes TomoPy where it is installed and the built-in engine otherwise.
    workers : int, optional
        Number of threads. None takes all cores that the process may use.
    use_gpu : bool
        Ask for the GPU.

    Raises
    ------
    ValueError
        An unknown name.
    BackendUnavailable
        The backend, or the GPU, is not there.
    """
    if name == "auto":
        name = available_backends()[0]
    if name not in _BACKENDS:
        raise ValueError(
            f"unknown backend {name!r}; known are 'auto', {', '.join(map(repr, _BACKENDS))}"
        )
    module, package, command = _BACKENDS[name]
    if how_to_install(name) is not None:
        raise BackendUnavailable(
            f"backend {name!r} needs {package}, which is not installed here: {command}"
        )
    implementation = importlib.import_module(f"{__name__}.{module}")
    backend: Backend = implementation.create(workers=workers, use_gpu=use_gpu)
    return backend
