"""Tests in a real viewer; skipped, and saying so, where there is no napari, Qt or display."""

import importlib.util
import os
import shutil
import sys

import pytest

INSTALL = 'pip install "napari-tomoalign[test]"'


def _installed(package):
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # this folder looks like a package, too


def _missing() -> str | None:
    """Return why a viewer cannot be had here, or None where it can."""
    for package in ("napari", "pytestqt"):
        if not _installed(package):
            return f"{package} is not installed: {INSTALL}"
    if not any(_installed(name) for name in ("PyQt6", "PySide6", "PyQt5")):
        return f"no Qt binding is installed: {INSTALL}"
    if not sys.platform.startswith("linux"):
        return None
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    if not _installed("pytest_xvfb") or shutil.which("Xvfb") is None:
        return "there is no display: install Xvfb and pytest-xvfb, or set DISPLAY"
    return None


REASON = _missing()


class _Skipped(pytest.Module):
    """A module that is not even imported."""

    def collect(self):
        pytest.skip(REASON, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    if REASON is not None:
        return _Skipped.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items):
    if REASON is not None:
        return
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(
                pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")
            )


@pytest.fixture(scope="session", autouse=True)
def quiet_pool():
    """Let numba's threads sleep while they wait.

    Those of its other pools spin, which starves a canvas that is rendered in software on few
    cores, and TBB's may not end at exit. The engine has one caller at a time, as this one needs.
    """
    import numba

    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")
    numba.config.THREADING_LAYER = os.environ["NUMBA_THREADING_LAYER"]


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def windowless(qapp):
    """A viewer without its window: several times as quick, where no window is needed."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def stack(viewer, phantom):
    """The scan's layer."""
    return viewer.add_image(phantom.projections, name="scan", metadata={"angles": phantom.angles})


@pytest.fixture
def widget(viewer, stack, qtbot):
    """The widget in its dock, with the list of algorithms filled."""
    from napari_tomoalign._napari._widget import AlignmentWidget

    made = AlignmentWidget(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(made, name="Align projections")
    else:
        qtbot.addWidget(made)
        for name in ("inserted", "removed", "renamed"):  # as napari does for a dock
            getattr(viewer.layers.events, name).connect(made.reset_choices)
    qtbot.waitUntil(lambda: made.reconstruction.algorithm.native.count() > 1, timeout=20_000)
    yield made
    made.close_down()
    _await_workers(qtbot)


@pytest.fixture
def loop(monkeypatch, make_state):
    """A stand-in for the loop: says what reached it, and yields what it is told to."""
    from napari_tomoalign.steering import running

    stand_in = Loop(make_state)
    monkeypatch.setattr(running, "iterate_alignment", stand_in)
    return stand_in


@pytest.fixture
def reaches(widget, loop, run):
    """Run and return the arguments that reached the loop."""
    loop.states = 0  # nothing to show: quick

    def act():
        run(widget)
        return loop.arguments

    return act


class Loop:
    """Yields states of a still alignment; counts them, and may fail at one of them."""

    def __init__(self, make_state):
        self.make_state = make_state
        self.arguments = {}
        self.states = 3
        self.error = None
        self.fails_at = 1
        self.started = 0
        self.done = 0
        self.pause = 0.0
        self.findings = ()

    def __call__(self, projections, angles, **arguments):
        from time import sleep

        self.arguments = {"projections": projections, "angles": angles, **arguments}
        self.started += 1
        self.done = 0
        for number in range(1, self.states + 1):
            sleep(self.pause)
            if self.error is not None and number == self.fails_at:
                raise self.error
            self.done = number
            last = number == self.states
            findings = self.findings if last else ()
            yield self.make_state(projections, angles, number, last=last, findings=findings)


@pytest.fixture
def line_in():
    """Draw a plot and return its line of a label."""

    def find(plot, label):
        plot.lay_out()
        lines = [line for axes in plot.figure.axes for line in axes.get_lines()]
        return next(line for line in lines if line.get_label() == label)

    return find


@pytest.fixture
def run(qtbot):
    """Do something to a widget and wait until the run that it starts has ended."""

    def act(widget, action=None, timeout=120_000):  # the first run on a machine compiles
        with qtbot.waitSignal(widget.runner.ended, timeout=timeout):
            (action or widget.run_bar.run.click)()

    return act


@pytest.fixture
def told():
    """What napari told the user since the test began."""
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()
    return lambda: [record.message for record in notification_manager.records]


def _await_workers(qtbot):
    """Wait for the workers; one that does not end fails the test."""
    from qtpy.QtCore import QThreadPool

    pool = QThreadPool.globalInstance()
    # The first one on a machine compiles.
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=120_000)
