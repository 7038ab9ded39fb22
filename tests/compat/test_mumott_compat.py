"""mumott's function, parameter by parameter, on this package's loop; against mumott itself."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from mumott_scan import make_container, make_scan, shifts_of, truth_of
from test_seed_parity import COUNTERPARTS, RETURNED

from napari_tomoalign import alignment_error
from napari_tomoalign.backends.mumott import MumottBackend
from napari_tomoalign.compat.mumott import align
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.geometry.gauge import remove_gauge
from napari_tomoalign.io import read_scan
from napari_tomoalign.simulation import cramer_rao_bound, simulate

MIDDLE = (0.0, 0.0)
"""mumott has the axis in the middle of the images: the same place for what is found and true."""

mumott = pytest.importorskip(
    "mumott", reason='mumott is not installed (pip install "napari-tomoalign[mumott]")'
)

from mumott.methods.projectors import SAXSProjector  # noqa: E402
from mumott.pipelines import run_mitra, run_phase_matching_alignment  # noqa: E402


def test_these_are_the_parameters_of_mumott():
    assert list(inspect.signature(run_phase_matching_alignment).parameters) == list(COUNTERPARTS)


@pytest.fixture(scope="module")
def scan():
    return make_scan()


@pytest.fixture(scope="module")
def aligned(scan):
    """Return a container and what came back, for an axis along j and one along k."""
    found = {}
    for along_j in (False, True):
        container = make_container(scan, along_j=along_j)
        found[along_j] = container, align(container, progress=False)
    return found


@pytest.mark.parametrize("along_j", [False, True])
def test_the_offsets_are_found(scan, aligned, along_j):
    container, _ = aligned[along_j]
    found = shifts_of(container, along_j=along_j)
    error = alignment_error(found, truth_of(scan), scan.angles, centers=MIDDLE)
    assert error < 1.3 * cramer_rao_bound(scan)


@pytest.mark.parametrize("along_j", [False, True])
def test_what_comes_back_is_what_mumott_gives(scan, aligned, along_j):
    container, found = aligned[along_j]
    assert tuple(found) == RETURNED
    measured = 0.5 * (scan.projections if along_j else scan.projections.swapaxes(1, 2))
    reference = found["reference"]
    assert reference.shape == (*measured.shape, 1)
    # the open beam is told by a percentile, so the zero is a little off
    assert np.std(reference[..., 0] - measured) < 0.02 * measured.max()
    # mumott's own projector, with the offsets that were found, sees the measured images
    volume = np.ascontiguousarray(found["reconstruction"], np.float64)
    predicted = SAXSProjector(container.geometry).forward(volume)
    assert predicted.shape == found["projections"].shape
    inside = np.s_[:, 4:-4, 4:-4]
    misplaced = make_container(scan, along_j=along_j)
    without = np.std((SAXSProjector(misplaced.geometry).forward(volume) - reference)[inside])
    for images in (predicted, found["projections"]):
        assert np.std((images - reference)[inside]) < without / 3


def test_only_the_offsets_are_changed(scan, aligned):
    before, (after, _) = make_container(scan), aligned[False]
    for name in ("data", "diode", "weights"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    np.testing.assert_array_equal(
        before.geometry.rotations_as_array, after.geometry.rotations_as_array
    )


def run(scan, container=None, **options):
    """Return the offsets (n, 2) that a short run ends with."""
    container = make_container(scan) if container is None else container
    align(container, progress=False, **{"maxiter": 2, **options})
    return np.column_stack([container.geometry.j_offsets, container.geometry.k_offsets])


def test_offsets_are_where_the_search_starts(scan):
    start = -truth_of(scan)[:, ::-1]
    found = run(scan, make_container(scan, offsets=start), maxiter=1, shift_cutoff=1e-3)
    assert alignment_error(-found[:, ::-1], -start[:, ::-1], scan.angles, centers=MIDDLE) < 1e-3


def test_ignored_projections_keep_their_offsets(scan):
    start = np.random.default_rng(0).normal(size=(len(scan.angles), 2))
    found = run(scan, make_container(scan, offsets=start), ignored_subset={2, 5})
    np.testing.assert_array_equal(found[[2, 5]], start[[2, 5]])
    assert np.abs(found - start).max() > 0.1


@pytest.mark.parametrize(("name", "still"), [("align_j", 0), ("align_k", 1)])
def test_a_direction_that_is_switched_off_stays(scan, name, still):
    found = run(scan, **{name: False})
    assert not found[:, still].any()
    assert found[:, 1 - still].any()


@pytest.mark.parametrize(
    "options",
    [
        {"maxiter": 1},
        {"projection_cropping": np.s_[3:-3, 2:-2]},
        {"upsampling": 1, "gauss_newton": False},
        {"shift_tolerance": 5.0},
        {"shift_cutoff": 0.01},
        {"relative_sample_size": 0.25},
        {"relaxation_weight": 0.5},
        {"center_of_mass_shift_weight": 1.0},
        {"reconstruction_pipeline": "fbp", "backend": "builtin"},
        {"reconstruction_pipeline_kwargs": {"num_iter": 2}, "backend": "builtin"},
        {"use_absorbances": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_parameter_has_an_effect(scan, options):
    base = {"backend": options["backend"]} if "backend" in options else {}
    assert np.abs(run(scan, **options) - run(scan, **base)).max() > 1e-5


def test_options_in_the_kwargs_take_the_place_of_the_parameters(scan):
    inside = {"use_absorbances": False}
    found = run(scan, reconstruction_pipeline_kwargs=inside)
    np.testing.assert_array_equal(found, run(scan, use_absorbances=False))
    assert inside == {"use_absorbances": False}


def test_pixels_of_weight_0_are_left_out(scan):
    container = make_container(scan)
    spoilt = make_container(scan, weights=np.ones(container.diode.shape))
    for m, projection in enumerate(spoilt.projections):
        if m % 4 == 0:
            projection.diode[5:8, 5:8] = 1e-3
            projection.weights[5:8, 5:8] = 0
    found = [run(scan, one, maxiter=20) for one in (container, spoilt)]
    assert np.abs(found[0] - found[1]).max() < 0.1


def test_a_pipeline_of_mumott_reconstructs(scan):
    """With all of the parameters at once; the projector is compiled once."""
    compiled = []
    compile_projector = SAXSProjector._compile_john_transform
    kwargs = {"maxiter": 10, "optimizer_kwargs": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            SAXSProjector,
            "_compile_john_transform",
            lambda self, *args: (compiled.append(1), compile_projector(self, *args)),
        )
        container = make_container(scan)
        found = align(
            container,
            ignored_subset=None,
            projection_cropping=np.s_[:, :],
            reconstruction_pipeline=run_mitra,
            reconstruction_pipeline_kwargs=kwargs,
            use_gpu=False,
            use_absorbances=True,
            maxiter=6,
            upsampling=100,
            shift_tolerance=None,
            shift_cutoff=None,
            relative_sample_size=1.0,
            relaxation_weight=0.0,
            center_of_mass_shift_weight=0.0,
            align_j=True,
            align_k=True,
            progress=False,
        )
    assert kwargs == {"maxiter": 10, "optimizer_kwargs": {}}
    assert len(compiled) == 1
    assert tuple(found) == RETURNED
    error = alignment_error(shifts_of(container), truth_of(scan), scan.angles, centers=MIDDLE)
    assert error < 2 * cramer_rao_bound(scan)


def test_its_projector_is_ours_for_any_geometry():
    """Two axes, as mumott's scans have them: truth from the phantom's own line integrals."""
    rotations = []
    for a, t in ((0.0, 0.0), (0.7, 0.5), (1.9, -0.4), (2.6, 0.3)):
        ca, sa, ct, st = np.cos(a), np.sin(a), np.cos(t), np.sin(t)
        about = np.array([[1, 0, 0], [0, ca, sa], [0, -sa, ca]])  # (z, y, x)
        rotations.append(np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ about)
    scan = simulate(28, n_rows=28, rotations=rotations, jitter=0, drift=0, noise=0, seed=3)
    geometry = ScanGeometry(
        rotations=np.array(rotations), n_rows=28, n_columns=28, center=scan.center
    )
    backend = MumottBackend(run_mitra)
    transposed = geometry.with_changes(rotations=np.swapaxes(geometry.rotations, 1, 2))
    error, other = (
        np.sqrt(np.mean((backend.operator(one)(scan.volume()) - scan.clean) ** 2))
        for one in (geometry, transposed)
    )
    assert error < 0.01 * scan.clean.max()
    assert error < other / 3


@pytest.fixture(scope="module")
def two_axes():
    angles = np.linspace(0, np.pi, 6, endpoint=False)
    tilted = [ScanGeometry(angles, 1, 1, axis_tilt=t) for t in np.deg2rad([0, 15, 30, 45])]
    rotations = np.concatenate([one.orientations for one in tilted])
    return simulate(28, 24, rotations=rotations, noise=0.01, seed=1)


@pytest.mark.parametrize(
    ("pipeline", "options"),
    [
        (None, {}),
        (run_mitra, {}),
        (
            run_mitra,
            {"use_absorbances": False, "reconstruction_pipeline_kwargs": {"maxiter": 5}},
        ),
    ],
    ids=["builtin", "mitra", "segments"],
)
def test_two_axes_are_aligned(two_axes, pipeline, options):
    scan, rotations = two_axes, two_axes.geometry.rotations
    container = make_container(scan)
    for projection, rotation in zip(container.projections, rotations, strict=True):
        projection.rotation = rotation[::-1, ::-1]
    found = align(container, reconstruction_pipeline=pipeline, progress=False, maxiter=4, **options)
    off = shifts_of(container) - truth_of(scan)
    error = np.sqrt(np.mean(np.sum(remove_gauge(off, scan.geometry.directions) ** 2, axis=1)))
    assert error < 0.014
    assert found["reconstruction"].shape[:3] == (28, 28, 28)
    reference, predicted = found["reference"], found["projections"]
    inside = np.s_[:, 4:-4, 4:-4]
    assert np.std((predicted - reference)[inside]) < 0.1 * np.std(reference)


def test_segments_of_frames_that_are_left_out_are_predicted_as_well(scan):
    container = make_container(scan)
    found = align(
        container,
        reconstruction_pipeline=run_mitra,
        reconstruction_pipeline_kwargs={"maxiter": 2},
        use_absorbances=False,
        excluded_subset=(3,),
        maxiter=1,
        progress=False,
    )
    assert found["projections"].shape == found["reference"].shape


@pytest.mark.parametrize("along_j", [False, True])
def test_a_pipeline_of_mumott_reconstructs_the_segments(scan, along_j):
    container = make_container(scan, along_j=along_j)
    found = align(
        container,
        reconstruction_pipeline=run_mitra,
        reconstruction_pipeline_kwargs={"maxiter": 10},
        use_absorbances=False,
        maxiter=6,
        progress=False,
    )
    reference, predicted = found["reference"], found["projections"]
    assert found["reconstruction"].shape[:3] == tuple(container.geometry.volume_shape)
    assert found["reconstruction"].shape[3] > 1
    np.testing.assert_allclose(reference, container.data.mean(axis=-1)[..., None])
    assert predicted.shape == reference.shape
    inside = np.s_[:, 4:-4, 4:-4]
    assert np.std((predicted - reference)[inside]) < 0.1 * np.std(reference)
    error = alignment_error(
        shifts_of(container, along_j=along_j), truth_of(scan), scan.angles, centers=MIDDLE
    )
    assert error < 2 * cramer_rao_bound(scan)


def test_the_file_that_mumott_writes_is_read(scan, tmp_path):
    offsets = np.random.default_rng(0).normal(size=(len(scan.angles), 2))
    for along_j in (False, True):
        container = make_container(scan, along_j=along_j, offsets=offsets)
        container.write(str(tmp_path / "container.h5"))
        found = read_scan(tmp_path / "container.h5")
        turn = np.exp(1j * (found.angles - scan.angles))
        np.testing.assert_allclose(turn, 1, atol=1e-6)
        expected = 0.5 * scan.projections
        assert np.corrcoef(found.projections.ravel(), expected.ravel())[0, 1] > 0.999
        np.testing.assert_allclose(
            found.initial_shifts, shifts_of(container, along_j=along_j), atol=1e-12
        )


def test_what_cannot_be_aligned_is_refused(scan):
    empty, other = make_container(scan), make_container(scan)
    for projection in empty.projections:
        projection.diode = projection.data = None
    with pytest.raises(ValueError, match=r"no diode: set use_absorbances=False"):
        align(empty)
    with pytest.raises(ValueError, match=r"no data: read the file with skip_data=False"):
        align(empty, use_absorbances=False)
    with pytest.raises(ValueError, match="another data_container"):
        align(other, reconstruction_pipeline_kwargs={"data_container": empty})
    with pytest.raises(ValueError, match=r"a tensor pipeline .* only shifts can be found"):
        align(other, reconstruction_pipeline=run_mitra, use_absorbances=False, refine=("in_plane",))
    other.projections[3].rotation = np.diag([1.0, 1.0, 1.1])
    with pytest.raises(ValueError, match="must be orthogonal; 1 of 20 are not"):
        align(other)
