"""Where a voxel lands, which way the axis points, and what projections cannot tell."""

from .axis import RotationAxis, turn_projections, turn_volume
from .scan_geometry import ScanGeometry

__all__ = ["RotationAxis", "ScanGeometry", "turn_projections", "turn_volume"]
