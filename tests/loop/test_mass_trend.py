"""Slow trends of the column shifts: what centres of mass say of them, and when that is taken."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign import iterate_alignment
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.mass_trend import TOLD_BY_MASS, steadied, told_by_mass
from napari_tomoalign.loop.outcome import make_record
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.standing import Standing
from napari_tomoalign.loop.truncation import truncation_of
from napari_tomoalign.simulation import simulate
from napari_tomoalign.start.prepare import prepare

N = 48
TREND = 0.3 * np.cos(2 * np.linspace(0, np.pi, N, endpoint=False) + 0.4)
NONE = np.zeros((N, 2))


@pytest.fixture(scope="module")
def scan():
    return simulate(size=48, n_angles=N, noise=0.01, seed=4)


def standing(scan, trend, projections=None, **options):
    """Stand at the true shifts, but for a trend of the columns."""
    images = scan.projections if projections is None else projections
    run = iterate_alignment(images, scan.angles, backend="builtin", **options)
    start = prepare(run)
    truncation = truncation_of(run, start)
    poses = Poses(scan.shifts + np.c_[np.zeros(N), trend], run.geometry, run.turns_images)
    level = level_of(start, 1, truncation.grid(poses.frame, last=True))
    return Standing.of(run, start, level, truncation, poses, np.ones(N))


def record_of(at):
    return make_record(
        at,
        1,
        np.arange(N),
        NONE,
        gauge_free=NONE,
        standard_error=NONE,
        geometry_moves={},
        geometry_error={},
        seconds=0.0,
        notes=(),
    )


def outcome(at, wanted, before=None):
    where = at.run, at.start, at.level, at.truncation, at.poses
    return steadied(*where, wanted, record_of(at), before)


def test_a_trend_is_told_and_taken(scan):
    at = standing(scan, TREND)
    wanted = told_by_mass(at)
    angles = scan.angles
    left = wanted.absolute[:, 1] - scan.shifts[:, 1] - 23.5
    position = np.column_stack([np.cos(angles), np.sin(angles)])
    left -= position @ np.linalg.lstsq(position, left, rcond=None)[0]
    assert np.sqrt(np.mean(left**2)) < 0.03  # of 0.2: a centre of mass has noise
    there, record = outcome(at, wanted)
    assert record.notes == (TOLD_BY_MASS,)
    np.testing.assert_array_equal(record.shifts, there.poses.shifts)
    assert record.residual < record_of(at).residual


def test_where_nothing_is_wrong_masses_want_nothing(scan):
    assert told_by_mass(standing(scan, 0 * TREND)) is None


def test_what_the_images_contradict_is_not_taken(scan):
    """A slope in the background that comes and goes moves centres of mass, and nothing else."""
    slope = np.linspace(-0.01, 0.01, 48) * scan.projections.max()
    images = scan.projections + slope * np.cos(2 * scan.angles)[:, None, None]
    at = standing(scan, 0 * TREND, images, background="none")
    there, record = outcome(at, told_by_mass(at))
    assert there.poses is at.poses
    assert record.notes == ()
    assert at.beside_another is None  # full size: the memory may hold one model only
    kept, record = outcome(at, told_by_mass(at), before=at)
    assert kept is at
    assert record.notes == ()
    assert kept.model.sums.difference.tolist() == there.model.sums.difference.tolist()


def test_masses_are_not_asked_where_they_say_nothing(scan):
    at = standing(scan, TREND)
    truncated = replace(at.start, outline=replace(at.start.outline, sides=0.5))
    assert truncated.outline.truncated
    assert told_by_mass(replace(at, start=truncated)) is None
    assert told_by_mass(standing(scan, TREND, ignored_subset=(3,))) is None
    assert told_by_mass(standing(scan, TREND, align_horizontal=False)) is None
