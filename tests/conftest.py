"""What several rooms are tested with: a small scan, states of the loop, a finished run."""

import numpy as np
import pytest

from napari_tomoalign import (
    AlignmentParameters,
    AlignmentState,
    IterationRecord,
    ScanGeometry,
    align,
)
from napari_tomoalign.io import write_result, write_scan
from napari_tomoalign.io.scan import Scan
from napari_tomoalign.simulation import simulate


@pytest.fixture
def phantom():
    """A scan small enough to be aligned in a moment."""
    return simulate(32, 24, jitter=1.5, drift=1.0)


@pytest.fixture
def blank_picture(monkeypatch):
    """Leave the report's picture empty: to draw it takes longer than to align a small scan.

    It is looked at in the report's own tests, and in those that align in a process of their own.
    """
    from matplotlib.figure import Figure

    monkeypatch.setattr("napari_tomoalign.report.page.plot_run", lambda *_, **__: Figure((1, 1)))


@pytest.fixture(name="make_state")
def make_state_fixture():
    return make_state


def make_state(projections, angles, number=1, *, last=False, binning=1, fill=None, findings=()):
    """Return a state as the loop would; shifts grow with the number, so that they tell."""
    n, n_rows, n_columns = (len(angles), *(size // binning for size in projections.shape[1:]))
    geometry = ScanGeometry(np.asarray(angles), n_rows, n_columns, (n_columns - 1) / 2)
    images = np.full(geometry.projections_shape, number if fill is None else fill, np.float32)
    records = tuple(
        IterationRecord(
            iteration=i,
            binning=binning,
            center=(projections.shape[2] - 1) / 2,
            shifts=np.full((n, 2), (i, -i), dtype=float),
            moves=np.ones((n, 2)),
            drawn=np.arange(n),
            largest_move=1.0 / i,
            rms_move=0.5 / i,
            residual=0.1 / i,
            residuals=np.full(n, 0.1),
            standard_error=np.full((n, 2), 0.01),
            confidence=np.ones(n),
            seconds=0.01,
        )
        for i in range(1, number + 1)
    )
    return AlignmentState(
        history=records,
        reconstruction=np.full(geometry.volume_shape, 1.0 + number, np.float32),
        projections=images,
        reference=images + 1,
        geometry=geometry,
        parameters=AlignmentParameters(),
        backend="builtin",
        converged=last,
        finished=last,
        message=f"converged after {number} iterations" if last else f"iteration {number}",
        findings=findings,
        generator_state={"number": number},
    )


@pytest.fixture(scope="session")
def aligned():
    """A scan of 20 rows, and what came of it."""
    scan = simulate(32, 24, jitter=1.5, drift=1.0)
    return align(scan.projections[:, :20], scan.angles, progress=False)


@pytest.fixture
def finished(phantom, aligned, tmp_path):
    """A finished run in a folder, and its result; pixels of 0.5 um."""

    def make(rotation_axis="vertical", suffix=".h5", scan_file=False):
        source = {}
        if scan_file:
            path = write_scan(
                tmp_path / "scan.h5",
                phantom.projections[:, :20],
                phantom.angles,
                pixel_size=0.5,
                pixel_unit="um",
            )
            source = {"file": str(path)}
        scan = Scan(
            phantom.projections[:, :20],
            phantom.angles,
            pixel_size=0.5,
            pixel_unit="um",
            rotation_axis=rotation_axis,
            source=source,
        )
        write_result(tmp_path / "run", aligned, scan, suffix=suffix)
        return tmp_path / "run", aligned

    return make
