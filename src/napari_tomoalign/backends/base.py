"""What a backend is: a projector and reconstructions behind one small protocol."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry

__all__ = ["Backend", "BackendUnavailable", "check_count", "check_switch"]


def check_count(name: str, value: Any) -> None:
    """Refuse an option that is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def check_switch(name: str, value: Any) -> None:
    """Refuse an option that is neither True nor False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


class BackendUnavailable(RuntimeError):
    """A backend was asked for by name and cannot be used here; the message says how to get it."""


@runtime_checkable
class Backend(Protocol):
    """A tomography engine as the loop sees it.

    Arrays are float32, C-contiguous or not; what comes in is never modified. A backend never
    assumes that it sees all detector rows: every row is a slice of its own.
    """

    @property
    def name(self) -> str:
        """The name by which it is asked for."""
        ...

    @property
    def algorithms(self) -> Sequence[str]:
        """Names of the reconstructions that can take part in the loop here."""
        ...

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the algorithm that suits the loop best, and the options that suit it.

        Parameters
        ----------
        geometry : ScanGeometry, optional
            Of the scan. None: angles all round.
        """
        ...

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse what `reconstruct` would not take, before any work.

        Raises
        ------
        ValueError
            An unknown algorithm or option; the message says which are known.
        """
        ...

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are truly left out (else the loop fills them)."""
        ...

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume."""
        ...

    def project(self, volume: NDArray[np.float32], geometry: ScanGeometry) -> NDArray[np.float32]:
        """Project a volume at every angle.

        Parameters
        ----------
        volume : (n_rows, volume_width, volume_width) array
            Slice, y, x.
        geometry : ScanGeometry
            Its ``volume_shape`` is the volume's.

        Returns
        -------
        (n_angles, n_rows, n_columns) array of float32
            Line integrals, in the volume's unit times one voxel.
        """
        ...

    def reconstruct(
        self,
        projections: NDArray[np.float32],
        geometry: ScanGeometry,
        *,
        algorithm: str,
        weights: NDArray[np.float32] | None = None,
        initial: NDArray[np.float32] | None = None,
        **options: Any,
    ) -> NDArray[np.float32]:
        """Reconstruct a volume.

        Parameters
        ----------
        projections : (n_angles, n_rows, n_columns) array
            Line integrals.
        geometry : ScanGeometry
            Angles, centre and shapes.
        algorithm : str
            One of ``algorithms``.
        weights : (n_angles, n_rows, n_columns) array, optional
            0 (ignore the pixel) to 1. Only where ``accepts_weights(algorithm)``.
        initial : (n_rows, volume_width, volume_width) array, optional
            Where to start. Only where ``accepts_initial(algorithm)``.
        **options
            Of the algorithm.

        Returns
        -------
        (n_rows, volume_width, volume_width) array of float32
            Slice, y, x.
        """
        ...
