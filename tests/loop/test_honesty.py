"""What a run says of itself is true, on scans of an independent generator."""

import functools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment
from napari_tomoalign.loop.poses import Poses
from napari_tomoalign.loop.retreat import beginnings
from napari_tomoalign.loop.truncation import truncation_of
from napari_tomoalign.start.prepare import prepare

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
if not (CASES / "foreign.py").is_file():
    pytest.skip(f"{CASES / 'foreign.py'} is not here", allow_module_level=True)
sys.path.insert(0, str(CASES))
import foreign  # noqa: E402

SIZE = {"n": 40, "angles": 40}


@functools.cache
def scan(kind="porous", **settings):
    return foreign.make(kind, **{**SIZE, **settings})


def run(case, **options):
    return align(case["prj"], case["theta"], backend="builtin", progress=False, **options)


def error(case, result):
    return foreign.error(case, result.shifts, result.center)[2]


def stated(result):
    return float(np.sqrt(np.nanmean(result.standard_error**2, axis=0).sum()))


def heads(result):
    return {sentence.split(":")[0] for sentence in result.diagnosis}


def transposed(case):
    images = np.ascontiguousarray(case["prj"].transpose(0, 2, 1))
    return {**case, "prj": images, "dy": case["dx"], "dx": case["dy"]}


@pytest.mark.parametrize("kind", ["porous", "slab", "symmetric", "rod"])
def test_a_sound_scan_converges_states_its_error_and_nothing_else(kind):
    case = scan(kind)
    result = run(case)
    assert result.converged
    assert error(case, result) < 0.05
    assert 0.5 < stated(result) / error(case, result) < 2
    assert not result.diagnosis


@pytest.mark.parametrize("i0", [30.0, 300.0])
def test_noise_is_stated(i0):
    case = scan(i0=i0)
    result = run(case)
    assert 0.5 < stated(result) / error(case, result) < 1.6


@pytest.mark.parametrize("levels", [(2,), (1,)])
def test_the_error_is_as_true_on_a_binned_level(levels):
    case = scan(n=64, angles=50)
    result = run(case, levels=levels)
    assert 0.5 < stated(result) / error(case, result) < 2


def test_angles_in_another_order_are_not_converged_and_named():
    case = scan()
    told = np.random.default_rng(3).permutation(case["theta"])
    result = run({**case, "theta": told})
    assert not result.converged
    assert any(
        "fit much better with the same angles in rising order" in text for text in result.diagnosis
    )


def test_angles_over_twice_the_range_are_not_converged_and_named():
    case = scan()
    result = run({**case, "theta": 2 * case["theta"]})
    assert not result.converged
    assert any("fit much better with half of the angles told" in text for text in result.diagnosis)


@pytest.mark.parametrize("kind", ["porous", "slab"])
def test_another_axis_is_not_converged_and_named(kind):
    result = run(transposed(scan(kind)))
    assert not result.converged
    assert any('rotation_axis="horizontal"' in text for text in result.diagnosis)


def test_reversed_angles_are_a_mirrored_object_and_right():
    case = scan()
    mirrored = {**case, "theta": case["theta"][::-1].copy()}
    result = run(mirrored)
    assert result.converged
    assert error(mirrored, result) < 0.05
    assert "geometry" not in heads(result)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"expansion": 0.06}, "a sample that grows by"),
        ({"inplane": 4.0}, "images turned in their plane by"),
        ({"moving": 4.0}, "no rigid object"),
    ],
    ids=["expansion", "in-plane", "moving"],
)
def test_what_is_no_rigid_object_is_not_converged_and_named(trouble, words):
    case = scan(n=48, **trouble)
    result = run(case)
    assert not result.converged
    assert stated(result) > error(case, result) / 2
    assert any(words in sentence for sentence in result.diagnosis)


@pytest.mark.parametrize("kind", ["porous", "slab"])
def test_an_axis_that_is_turned_is_said_and_an_upright_one_is_not(kind):
    words = "the axis seems turned in the images by"
    for turn in (0.0, 0.8):
        said = any(words in sentence for sentence in run(scan(kind, inplane=turn)).diagnosis)
        assert said == bool(turn)


def test_the_word_excludes_a_poor_fit():
    case = scan(zingers=0.02)
    result = run(case)
    assert not (result.converged and "poor fit" in heads(result))
    assert not result.converged or error(case, result) < 0.2


def test_few_angles_of_a_noisy_tall_object_state_what_they_do_not_know():
    case = scan("vial", n=64, angles=17, i0=173.0)
    result = run(case)
    assert not result.converged or error(case, result) < 0.2
    assert not stated(result) < error(case, result) / 2 or not result.converged


def test_frames_that_show_nothing_state_nothing():
    case = scan()
    images = case["prj"].copy()
    images[[4, 21]] = 0.0
    result = run({**case, "prj": images})
    assert np.isnan(result.standard_error[[4, 21]]).all()
    assert not result.history[-1].confidence[[4, 21]].any()
    assert np.isfinite(np.delete(result.standard_error, [4, 21], axis=0)).all()


def test_a_part_that_moves_is_stated() -> None:
    """Half of the sample rises by 0.8 px, slowly: the fit stays good, the shifts are not."""
    case = scan("rod", n=48, moving=0.8)
    result = run(case)
    assert error(case, result) > 0.05
    assert stated(result) > error(case, result) / 2


def test_half_an_acquisition_keeps_what_is_aligned() -> None:
    """Nothing walks away from the true shifts and the true centre."""
    case = scan(n=36, rows=24, angles=72, span=360.0, axis=-10.0, width=1.5)
    true = np.stack([case["dy"], case["dx"] + 10], axis=1)
    result = run(case, initial_shifts=true, center=17.5 - 10, maxiter=1)
    assert error(case, result) < 0.05


def test_the_grid_of_half_an_acquisition_reaches_as_far_as_the_longer_arm() -> None:
    case = scan(n=36, rows=24, angles=72, span=360.0, axis=-10.0, width=1.5)
    asked = iterate_alignment(case["prj"], case["theta"], center=17.5 - 10, backend="builtin")
    start = prepare(asked)
    for last in (False, True):
        grid = truncation_of(asked, start).grid(start.geometry, last=last)
        assert grid.volume_width / 2 >= 35 - (17.5 - 10)


def test_backgrounds_of_most_images_are_not_converged_and_named() -> None:
    """Offsets that were to be left in: the step takes one out of each image, but no word for it."""
    case = scan(n=32, angles=30, offset=0.05)
    result = run(case, background="none", gain=False)
    assert not result.converged
    assert "background" in heads(result)


def test_an_object_far_wider_than_the_images_is_not_converged() -> None:
    case = scan("rod", n=32, rows=16, angles=40, width=2.0)
    result = run(case, maxiter=15)
    assert not result.converged
    assert "truncation" in heads(result)


def test_a_run_that_goes_astray_gives_back_where_it_began() -> None:
    """Two rows of a porous object hold nothing: shifts drift to the limit of what overlaps."""
    case = scan(n=32, rows=2, angles=20, i0=4000.0, seed=5)
    began = foreign.error(case, np.zeros((20, 2)))[2]
    result = run(case)
    assert not result.converged
    assert error(case, result) < began + 0.2
    assert "nothing better found" in heads(result)
    assert not np.isfinite(result.standard_error).any()


def test_noise_does_not_hold_frames_where_they_are() -> None:
    """With few angles a reconstruction follows an image's noise, which holds the image in place.

    Of a displacement of 0.3 px nothing came back, and four times the error was stated.
    """
    case = scan(angles=14, i0=100.0, peak=1.0, jitter=4.0, seed=4)
    result = run(case)
    assert result.converged
    assert error(case, result) < 0.14
    assert error(case, result) < 2 * stated(result) < 4 * error(case, result)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (  # what lies outside the images explains a walk of a pixel
            "vial",
            {"n": 56, "angles": 13, "i0": 1551.0, "jitter": 0.485, "drift": 0.439}
            | {"width": 1.385, "seed": 2124113998},
        ),
        (  # a part that moves takes it away from a first estimate that is right
            "symmetric",
            {"n": 56, "angles": 28, "i0": 1008.0, "peak": 0.932, "jitter": 5.04, "drift": 0.655}
            | {"height": 1.361, "moving": 0.405, "seed": 1096070175},
        ),
    ],
)
def test_a_run_that_explains_no_more_is_no_worse_than_where_it_began(kind, settings):
    case = scan(kind, **settings)
    start = prepare(iterate_alignment(case["prj"], case["theta"], backend="builtin"))
    began = foreign.error(case, start.shifts, start.geometry.center)[2]
    result = run(case)
    assert error(case, result) < began + 0.1
    assert not result.converged


def test_an_estimate_out_of_reach_is_none_to_go_back_to() -> None:
    case = scan(n=32, angles=20)
    asked = iterate_alignment(case["prj"], case["theta"], backend="builtin")
    start = prepare(asked)
    wild = np.where(np.arange(20)[:, None] == 3, 14.0, 0.0) * np.ones(2)
    ended = Poses(np.random.default_rng(1).normal(0, 3, (20, 2)), start.geometry, False)
    for shifts, count in ((start.shifts, 2), (wild, 1)):
        places = beginnings(asked, replace(start, shifts=shifts), ended, np.ones(20))
        assert len(places) == count
        assert not places[0].shifts.any()


def test_few_angles_do_not_hide_a_part_that_moves() -> None:
    """The reconstruction follows much of it, so less than the noise remains; but smoothly."""
    moving = {"height": 1.7612, "moving": 2.929, "i0": 875.9, "peak": 1.263}
    case = scan("slab", n=48, angles=19, jitter=1.43, drift=0.25, seed=1457466913, **moving)
    result = run(case)
    assert error(case, result) > 0.2
    assert not result.converged


def test_an_even_growth_is_no_part_that_moves() -> None:
    """It takes all parts apart about their middle: five times the error was stated for it."""
    grown = {"expansion": 0.0095, "i0": 564.6, "peak": 1.2324, "axis": 0.33, "aligned": True}
    case = scan("slab", n=48, angles=22, seed=1570015453, **grown)
    result = run(case)
    assert error(case, result) < 0.08
    assert stated(result) < 2.5 * error(case, result)


def test_a_frame_that_does_not_fit_is_not_flung_out_of_reach() -> None:
    """One blurred frame correlates best half an image away; the others are right."""
    spoilt = {"blurred": 1, "offset": 0.00606, "zingers": 0.000567, "aligned": True}
    settings = {"n": 32, "angles": 16, "span": 120.0, "i0": 1011.97, "peak": 1.26823}
    case = scan("rod", **settings, **spoilt, seed=727140020)
    result = run(case)
    assert result.converged
    assert error(case, result) < 0.1
    assert "large drift" not in heads(result)
