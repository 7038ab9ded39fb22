"""A simulated scan as a data container of mumott."""

from __future__ import annotations

import numpy as np

from napari_tomoalign.simulation import SimulatedScan, simulate

N_SEGMENTS = 4


def make_scan() -> SimulatedScan:
    return simulate(28, 20, n_rows=20, noise=0.01, jitter=1, drift=1, center_offset=0.4, seed=3)


def make_container(scan, *, along_j=False, offsets=None, weights=None):
    """Return a container whose rotation axis runs along j or k; line integrals are absorbances."""
    from mumott.core.projection_stack import Projection
    from mumott.data_handling import DataContainer

    container = DataContainer()
    for m, (image, angle) in enumerate(zip(scan.projections, scan.angles, strict=True)):
        c, s = np.cos(angle), np.sin(angle)
        about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        image = 0.5 * (image if along_j else image.T)
        weight = np.ones(image.shape) if weights is None else weights[m]
        j_offset, k_offset = (0.0, 0.0) if offsets is None else offsets[m]
        container.append(
            Projection(
                data=np.repeat(image[:, :, None], N_SEGMENTS, axis=2).astype(np.float64),
                diode=7.0 * 10.0 ** -image.astype(np.float64),  # the open beam is 7
                weights=np.repeat(weight[:, :, None], N_SEGMENTS, axis=2),
                rotation=about_z[::-1, ::-1] if along_j else about_z,
                j_offset=j_offset,
                k_offset=k_offset,
                inner_angle=angle,
                outer_angle=0.0,
                inner_axis=np.array([1.0, 0, 0] if along_j else [0, 0, -1.0]),
                outer_axis=np.array([0, 0, 1.0] if along_j else [1.0, 0, 0]),
            )
        )
    n_rows, n_columns = scan.projections.shape[1:]
    shape = (n_rows, n_columns, n_columns) if along_j else (n_columns, n_columns, n_rows)
    container.geometry.volume_shape = np.array(shape)
    container.geometry.detector_angles = np.arange(N_SEGMENTS) * np.pi / N_SEGMENTS
    return container


def shifts_of(container, *, along_j=False):
    """Return (row, column) shifts from a container's offsets."""
    geometry = container.geometry
    pair = -np.column_stack([geometry.j_offsets, geometry.k_offsets])
    return pair if along_j else pair[:, ::-1]


def truth_of(scan):
    """Return the true shifts about an axis in the images' middle, which is where mumott has it."""
    middle = (scan.projections.shape[2] - 1) / 2
    return scan.shifts + np.array([0.0, scan.center - middle])
