"""The plots of a run and of its verification, in the colours of napari's theme.

Each is a canvas of its own, so that none keeps the window from answering for long, and is drawn
only while it is in view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QSizePolicy

from ..report.plots import draw_convergence, draw_shifts, draw_sinograms, draw_verification

__all__ = ["Plot", "convergence_plot", "shift_plot", "sinogram_plot", "verification_plot"]

_EVERY = 250  # ms between two drawings while a run goes on
_HUES = {"dark": ("#4fc3f7", "#ffb74d", "#aed581"), "light": ("#0277bd", "#d84315", "#558b2f")}
_STYLE: dict[str, Any] = {  # of matplotlib; points
    **{"font.size": 8, "axes.titlesize": 8, "lines.markersize": 3, "lines.linewidth": 1},
    **{"grid.linewidth": 0.5, "grid.alpha": 0.6, "legend.fontsize": 7, "legend.frameon": False},
    **{"legend.handlelength": 0.8, "legend.columnspacing": 0.8, "legend.handletextpad": 0.3},
}


class Plot(FigureCanvasQTAgg):
    """A canvas of fixed height, in the colours of a theme, drawn anew when it shows something else.

    Parameters
    ----------
    draw : callable
        Takes axes, side by side, and draws what is shown on them.
    theme : str
        Of napari.
    height : int
        Pixels.
    margins : tuple of float
        Of the figure: left, right, top and bottom.
    columns : int
        How many axes.
    """

    def __init__(
        self,
        draw: Callable[..., None],
        theme: str,
        height: int,
        margins: tuple[float, ...],
        columns: int = 1,
    ) -> None:
        super().__init__(Figure(figsize=(3, height / 100)))
        self._draw, self._height, self._margins, self._columns = draw, height, margins, columns
        self._shown: dict[str, Any] = {}
        self._stale = True
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.update)
        self.set_theme(theme)

    def show_what(self, **shown: Any) -> None:
        """Show something else, by the names of what ``draw`` takes, the rest as before; soon."""
        self._shown |= shown
        self._stale = True
        if not self._timer.isActive():
            self._timer.start()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        colours = get_theme(theme)
        ground, text, faint = (
            getattr(colours, name).as_hex() for name in ("background", "text", "secondary")
        )
        hues = _HUES["dark" if colours.type == "dark" else "light"]
        self._style = {
            **_STYLE,
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), text),
            **dict.fromkeys(("axes.edgecolor", "grid.color"), faint),
            **{"axes.facecolor": ground, "axes.prop_cycle": cycler(color=hues)},
        }
        self.figure.set_facecolor(ground)
        self.draw_idle()

    def sizeHint(self) -> QSize:
        """Return the height that the plot needs, at any width."""
        return QSize(260, self._height)

    def minimumSizeHint(self) -> QSize:
        """Return the least that the plot needs: a scrolled panel never squeezes it."""
        return QSize(200, self._height)

    def draw_idle(self) -> None:
        """Have it drawn when it is in view next, once, however often its size changes."""
        self._stale = True
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Draw what has changed: Qt asks only where it is in view."""
        # matplotlib finds no way back from a canvas without height to its pixels.
        if self._stale and min(self.figure.bbox.size) > 1:
            self._stale = False
            self.lay_out()
            super(FigureCanvasQTAgg, self).draw()
        super().paintEvent(event)

    def lay_out(self) -> None:
        """Put what is shown on new axes."""
        self.figure.clear()
        with rc_context(self._style):
            left, right, top, bottom = self._margins
            self.figure.subplots_adjust(left, bottom, right, top, wspace=0.08)
            axes = self.figure.subplots(1, self._columns, sharey=True, squeeze=False)[0]
            if self._shown:
                self._draw(*axes, **self._shown)


def shift_plot(theme: str) -> Plot:
    """Return a plot of shifts and their errors; see `draw_shifts` for what it shows."""
    return Plot(draw_shifts, theme, 190, (0.18, 0.97, 0.88, 0.22))


def convergence_plot(theme: str) -> Plot:
    """Return a plot of moves and residual; see `draw_convergence`."""
    return Plot(draw_convergence, theme, 200, (0.18, 0.82, 0.88, 0.2))


def sinogram_plot(theme: str) -> Plot:
    """Return a plot of a row of all projections, before and after; see `draw_sinograms`."""
    return Plot(draw_sinograms, theme, 180, (0.13, 0.97, 0.88, 0.24), columns=2)


def verification_plot(theme: str) -> Plot:
    """Return a plot of recovered against injected shifts; see `draw_verification`."""
    return Plot(draw_verification, theme, 200, (0.18, 0.97, 0.87, 0.2))
