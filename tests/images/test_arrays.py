"""A mask is weights, and arrays of other libraries work or are refused by name."""

import numpy as np
import pytest

from napari_tomoalign import align, iterate_alignment, verify
from napari_tomoalign.images.applying import move
from napari_tomoalign.images.source import as_source
from napari_tomoalign.simulation import simulate

OPTIONS = {"backend": "builtin", "progress": False}


@pytest.fixture(scope="module")
def scan():
    return simulate(size=32, n_angles=24, n_rows=20, masked_fraction=0.2, jitter=1.5, seed=3)


def test_a_mask_is_weights(scan):
    masked = np.ma.MaskedArray(scan.projections, scan.weights == 0)
    before = masked.copy()
    with_weights = align(scan.projections, scan.angles, weights=scan.weights, **OPTIONS)
    with_mask = align(masked, scan.angles, **OPTIONS)
    np.testing.assert_array_equal(with_mask.shifts, with_weights.shifts)
    np.testing.assert_array_equal(masked.mask, before.mask)
    np.testing.assert_array_equal(masked.data, before.data)
    checked = verify(with_mask, masked, progress=False)
    assert (
        checked.error == verify(with_mask, scan.projections, weights=scan.weights, **OPTIONS).error
    )


def test_a_masked_array_of_dask_keeps_its_mask(scan):
    lazy = pytest.importorskip("dask.array")
    masked = np.ma.MaskedArray(scan.projections, scan.weights == 0)
    theirs = lazy.ma.masked_array(
        lazy.from_array(scan.projections), lazy.from_array(scan.weights == 0)
    )
    read = as_source(theirs).read(slice(2, 7), slice(3, 9))
    np.testing.assert_array_equal(read.mask, masked.mask[2:7, 3:9])
    with_their_mask, with_mask = (align(one, scan.angles, **OPTIONS) for one in (theirs, masked))
    np.testing.assert_array_equal(with_their_mask.shifts, with_mask.shifts)
    moved, expected = (move(one[:3], np.ones((3, 2))) for one in (theirs, masked))
    np.testing.assert_array_equal(moved.mask, expected.mask)
    assert expected.mask.any()


def test_a_mask_and_weights_are_both_heeded(scan):
    half = np.ones_like(scan.projections)
    half[:, :3] = 0.5
    masked = np.ma.MaskedArray(scan.projections, scan.weights == 0)
    run = iterate_alignment(masked, scan.angles, weights=half, backend="builtin")
    np.testing.assert_array_equal(run.weights, half * scan.weights)


def test_weights_that_are_masked_are_0(scan):
    weights = np.ma.MaskedArray(np.ones_like(scan.projections), scan.weights == 0)
    run = iterate_alignment(scan.projections, scan.angles, weights=weights, backend="builtin")
    np.testing.assert_array_equal(run.weights, scan.weights)


def test_a_pixel_that_is_masked_in_one_channel_counts_in_none():
    stack = np.ma.MaskedArray(np.ones((5, 8, 9, 2)), mask=False)
    stack[1, 2, 3, 1] = np.ma.masked
    run = iterate_alignment(stack, np.linspace(0, 3, 5), backend="builtin")
    assert np.argwhere(run.weights == 0).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("order", [3, "fourier"])
def test_what_is_masked_does_not_spread_as_a_stack_is_moved(order):
    rows, columns = np.mgrid[:20, :24]
    image = (rows + 2.0 * columns).astype(np.float32)
    stack = np.ma.MaskedArray(np.stack([image, image]), mask=False)
    stack[:, 8:11, 10:12] = 1e6
    stack[:, 8:11, 10:12] = np.ma.masked
    moved = move(stack, [[0.5, 0.5], [-2.0, 1.0]], order=order)
    assert np.abs(moved.compressed()).max() < 100
    inside = moved[1, 4:16, 4:16]
    truth = (rows - 2.0 + 2.0 * (columns + 1.0))[4:16, 4:16]
    assert np.abs(inside - truth).max() < 0.5
    assert inside.mask.sum() == 6  # three rows of two


@pytest.mark.parametrize("kind", [np.float16, np.longdouble, bool, np.uint8, ">f4", np.int64])
def test_any_real_type_is_moved(kind):
    stack = np.ones((3, 9, 10), kind)
    np.testing.assert_allclose(move(stack, np.zeros((3, 2))), 1, atol=1e-5)


def test_what_is_not_real_is_not_moved():
    for values in (np.ones((3, 9, 10), complex), np.full((3, 9, 10), "1"), None):
        with pytest.raises(TypeError, match=r"the stack must be real numbers .*, got dtype"):
            move(values, np.zeros((3, 2)))


ARRAYS = {
    "dask.array": lambda module, values: module.from_array(values, chunks="auto"),
    "xarray": lambda module, values: module.DataArray(values),
    "torch": lambda module, values: module.from_numpy(values.copy()),
}


@pytest.mark.parametrize("package", ARRAYS)
def test_arrays_of_other_libraries_work(scan, package):
    module = pytest.importorskip(package)

    def made(values):
        return ARRAYS[package](module, values)

    expected = iterate_alignment(
        scan.projections, scan.angles, weights=scan.weights, backend="builtin"
    )
    run = iterate_alignment(
        made(scan.projections), made(scan.angles), weights=made(scan.weights), backend="builtin"
    )
    np.testing.assert_array_equal(run.projections, expected.projections)
    np.testing.assert_array_equal(run.weights, expected.weights)
    start = iterate_alignment(
        scan.projections, scan.angles, backend="builtin", initial_shifts=made(scan.shifts)
    )
    np.testing.assert_array_equal(start.initial_shifts, scan.shifts)
    few = scan.projections[:5]
    np.testing.assert_array_equal(
        move(made(few), made(scan.shifts[:5])), move(few, scan.shifts[:5])
    )


def test_a_tensor_that_numpy_cannot_have_is_refused_by_name(scan):
    torch = pytest.importorskip("torch")
    learning = torch.from_numpy(scan.projections.copy()).requires_grad_()
    for call in (
        lambda: iterate_alignment(learning, scan.angles),
        lambda: iterate_alignment(scan.projections, scan.angles, weights=learning),
        lambda: move(learning, np.zeros((24, 2))),
    ):
        with pytest.raises(
            TypeError, match=r"torch\.Tensor cannot become an array of NumPy .*detach"
        ):
            call()


def test_an_array_that_cannot_be_one_of_numpy_is_refused_by_name(scan):
    class Tensor:
        """As torch's on a GPU."""

        def __array__(self, dtype=None, copy=None):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

    for call in (
        lambda: iterate_alignment(Tensor(), scan.angles),
        lambda: move(Tensor(), np.zeros((24, 2))),
    ):
        with pytest.raises(TypeError, match=r"Tensor cannot become an array of NumPy .*cuda:0"):
            call()
