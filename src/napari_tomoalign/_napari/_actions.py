"""What the window does when it is asked: run, steer, verify.

No step of the algorithm is here: a run drains `iterate_alignment` and shows what comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer

from ..findings import Finding
from ..parameters import AlignmentParameters
from ..results import AlignmentState, IterationRecord
from ..steering import Course, RunRequest
from ..steering.frames import Frame
from ..verification import Verification
from ._background import text_of, told
from ._file_actions import FileActions
from ._layers import finest
from ._verdict import STARTS_ANEW

__all__ = ["Actions"]


class Actions(FileActions):
    """Runs, steers and verifies; see `Parts` for what there is."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._after_end: Callable[[], None] | None = None
        self._began = False

    # ---- the buttons ----

    @told
    def run(self, *, steps: int | None = None) -> None:
        """Start a run, or go on after a pause or from what was found; pause after so many steps."""
        if self.verifier.is_running:
            raise ValueError("a verification is under way: stop it first")
        if not self.runner.is_running:
            self._start(steps)
        elif not self.runner.is_paused:
            raise ValueError("a run is under way: pause or stop it first")
        elif self._steered:
            self._after_end = lambda: self.run(steps=steps)
            self.runner.stop()
        else:
            self.session.expect("step" if steps else "run", self.session.course)
            self.run_bar.enter("Aligning")
            self.runner.go_on(steps=steps)
            self._allow()

    def pause(self) -> None:
        """Stand still after the iteration that is being done."""
        self.run_bar.enter("ending")
        self.runner.pause()

    def step(self) -> None:
        """Do one iteration, then stand still."""
        self.run(steps=1)

    def stop(self) -> None:
        """End after the iteration that is being done; what a run reached is kept."""
        self.run_bar.enter("ending")
        (self.verifier if self.verifier.is_running else self.runner).stop()

    @told
    def verify(self) -> None:
        """Inject known shifts into the scan as it is aligned, align again, and show the error."""
        state = self.session.course.shown_state()
        if self.runner.is_running or self.verifier.is_running:
            raise ValueError("a run or a verification is under way: stop it first")
        if state is None:
            raise ValueError("there are no shifts yet to verify: run first")
        self.verifier.start(state, self._measured())
        self.run_bar.begin("Verifying", self.verifier.limit, _finest(state.parameters))
        self._allow()

    def _start(self, steps: int | None) -> None:
        """Check all that can be checked here; what was found stays until an iteration comes."""
        self.drawing.end()
        source = self.scan.source()
        request = RunRequest(source, *self.settings())
        course = self.session.course
        if not (self.run_bar.goes_on and course.is_result):
            course = replace(Course.starting(source), request=request)
        elif len(course.angles) != len(source.angles):
            raise ValueError(
                f"the shifts on show are for {len(course.angles)} projections, but the layer has "
                f"{len(source.angles)}: set 'Run from' to the scan as it is, or load its own shifts"
            )
        elif course.scan is not None and course.scan.rotation_axis != source.rotation_axis:
            raise ValueError(
                f"the shifts on show are about a {course.scan.rotation_axis} axis: set 'Run from' "
                "to the scan as it is, or Rotation axis to that again"
            )
        else:
            course, request = course.going_on(request)
        course = replace(course, scan=source, has_scan=True)
        self.session.expect("step" if steps else "run", course)
        self._begin_layers(self.scan.layer.value)
        self.evaluator.forget()
        self.blink.forget()
        self._steered, self._began = False, False
        self.run_bar.begin("Aligning", request.parameters.maxiter, _finest(request.parameters))
        self.runner.start(request, steps=steps)
        self._allow()

    # ---- what a run and a verification tell ----

    def _on_advanced(self, news: tuple[IterationRecord, Mapping[str, Any]]) -> None:
        self.session.add(*news)
        self.run_bar.go_on(True)
        if not self._began:  # not before: a run that fails at its start has nothing to show
            self._began = True
            self.show_result()
            QTimer.singleShot(0, self.show_plots)
        self._on_progress(news[0])

    def _on_progress(self, record: IterationRecord) -> None:
        at_work = self.verifier if self.verifier.is_running else self.runner
        self.run_bar.show_progress(record, at_work.limit)
        if not self._redraw.isActive():
            self._redraw.start()

    def _draw(self) -> None:
        """Show the latest state; those that came too quickly for the canvas are in the plots."""
        if self.runner.latest:
            arrival, session = self.runner.latest.pop(), self.session
            session.images = arrival.state
            session.course = session.course.with_state(arrival.state, arrival.scan)
            self.layers.show(arrival.frames)
        if not self.verifier.is_running:
            self._show_session()
        self.run_bar.tell_activity()

    def _on_paused(self) -> None:
        self._draw()
        self.run_bar.enter("paused")

    def _on_ended(self, _: None, error: Exception | None) -> None:
        self._draw()
        then, self._after_end = self._after_end, None
        if error is not None:
            self._tell_failure("The run", error)
        elif then is not None:
            then()
        else:
            course = self.session.course
            never = "Stopped before the first iteration was done."
            self.run_bar.show_idle(course.outcome if course.history else never)
            self._enlarge()
        self._allow()

    def _on_verified(self, verified: Verification | None, error: Exception | None) -> None:
        if error is not None:
            self._tell_failure("The verification", error)
        elif verified is None:
            self.run_bar.show_idle("Verification stopped.")
        else:
            self.run_bar.show_idle("Verified.")
            session = self.session
            session.do("verification", replace(session.course, verified=verified))
            QTimer.singleShot(0, self.show_verification)
        self._show_session()

    def _tell_failure(self, what: str, error: Exception) -> None:
        """Tell it where it stays in view, too: napari's own notice is cut and goes away."""
        text = text_of(error)
        self.run_bar.show_idle(f"⚠ {what} ended with an error: {text}")
        show_error(text)

    def _on_evaluated(self, state: AlignmentState | None, frames: Mapping[str, Frame]) -> None:
        if state is not None:
            self.session.images = state
        self.layers.show(frames)
        self._show_session()

    # ---- steering ----

    @told
    def choose_iteration(self, number: int) -> None:
        """Put the shifts of an iteration back; the next run goes on from there."""
        self.session.course = self.session.course.at(number)
        self._steer()

    @told
    def nudge(self, rows: float, columns: float) -> None:
        """Move the projection in view on the screen, pixels; the next run starts from there."""
        index, course = self.scan.projection_in_view(), self.session.course
        if index is None or index >= len(course.angles) or course.scan is None:
            raise ValueError("there are no shifts yet that could be changed: run first")
        turned = course.scan.rotation_axis == "horizontal"
        move = (columns, rows) if turned else (rows, columns)
        self.session.do(f"nudge of projection {index}", course.nudged(index, move))
        self._steer()

    @told
    def freeze(self, frozen: bool) -> None:
        """Take the projection in view into the ignored ones, or out of them."""
        index = self.scan.projection_in_view()
        if index is None:
            raise ValueError("there is no projection in view to freeze: open a scan first")
        ignored = self.scan.with_ignored(index, frozen)
        self.change(f"{'freeze' if frozen else 'thaw'} of {index}", {"ignored_subset": ignored})

    def change(self, what: str, settings: Mapping[str, Any]) -> None:
        """Set fields of the forms by name, so that it can be taken back."""
        session, known = self.session, self.session.course.settings
        before = {name: self.fields[name].value for name in settings}
        session.course = replace(session.course, settings={**known, **before})
        self.set_fields(settings)
        session.do(what, replace(session.course, settings={**known, **settings}))
        if self.runner.is_paused:
            self._steered = True
        self._show_session()

    @told
    def undo(self) -> None:
        """Take the latest change back: a run, a step, a nudge, a load, a freeze, a verification."""
        self._go_back(self.session.undo)

    @told
    def redo(self) -> None:
        """Take the latest undo back."""
        self._go_back(self.session.redo)

    def _go_back(self, there: Callable[[], None]) -> None:
        if (self.runner.is_running and not self.runner.is_paused) or self.verifier.is_running:
            raise ValueError("a run or a verification is under way: pause or stop it first")
        before = self.session.course
        there()
        if self.session.course is before:
            return
        self.set_fields(self.session.course.settings)
        self._steer()
        self.run_bar.go_on(self.session.course.is_result)

    @told
    def take_advice(self, finding: Finding) -> None:
        """Set what a finding advises, beside what is set already."""
        settings = dict(finding.change)
        if "excluded_subset" in settings:
            left_out = {*self.fields["excluded_subset"].value, *settings["excluded_subset"]}
            settings["excluded_subset"] = tuple(sorted(left_out))
            settings["ignored_subset"] = tuple(sorted(set(self.scan.ignored) - left_out))
        if "rotation_axis" in settings:  # as the loop sees the images, which may be turned
            turned = self.scan.rotation_axis == "horizontal"
            settings["rotation_axis"] = "vertical" if turned else "horizontal"
        self.change(f"advice on {finding.kind}", settings)
        # Shifts about another axis are no start, nor is an axis that is to be found a given one.
        anew = bool(STARTS_ANEW & settings.keys())
        self.run_bar.go_on(not anew and self.session.course.is_result)
        show_info("Set; Run starts anew with it." if anew else "Set; Run goes on with it.")

    def show_difference(self, wanted: bool) -> None:
        """Show ``reference - projections`` in a layer of its own, or take it away."""
        if not wanted:
            self.runner.difference.clear()
            self.layers.remove("difference")
            return
        self.runner.difference.set()
        if self.session.images is not None:
            self._evaluate()

    @told
    def blink_on(self) -> None:
        """Show the slice in view as it would be without the alignment."""
        layer, state = self.layers.get("reconstruction"), self.session.course.shown_state()
        if layer is not None and state is not None:
            index = round((self._viewer.dims.point[0] - layer.translate[0]) / layer.scale[0])
            index = min(max(index, 0), len(finest(layer)) - 1)
            self.blink.on(layer, state, self._measured(), index)


def _finest(parameters: AlignmentParameters) -> int:
    """Return the binning at which a run with these parameters may end."""
    return 1 if parameters.levels is None else parameters.levels[-1]
