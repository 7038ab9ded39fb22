"""A piece of a stack is read alone, and is the same as in the whole, to the bit."""

import pickle

import numpy as np
import pytest

from napari_tomoalign.images.source import FlatSource, Source, as_source

STACK = np.random.default_rng(4).normal(size=(7, 9, 5)).astype(np.float32)
PIECES = [
    (slice(None), slice(None)),
    (slice(2, 5), slice(None)),
    (slice(2, 5), slice(3, 4)),
    (slice(6, 7), slice(0, 9)),
    (slice(3, 3), slice(2, 4)),
]


def in_memory(_):
    return STACK


def mapped(folder):
    np.save(folder / "a.npy", STACK)
    return np.load(folder / "a.npy", mmap_mode="r")


def part_of_a_map(folder):
    np.save(folder / "b.npy", np.concatenate([STACK + 1, STACK]))
    return np.load(folder / "b.npy", mmap_mode="r")[7:]


def mapped_and_changed(folder):
    np.save(folder / "c.npy", np.zeros_like(STACK))
    array = np.load(folder / "c.npy", mmap_mode="c")
    array[:] = STACK  # in memory only
    return array


def columns_first(folder):
    np.save(folder / "d.npy", np.asfortranarray(STACK))
    return np.load(folder / "d.npy", mmap_mode="r")


def of_dask(_):
    return pytest.importorskip("dask.array").from_array(STACK, chunks=(2, 4, 5))


def of_zarr(folder):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    return zarr.create_array(folder / "e.zarr", data=STACK, chunks=(2, 4, 5))


@pytest.mark.parametrize(
    "made",
    [in_memory, mapped, part_of_a_map, mapped_and_changed, columns_first, of_dask, of_zarr],
)
def test_every_kind_of_array_is_a_source(tmp_path, made):
    source = pickle.loads(pickle.dumps(as_source(made(tmp_path))))

    assert isinstance(source, Source)
    assert source.shape == STACK.shape
    assert source.dtype == STACK.dtype
    for frames, rows in PIECES:
        np.testing.assert_array_equal(source.read(frames, rows), STACK[frames, rows])
    np.testing.assert_array_equal(source.read(), STACK)


def test_a_source_is_itself():
    source = as_source(STACK)

    assert as_source(source) is source


def test_a_map_goes_to_another_process_by_name_only(tmp_path):
    source = as_source(mapped(tmp_path))

    assert isinstance(source, FlatSource)
    assert len(pickle.dumps(source)) < 1000 < STACK.nbytes


def test_a_file_that_became_shorter_is_said(tmp_path):
    source = as_source(mapped(tmp_path))
    path = tmp_path / "a.npy"
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(EOFError, match="ends 8 bytes before the values do"):
        source.read(slice(5, 7))
