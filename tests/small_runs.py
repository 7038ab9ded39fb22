"""What tests of runs share: small ones, and how far off they end."""

import functools

from napari_tomoalign import align, alignment_error, iterate_alignment
from napari_tomoalign.simulation import simulate

QUICK = {"backend": "builtin", "workers": 1, "reconstruction_pipeline": "fbp"}
SLOW_TO_REST = {"shift_tolerance": 1e-9}


def states(scan, **options):
    return iterate_alignment(scan.projections, scan.angles, **{**QUICK, **options})


def run(scan, **options):
    options = {"progress": False, **QUICK, **options}
    return align(scan.projections, scan.angles, weights=scan.weights, **options)


def error(scan, result, subset=None):
    """RMS distance to the truth; a wrong centre counts as a shift of the columns."""
    return alignment_error(result, scan, scan.angles, subset)


@functools.cache
def default_run(**settings):
    scan = simulate(48, 36, n_rows=32, seed=3, **settings)
    result = align(
        scan.projections, scan.angles, weights=scan.weights, backend="builtin", progress=False
    )
    return scan, result
