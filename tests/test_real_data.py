"""Real scans: a tooth at a synchrotron, aligned already, and a needle in an electron microscope."""

from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.io import read_scan

DATA = Path(__file__).parents[2] / "shared" / "data"


def path_of(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real data are not here: {name} is looked for in ../shared/data")
    return path


@pytest.fixture(scope="module")
def tooth():
    scan = read_scan(path_of("tooth.h5"))
    return align(
        scan.projections[::3],
        scan.angles[::3],
        backend="builtin",
        levels=(8, 4),
        maxiter=10,
        workers=1,
        progress=False,
    )


def test_the_tooth_is_found_aligned_as_it_is(tooth):
    assert np.abs(tooth.shifts).max() < 1
    assert not tooth.shifts[:, 0].any()
    assert np.isfinite(tooth.reconstruction).all()
    assert not any("uncertain" in text for text in tooth.diagnosis)


def test_two_rows_of_the_tooth_tell_nothing_of_the_vertical_and_all_of_the_rest(tooth):
    assert np.isnan(tooth.standard_error[:, 0]).all()
    assert np.isfinite(tooth.standard_error[:, 1]).all()
    assert not tooth.converged
    assert {finding.kind for finding in tooth.findings} >= {"few rows"}
    assert "nothing better found" not in {finding.kind for finding in tooth.findings}


def test_the_tooths_axis_is_found(tooth):
    assert tooth.center == pytest.approx(295.4, abs=1)


@pytest.fixture(scope="module")
def needle():
    path_of("haadf_needle.rawtlt")
    return read_scan(path_of("haadf_needle.mrc"), rotation_axis="horizontal", binning=4)


def test_the_needle_is_read_as_it_lies(needle):
    assert needle.projections.shape == (77, 64, 64)
    np.testing.assert_allclose(np.rad2deg(needle.angles), np.arange(-76, 77, 2), atol=1e-6)
    # its axis vertical: along it the needle goes on, across it there is background on both sides
    image = np.asarray(needle.projections).mean(axis=0)
    across = image.mean(axis=0)
    assert max(across[:8].mean(), across[-8:].mean()) < 0.25 * across.max()


def test_the_needle_is_aligned(needle):
    result = align(needle.projections, needle.angles, backend="builtin", maxiter=10, progress=False)
    moved = np.abs(result.shifts)

    def residual(projections, reprojections):
        window = (slice(None), slice(8, -8), slice(8, -8))
        difference = projections[window] - reprojections[window]
        return np.linalg.norm(difference) / np.linalg.norm(projections[window])

    engine = get_backend("builtin")
    stack = np.asarray(needle.projections, np.float32)
    geometry = ScanGeometry(needle.angles, 64, 64, 31.5)

    def fit(projections, center):
        at = geometry.with_changes(center=center)
        volume = engine.reconstruct(projections, at, algorithm="sirt", num_iter=10, circle=False)
        return residual(projections, engine.operator(at)(volume))

    before = fit(stack, 31.5)
    after = fit(np.asarray(result.reference), result.center)
    assert before > 0.4
    assert after < 0.24
    assert result.residual < 0.3
    assert 1 < moved.max() < 32
