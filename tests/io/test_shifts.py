"""The shifts file says everything, comes back bit by bit, and knows its scan."""

import json
import re
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from io_result import make_result

from napari_tomoalign.cli import main
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.source import blocks_of
from napari_tomoalign.io import (
    Checkpoint,
    Scan,
    ScanFileError,
    data_hash,
    read_scan,
    read_shifts,
    write_scan,
    write_shifts,
)
from napari_tomoalign.io.shifts import hashing
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.results import AlignmentState, IterationRecord


@pytest.fixture(params=["vertical", "horizontal"])
def written(tmp_path, request):
    result, scan = make_result(rotation_axis=request.param)
    path = write_shifts(tmp_path / "shifts.h5", result, scan, applied="aligned.h5")
    return path, result, scan


def same(one, other):
    return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")


def test_everything_comes_back_bit_by_bit(written):
    path, result, scan = written

    found = read_shifts(path)

    for name in ("shifts", "angles", "confidence", "standard_error"):
        assert same(getattr(found, name), getattr(result, name)), name
    for name in ("center", "converged", "message", "diagnosis", "findings", "backend", "versions"):
        assert getattr(found, name) == getattr(result, name), name
    for name in ("pixel_size", "pixel_unit", "rotation_axis", "source", "preparation"):
        assert getattr(found, name) == getattr(scan, name), name
    assert found.applied == "aligned.h5"
    assert (found.n_rows, found.n_columns) == scan.projections.shape[1:]
    assert found.iterations == 2
    parameters = AlignmentParameters.from_dict(found.parameters)
    assert parameters.with_changes(
        reconstruction_pipeline_kwargs={}
    ) == result.parameters.with_changes(reconstruction_pipeline_kwargs={})


def test_a_file_that_keeps_sentences_only_has_them_as_findings(written):
    path, result, _ = written
    with h5py.File(path, "a") as file:
        del file["changes"]
    found = read_shifts(path)
    assert found.diagnosis == result.diagnosis
    assert not any(finding.change for finding in found.findings)


def test_the_geometry_comes_back_with_its_errors(tmp_path):
    result, scan = make_result()
    turns = np.linspace(-0.01, 0.02, 6)
    rotations = ScanGeometry(result.angles, 24, 30, axis_tilt=0.4).orientations
    told = (
        {"axis_angle": 0.1, "axis_tilt": -0.3, "in_plane": turns},
        {"rotations": rotations, "angles": result.angles},
    )
    errors = {"axis_angle": np.array(0.002), "in_plane": np.full(6, np.nan)}
    for changes in told:
        geometry = result.geometry.with_changes(**changes)
        last = replace(result.history[-1], geometry=errors, geometry_error=errors)
        history = (replace(result.history[0], geometry=errors, geometry_error=errors), last)
        found = replace(result, geometry=geometry, angles=geometry.angles, history=history)
        back = read_shifts(write_shifts(tmp_path / "a.h5", found, scan, overwrite=True))
        np.testing.assert_array_equal(back.geometry.orientations, geometry.orientations)
        assert set(back.geometry_error) == set(errors)
        assert all(same(back.geometry_error[name], errors[name]) for name in errors)
        assert (back.axis_angle, back.axis_tilt) == (geometry.axis_angle, geometry.axis_tilt)
        coarse = replace(scan, projections=scan.projections[:, ::2, ::2])
        np.testing.assert_array_equal(back.for_scan(coarse).geometry.turns, geometry.turns)


def test_a_file_of_the_first_version_has_an_upright_axis(written):
    path, result, _ = written
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 1
        del file["geometry"]

    back = read_shifts(path)

    assert back.geometry.has_vertical_axis
    assert same(back.shifts, result.shifts)
    assert back.geometry_error == {}


def test_resume_has_the_whole_history_and_the_generator(written):
    path, result, _ = written

    found = read_shifts(path).resume
    state = found.generator_state

    assert found.image_shape == result.geometry.projections_shape[1:]
    for record, original in zip(found.history, result.history, strict=True):
        for field in fields(IterationRecord):
            value, expected = getattr(record, field.name), getattr(original, field.name)
            assert same(value, expected) if isinstance(expected, np.ndarray) else value == expected
            assert type(value) is type(expected)
        assert record.drawn.dtype == np.intp
    again, original = np.random.default_rng(), np.random.default_rng()
    again.bit_generator.state = dict(state)
    original.bit_generator.state = dict(result.generator_state)
    np.testing.assert_array_equal(again.random(5), original.random(5))


def test_the_file_explains_itself(written):
    path, result, scan = written

    with h5py.File(path) as file:
        turned = scan.rotation_axis == "horizontal"
        stored = file["shifts"][()]
        np.testing.assert_array_equal(stored, result.shifts[:, ::-1] if turned else result.shifts)
        shape = scan.projections.shape[1:]
        assert tuple(file.attrs["image_shape"]) == (shape[::-1] if turned else shape)
        attributes = dict(file["shifts"].attrs)
        assert attributes["units"] == "pixel"
        assert attributes["order"] == "row, column of the image as measured"
        assert attributes["sign"] == "positive towards larger index"
        assert "move it by minus its shift" in attributes["meaning"]
        assert file.attrs["pixel_size"] == 3.5
        assert file.attrs["data_hash"] == data_hash(scan.projections)
        assert json.loads(file["parameters"][()])["maxiter"] == 7
        assert "numpy" in json.loads(file["versions"][()])
        assert set(file["history"]) >= {"shifts", "moves", "residual", "seconds", "drawn", "notes"}


def test_hash_depends_on_values_shape_and_nothing_else(tmp_path):
    stack = np.random.default_rng(0).random((5, 6, 8)).astype(np.float32)
    path = write_scan(tmp_path / "scan.h5", stack, np.zeros(5))
    changed = stack.copy()
    changed[4, 5, 7] = np.nextafter(changed[4, 5, 7], 2, dtype=np.float32)

    assert data_hash(stack) == data_hash(np.asfortranarray(stack)) == data_hash(stack.astype(">f4"))
    assert data_hash(read_scan(path, lazy=True).projections) == data_hash(stack)
    assert data_hash(changed) != data_hash(stack)
    assert data_hash(stack.reshape(5, 8, 6)) != data_hash(stack)


def test_the_same_scan_takes_the_shifts_without_a_word(written):
    path, result, scan = written

    np.testing.assert_array_equal(read_shifts(path).for_scan(scan).shifts, result.shifts)


def test_another_scan_warns(written):
    path, _, scan = written
    other = replace(scan, projections=scan.projections + 1)

    with pytest.warns(UserWarning, match="the scan's data are not those"):
        read_shifts(path).for_scan(other)
    read_shifts(path).for_scan(other, check=False)


def test_other_angles_warn(written):
    path, _, scan = written

    with pytest.warns(UserWarning, match="angles differ .* by up to 57.3 degrees"):
        read_shifts(path).for_scan(replace(scan, angles=scan.angles + 1))


def test_channels_of_the_scan_that_was_aligned_take_the_shifts_without_a_word(written):
    path, result, scan = written
    channels = np.stack([scan.projections + 1, scan.projections], axis=-1)

    found = read_shifts(path).for_scan(replace(scan, projections=channels))

    np.testing.assert_array_equal(found.shifts, result.shifts)


@pytest.mark.parametrize("binning", [2, 3])
@pytest.mark.parametrize("pixel_size", [True, False])
def test_another_binning_rescales(written, binning, pixel_size):
    path, result, scan = written
    binned = scan.projections[:, ::binning, ::binning][:, :, : scan.projections.shape[2] // binning]
    size = 3.5 * binning if pixel_size else None
    coarse = replace(scan, projections=binned, pixel_size=size)

    found = read_shifts(path).for_scan(coarse)

    np.testing.assert_allclose(found.shifts, result.shifts / binning)
    np.testing.assert_allclose(found.standard_error, result.standard_error / binning)
    # the axis lies at the same place: pixel 0 of the binned image covers pixels 0 ... binning - 1
    assert found.center == pytest.approx((result.center - (binning - 1) / 2) / binning)
    assert found.n_columns == binned.shape[2]
    with pytest.raises(ValueError, match=r"cannot be resumed.*give the shifts as initial_shifts"):
        _ = found.resume


def test_from_a_binned_scan_to_the_full_one(tmp_path):
    result, scan = make_result(shape=(12, 15))
    path = write_shifts(tmp_path / "shifts.h5", result, scan)
    full = replace(scan, projections=np.zeros((6, 24, 31), np.float32), pixel_size=1.75)

    found = read_shifts(path).for_scan(full)

    np.testing.assert_allclose(found.shifts, 2 * result.shifts)
    assert found.center == pytest.approx(2 * result.center + 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"projections": np.zeros((5, 24, 30))}, "shifts of 6 projections, but the scan has 5"),
        (
            {"projections": np.zeros((6, 24, 22))},
            "30 columns, these have 22, and no binning explains",
        ),
    ],
)
def test_a_scan_that_does_not_fit_is_refused(written, change, message):
    path, _, scan = written

    with pytest.raises(ValueError, match=message):
        read_shifts(path).for_scan(replace(scan, **change))


def test_another_axis_is_refused(written):
    path, _, scan = written
    other = "vertical" if scan.rotation_axis == "horizontal" else "horizontal"

    with pytest.raises(ValueError, match=f"read it with rotation_axis='{scan.rotation_axis}'"):
        read_shifts(path).for_scan(replace(scan, rotation_axis=other))


def test_a_checkpoint_after_each_iteration(tmp_path):
    result, scan = make_result()
    path = tmp_path / "run" / "shifts.h5"
    checkpoint = Checkpoint(path, scan)

    for length in (1, 2):
        state = state_of(result, length)
        assert checkpoint(state) is None
        found = read_shifts(path)
        assert found.iterations == length
        np.testing.assert_array_equal(found.shifts, state.shifts)
        assert found.data_hash == data_hash(scan.projections)
        assert found.converged is False
    assert [file.name for file in path.parent.iterdir()] == ["shifts.h5"]
    with pytest.raises(FileExistsError, match=r"shifts\.h5 exists already"):
        Checkpoint(path, scan)


def test_a_checkpoint_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    result, scan = make_result()
    checkpoint = Checkpoint(tmp_path / "shifts.h5", scan)
    checkpoint(state_of(result, 1))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_tomoalign.io.atomic.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint(state_of(result, 2))

    assert read_shifts(tmp_path / "shifts.h5").iterations == 1
    assert [file.name for file in tmp_path.iterdir()] == ["shifts.h5"]


def state_of(result, length):
    """Where the run of a result stood after some iterations, at binning 1."""
    n_rows, n_columns = result.projections.shape[1:]
    return AlignmentState(
        history=result.history[:length],
        reconstruction=result.reconstruction,
        projections=result.projections,
        reference=result.reference,
        geometry=ScanGeometry(result.angles, n_rows, n_columns, result.center),
        parameters=result.parameters,
        backend=result.backend,
        converged=False,
        finished=False,
        message="on its way",
        generator_state=result.generator_state,
    )


def test_a_scan_in_memory_needs_no_file(tmp_path):
    result, _ = make_result()

    found = read_shifts(write_shifts(tmp_path / "shifts.h5", result))

    assert found.data_hash == ""
    assert (found.n_rows, found.n_columns) == (24 * result.binning, 30 * result.binning)
    scan = Scan(np.zeros((6, 24, 30), np.float32), result.angles)
    np.testing.assert_array_equal(found.for_scan(scan).shifts, result.shifts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no shifts file"),
        (b"projection,shift_row\n", "is no shifts file .* read by import_shifts"),
    ],
)
def test_no_shifts_file(tmp_path, content, message):
    path = tmp_path / "shifts.h5"
    path.write_bytes(content)

    with pytest.raises(ScanFileError, match=message):
        read_shifts(path)


def test_a_scan_is_no_shifts_file_and_a_truncated_one_is_damaged(tmp_path, written):
    path, _, scan = written
    other = write_scan(tmp_path / "scan.h5", scan.projections, scan.angles)

    with pytest.raises(ScanFileError, match="is HDF5 but no shifts file of this program"):
        read_shifts(other)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ScanFileError, match="truncated or damaged"):
        read_shifts(path)
    with pytest.raises(FileNotFoundError, match="there is no shifts file at"):
        read_shifts(tmp_path / "none.h5")


def test_wherever_hdf5_itself_is_damaged_the_file_is_named(written):
    """The library has an exception of another kind for almost every structure of its own."""
    path, _, _ = written
    whole = path.read_bytes()
    refused = []
    for mark in (b"TREE", b"SNOD", b"HEAP", b"GCOL"):
        for at in (found.start() for found in re.finditer(mark, whole)):
            path.write_bytes(whole[:at] + b"----" + whole[at + 4 :])
            try:
                read_shifts(path)
            except ScanFileError as error:
                refused.append(str(error))
    assert len(refused) > 10
    assert all(str(path) in words for words in refused)


def test_a_file_of_the_future_asks_for_an_update(written):
    path, _, _ = written
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 99

    with pytest.raises(ScanFileError, match=r"newer version .* update napari-tomoalign"):
        read_shifts(path)


def test_info_says_what_a_shifts_file_holds(tmp_path, capsys):
    result, scan = make_result(rotation_axis="horizontal")
    found = read_shifts(write_shifts(tmp_path / "shifts.h5", result, scan))
    turned = replace(found, axis_angle=np.deg2rad(2), geometry_error={"axis_angle": np.array(1e-3)})
    write_shifts(tmp_path / "shifts.h5", turned, overwrite=True)
    assert main(["info", str(tmp_path / "shifts.h5")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "of 6 projections of 30 x 24 pixels" in told  # as measured, so turned over
    assert "horizontal, at row" in told
    assert "degrees by which the axis is turned in the image: 2 +- 0.0573" in told
    assert result.message in told


def test_channels_are_told_by_their_hashes_without_holding_them(monkeypatch):
    class Read:
        shape, ndim, dtype, most = (12, 4, 5, 2), 4, np.dtype(np.float32), 0

        def read(self, frames=slice(None), rows=slice(None)):
            part = values[frames, rows]
            self.most = max(self.most, len(part))
            return part

    values = np.random.default_rng(0).random(Read.shape, np.float32)
    monkeypatch.setattr(hashing, "blocks_of", lambda shape: blocks_of(shape, 700))
    source = Read()
    one = [values, values.mean(axis=3), values[..., 0], values[..., 1]]
    assert list(hashing.hashes(source)) == [data_hash(stack) for stack in one]
    assert source.most < 6
