"""A file that breaks between being opened and being read is named, with what to do."""

import h5py
import numpy as np
import pytest

from napari_tomoalign import iterate_alignment
from napari_tomoalign.io import ScanFileError, read_scan
from napari_tomoalign.simulation import simulate


@pytest.fixture
def opened(tmp_path):
    """A run that has looked at a file, but not at its images, and the file."""
    scan = simulate(32, 12, oversampling=1)
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "exchange/data", data=scan.projections, chunks=(1, 32, 32), compression=4
        )
        file["exchange/theta"] = np.rad2deg(scan.angles)
    read = read_scan(path, lazy=True, background=None)
    return iterate_alignment(read.projections, read.angles, backend="builtin"), path


def test_a_chunk_that_cannot_be_decoded(opened):
    run, path = opened
    with h5py.File(path) as file:
        chunk = file["exchange/data"].id.get_chunk_info(7)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    with pytest.raises(ScanFileError, match=r"scan\.h5.*frames 0 to 11 cannot be read: .* copy it"):
        next(iter(run))


def test_a_file_that_vanishes(opened):
    run, path = opened
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"scan\.h5"):
        next(iter(run))


def test_a_file_that_is_cut_short(opened):
    run, path = opened
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ScanFileError, match=r"scan\.h5.* cannot be read: .*damaged, copy it again"):
        next(iter(run))


@pytest.mark.parametrize("shape", [(12, 30, 32), (8, 32, 32), (12, 32, 32, 2)])
def test_a_file_that_becomes_another(opened, shape):
    run, path = opened
    path.unlink()
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.ones(shape, np.float32)
    with pytest.raises(ScanFileError, match=r"scan\.h5.* has changed since it was opened"):
        next(iter(run))
