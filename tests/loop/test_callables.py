"""A caller's own reconstruction, and a foreign backend: what they get, and what they may give."""

import numpy as np
import pytest

from napari_tomoalign import align
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin.engine import BuiltinBackend
from napari_tomoalign.simulation import simulate

OPTIONS = {"progress": False, "maxiter": 1, "levels": (1,)}


@pytest.fixture(scope="module")
def scan():
    return simulate(size=16, n_angles=12, n_rows=8, jitter=1, drift=0, masked_fraction=0.1, seed=1)


def fbp(projections, geometry):
    return get_backend("builtin").reconstruct(projections, geometry, algorithm="fbp")


def run(scan, pipeline, **options):
    options = {"reconstruction_pipeline": pipeline, "backend": "builtin", **OPTIONS, **options}
    return align(scan.projections, scan.angles, weights=scan.weights, **options)


def test_a_reconstruction_cannot_change_what_it_is_given(scan):
    def careless(projections, geometry):
        projections -= projections.mean()
        return fbp(projections, geometry)

    with pytest.raises(ValueError, match="read-only"):
        run(scan, careless)


def test_a_reconstruction_gets_weights_where_it_takes_them(scan):
    seen = []

    def with_weights(projections, geometry, weights):
        seen.append(weights)
        return fbp(projections, geometry)

    with_them = run(scan, with_weights)
    without = run(scan, fbp)
    np.testing.assert_array_equal(with_them.shifts, without.shifts)
    for weights in seen:
        assert weights.dtype == np.float32
        assert weights.shape[1:] == (8, 16)
        assert 0 <= weights.min() < 0.5 < weights.max() <= 1
        assert not weights.flags.writeable


def test_a_reconstruction_that_returns_nothing_is_named(scan):
    with pytest.raises(ValueError, match="returned None, expected a volume of shape"):
        run(scan, lambda projections, geometry: None)


@pytest.mark.parametrize("change", [lambda v: v + 1j, lambda v: v.astype(str)])
def test_a_reconstruction_of_no_real_numbers_is_named(scan, change):
    with pytest.raises(TypeError, match="reconstruction_pipeline returned something else than re"):
        run(scan, lambda *given: change(fbp(*given)))


class Broken(BuiltinBackend):
    """The built-in engine with a projector that gives something else."""

    name = "broken"

    def __init__(self, change):
        super().__init__(workers=1)
        self._change = change

    def operator(self, geometry):
        whole = super().operator(geometry)
        return lambda volume: self._change(whole(volume))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images[:, :, 1:], r"projector of backend 'broken' returned shape .*, expe"),
        (lambda images: None, "projector of backend 'broken' returned None, expected an array of"),
        (lambda images: images + 0j, "projector of backend 'broken' returned something else than"),
        (lambda images: images * np.nan, "projector of backend 'broken' returned NaN or infinite"),
    ],
)
def test_a_projector_that_gives_something_else_is_named(scan, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run(scan, fbp, backend=Broken(change))
