"""The images at shifts that no run has just reached, of scans in memory and on a disk."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters, iterate_alignment
from napari_tomoalign.geometry import turn_projections
from napari_tomoalign.images import source as sources
from napari_tomoalign.steering import Course, Placement, ScanSource
from napari_tomoalign.steering.evaluation import evaluate

PARAMETERS = AlignmentParameters(
    levels=(2,), maxiter=1, reconstruction_pipeline="fbp", transmission=True
)


@pytest.fixture(params=["vertical", "horizontal"])
def scan(request, phantom, tmp_path):
    """Transmission, as it is measured about this axis, in a file; some pixels do not count."""
    values = np.exp(-phantom.projections / phantom.projections.max()).astype(np.float32)
    path = tmp_path / "scan.npy"
    np.save(path, turn_projections(values, request.param))
    data = np.load(path, mmap_mode="r")
    weights = np.ones(data.shape, np.float32)
    weights[:, 3:9, 5:8] = 0
    return ScanSource(data, phantom.angles, Placement(rotation_axis=request.param), weights=weights)


def outcome(scan, difference=True):
    upright = turn_projections(np.asarray(scan.data), scan.rotation_axis)
    (*_, state) = iterate_alignment(upright, scan.angles, backend="builtin", **PARAMETERS.to_dict())
    course = replace(Course.starting(scan), history=state.history, shown=1, generators=({},))
    course = course.with_state(state, scan).nudged(2, (1.0, -2.0))
    steps = evaluate(scan, PARAMETERS, course, difference)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_a_nudge_in_a_file_is_seen_as_one_in_memory_and_block_by_block(scan, monkeypatch):
    held = replace(scan, data=np.array(scan.data))
    _, expected = outcome(held)
    read = []
    whole = sources.FlatSource.read

    def noted(self, *cuts):
        part = whole(self, *cuts)
        read.append(len(part))
        return part

    monkeypatch.setattr(sources.FlatSource, "read", noted)
    monkeypatch.setattr(sources.blocks_of, "__defaults__", (4 * scan.data[0].size * 5,))
    _, found = outcome(scan)
    assert found.keys() == expected.keys()
    for role, frame in found.items():
        np.testing.assert_array_equal(frame.data, expected[role].data)
    assert max(read) <= 5
