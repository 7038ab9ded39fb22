"""What tests of the parameters share: runs, and a reconstruction that keeps a record."""

from napari_tomoalign import alignment_error, iterate_alignment
from napari_tomoalign.backends import get_backend

PLAIN = {
    "backend": "builtin",
    "levels": (1,),
    "initial_estimate": False,
    "center_estimation": False,
    "gauss_newton": False,
    "down_weight": False,
    "background": "none",
    "reconstruction_pipeline": "fbp",
    "reconstruction_pipeline_kwargs": {"non_negative": True},
    "workers": 1,
}
OWN = {"reconstruction_pipeline": None, "reconstruction_pipeline_kwargs": {}}


def states(scan, maxiter=2, **options):
    return list(run_of(scan.projections, scan.angles, maxiter=maxiter, **options))


def run_of(projections, angles, **options):
    return iterate_alignment(projections, angles, **{**PLAIN, "maxiter": 2, **options})


def error(scan, result, subset=None):
    """RMS distance to the truth; a wrong centre counts as a shift of the columns."""
    return alignment_error(result, scan, scan.angles, subset)


class Spy:
    """A reconstruction of one's own that remembers what it was given."""

    def __init__(self, **fixed):
        self.calls = []
        self.engine = get_backend("builtin", workers=1)
        self.fixed = fixed

    def __call__(self, projections, geometry, **kwargs):
        self.calls.append((projections.copy(), geometry, kwargs))
        return self.engine.reconstruct(projections, geometry, algorithm="fbp", **self.fixed)
