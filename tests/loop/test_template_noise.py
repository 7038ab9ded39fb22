"""The noise of a template is no information on where the object lies."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.loop import template_noise
from napari_tomoalign.loop.level import level_of
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.standing import Standing
from napari_tomoalign.loop.truncation import truncation_of
from napari_tomoalign.start.prepare import prepare

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
if not (CASES / "foreign.py").is_file():
    pytest.skip(f"{CASES / 'foreign.py'} is not here", allow_module_level=True)
sys.path.insert(0, str(CASES))
import foreign  # noqa: E402


@pytest.mark.parametrize("rows", [64, 16], ids=["all rows", "bands"])
def test_nothing_is_stated_below_the_bound_of_the_true_object(rows, monkeypatch):
    """Few photons and few angles of a smooth object: half of the squared slopes are noise."""
    monkeypatch.setattr(template_noise, "_ROWS", rows)
    case = foreign.make("grf", n=64, angles=15, i0=110.0, jitter=0.5, drift=0.0, seed=5012)
    result = align(case["prj"], case["theta"], backend="builtin", progress=False)
    stated = np.sqrt(np.nanmean(result.standard_error**2, axis=0).sum())
    error = foreign.error(case, result.shifts, result.center)[2]
    assert stated > case["bound"]
    assert 0.5 < stated / error < 2


def test_images_without_noise_lose_nothing(monkeypatch):
    case = foreign.make("porous", n=32, angles=40, i0=1e7, jitter=0.5, drift=0.0)
    shares = []
    measured = template_noise.noise_share
    monkeypatch.setattr(
        "napari_tomoalign.loop.resting.noise_share",
        lambda *given: shares.append(measured(*given)) or shares[-1],
    )
    align(case["prj"], case["theta"], backend="builtin", progress=False)
    assert shares[-1].shape == (40, 2)
    assert shares[-1].max() < 0.01


def test_bands_tell_what_all_rows_do(monkeypatch):
    """Of a nearly symmetric object they differ most: what turns with it lies in a few slices."""
    case = foreign.make("symmetric", n=64, angles=20, i0=80.0, jitter=0.5, drift=0.0, seed=3)
    told = []
    for rows in (template_noise._ROWS, 64):
        monkeypatch.setattr(template_noise, "_ROWS", rows)
        told.append(_left(case))
    np.testing.assert_allclose(*told, rtol=0.15)


def _left(case):
    """Return what is left of the information without noise, rows and columns."""
    run = iterate_alignment(case["prj"], case["theta"], backend="builtin")
    start = prepare(run)
    truncation = truncation_of(run, start)
    true = np.stack([case["dy"], case["dx"]], axis=1)
    poses = Poses(true, run.geometry, run.turns_images)
    level = level_of(start, 1, truncation.grid(poses.frame, last=True))
    at = Standing.of(run, start, level, truncation, poses, np.ones(len(true)))
    return 1 - template_noise.noise_share(at).mean(axis=0)
