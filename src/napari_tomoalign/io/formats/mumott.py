"""mumott's data containers: HDF5 with one group for each projection.

The diode gives the absorbance, the mean over the detector segments stands in where there is none.
mumott itself need not be installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry import RotationAxis, ScanGeometry
from ...images.filtering import noise_level
from ..conventions import from_mumott
from ..errors import ScanFileError
from ..hdf5_file import Hdf5Dataset, Hdf5File
from ..raw import RawScan, ReadOptions, stack_of
from . import hdf5

__all__ = ["can_read", "diode_absorbance", "read", "views_of"]

_Array = NDArray[np.float64]

_OPEN_BEAM, _OPAQUE = 99.9, 1e-4  # percentile, and share of it: mumott's get_transmittivities
_NOISE_ABOVE = 2.9  # of the noise: the normal distribution's quantile where half is open beam
_SAME = 1e-6  # of unit vectors: what single precision leaves of them in a file
_ROTATION = 1e-5  # of a product of matrices in single precision

# mumott's documented defaults, in x, y, z
_J, _K = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
_SIDES = ("inner", "outer")
_OFFSETS = (("j_offset", "offset_j"), ("k_offset", "offset_k"))  # newer and older names
_INNER, _OUTER = np.array([0, 0, -1.0]), np.array([1.0, 0, 0])


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with mumott's group of the first projection."""
    return any(hdf5.has(path, head, f"projections/0/{name}") for name in ("diode", "data"))


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read diode or data, weights, rotations and offsets of a container.

    ``options.data`` is the name of the dataset of each projection that is read.

    Raises
    ------
    ScanFileError
        Projections of different shapes, or rotations that are none.
    """
    options.refuse_unused(path, "data")
    with Hdf5File(path) as file:
        count = len(file.find("projections") or ())
        groups = [f"projections/{m}" for m in range(count)]
        named = options.data or ("diode" if file.has(f"{groups[0]}/diode") else "data")
        first = file.dataset(f"{groups[0]}/{named}")
        shapes = {file.dataset(f"{group}/{named}").shape for group in groups}
        if len(shapes) != 1:
            raise ScanFileError(
                f"{path}: projections have shapes {', '.join(map(str, sorted(shapes)))}, expected "
                "one: crop them to the same size"
            )
        masked = file.has(f"{groups[0]}/weights")
        source = {"data": f"{named} of {count} projections, {first.described}"}
        try:
            axis, angles, rotations = views_of(*_rotations(file, groups))
        except ValueError as error:
            raise ScanFileError(f"{path}: {error}") from error
        source["angles"] = "the rotations of the projections"
        if rotations is not None:
            source["angles"] += ", about more than one axis: they are aligned by them"
            angles = ScanGeometry(rotations=rotations, n_rows=1, n_columns=1).angles
        j, k = ([_number(file, f"{g}/{name}", old) for g in groups] for name, old in _OFFSETS)
        offsets = from_mumott(j, k)
    store = _ContainerStore(path, named, (count, *first.shape), masked)
    return RawScan(
        stack_of(store, n_angles=count, where=f"{path}: {named}"),
        angles=angles,
        source=source,
        initial_shifts=offsets if offsets.any() else None,
        rotation_axis=axis,
        rotations=rotations,
        notes=(
            ("absorbance: -log10 of the diode over its open beam, projection by projection",)
            if named == "diode"
            else ()
        ),
    )


@dataclass(frozen=True)
class _ContainerStore:
    """The images of a container: absorbances where they are a diode's; NaN where weights are 0.

    Attributes
    ----------
    path : Path
    named : str
        The dataset of each projection.
    shape : tuple of int
        Of all.
    masked : bool
        There are weights.
    """

    path: Path
    named: str
    shape: tuple[int, ...]
    masked: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read."""
        return np.dtype(np.float32)

    def read(self, *cuts: slice) -> NDArray[np.float32]:
        """Return the part that the slices cut out; the frames are read whole."""
        frames, *rest = cuts
        with Hdf5File(self.path) as file:
            images = [self._image(file, m) for m in range(self.shape[0])[frames]]
        return np.stack(images)[(slice(None), *rest)]

    def _image(self, file: Hdf5File, m: int) -> NDArray[np.float32]:
        values = np.asarray(file.dataset(f"projections/{m}/{self.named}").values(), np.float64)
        known = np.ones(values.shape[:2], bool)
        if self.named == "diode":
            values, known = diode_absorbance(values)
        if self.masked:
            weights = file.dataset(f"projections/{m}/weights").values()
            known &= weights > 0 if weights.ndim == 2 else np.all(weights > 0, axis=-1)
        shown = known if values.ndim == 2 else known[..., None]
        image: NDArray[np.float32] = np.where(shown, values, np.nan).astype(np.float32)
        return image


def diode_absorbance(diode: _Array) -> tuple[_Array, NDArray[np.bool_]]:
    """Return ``-log10`` of the transmission of one projection, and where the diode saw something.

    As mumott's ``get_absorbances``, but for the noise: nothing is cut off at the open beam, and
    the percentile that tells it is lowered by as much as noise of that strength raises it. The
    one-sided cut and the offset shift what surrounds the object (28^3, 20 angles, 1 % noise:
    0.025 px with both, 0.014 px without).

    Parameters
    ----------
    diode : (j, k) array
        Counts, in any unit.
    """
    raised = _NOISE_ABOVE * noise_level(np.asarray(diode[None], np.float32))
    open_beam = float(np.percentile(diode, _OPEN_BEAM)) - raised
    known = diode >= _OPAQUE * open_beam
    return -np.log10(np.where(known, diode / open_beam, 1.0)), known


def views_of(
    rotations: _Array, j_0: _Array, k_0: _Array
) -> tuple[RotationAxis, _Array | None, _Array | None]:
    """Return how projections lie: about one axis along j or k, or by rotations of their own.

    Parameters
    ----------
    rotations : (n, 3, 3) array
        Of the sample in the laboratory, in x, y, z.
    j_0, k_0 : (3,) array
        Directions of the images' axes at no rotation.

    Returns
    -------
    axis : {"vertical", "horizontal"}
        Of images (j, k). By rotations of their own, rows are counted along k, as in mumott's
        default geometry: ``"horizontal"``.
    angles : (n,) array, or None
    rotations : (n, 3, 3) array, or None
        In place of angles: those of `ScanGeometry`, of (z, y, x) to (k, along the beam, j).

    Raises
    ------
    ValueError
        Rotations that are none.
    """
    found = _one_axis(rotations, j_0, k_0)
    if found is not None:
        return (*found, None)
    j, k = (np.einsum("nij,i->nj", rotations, direction) for direction in (j_0, k_0))
    placed = np.stack([k, np.cross(k, j), j], axis=1)[:, :, ::-1]
    off = np.abs(placed @ placed.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    bad = ~(off < _ROTATION)
    if bad.any():
        raise ValueError(
            f"the rotations of the projections must be orthogonal; {int(bad.sum())} of {len(bad)} "
            "are not: correct the container's geometry"
        )
    return "horizontal", None, placed


def _one_axis(rotations: _Array, j_0: _Array, k_0: _Array) -> tuple[RotationAxis, _Array] | None:
    """Return the axis and the angles where the projections share one along j or k."""
    j, k = (np.einsum("nij,i->nj", rotations, direction) for direction in (j_0, k_0))
    along: tuple[tuple[RotationAxis, _Array, _Array, tuple[int, int, int]], ...] = (
        ("horizontal", k, j, (0, 1, 2)),
        ("vertical", j, k, (2, 1, 0)),
    )
    for axis, fixed, moving, (x, y, z) in along:
        if np.abs(fixed - np.eye(3)[z]).max() < _SAME:
            return axis, np.arctan2(-moving[:, y], moving[:, x])
    return None


def _rotations(file: Hdf5File, groups: list[str]) -> tuple[_Array, _Array, _Array]:
    """Return the rotations as mumott reads them, and the directions of j and k."""
    from scipy.spatial.transform import Rotation

    def vector(*names: str, default: _Array) -> _Array:
        for name in names:
            found = file.optional(name)
            if found is not None:
                return np.asarray(found.values(), np.float64).reshape(default.shape)
        return default

    # what the first projection says holds for those that say nothing
    axes = [
        vector(name, f"{groups[0]}/{name}", default=default)
        for name, default in (("inner_axis", _INNER), ("outer_axis", _OUTER))
    ]
    rotations = []
    for group in groups:
        inner, outer = (
            Rotation.from_rotvec(
                _number(file, f"{group}/{side}_angle", old)
                * vector(f"{group}/{side}_axis", default=axis)
            ).as_matrix()
            for side, old, axis in zip(
                ("inner", "outer"), ("rotations", "tilts"), axes, strict=True
            )
        )
        matrix = (f"{group}/rotation_matrix", f"{group}/rot_mat")
        rotations.append(vector(*matrix, default=outer @ inner))
    j_0, k_0 = vector("j_direction_0", default=_J), vector("k_direction_0", default=_K)
    return np.array(rotations), j_0, k_0


def _number(file: Hdf5File, name: str, old: str) -> float:
    """Return the number of this name, or of the older one beside it; 0 where there is none."""
    for one in (name, f"{name.rpartition('/')[0]}/{old}"):
        found: Hdf5Dataset | None = file.optional(one)
        if found is not None:
            return float(np.ravel(found.values())[0])
    return 0.0
