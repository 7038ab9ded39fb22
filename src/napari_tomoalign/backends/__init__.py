"""The engines that can take part in the loop, by name.

Another distribution registers an engine by an entry point of the group
``napari_tomoalign.backends``: its name is the engine's, and it points to a function
``create(*, workers=None, use_gpu=False)`` that returns a `Backend` or raises `BackendUnavailable`.
"""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import EntryPoint, entry_points

from .base import Backend, BackendUnavailable, Operator

__all__ = [
    "Backend",
    "BackendUnavailable",
    "Operator",
    "available_backends",
    "backend_names",
    "get_backend",
]

_GROUP = "napari_tomoalign.backends"

# name: (module of this package, what it needs, how to get that), in the order of preference
_OURS = {
    "tomopy": ("tomopy.engine", "tomopy", "conda install -c conda-forge tomopy"),
    "builtin": ("builtin.engine", "numba", "pip install numba"),
    "warp": ("warp.engine", "warp", 'pip install "napari-tomoalign[gpu]"'),
}


def _others() -> dict[str, EntryPoint]:
    """Return the engines of other distributions; none takes the place of one of ours."""
    return {point.name: point for point in entry_points(group=_GROUP) if point.name not in _OURS}


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends, installed or not, in the order of preference."""
    return (*_OURS, *sorted(_others()))


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be used here, in the order of preference."""
    return tuple(name for name in backend_names() if how_to_install(name) is None)


def how_to_install(name: str) -> str | None:
    """Return the command that makes a backend available, or None where it is already."""
    if name not in _OURS:  # registered by a distribution that is there
        return None
    _, package, command = _OURS[name]
    return None if importlib.util.find_spec(package) is not None else command


def get_backend(
    name: str = "auto", *, workers: int | None = None, use_gpu: bool = False
) -> Backend:
    """Return a backend, ready to use.

    Parameters
    ----------
    name : str
        ``"auto"`` takes TomoPy where it is installed and the built-in engine otherwise; with
        ``use_gpu`` the GPU engine, ``"warp"``.
    workers : int, optional
        Number of threads. None takes all cores that the process may use.
    use_gpu : bool
        Ask for the GPU.

    Raises
    ------
    ValueError
        An unknown name.
    TypeError
        An entry point gives something that is no `Backend`.
    BackendUnavailable
        The backend, or the GPU, is not there.
    """
    if name == "auto":
        name = "warp" if use_gpu else next(one for one in _OURS if how_to_install(one) is None)
    if name not in _OURS:  # all distributions are looked through for others, which takes a while
        return _registered(name, workers, use_gpu)
    module, package, command = _OURS[name]
    if how_to_install(name) is not None:
        raise BackendUnavailable(
            f"backend {name!r}{' (use_gpu=True)' * use_gpu} needs {package}, which is not "
            f"installed here: {command}"
        )
    implementation = importlib.import_module(f"{__name__}.{module}")
    backend: Backend = implementation.create(workers=workers, use_gpu=use_gpu)
    return backend


def _registered(name: str, workers: int | None, use_gpu: bool) -> Backend:
    """Return the engine of another distribution."""
    others = _others()
    if name not in others:
        known = ", ".join(map(repr, ("auto", *_OURS, *sorted(others))))
        raise ValueError(f"unknown backend {name!r}; known are {known}")
    point = others[name]
    try:
        create = point.load()
    except (ImportError, AttributeError, OSError) as error:
        raise BackendUnavailable(
            f"backend {name!r} is registered ({point.value}) but does not load "
            f"({type(error).__name__}: {error}): install its distribution anew, or choose "
            "backend='builtin'"
        ) from error
    backend = create(workers=workers, use_gpu=use_gpu)
    if not isinstance(backend, Backend):
        raise TypeError(
            f"backend {name!r} ({point.value}) gives a {type(backend).__name__}, expected an "
            "object that fulfils the Backend protocol: tell its authors"
        )
    return backend
