"""mumott's ``run_phase_matching_alignment``, item by item: what it takes and what it returns.

That each parameter does something is asked in ``test_parameters`` of our engines and in
``test_mumott_compat`` of mumott's containers and pipelines.
"""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np

from napari_tomoalign import AlignmentParameters
from napari_tomoalign import align as align_projections
from napari_tomoalign.compat.mumott import align
from napari_tomoalign.simulation import simulate

# mumott 2.3's parameters, and ours that do the same; None: an argument of the call, no parameter
COUNTERPARTS = {
    "data_container": None,
    "ignored_subset": "ignored_subset",
    "projection_cropping": "projection_cropping",
    "reconstruction_pipeline": "reconstruction_pipeline",
    "reconstruction_pipeline_kwargs": "reconstruction_pipeline_kwargs",
    "use_gpu": "use_gpu",
    "use_absorbances": "use_absorbances",
    "maxiter": "maxiter",
    "upsampling": "upsampling",
    "shift_tolerance": "shift_tolerance",
    "shift_cutoff": "shift_cutoff",
    "relative_sample_size": "relative_sample_size",
    "relaxation_weight": "relaxation_weight",
    "center_of_mass_shift_weight": "center_of_mass_shift_weight",
    "align_j": "align_horizontal",
    "align_k": "align_vertical",
}
RETURNED = ("reconstruction", "projections", "reference")


def test_every_parameter_has_its_counterpart_with_its_default():
    ours = {field.name: field for field in dataclasses.fields(AlignmentParameters)}
    signature = inspect.signature(align).parameters
    assert list(COUNTERPARTS) == [name for name in signature if name != "more"]
    for name, counterpart in COUNTERPARTS.items():
        if counterpart is not None:
            default = ours[counterpart].default
            factory = ours[counterpart].default_factory
            empty = (dataclasses.MISSING, ())
            expected = None if default in empty or factory is dict else default
            assert signature[name].default == expected, name


def test_what_it_returns_is_in_our_result():
    scan = simulate(24, 12, n_rows=12, seed=0)
    result = align_projections(scan.projections, scan.angles, maxiter=1, progress=False)
    assert result.reconstruction.shape == (12, 24, 24)
    for name in ("projections", "reference"):
        assert getattr(result, name).shape == scan.projections.shape
    assert np.corrcoef(result.projections.ravel(), result.reference.ravel())[0, 1] > 0.9
    assert all(hasattr(result, name) for name in RETURNED)
