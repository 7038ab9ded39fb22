"""A run that can start: everything checked, in one form, and iterated to run it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._executors import check_workers
from .._typing import Stack
from ..backends import Backend
from ..backends.slab import SlabBackend
from ..geometry import ScanGeometry
from ..images.scratch import Scratch
from ..parameters import AlignmentParameters
from ..results import AlignmentState, Resume
from .lines import Lines

__all__ = ["Loop", "Run"]

Loop = Callable[["Run"], Generator[AlignmentState, None, None]]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that can start: everything checked, nothing of the caller's shared for writing.

    Iterating it runs it, from the start each time.

    Attributes
    ----------
    lines : Lines
        Line integrals (or what stands for them), and their weights.
    options : dict
        Of the reconstruction.
    geometry : ScanGeometry
    center_known : bool
        The caller gave the centre.
    valid, held, excluded : (n_angles,) array of bool
        May be registered; keep their shifts; are not used. Each projection is one of these.
    loop : callable
        The run to its states.
    executor : Executor, optional
        Evaluates slabs of rows.
    folder : Path, optional
        Where what its workers read is written, for as long as the run is iterated. None: among the
        system's temporary files.
    scratch : Scratch, optional
        That, while the run is iterated.
    """

    lines: Lines
    geometry: ScanGeometry
    center_known: bool
    initial_shifts: NDArray[np.float64] | None
    held: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    backend: Backend
    algorithm: str | Callable[..., Any]
    options: dict[str, Any]
    parameters: AlignmentParameters
    resume: Resume | None
    loop: Loop
    executor: Executor | None = None
    folder: Path | None = None
    scratch: Scratch | None = None

    def __iter__(self) -> Generator[AlignmentState, None, None]:
        """Yield a state after every iteration."""
        return self.loop(self) if self.executor is None else self._shared()

    def _shared(self) -> Generator[AlignmentState, None, None]:
        """Iterate with a folder for what workers read, once they were seen to be fit for it."""
        assert self.executor is not None
        with TemporaryDirectory(prefix=".tomoalign-", dir=self.folder) as folder:
            check_workers(self.executor, Path(folder))
            yield from self.loop(replace(self, scratch=Scratch(Path(folder))))

    def for_workers(self) -> Run:
        """Return the run without images and without what cannot be sent, for an evaluation."""
        none = np.zeros((0, 0, 0), np.float32)
        return replace(
            self,
            lines=Lines.of(none),
            resume=None,
            executor=None,
            scratch=None,
        )

    @property
    def projections(self) -> Lines:
        """The line integrals, which behave as an array that is read when it is indexed."""
        return self.lines

    @property
    def weights(self) -> Stack | None:
        """The weights of all pixels, read anew; None where all count."""
        return self.lines.weighted()[1]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """The projections that may be registered."""
        return ~(self.held | self.excluded)

    @property
    def independent_slices(self) -> bool:
        """Whether a slice lands in a row of its own once images are turned upright."""
        frame = self.geometry.upright if self.turns_images else self.geometry
        return frame.has_vertical_axis

    @property
    def turns_images(self) -> bool:
        """Whether images are turned upright to be compared.

        Not for an engine that moves them itself, where it takes them as they are.
        """
        a_turned_one = self.geometry.with_changes(in_plane=np.full(self.geometry.n_angles, 0.1))
        moves = isinstance(self.backend, SlabBackend)
        return not (moves and self.backend.supports(a_turned_one))

    @property
    def startup_note(self) -> str | None:
        """What the user should know while the first iteration takes long; None: nothing."""
        return self.backend.startup_note()

    @property
    def moves_center(self) -> bool:
        """Whether the loop may find the rotation centre.

        Not where projections keep their shifts: these are right for the centre as it is.
        """
        settings = self.parameters
        wanted = settings.center_estimation and settings.align_horizontal
        return wanted and not self.center_known and not self.held.any()
