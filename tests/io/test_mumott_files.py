"""mumott's HDF5: what is read of it, and that the command line aligns it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_tomoalign import ScanGeometry, alignment_error
from napari_tomoalign.cli import main
from napari_tomoalign.io import ScanFileError, import_shifts, read_scan, read_shifts
from napari_tomoalign.simulation import cramer_rao_bound, simulate


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


@pytest.mark.usefixtures("blank_picture")
def test_the_command_line_aligns_a_container(scan, tmp_path, capsys):
    path = write(tmp_path / "a.h5", scan)
    assert main(["info", str(path)]) == 0
    assert "diode of 24 projections" in capsys.readouterr().out
    assert main(["align", str(path), "-o", str(tmp_path / "out"), "--backend", "builtin"]) == 0
    capsys.readouterr()
    assert alignment_error(read_shifts(tmp_path / "out" / "shifts.h5"), scan) < 0.05


@pytest.fixture(scope="module")
def tilted(tmp_path_factory):
    """Return a scan about two axes, its true rotations, and the file of its container."""
    angles = np.linspace(0, np.pi, 8, endpoint=False)
    tilted = [ScanGeometry(angles, 1, 1, axis_tilt=tilt) for tilt in np.deg2rad([0, 20, 40])]
    rotations = np.concatenate([one.orientations for one in tilted])
    scan = simulate(24, 24, rotations=rotations, noise=0.01, jitter=1, drift=1, seed=2)
    path = write(tmp_path_factory.mktemp("two") / "a.h5", scan)
    with h5py.File(path, "r+") as file:
        for m, rotation in enumerate(rotations):
            file[f"projections/{m}/rotation_matrix"][...] = rotation[::-1, ::-1]
    return scan, rotations, path


def test_a_rotation_and_a_tilt_are_read(tilted):
    scan, rotations, path = tilted
    found = read_scan(path)
    np.testing.assert_allclose(found.rotations, rotations, atol=1e-6)
    np.testing.assert_allclose(
        ScanGeometry(rotations=found.rotations, n_rows=24, n_columns=24).angles, found.angles
    )
    assert found.rotation_axis == "horizontal"
    assert np.corrcoef(found.projections.ravel(), scan.projections.ravel())[0, 1] > 0.999
    own = read_scan(path, angles=scan.angles)  # the caller's, in place of what is in the file
    assert own.rotations is None
    with pytest.raises(ValueError, match="leave rotation_axis out"):
        read_scan(path, rotation_axis="vertical")


@pytest.mark.usefixtures("blank_picture")
def test_the_command_line_aligns_two_axes(tilted, tmp_path, capsys):
    scan, rotations, path = tilted
    assert main(["info", str(path)]) == 0
    assert "a rotation for each projection" in " ".join(capsys.readouterr().out.split())
    out = tmp_path / "out"
    options = ["--backend", "builtin", "--maxiter", "8"]
    assert main(["align", str(path), "-o", str(out), *options]) == 0
    capsys.readouterr()
    found = read_shifts(out / "shifts.h5")
    np.testing.assert_allclose(found.rotations, rotations, atol=1e-6)
    assert alignment_error(found, scan) < 1.5 * cramer_rao_bound(scan)
    assert alignment_error(found, scan, scan.angles) > 0.05  # about one axis it is another gauge


def test_what_cannot_be_read_is_said(scan, tmp_path):
    path = write(tmp_path / "skew.h5", scan)
    with h5py.File(path, "r+") as file:
        file["projections/3/rotation_matrix"][...] = np.diag([1.0, 1.0, 1.1])
    with pytest.raises(ScanFileError, match=r"skew\.h5.*must be orthogonal; 1 of 24"):
        read_scan(path)
    path = write(tmp_path / "shapes.h5", scan)
    with h5py.File(path, "r+") as file:
        del file["projections/3/diode"]
        file["projections/3/diode"] = np.ones((30, 20))
    with pytest.raises(ScanFileError, match=r"shapes.*\(30, 20\), \(32, 20\), expected one"):
        read_scan(path)
