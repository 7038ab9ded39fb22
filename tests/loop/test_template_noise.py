"""The noise of a template is no information on where the object lies."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign.loop import template_noise

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
if not (CASES / "foreign.py").is_file():
    pytest.skip(f"{CASES / 'foreign.py'} is not here", allow_module_level=True)
sys.path.insert(0, str(CASES))
import foreign  # noqa: E402


@pytest.mark.parametrize("rows", [64, 24], ids=["all rows", "bands"])
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
        "napari_tomoalign.alignment.noise_share",
        lambda *given: shares.append(measured(*given)) or shares[-1],
    )
    align(case["prj"], case["theta"], backend="builtin", progress=False)
    assert shares[-1].shape == (40, 2)
    assert shares[-1].max() < 0.01
