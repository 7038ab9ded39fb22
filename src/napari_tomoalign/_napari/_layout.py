"""Spacing and folding, the same in every group."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

__all__ = ["SPACING", "Scrolled", "folding", "form", "hint", "row", "small_button"]

SPACING = 4
_TITLE = """
QPushButton { text-align: left; border: none; font-weight: bold; padding: 5px 4px; }
QPushButton:checked { background: transparent; }
"""


class Scrolled(QScrollArea):
    """Holds groups one below the other: scrolls up and down, and is as wide as they need.

    Parameters
    ----------
    groups : QWidget
        From top to bottom.
    """

    def __init__(self, *groups: QWidget) -> None:
        super().__init__()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, SPACING, 0)
        column.setSpacing(SPACING)
        for group in groups:
            column.addWidget(group)
        column.addStretch()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setWidget(inner)

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


def small_button(text: str, tooltip: str) -> QToolButton:
    """Return a button as narrow as its text."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(f"<qt>{tooltip}</qt>")
    return button


def hint(text: str = "") -> QLabel:
    """Return a label for a remark: it wraps, and can be selected and copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def folding(title: str, content: QLayout | QWidget, *, expanded: bool) -> QCollapsible:
    """Return a group with a title that folds it away."""
    if isinstance(content, QLayout):
        holder = QWidget()
        holder.setLayout(content)
        content = holder
    group = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    group.setDuration(0)
    group.toggleButton().setStyleSheet(_TITLE)
    group.layout().setContentsMargins(0, 0, 0, 0)
    group.content().layout().setContentsMargins(12, 2, 2, 6)
    group.addWidget(content)
    if expanded:
        group.expand(animate=False)
    return group
