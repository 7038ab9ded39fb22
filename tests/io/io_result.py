"""A made-up result with everything in it, to be written and read back."""

import numpy as np

from napari_tomoalign.findings import Finding
from napari_tomoalign.io import Scan
from napari_tomoalign.parameters import AlignmentParameters
from napari_tomoalign.results import AlignmentResult, IterationRecord


def smooth_stack(shape, shifts, rng):
    """Images of the same few blobs, each image displaced by its shift."""
    n_rows, n_columns = shape
    rows, columns = np.mgrid[:n_rows, :n_columns]
    blobs = rng.uniform(
        [n_rows * 0.35, n_columns * 0.35], [n_rows * 0.65, n_columns * 0.65], (4, 2)
    )
    return np.stack(
        [
            sum(np.exp(-((rows - r - dr) ** 2 + (columns - c - dc) ** 2) / 18.0) for r, c in blobs)
            for dr, dc in shifts
        ]
    ).astype(np.float32)


def make_result(n_angles=6, shape=(24, 30), rotation_axis="vertical", seed=0):
    """Return a result whose shifts are true for the scan's images, and the scan."""
    rng = np.random.default_rng(seed)
    shifts = rng.uniform(-3, 3, (n_angles, 2))
    stack = smooth_stack(shape, shifts, rng)
    angles = np.linspace(0, np.pi, n_angles, endpoint=False)
    history = tuple(
        IterationRecord(
            iteration=i + 1,
            binning=2 - i,
            center=14.25 + i / 3,
            shifts=shifts * (i + 1) / 2,
            moves=rng.normal(size=(n_angles, 2)),
            drawn=rng.permutation(n_angles)[: 3 + i],
            largest_move=rng.random(),
            rms_move=rng.random(),
            residual=rng.random(),
            residuals=rng.random(n_angles),
            standard_error=np.where(rng.random((n_angles, 2)) < 0.3, np.nan, 0.1),
            confidence=rng.random(n_angles),
            seconds=rng.random(),
            notes=("frame 3 is blank",) if i else (),
        )
        for i in range(2)
    )
    generator = np.random.default_rng(4)
    generator.random(3)
    result = AlignmentResult(
        shifts=shifts,
        reconstruction=rng.random((shape[0], shape[1], shape[1])).astype(np.float32),
        projections=stack,
        reference=stack,
        angles=angles,
        center=history[-1].center,
        history=history,
        converged=True,
        message="converged: the largest of the latest moves is 0.004 px",
        findings=(
            Finding("few angles", "6 projections: measure more"),
            Finding(
                "poor fit",
                "the axis seems to be 3 px off: leave out 3 and 5",
                {"center": None, "excluded_subset": (3, 5)},
            ),
        ),
        parameters=AlignmentParameters(
            maxiter=7,
            levels=(2, 1),
            projection_cropping=(slice(2, -2), slice(None)),
            reconstruction_pipeline_kwargs={"n": np.float32(2)},
        ),
        backend="builtin",
        versions={"numpy": np.__version__},
        generator_state=generator.bit_generator.state,
    )
    scan = Scan(
        projections=stack,
        angles=angles,
        pixel_size=3.5,
        pixel_unit="nm",
        rotation_axis=rotation_axis,
        source={"file": "made.h5"},
        preparation=("made up",),
    )
    return result, scan
