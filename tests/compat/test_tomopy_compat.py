"""A script written for TomoPy runs with only its import changed, and comes out aligned."""

import importlib.util
import inspect
import warnings

import numpy as np
import pytest
import tifffile

from napari_tomoalign.compat import tomopy as tomopy_compat
from napari_tomoalign.geometry.gauge import alignment_error
from napari_tomoalign.simulation import simulate

has_tomopy = importlib.util.find_spec("tomopy") is not None
needs_tomopy = pytest.mark.skipif(not has_tomopy, reason="TomoPy is not installed")
ALGORITHMS = ("sirt", "gridrec", "fbp", "mlem", "osem", "art", "bart", "tv", "grad", "tikh")
REGULARISED = ("ospml_hybrid", "ospml_quad", "pml_hybrid", "pml_quad")

# The steps of the scripts that TomoPy's authors publish for its alignment: clean up, align with
# every argument by its name, keep the shifts, reconstruct what came back. Only {module} changes.
SCRIPT = """
import numpy as np
import tomopy
from {module} import {function}

prj = tomopy.remove_nan(prj, val=0.0)
prj = tomopy.remove_neg(prj, val=0.0)
prj[np.where(prj == np.inf)] = 0.0

prj, sx, sy, conv = {function}(prj, ang, fdir=fdir, iters=12, pad=(0, 0),
                               blur=True, rin=0.8, rout=0.95, center=None,
                               algorithm={algorithm!r},
                               upsample_factor=100,
                               save=True, debug=True)
np.save(fdir + '/shift_x', sx)
np.save(fdir + '/shift_y', sy)

rot_center = (prj.shape[2]) / 2.0
rec = tomopy.recon(prj, ang, center=rot_center, algorithm='sirt', num_iter=20)
rec = tomopy.circ_mask(rec, axis=0, ratio=0.95)
sim = tomopy.project(rec, ang, center=rot_center, pad=False)
"""


@pytest.fixture(scope="module")
def scan():
    return simulate(32, 24, noise=0.01, jitter=2.0, drift=1.0, seed=1)


@pytest.fixture
def without_tomopy(monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "tomopy" else original(name, *rest),
    )


def error_of(scan, sx, sy):
    centers = (scan.center, scan.center)  # both functions put the axis in the middle
    return alignment_error(np.column_stack([sx, sy]), scan.shifts, scan.angles, centers=centers)


def run(script, **names):
    exec(compile(script, "a script of TomoPy's", "exec"), names)
    return names


@needs_tomopy
@pytest.mark.parametrize(
    ("function", "algorithm"),
    [("align_joint", "pml_hybrid"), ("align_joint", "sirt"), ("align_seq", "sirt")],
)
def test_a_script_runs_with_only_the_import_changed(tmp_path, scan, capsys, function, algorithm):
    given = scan.projections.copy()

    names = run(
        SCRIPT.format(
            module="napari_tomoalign.compat.tomopy", function=function, algorithm=algorithm
        ),
        prj=given,
        ang=scan.angles,
        fdir=str(tmp_path),
    )

    assert error_of(scan, names["sx"], names["sy"]) < 0.1
    assert names["prj"].shape == scan.projections.shape
    assert names["conv"].shape == (12,)
    misfit = np.linalg.norm(names["prj"] - names["sim"]) / np.linalg.norm(names["prj"])
    assert misfit < 0.1
    assert capsys.readouterr().out.startswith("iter=0, err=")
    assert (tmp_path / "shift_x.npy").exists()
    for kind in ("prj", "sim", "rec"):
        images = tifffile.imread(tmp_path / "tmp" / "iters" / kind / "0.tiff")
        assert images.ndim == 3


@needs_tomopy
def test_tomopys_own_function_takes_the_very_same_script(tmp_path, scan):
    script = SCRIPT.format(
        module="tomopy.prep.alignment", function="align_joint", algorithm="sirt"
    ).replace("save=True", "save=False")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = run(script, prj=scan.projections.copy(), ang=scan.angles, fdir=str(tmp_path))
    ours = tomopy_compat.align_joint(
        scan.projections, scan.angles, iters=12, upsample_factor=100, debug=False
    )

    # the same kinds of things in the same order, and no larger error
    for theirs, our in zip(
        (names["prj"], names["sx"], names["sy"], names["conv"]), ours, strict=True
    ):
        assert theirs.shape == our.shape
    assert error_of(scan, ours[1], ours[2]) < error_of(scan, names["sx"], names["sy"])


@needs_tomopy
@pytest.mark.parametrize("name", ["align_seq", "align_joint"])
def test_signatures_are_tomopys(name):
    from tomopy.prep import alignment

    theirs = inspect.signature(getattr(alignment, name)).parameters
    ours = inspect.signature(getattr(tomopy_compat, name)).parameters

    assert list(ours) == list(theirs)
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}


@needs_tomopy
@pytest.mark.parametrize("algorithm", ALGORITHMS + REGULARISED)
def test_every_algorithm_of_tomopy_aligns(scan, algorithm):
    before = scan.projections.copy()

    prj, sx, sy, conv = tomopy_compat.align_joint(
        scan.projections, scan.angles, iters=12, algorithm=algorithm, debug=False
    )

    start = error_of(scan, np.zeros(24), np.zeros(24))
    assert error_of(scan, sx, sy) < 0.15 * start
    assert np.isfinite(prj).all()
    assert conv[0] > 0
    np.testing.assert_array_equal(scan.projections, before)


@needs_tomopy
def test_shift_images_makes_the_same_stack(scan):
    from tomopy.prep.alignment import shift_images

    prj, sx, sy, _ = tomopy_compat.align_joint(scan.projections, scan.angles, debug=False)

    theirs = shift_images(scan.projections.copy(), sx, sy)
    inside = np.s_[:, 5:-5, 5:-5]
    difference = theirs[inside] - prj[inside]
    assert np.sqrt(np.mean(difference**2)) < 0.02 * prj.max()


@needs_tomopy
def test_a_function_as_tomopy_takes_it(scan):
    from tomopy.util.extern import c_sirt

    def reconstruct(tomo, center, recon, theta, **kwargs):
        c_sirt(tomo, center, recon, theta, num_iter=10, accelerated=False, **kwargs)

    _, sx, sy, _ = tomopy_compat.align_joint(
        scan.projections, scan.angles, algorithm=reconstruct, iters=12, debug=False
    )

    assert error_of(scan, sx, sy) < 0.15


@pytest.mark.parametrize("algorithm", ["sirt", "gridrec", "mlem", "tv"])
def test_without_tomopy_the_builtin_engine_stands_in_and_says_so(without_tomopy, scan, algorithm):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, sx, sy, _ = tomopy_compat.align_joint(
            scan.projections, scan.angles, algorithm=algorithm, iters=12, debug=False
        )

    assert error_of(scan, sx, sy) < 0.2
    said = [w for w in caught if "TomoPy is not installed here" in str(w.message)]
    assert len(said) == (algorithm != "sirt")
    assert all(w.filename == __file__ for w in said)


def test_without_tomopy_an_unknown_algorithm_or_a_function_is_refused(without_tomopy, scan):
    with pytest.raises(ValueError, match="unknown algorithm 'magic'; known are sirt, fbp"):
        tomopy_compat.align_seq(scan.projections, scan.angles, algorithm="magic")
    with pytest.raises(ValueError, match="called through TomoPy, which is not installed here"):
        tomopy_compat.align_seq(scan.projections, scan.angles, algorithm=lambda *_: None)


def test_the_returned_stack_is_aligned_and_the_input_untouched(without_tomopy, scan, capsys):
    given = (scan.projections.clip(0) / scan.projections.max() * 60000).astype(np.uint16)
    given.flags.writeable = False

    prj, _, _, conv = tomopy_compat.align_joint(given, scan.angles, iters=15, debug=False)

    assert capsys.readouterr().out == ""
    # rows move along the axis only: aligned images have the same profile along it
    profile = prj.sum(axis=2)
    spread = np.std(profile, axis=0).sum() / profile.mean(axis=0).sum()
    before = given.sum(axis=2, dtype=float)
    assert spread < 0.3 * np.std(before, axis=0).sum() / before.mean(axis=0).sum()
    assert conv.shape == (15,)


def test_padding_gives_a_larger_stack(without_tomopy, scan):
    prj, sx, sy, _ = tomopy_compat.align_joint(
        scan.projections, scan.angles, pad=(4, 3), iters=12, debug=False
    )

    assert prj.shape == (24, 32 + 6, 32 + 8)
    assert error_of(scan, sx, sy) < 0.2


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_the_centre_counts_from_the_edge_of_the_first_pixel(without_tomopy, offset):
    scan = simulate(32, 24, noise=0.01, jitter=1.0, drift=0.0, center_offset=offset, seed=3)

    _, sx, sy, _ = tomopy_compat.align_joint(
        scan.projections, scan.angles, center=scan.center + 0.5, iters=15, debug=False
    )

    assert error_of(scan, sx, sy) < 0.15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad": (-1, 0)}, r"pad two sizes of at least 0; got shape \(24, 32, 32\)"),
        ({"center": [15.0, 16.0]}, "center must be one number, or the same for every slice"),
    ],
)
def test_what_cannot_be(scan, options, message):
    with pytest.raises(ValueError, match=message):
        tomopy_compat.align_joint(scan.projections, scan.angles, **options)
