"""A run that was killed goes on from its shifts file as if it had never stopped."""

import numpy as np
import pytest

from napari_tomoalign.alignment import align, iterate_alignment
from napari_tomoalign.cli import main
from napari_tomoalign.io import Checkpoint, Scan, apply_shifts, read_scan, read_shifts, write_scan
from napari_tomoalign.simulation import simulate

OPTIONS = {"maxiter": 6, "relative_sample_size": 0.6, "relaxation_weight": 0.1, "seed": 5}


@pytest.fixture(scope="module")
def scan():
    made = simulate(24, 16, noise=0.01, jitter=1.5, drift=1.0, seed=2)
    return Scan(made.projections.astype(np.float32), made.angles)


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_resuming_is_bit_identical(tmp_path, scan, killed_after):
    whole = align(
        scan.projections, scan.angles, backend="builtin", progress=False, levels=(1,), **OPTIONS
    )
    checkpoint = Checkpoint(tmp_path / "shifts.h5", scan)
    for state in iterate_alignment(
        scan.projections, scan.angles, backend="builtin", levels=(1,), **OPTIONS
    ):
        checkpoint(state)
        if state.iteration == killed_after:
            break

    found = read_shifts(tmp_path / "shifts.h5").for_scan(scan)
    resumed = align(
        scan.projections,
        scan.angles,
        backend="builtin",
        progress=False,
        levels=(1,),
        resume=found.resume,
        **OPTIONS,
    )

    assert found.iterations == killed_after
    assert len(resumed.history) == len(whole.history)
    np.testing.assert_array_equal(resumed.shifts, whole.shifts)
    np.testing.assert_array_equal(resumed.reconstruction, whole.reconstruction)
    assert resumed.center == whole.center
    for record, expected in zip(resumed.history, whole.history, strict=True):
        np.testing.assert_array_equal(record.shifts, expected.shifts)
        np.testing.assert_array_equal(record.drawn, expected.drawn)


def test_from_a_file_to_an_aligned_file(tmp_path, scan):
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    read = read_scan(path)
    checkpoint = Checkpoint(tmp_path / "shifts.h5", read)
    align(
        read.projections,
        read.angles,
        backend="builtin",
        progress=False,
        callback=checkpoint,
        **OPTIONS,
    )

    out = apply_shifts(tmp_path / "shifts.h5", path, tmp_path / "aligned.h5")

    # along the axis, the profile of the projected mass is the same at every angle
    aligned = read_scan(out).projections.sum(axis=2)
    before = read.projections.sum(axis=2)
    assert np.std(aligned, axis=0).mean() < 0.4 * np.std(before, axis=0).mean()


@pytest.mark.usefixtures("blank_picture")
def test_the_command_line_resumes_a_scan_by_its_rotations_and_turns(tmp_path):
    """They were told in Python, and the file of the scan knows nothing of them."""
    scan = simulate(20, 12, axis_angle=8.0, noise=0.01, jitter=0.5, drift=0.5, seed=1)
    told = {"rotations": scan.geometry.orientations, "in_plane": np.linspace(-2e-3, 2e-3, 12)}
    options = {"backend": "builtin", "progress": False, "precision": 0.0}
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    lines = read_scan(path)
    run = tmp_path / "run"
    run.mkdir()
    whole = align(lines.projections, None, **told, **options)
    align(
        lines.projections,
        None,
        callback=lambda state: Checkpoint(run / "shifts.h5", lines, overwrite=True)(state) or False,
        **told,
        **options,
    )
    assert read_shifts(run / "shifts.h5").iterations == 1 < len(whole.history)
    assert main(["align", str(path), "--resume", str(run), "--no-progress"]) == 0
    found = read_shifts(run / "shifts.h5")
    np.testing.assert_allclose(found.rotations, told["rotations"])
    np.testing.assert_allclose(found.in_plane, told["in_plane"])
    np.testing.assert_array_equal(found.shifts, whole.shifts)


@pytest.mark.usefixtures("blank_picture")
def test_a_turn_in_imods_transforms_is_where_a_run_starts(tmp_path):
    scan = simulate(20, 12, axis_angle=8.0, noise=0.01, jitter=0, drift=0, seed=1)
    path = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    c, s = np.cos(np.deg2rad(8.0)), np.sin(np.deg2rad(8.0))
    np.savetxt(tmp_path / "scan.xf", np.tile([c, -s, s, c, 0, 0], (12, 1)))
    start, out = ["--initial-shifts", str(tmp_path / "scan.xf")], ["-o", str(tmp_path / "out")]
    options = ["--backend", "builtin", "--maxiter", "2", "--no-progress"]
    assert main(["align", str(path), *start, *out, *options]) == 0
    found = read_shifts(tmp_path / "out" / "shifts.h5")
    assert np.rad2deg(found.axis_angle) == pytest.approx(8.0)
