"""Scans of known objects with known shifts, from closed-form line integrals.

Neither an engine nor an interpolation takes part, so that what the alignment finds is compared
with a truth that does not come from itself.
"""

from .bound import axis_bound, cramer_rao_bound
from .detector import CountsScan, as_counts
from .phantom import simulate
from .simulated_scan import SimulatedScan

__all__ = [
    "CountsScan",
    "SimulatedScan",
    "as_counts",
    "axis_bound",
    "cramer_rao_bound",
    "simulate",
]
