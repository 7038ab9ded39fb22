"""What came of it, in a line that stays in view, and a button for each piece of advice."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ..findings import Finding
from ..parameters import AlignmentParameters
from ..steering import Course
from ._layout import SPACING, Scrolled, column, hint, tipped
from ._words import in_window_words, title_of

__all__ = ["STARTS_ANEW", "VerdictPanel", "label_of"]

STARTS_ANEW = frozenset({"rotation_axis", "center"})
"""Changes after which no earlier shift is a start: what else was advised may be moot with them."""

_TALLEST = 130, 0.2  # pixels or part of the dock: more advice is scrolled, the plots keep room


def label_of(finding: Finding, parameters: AlignmentParameters) -> str:
    """Return what a button says that makes the change which a finding of a run advises."""
    words = []
    for name, value in finding.change.items():
        if name == "excluded_subset":
            new = sorted(set(value) - set(parameters.excluded_subset))
            words.append(f"Leave out {', '.join(map(str, new[:3]))}" + " …" * (len(new) > 3))
        elif name == "maxiter":
            words.append(f"Up to {value} iterations")
        elif name == "center" and value is None:
            words.append("Find the centre")
        elif name == "rotation_axis":
            words.append("Turn the axis")
        elif value is True:
            words.append(f"Use {title_of(name).lower()}")
        else:
            listed = isinstance(value, tuple)
            words.append(f"{title_of(name)}: {', '.join(map(str, value)) if listed else value}")
    return ", ".join(words)


class VerdictPanel(QWidget):
    """The verdict, the diagnosis with its buttons, and what one does next."""

    advised = Signal(object)  # a finding, whose change the user wants

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.headline = hint()
        self.headline.setStyleSheet("font-weight: bold;")
        self.verified = hint()
        self.verify = tipped(
            QPushButton("Verify"),
            "Can it be trusted? The scan, aligned by the shifts on show, is displaced by known "
            "shifts and aligned again, to see what comes back. No layer is changed.",
        )
        self.save = tipped(
            QPushButton("Save run…"),
            "Write what the command line writes into a folder: shifts, aligned stack, "
            "reconstruction, settings (run.toml) and report; Open run brings it back",
        )
        self.undo, self.redo = tipped(QPushButton("Undo"), ""), tipped(QPushButton("Redo"), "")
        self._lines = QWidget()
        self._column = column(self._lines)
        self._scroll = Scrolled(self._lines)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACING)
        for button in (self.verify, self.save, self.undo, self.redo):
            buttons.addWidget(button)
        layout = column(self)
        for widget in (self.headline, self.verified, self._scroll):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self._shown: tuple[Finding, ...] | None = None
        self.show_course(Course())

    def show_course(self, course: Course, words: str = "") -> None:
        """Show the verdict on what is on show, and words on what the layers do not show yet."""
        text = course.headline
        self.headline.setText(f"{text}\n{words}" if words else text)
        self.headline.setVisible(bool(text or words))
        verified = course.verified
        self.verified.setText("" if verified is None else f"Verified: {verified.message}.")
        self.verified.setVisible(verified is not None)
        state = course.state
        found = () if state is None or not course.at_end else state.findings
        notes = () if course.record is None else course.record.notes
        self._show_findings(
            (*(Finding("", note) for note in notes), *found),
            AlignmentParameters() if state is None else state.parameters,
        )

    def show_back(self, undoes: str, redoes: str, *, allowed: bool) -> None:
        """Let undo and redo be pressed where there is something to take back."""
        for button, word, what in ((self.undo, "Undo", undoes), (self.redo, "Redo", redoes)):
            button.setEnabled(allowed and bool(what))
            keys = "Ctrl+Z" if word == "Undo" else "Ctrl+Shift+Z"
            button.setToolTip(f"{word}: {what} ({keys})" if what else f"{word} ({keys})")

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences that are shown."""
        return tuple(finding.sentence for finding in self._shown or ())

    def buttons(self) -> list[QPushButton]:
        """Return the buttons of the advice, from top to bottom."""
        return list(self._lines.findChildren(QPushButton))

    def _show_findings(
        self, findings: tuple[Finding, ...], parameters: AlignmentParameters
    ) -> None:
        findings = tuple(sorted(findings, key=_rank))
        if findings == self._shown:
            return
        self._shown = findings
        while self._column.count():
            item = self._column.takeAt(0)
            if item.widget() is not None:
                item.widget().setParent(None)
        for finding in findings:
            self._column.addWidget(self._line(finding, parameters))
        self._scroll.setVisible(bool(findings))
        self._take_height()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give the advice the height that it needs at the new width."""
        super().resizeEvent(event)
        self._take_height()

    def _take_height(self) -> None:
        width = self.width() - self._scroll.verticalScrollBar().sizeHint().width() - SPACING
        pixels, part = _TALLEST
        dock = self.parentWidget()
        tallest = pixels if dock is None else max(pixels, int(part * dock.height()))
        needed = max(self._column.heightForWidth(width), 0)  # -1 where there is nothing
        self._scroll.setFixedHeight(min(needed, tallest))

    def _line(self, finding: Finding, parameters: AlignmentParameters) -> QWidget:
        holder = QWidget()
        layout = column(holder)
        if finding.change:  # above its reason: the next one's then is in view too
            button = QPushButton(label_of(finding, parameters))
            button.clicked.connect(lambda: self.advised.emit(finding))
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(hint(f"⚠ {in_window_words(finding.sentence)}"))
        return holder


def _rank(finding: Finding) -> int:
    """Return the place of a finding: first what starts anew, then what has a button, then words."""
    if STARTS_ANEW & finding.change.keys():
        return 0
    return 1 if finding.change else 2
