"""The picture of a run, and the page around it."""

from .comparing import compare
from .figure import flagged_projections, plot_run
from .film import write_film
from .page import describe, write_report

__all__ = ["compare", "describe", "flagged_projections", "plot_run", "write_film", "write_report"]
