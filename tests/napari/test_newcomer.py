"""A newcomer's way: from a started napari to a saved, verified alignment, by clicks alone."""

import numpy as np
import pytest
import tifffile

from napari_tomoalign import alignment_error
from napari_tomoalign.cli import main
from napari_tomoalign.io import read_shifts
from napari_tomoalign.simulation import simulate

MOST = 10


@pytest.fixture
def scan():
    return simulate(32, 24, jitter=1.5, drift=1.0)


@pytest.fixture
def folder(scan, tmp_path):
    """A folder of TIFFs, and a text file of angles beside it."""
    made = tmp_path / "images"
    made.mkdir()
    for index, image in enumerate(scan.projections):
        tifffile.imwrite(made / f"image_{index:04d}.tif", image)
    np.savetxt(tmp_path / "angles.txt", np.degrees(scan.angles), fmt="%.3f")
    return made


class Hand:
    """Clicks with the mouse on what is there to be clicked, and counts."""

    def __init__(self, qtbot):
        self._qtbot = qtbot
        self.clicks = 0

    def click(self, widget):
        from qtpy.QtCore import Qt

        assert widget.isVisible(), widget
        assert widget.isEnabled(), widget
        self.clicks += 1
        self._qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)

    def choose(self, action):
        assert action.isEnabled()
        self.clicks += 1
        action.trigger()


def test_from_a_folder_of_tiffs_to_a_saved_verified_alignment(
    make_napari_viewer, npe2pm, qtbot, folder, scan, tmp_path, monkeypatch, told
):
    from qtpy.QtWidgets import QFileDialog, QMenu

    from napari_tomoalign._napari._widget import AlignmentWidget

    hand = Hand(qtbot)
    with npe2pm.tmp_plugin(package="napari-tomoalign"):
        viewer = make_napari_viewer(show=True)
        window = viewer.window._qt_window
        window.resize(1024, 700)
        menu = viewer.window.plugins_menu
        hand.clicks += 1  # Plugins
        hand.choose(next(a for a in menu.actions() if a.text().startswith("Align projections")))
        qtbot.waitUntil(lambda: len(window.findChildren(AlignmentWidget)) == 1, timeout=5000)
        (widget,) = window.findChildren(AlignmentWidget)
    qtbot.waitUntil(widget.isVisible, timeout=5000)

    # Open… > A folder of TIFFs …, and the folder in the dialog
    def pick(menu, *_):
        hand.clicks += 1
        return next(action for action in menu.actions() if "folder" in action.text())

    def answer(_dialog, *_):
        hand.clicks += 1
        return str(folder)

    monkeypatch.setattr(QMenu, "exec", pick)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", answer)
    with qtbot.waitSignal(widget.scan_opened, timeout=20_000):
        hand.click(widget.scan.open)
    assert "24 angles, 0° to 172.5°" in widget.scan.summary.text()
    assert "angles.txt" in widget.scan.summary.text()  # found, and said

    with qtbot.waitSignal(widget.runner.ended, timeout=60_000):
        hand.click(widget.run_bar.run)
    assert "converged" in widget.verdict.headline.text()
    plot = widget.result.shifts
    qtbot.waitUntil(lambda: plot.visibleRegion().boundingRect() == plot.rect(), timeout=5000)
    with qtbot.waitSignal(widget.verifier.ended, timeout=60_000):
        hand.click(widget.verdict.verify)
    assert "are recovered" in widget.verdict.verified.text()

    def save(_dialog, _title, proposed):
        hand.clicks += 1
        assert proposed == str(tmp_path / "images-aligned")
        return proposed, ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", save)
    with qtbot.waitSignal(widget.written, timeout=60_000):
        hand.click(widget.verdict.save)
    saved = tmp_path / "images-aligned"
    found = read_shifts(saved / "shifts.h5")
    assert alignment_error(found, scan) < 0.1
    assert (saved / "report.html").is_file()
    again = tmp_path / "again"
    assert main(["align", "--config", str(saved / "run.toml"), "-o", str(again), "--json"]) == 0
    np.testing.assert_array_equal(read_shifts(again / "shifts.h5").shifts, found.shifts)
    assert not [text for text in told() if "error" in text.lower()]
    assert hand.clicks < MOST
    qtbot.waitUntil(lambda: widget.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    widget.close_down()
