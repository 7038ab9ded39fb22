"""A run that was written, and is brought back."""

import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign.alignment import iterate_alignment
from napari_tomoalign.backends import get_backend
from napari_tomoalign.cli import main
from napari_tomoalign.images.shifting import shift_stack
from napari_tomoalign.io import write_result, write_scan
from napari_tomoalign.io.scan import Scan
from napari_tomoalign.io.settings import read_settings, write_settings
from napari_tomoalign.simulation import simulate
from napari_tomoalign.steering import RunRequest, read_run


@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("suffix", [".h5", ".tif", ".mrc"])
def test_a_finished_run_is_read(finished, phantom, axis, suffix):

    folder, result = finished(axis, suffix)
    opened = read_run(folder)
    course, images = opened.course, opened.images
    # TIFF and MRC have no place for the column of the axis: there it is in the middle.
    center = result.center if suffix == ".h5" else (phantom.projections.shape[2] - 1) / 2
    aligned = shift_stack(phantom.projections[:, :20], -result.shifts - (0, result.center - center))
    np.testing.assert_allclose(images.reference, aligned, atol=1e-4)
    assert images.geometry.center == pytest.approx(center)
    volume = get_backend("builtin").reconstruct(aligned, images.geometry, algorithm="fbp")
    np.testing.assert_allclose(images.reconstruction, volume, atol=0.01 * volume.max())
    expected = get_backend("builtin").operator(images.geometry)(images.reconstruction)
    np.testing.assert_allclose(images.projections, expected, atol=1e-3)
    np.testing.assert_allclose(course.scan.place.scale, (1, 0.5, 0.5))
    assert course.scan.rotation_axis == axis
    np.testing.assert_array_equal(course.shifts, result.shifts)
    assert len(course.history) == len(result.history)
    assert course.state.parameters == result.parameters


@pytest.mark.parametrize("name", ["axis_angle", "axis_tilt"])
def test_an_axis_that_is_not_upright_comes_back_with_its_run(phantom, tmp_path, name):

    data, angle = phantom.projections, np.deg2rad(5.0)
    told = {name: angle, "levels": (1,), "maxiter": 1, "backend": "builtin"}
    result = align(data, phantom.angles, **told, progress=False)
    write_result(tmp_path / "run", result, Scan(data, phantom.angles))
    opened = read_run(tmp_path / "run")
    assert getattr(opened.course.request.parameters, name) == pytest.approx(angle)
    images = opened.images
    assert getattr(images.measured_geometry, name) == pytest.approx(angle)
    np.testing.assert_allclose(images.reference, result.reference, atol=1e-4)
    np.testing.assert_allclose(images.geometry.directions, result.geometry.upright.directions)
    missed = np.std(result.projections - result.reference)
    assert np.std(images.projections - images.reference) < 1.3 * missed
    settings = write_settings(
        tmp_path / "run.toml", {}, result.parameters.to_dict(), overwrite=False
    )
    assert read_settings(settings)[name] == pytest.approx(5.0)  # as it is typed


def test_a_run_of_some_rows_that_were_binned_finds_its_scan_again(tmp_path, phantom):
    axis, run = "horizontal", tmp_path / "run"
    scan = write_scan(
        tmp_path / "scan.h5",
        np.swapaxes(phantom.projections, 1, 2),
        phantom.angles,
        rotation_axis=axis,
    )
    words = "--rows 4:28 --binning 2 --maxiter 1 --backend builtin --no-progress"
    assert main(["align", str(scan), "-o", str(run), *words.split()]) in (0, 3)
    course = read_run(run).course
    assert course.has_scan
    binned = phantom.projections[:, 4:28].reshape(24, 12, 2, 16, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(course.scan.load().projections, binned, atol=1e-5)
    np.testing.assert_allclose(course.scan.data, np.swapaxes(binned, 1, 2), atol=1e-5)
    assert course.scan.options["rows"] == "4:28"
    assert course.scan.options["binning"] == 2


def test_a_run_by_rotations_is_gone_on_with_by_them(tmp_path):
    scan = simulate(20, 10, axis_angle=8.0, noise=0.01, jitter=0.5, drift=0.5, seed=1)
    rotations, turns = scan.geometry.orientations, np.linspace(-0.002, 0.002, 10)
    result = align(
        scan.projections,
        None,
        rotations=rotations,
        in_plane=turns,
        backend="builtin",
        progress=False,
        maxiter=2,
    )
    file = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)
    source = Scan(scan.projections, result.angles, rotations=rotations, source={"file": str(file)})
    write_result(tmp_path / "run", result, source)
    opened = read_run(tmp_path / "run")
    np.testing.assert_allclose(opened.scan.rotations, rotations)
    before = opened.course.request
    anew = RunRequest(before.scan, None, "builtin", before.parameters.with_changes(maxiter=3))
    _, request = opened.course.going_on(anew)
    run = iterate_alignment(scan.projections, **request.arguments())
    np.testing.assert_allclose(run.geometry.orientations, result.geometry.orientations)
    np.testing.assert_allclose(next(iter(run)).history[0].shifts, result.history[0].shifts)
