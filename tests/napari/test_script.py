"""From a script; without a viewer; a finished run opened again."""

import os
import subprocess
import sys
import threading

import numpy as np

from napari_tomoalign import align, show_in
from napari_tomoalign.cli import main


def test_a_script_is_watched(viewer, phantom):
    seen = []
    show = show_in(viewer)

    def callback(state):
        answer = show(state)
        seen.append(viewer.layers["reference"].data is state.reference)
        return answer

    result = align(phantom.projections, phantom.angles, callback=callback, progress=False)
    assert len(seen) == len(result.history)
    assert all(seen)
    assert [layer.name for layer in viewer.layers] == ["reference", "projections", "reconstruction"]
    np.testing.assert_array_equal(viewer.layers["reconstruction"].data[:, 0], result.reconstruction)


def test_a_second_script_updates_the_same_layers(windowless, phantom):
    for options in ({}, {"difference": True}, {"new": True}):
        show = show_in(windowless, **options)
        align(phantom.projections, phantom.angles, maxiter=1, callback=show, progress=False)
    assert [layer.name for layer in windowless.layers] == [
        "reference",
        "projections",
        "reconstruction",
        "difference",
        "reference [1]",
        "projections [1]",
        "reconstruction [1]",
    ]


def test_the_layers_lie_on_the_scan(windowless, phantom):
    layer = windowless.add_image(phantom.projections, scale=(1, 0.5, 0.5), translate=(0, 2, 3))
    show = show_in(windowless, layer=layer)
    align(phantom.projections, phantom.angles, callback=show, progress=False)
    np.testing.assert_array_equal(windowless.layers["reference"].scale, layer.scale)
    np.testing.assert_array_equal(windowless.layers["reference"].translate, layer.translate)


def test_closing_the_window_stops_the_script(make_napari_viewer, phantom):
    viewer = make_napari_viewer()
    viewer.window._qt_window.show()
    show = show_in(viewer)

    viewer.dims.events.axis_labels.connect(lambda event: viewer.window._qt_window.hide())
    result = align(phantom.projections, phantom.angles, callback=show, progress=False)
    assert len(result.history) == 1  # closed while the first iteration was shown
    assert not result.converged


def test_from_another_thread(viewer, phantom, qtbot):
    found = []

    def work():
        show = show_in(viewer)
        found.append(align(phantom.projections, phantom.angles, callback=show, progress=False))

    thread = threading.Thread(target=work)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=30_000)
    np.testing.assert_array_equal(viewer.layers["reference"].data, found[0].reference)


HEADLESS = """
import pkgutil, importlib, sys
import numpy as np
import napari_tomoalign
from napari_tomoalign import align
for module in pkgutil.walk_packages(napari_tomoalign.__path__, "napari_tomoalign."):
    if "._napari" in module.name or module.name.endswith(("__main__", "_tomopy")):
        continue
    importlib.import_module(module.name)
import napari_tomoalign.simulation
scan = napari_tomoalign.simulation.simulate(32, 12)
assert align(scan.projections, scan.angles, maxiter=2, progress=False).shifts.shape == (12, 2)
from napari_tomoalign._plugin.command import align_to_layers
loaded = [name for name in sys.modules if name.split(".")[0] in
          ("qtpy", "PyQt6", "PySide6", "PyQt5", "napari", "superqt", "vispy")]
assert not loaded, loaded
"""


def test_all_but_the_napari_room_loads_no_qt():
    subprocess.run([sys.executable, "-c", HEADLESS], check=True, timeout=120)


COMMAND = """
import sys
import numpy as np
from npe2 import PluginManager
from napari_tomoalign.simulation import simulate
from napari_tomoalign import alignment_error
manager = PluginManager.instance()
manager.discover()
scan = simulate(32, 24, jitter=1.5, drift=1.0)
layers = manager.commands.execute("napari-tomoalign.align", (scan.projections, scan.angles))
assert [layer[1]["name"] for layer in layers] == ["reconstruction", "projections", "reference"]
assert [layer[0].shape for layer in layers] == [(32, 32, 32), (24, 32, 32), (24, 32, 32)]
assert all(layer[2] == "image" for layer in layers)
metadata = layers[2][1]["metadata"]
assert alignment_error(metadata["shifts"], scan, scan.angles, centers=(metadata["center"], 0)) < 0.1
assert not [name for name in sys.modules if name.split(".")[0] in ("qtpy", "PyQt6", "napari")]
"""


def test_the_command_runs_without_a_viewer():
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    subprocess.run([sys.executable, "-c", COMMAND], check=True, timeout=120, env=environment)


def test_a_finished_run_is_opened_verified_and_gone_on_with(
    viewer, finished, qtbot, tmp_path, told
):
    from napari_tomoalign._napari._widget import AlignmentWidget
    from napari_tomoalign.steering import read_run

    folder, result = finished(scan_file=True)
    widget = AlignmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.show_run(read_run(folder))
    assert [layer.name for layer in viewer.layers] == [
        "scan",
        "reference",
        "projections",
        "reconstruction",
    ]
    assert "converged in" in widget.verdict.headline.text()
    assert widget.settings()[2] == result.parameters
    assert widget.result.slider.maximum() == len(result.history)
    with qtbot.waitSignal(widget.verifier.ended, timeout=60_000):
        widget.verdict.verify.click()
    assert "are recovered" in widget.verdict.verified.text()
    with qtbot.waitSignal(widget.runner.ended, timeout=60_000):
        widget.run_bar.run.click()
    assert len(widget.session.course.history) > len(result.history)
    again = tmp_path / "again"
    with qtbot.waitSignal(widget.written, timeout=60_000):
        widget.save_run(again)
    expected = {"shifts.h5", "aligned.h5", "reconstruction.h5", "report.html", "run.toml"}
    assert expected <= {file.name for file in again.iterdir()}
    assert "Not in here: the shifts that the latest run went on from." in (
        (again / "run.toml").read_text(encoding="utf-8")
    )
    np.testing.assert_array_equal(read_run(again).course.shifts, widget.session.course.shifts)
    widget.save_run(again)
    refused = f"a run lies in {again} already: name a new folder"
    qtbot.waitUntil(lambda: refused in told(), timeout=20_000)
    widget.close_down()


def test_view_says_what_is_missing(tmp_path, capsys):
    assert main(["view", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no finished run" in error
    assert "align SCAN -o DIR" in error
