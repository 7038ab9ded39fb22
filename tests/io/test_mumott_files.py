"""mumott's HDF5: what is read of it, and that the command line aligns it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_tomoalign import alignment_error
from napari_tomoalign.cli import main
from napari_tomoalign.io import ScanFileError, import_shifts, read_scan, read_shifts
from napari_tomoalign.simulation import simulate


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, n_rows=20, noise=0.01, jitter=1, drift=1, seed=2)


def write(path, scan, *, along_j=False, matrices=True, diode=True, offsets=None, weights=None):
    """Write a container as mumott's documentation has it; line integrals are absorbances."""
    with h5py.File(path, "w") as file:
        for m, (image, angle) in enumerate(zip(scan.projections, scan.angles, strict=True)):
            group = file.create_group(f"projections/{m}")
            image = 0.5 * (image if along_j else image.T)
            group["data"] = np.repeat(image[:, :, None], 3, axis=2)
            if diode:
                group["diode"] = (5.0 + m) * 10.0**-image
            if weights is not None:
                group["weights"] = weights[m]
            c, s = np.cos(angle), np.sin(angle)
            about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            if matrices:
                group["rotation_matrix"] = about_z[::-1, ::-1] if along_j else about_z
            else:  # about (0, 0, -1), so the other way round
                group["inner_angle"] = -angle
            if offsets is not None:
                group["j_offset"], group["k_offset"] = offsets[m]
    return path


@pytest.mark.parametrize(("along_j", "matrices"), [(False, True), (False, False), (True, True)])
def test_diode_and_rotations_are_read(scan, tmp_path, along_j, matrices):
    path = write(tmp_path / "a.h5", scan, along_j=along_j, matrices=matrices)
    found = read_scan(path)
    np.testing.assert_allclose(np.exp(1j * found.angles), np.exp(1j * scan.angles), atol=1e-6)
    expected = 0.5 * scan.projections
    # all but the zero, which is told by a percentile, frame by frame
    error = (found.projections - expected) - (found.projections - expected).mean(
        axis=(1, 2), keepdims=True
    )
    assert np.abs(error).max() < 1e-4
    assert np.abs(found.projections - expected).mean() < 0.01 * expected.max()
    assert found.rotation_axis == ("vertical" if along_j else "horizontal")
    assert found.initial_shifts is None
    assert found.weights is None
    rows = read_scan(path, rows=(3, 9))
    np.testing.assert_array_equal(rows.projections, found.projections[:, 3:9])


def test_the_segments_mean_stands_in_for_the_diode(scan, tmp_path):
    for path, options in (
        (write(tmp_path / "no.h5", scan, diode=False), {}),
        (write(tmp_path / "with.h5", scan), {"data": "data"}),
    ):
        found = read_scan(path, background=None, **options)
        assert found.projections.shape == (*scan.projections.shape, 3)
        np.testing.assert_allclose(found.projections[..., 1], 0.5 * scan.projections, atol=1e-6)


def test_offsets_and_weights_are_read(scan, tmp_path):
    offsets = np.random.default_rng(0).normal(size=(24, 2))
    weights = np.ones((24, 32, 20, 3))
    weights[4, 10:12, 5, 1] = 0
    path = write(tmp_path / "a.h5", scan, offsets=offsets, weights=weights)
    found = read_scan(path)
    np.testing.assert_allclose(found.initial_shifts, -offsets[:, ::-1])
    dark = np.zeros((24, 20, 32), bool)
    dark[4, 5, 10:12] = True
    np.testing.assert_array_equal(found.weights == 0, dark)
    np.testing.assert_array_equal(import_shifts(path), found.initial_shifts)


def test_the_command_line_aligns_a_container(scan, tmp_path, capsys):
    path = write(tmp_path / "a.h5", scan)
    assert main(["info", str(path)]) == 0
    assert "diode of 24 projections" in capsys.readouterr().out
    assert main(["align", str(path), "-o", str(tmp_path / "out"), "--backend", "builtin"]) == 0
    capsys.readouterr()
    assert alignment_error(read_shifts(tmp_path / "out" / "shifts.h5"), scan) < 0.05


def test_what_cannot_be_read_is_said(scan, tmp_path):
    path = write(tmp_path / "two.h5", scan)
    c, s = np.cos(0.3), np.sin(0.3)
    with h5py.File(path, "r+") as file:
        file["projections/3/rotation_matrix"][...] = [[1, 0, 0], [0, c, -s], [0, s, c]]
    with pytest.raises(ScanFileError, match=r"two\.h5.*do not share one rotation axis"):
        read_scan(path)
    path = write(tmp_path / "shapes.h5", scan)
    with h5py.File(path, "r+") as file:
        del file["projections/3/diode"]
        file["projections/3/diode"] = np.ones((30, 20))
    with pytest.raises(ScanFileError, match=r"shapes.*\(30, 20\), \(32, 20\), expected one"):
        read_scan(path)
