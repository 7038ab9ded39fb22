"""Spacing and folding, the same in every group."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLayout, QToolButton, QWidget
from superqt import QCollapsible

__all__ = ["SPACING", "folding", "form", "hint", "row", "small_button"]

SPACING = 4


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
    group.layout().setContentsMargins(0, 0, 0, 0)
    group.content().layout().setContentsMargins(12, 2, 2, 6)
    group.addWidget(content)
    if expanded:
        group.expand(animate=False)
    return group
