"""The picture of a run, and the page around it."""

from .figure import flagged_projections, plot_run
from .page import compare, describe, write_report

__all__ = ["compare", "describe", "flagged_projections", "plot_run", "write_report"]
