"""Spacing and folding, the same in every group."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QIcon, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

__all__ = [
    "SPACING",
    "CalmWheel",
    "Scrolled",
    "column",
    "folding",
    "form",
    "hint",
    "row",
    "small_button",
    "tipped",
]

SPACING = 4  # pixels between controls, half of what Qt leaves: the dock is to fit small windows
_W = TypeVar("_W", bound=QWidget)
_TITLE = """
QPushButton { text-align: left; border: none; font-weight: bold; padding: 5px 4px; }
QPushButton:checked { background: transparent; }
"""


class Scrolled(QScrollArea):
    """Holds groups one below the other: scrolls up and down, and is as wide as they need."""

    def __init__(self, *groups: QWidget) -> None:
        super().__init__()
        inner = QWidget()
        layout = column(inner)
        layout.setContentsMargins(0, 0, SPACING, 0)
        for group in groups:
            layout.addWidget(group)
        layout.addStretch()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setWidget(inner)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask for another width when the groups do: with another font, for one."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def minimumSizeHint(self) -> QSize:
        """Return the least width at which nothing is cut off, at any height."""
        width = self.widget().minimumSizeHint().width()
        return QSize(width + self.verticalScrollBar().sizeHint().width(), 80)


def form() -> QFormLayout:
    """Return a two-column layout: labels, and controls that take what is left of the width."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout


def column(holder: QWidget) -> QVBoxLayout:
    """Give a widget a layout from top to bottom, without margins, and return it."""
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    return layout


def row(*widgets: QWidget, stretch: int | None = 0) -> QWidget:
    """Return the widgets side by side; the one at index ``stretch`` takes the room that is left."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == stretch else 0)
    if stretch is None:
        layout.addStretch()
    return holder


def tipped(widget: _W, tooltip: str) -> _W:
    """Give a control a tooltip that wraps, let it be as narrow as it can, and return it."""
    widget.setToolTip(f"<qt>{tooltip}</qt>")
    widget.setMinimumWidth(10)
    return widget


def small_button(text: str, tooltip: str) -> QToolButton:
    """Return a button as narrow as its text."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(f"<qt>{tooltip}</qt>")
    return button


def hint(text: str = "") -> QLabel:
    """Return a label for a remark: it wraps, and can be selected and copied."""
    label = _Wrapped(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class _Wrapped(QLabel):
    """A label that is never lower than its lines: layouts within layouts do not ask for that."""

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Take the height that the text needs at the new width."""
        super().resizeEvent(event)
        self._take_height()

    def setText(self, text: str | None) -> None:
        """Show another text."""
        super().setText(text)
        self._take_height()

    def _take_height(self) -> None:
        self.setMinimumHeight(0)  # which Qt would count
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


def folding(title: str, content: QWidget, *, expanded: bool) -> QCollapsible:
    """Return a group with a title that folds it away."""
    group = QCollapsible(title, expandedIcon=QIcon(), collapsedIcon=QIcon())
    group.setDuration(0)
    # The arrow is part of the text: an icon keeps the colours it was made in, dark on dark.
    group.toggled.connect(lambda open_: group.setText(f"{'▾' if open_ else '▸'} {title}"))
    group.setText(f"▸ {title}")
    group.toggleButton().setStyleSheet(_TITLE)
    group.layout().setContentsMargins(0, 0, 0, 0)
    group.content().layout().setContentsMargins(12, 2, 2, 6)
    group.addWidget(content)
    if expanded:
        group.expand(animate=False)
    return group


class CalmWheel(QObject):
    """Keeps the mouse wheel from changing a box that it passes while a panel is scrolled.

    Only a box that has the focus listens, and the wheel alone gives none. The filter is the
    application's, so that controls which are added later are covered too; it goes with the panel.
    """

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self._panel = panel
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Swallow the wheel over a control without focus, and let what is around it scroll."""
        kind = event.type()
        if kind not in (QEvent.Type.Wheel, QEvent.Type.Polish) or not self._concerns(watched):
            return False
        if kind == QEvent.Type.Polish:
            watched.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            return False
        if watched.hasFocus():
            return False
        event.ignore()
        return True

    def _concerns(self, watched: QObject) -> bool:
        controls = isinstance(watched, QAbstractSpinBox | QComboBox | QSlider)
        return controls and self._panel.isAncestorOf(watched)
