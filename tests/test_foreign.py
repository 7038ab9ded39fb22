"""Scans of an independent generator (voxels, exact footprints, Poisson counts), end to end.

The generator lies beside the project, in ``shared/cases/foreign.py``; without it these are skipped.
Every case ends at 0.05 px, or twice the Cramer-Rao bound where that is more, or where it says.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases" / "foreign.py"
if not CASES.is_file():
    pytest.skip(f"{CASES} is not here", allow_module_level=True)
_spec = importlib.util.spec_from_file_location("foreign", CASES)
foreign = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(foreign)

SEEDS = (100, 101)  # thresholds were set on seeds below 100


def run(scan, **options):
    result = align(scan["prj"], scan["theta"], backend="builtin", progress=False, **options)
    rows, columns, both, _ = foreign.error(scan, result.shifts, result.center)
    return result, rows, columns, both


def allowed(scan, factor=2.0):
    return max(0.05, factor * scan["bound"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"span": 360.0},
        {"n": 48, "angles": 50, "i0": 30.0},
        {"vertical_drift": 21.0, "height": 2.0},
    ],
    ids=["pillar", "turn", "noisy", "drift"],
)
def test_a_pillar_that_leaves_through_top_and_bottom(settings, seed):
    scan = foreign.make("rod", seed=seed, **settings)
    _, _, _, both = run(scan)
    assert both < allowed(scan, 2.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tube_with_few_features_along_it(seed):
    scan = foreign.make("vial", seed=seed)
    _, _, _, both = run(scan)
    assert both < 0.06  # 0.037 is what remains where reconstructions are iterated to their end


@pytest.mark.parametrize(
    ("kind", "span", "factor"),
    [
        ("porous", 180.0, 1.35),
        ("symmetric", 180.0, 2.5),
        ("vial", 180.0, 3.0),
        ("slab", 140.0, 3.0),
    ],
)
def test_how_near_to_the_bound_a_kind_comes(kind, span, factor):
    """What is asked for the mean of three seeds; of the slab that is 2.5, and one may miss it.

    Slow waves of its column shifts are left where reconstructions stop too early: 3.1 then.
    """
    scan = foreign.make(kind, span=span, seed=SEEDS[0])
    _, _, _, both = run(scan, precision=0.0)
    assert both < factor * scan["bound"]


def _shell(rows, columns, rng):
    """Return a hollow body with coarse grains in it."""
    z, y, x = foreign._grid(rows, columns)
    size = (z / 0.75) ** 2 + (y / 0.6) ** 2 + (x / 0.8) ** 2
    grains = foreign._smooth_noise((rows, columns, columns), columns / 30, rng) > 0.5
    return np.where(size < 0.75, 0.4 * grains, size < 1)


@pytest.mark.parametrize(("seed", "center"), [(SEEDS[0], 3.5), (SEEDS[1], None)])
def test_half_acquisition(seed, center):
    """A border cuts every image near the axis, and no opposite one makes up for what that does."""
    volume = _shell(2 * 32, 2 * 51, np.random.default_rng(seed))
    setting = {"n": 32, "angles": 90, "span": 360.0, "width": 1.6, "axis": -12.0}
    scan = foreign.make("porous", volume=volume, seed=seed, **setting)
    result, _, _, both = run(scan, center=center)
    assert both < allowed(scan)
    assert result.converged


def test_half_acquisition_of_a_pillar():
    """Its halves have other row profiles each, of which none says how well rows are known."""
    setting = {"n": 48, "angles": 120, "span": 360.0, "width": 1.6, "axis": -18.0}
    _, _, _, both = run(foreign.make("rod", seed=7, **setting))
    assert both < 0.05


@pytest.mark.parametrize("aligned", [True, False])
def test_a_crystal_whose_corners_leave_a_few_frames(aligned):
    """One frame that shows it leave is enough: by the usual one they end at 0.11 and 0.15 px."""
    rng = np.random.default_rng([1501, 9])
    z, y, x = foreign._grid(96, 96)
    inside = np.ones((96, 96, 96), bool)
    for _ in range(14):
        normal = rng.standard_normal(3)
        normal /= np.linalg.norm(normal)
        inside &= z * normal[0] + y * normal[1] + x * normal[2] < rng.uniform(0.4, 0.75)
    setting = {"n": 48, "angles": 60, "seed": 1501, "aligned": aligned}
    _, _, _, both = run(foreign.make("porous", volume=inside.astype(np.float32), **setting))
    assert both < 0.03


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rows", [2, 4])
def test_what_few_rows_cannot_tell_is_held_and_not_called_known(rows, seed):
    scan = foreign.make("rod", rows=rows, height=64 / rows, jitter=0.0, drift=0.0, seed=seed)
    result, vertical, columns, _ = run(scan)
    assert vertical == 0
    assert columns < 0.06
    assert not result.converged
    assert any("few rows" in found for found in result.diagnosis)
    assert np.isnan(result.standard_error[:, 0]).all()
    assert np.isfinite(result.standard_error[:, 1]).all()


@pytest.mark.parametrize("rows", [10, 12])
def test_a_few_rows_of_a_taller_object(rows):
    """Rows at the ends are made of other frames each: compared there, 0.06 to 0.1 px and more."""
    scan = foreign.make("rod", rows=rows, seed=SEEDS[0])
    _, _, _, both = run(scan)
    assert both < 0.05


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "settings",
    [{"ramp": 0.05}, {"ramp": 0.1, "offset": 0.1}, {"intensity": 0.2}],
    ids=["ramp", "strong", "intensity"],
)
@pytest.mark.parametrize("kind", ["porous", "rod"])
def test_a_background_in_each_frame(kind, settings, seed):
    _, _, _, both = run(foreign.make(kind, seed=seed, **settings), precision=0.0)
    assert both < 0.02  # 0.012 to 0.015 without


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_column(seed):
    _, _, _, both = run(foreign.make("porous", n=48, angles=50, dead=1, seed=seed), precision=0.0)
    assert both < 0.02


@pytest.mark.parametrize("kind", ["porous", "rod", "symmetric"])
def test_a_binned_level_states_its_own_error(kind):
    """What coarse pixels miss is no noise, and a slow trend of the shifts carries it on."""
    result, _, _, both = run(foreign.make(kind, i0=10000, seed=SEEDS[0]), levels=(2,))
    stated = np.sqrt(np.mean(np.sum(result.standard_error**2, axis=1)))
    assert both / 1.5 < stated < 4 * both
    assert result.preview.shape == (32, 32, 32)


def _gains(images, rng):
    return images * (1 + 0.1 * rng.standard_normal((len(images), 1, 1)))


def _saturated(images, rng):
    images[:, 29:35, 29:35] = 1.5
    return images


@pytest.mark.parametrize("spoilt", [np.negative, _gains, _saturated])
def test_frames_that_are_dark_uneven_or_saturated(spoilt):
    scan = dict(foreign.make("porous", seed=SEEDS[0]))
    images = scan["prj"].copy()
    if spoilt is np.negative:
        scan["prj"] = -images
    else:
        scan["prj"] = spoilt(images, np.random.default_rng(0)).astype(np.float32)
    _, _, _, both = run(scan)
    assert both < 0.02


def test_counts_as_transmission():
    scan = dict(foreign.make("porous", seed=SEEDS[0]))
    scan["prj"] = 2000 * np.exp(-scan["prj"])
    _, _, _, both = run(scan, transmission=True)
    assert both < 0.02


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_zingers(share):
    scan = foreign.make("porous", zingers=share, seed=SEEDS[0])
    result, _, _, both = run(scan)
    assert both < 0.05  # 0.035 and 0.10 with them
    assert any("zingers" in found for found in result.diagnosis)


def test_rings():
    scan = foreign.make("porous", rings=0.2, seed=SEEDS[1])
    result, _, _, both = run(scan)
    assert both < 0.02  # 0.5 with them
    assert any("stripes" in found for found in result.diagnosis)
