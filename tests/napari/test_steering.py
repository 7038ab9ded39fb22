"""The iterations, frozen and nudged projections, files of shifts, other layers."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoalign import alignment_error
from napari_tomoalign.images.applying import move


@pytest.fixture
def viewer(windowless):
    return windowless


@pytest.fixture
def done(widget, loop, run):
    """A widget after a run of four iterations, whose shifts are (i, -i)."""
    loop.states = 4
    run(widget)
    return widget


def waits_for_preview(widget, qtbot, action):
    with qtbot.waitSignal(widget.evaluator.ready, timeout=10_000):
        action()


def test_an_iteration_is_put_back_and_run_goes_on_from_there(done, loop, run, qtbot, viewer):
    waits_for_preview(done, qtbot, lambda: done.result.slider.setValue(2))
    np.testing.assert_array_equal(done.session.course.shifts, np.full((24, 2), (2, -2)))
    assert done.result.number.text() == "2 / 4"
    assert done.run_bar.goes_on
    expected = move(viewer.layers["scan"].data, done.session.course.shifts)
    np.testing.assert_array_equal(viewer.layers["reference"].data, expected)
    run(done)
    resume = loop.arguments["resume"]
    assert len(resume.history) == 2
    assert resume.generator_state == {"number": 2}


def test_other_parameters_start_anew_at_the_shifts_on_show(done, loop, run, qtbot):
    waits_for_preview(done, qtbot, lambda: done.result.slider.setValue(2))
    done.parameters.fields["upsampling"].value = 50
    loop.states = 1
    run(done)
    np.testing.assert_array_equal(loop.arguments["initial_shifts"], np.full((24, 2), (2, -2)))
    assert loop.arguments["center"] == 15.5
    assert "resume" not in loop.arguments
    assert [record.iteration for record in done.session.course.history] == [1, 2, 3]


def test_another_scan_is_never_resumed(done, loop, run, viewer, phantom):
    done.result.slider.setValue(2)
    other = viewer.add_image(phantom.projections * 2, metadata={"angles": phantom.angles})
    done.scan.layer.value = other
    assert not done.run_bar.goes_on  # another scan starts anew, unless one wants otherwise
    assert "of the scan 'scan', not of 'Image'" in done.verdict.headline.text()
    done.run_bar.go_on(True)
    run(done)
    assert "of the scan" not in done.verdict.headline.text()
    assert [layer.name for layer in viewer.layers if layer.visible] == [
        "Image",  # in the first cell; the other scan makes room
        "reference",
        "projections",
        "reconstruction",
    ]
    assert "resume" not in loop.arguments
    np.testing.assert_array_equal(loop.arguments["initial_shifts"], np.full((24, 2), (2, -2)))


def test_the_scan_as_it_is_can_be_chosen_again(done, loop, run):
    done.result.slider.setValue(2)
    done.run_bar.go_on(False)
    run(done)
    assert "resume" not in loop.arguments
    assert "initial_shifts" not in loop.arguments


def test_a_nudge_moves_the_image_and_the_run_starts_there(done, loop, run, qtbot, viewer):
    viewer.dims.set_point(1, 7)
    done.result.step.setValue(2.0)
    waits_for_preview(done, qtbot, done.result.arrows[-1, 0].click)  # up
    waits_for_preview(done, qtbot, done.result.arrows[0, 1].click)  # right
    np.testing.assert_array_equal(done.session.course.shifts[7], (4 + 2, -4 - 2))
    np.testing.assert_array_equal(done.session.course.shifts[6], (4, -4))
    assert "row +6.000 ± 0.010, column -6.000 ± 0.010 px" in done.result.in_view.text()
    reference = viewer.layers["reference"].data
    np.testing.assert_allclose(
        reference, move(viewer.layers["scan"].data, done.session.course.shifts), atol=1e-5
    )
    run(done)
    np.testing.assert_array_equal(loop.arguments["initial_shifts"][7], (6, -6))


def test_a_nudge_with_a_horizontal_axis_moves_the_image_as_it_is_shown(
    widget, loop, run, viewer, phantom
):
    widget.scan.fields["rotation_axis"].value = "horizontal"
    loop.states = 1
    run(widget)
    done = widget
    viewer.dims.set_point(1, 7)
    before = done.session.course.shifts.copy()
    done.result.step.setValue(1.0)
    done.result.arrows[1, 0].click()  # down
    np.testing.assert_array_equal((done.session.course.shifts - before)[7], (0, -1))


def test_a_nudge_before_any_run_is_told(widget, told):
    widget.nudge(1, 0)
    assert any("run first" in text for text in told())


def test_freezing_while_paused_starts_the_rest_with_it_ignored(widget, loop, qtbot, run, viewer):
    loop.states = 3
    with qtbot.waitSignal(widget.runner.paused, timeout=5000):
        widget.run_bar.step.click()
    viewer.dims.set_point(1, 5)
    widget.result.freeze.setChecked(True)
    assert widget.scan.ignored == (5,)
    with qtbot.waitSignals([widget.runner.ended] * 2, timeout=10_000):
        widget.run_bar.run.click()
    assert loop.started == 2
    assert loop.arguments["ignored_subset"] == (5,)
    np.testing.assert_array_equal(loop.arguments["initial_shifts"][5], (1, -1))
    viewer.dims.set_point(1, 6)
    assert not widget.result.freeze.isChecked()
    viewer.dims.set_point(1, 5)
    assert widget.result.freeze.isChecked()
    widget.result.freeze.setChecked(False)
    assert widget.scan.ignored == ()


def test_a_frozen_projection_stays_put_in_the_real_loop(widget, phantom, run, qtbot, viewer):
    run(widget)
    viewer.dims.set_point(1, 5)
    widget.result.step.setValue(3.0)
    waits_for_preview(widget, qtbot, widget.result.arrows[0, -1].click)
    widget.result.freeze.setChecked(True)
    put = widget.session.course.shifts[5].copy()
    run(widget)
    assert np.abs(widget.session.course.shifts[5] - put).max() < 1  # but for the gauge
    others = np.arange(24) != 5
    assert alignment_error(widget.session.course, phantom, subset=others) < 0.3


def test_the_projection_in_view_is_described(done, viewer):
    viewer.dims.set_point(1, 3)
    text = done.result.in_view.text()
    assert text == (
        "Projection 3 at 22.50°: row +4.000 ± 0.010, column -4.000 ± 0.010 px, confidence 1.00"
    )


@pytest.mark.parametrize("suffix", [".h5", ".csv", ".xf", ".npz"])
def test_shifts_saved_and_loaded_again(widget, run, qtbot, told, tmp_path, suffix):
    run(widget)
    # Some formats put the axis in the middle: shifts and center belong together.
    found = widget.session.course.shifts + np.array([0, widget.session.course.center])
    path = tmp_path / f"shifts{suffix}"
    widget.save_shifts(path)
    qtbot.waitUntil(lambda: any("shifts are in" in text for text in told()), timeout=10_000)
    assert path.stat().st_size > 0
    widget.undo()  # before the run
    assert not widget.session.course.is_result
    with qtbot.waitSignal(widget.loaded, timeout=10_000):
        widget.load_shifts(path)
    loaded = widget.session.course.shifts + np.array([0, widget.session.course.center])
    np.testing.assert_allclose(loaded, found, atol=2e-3)
    assert widget.run_bar.goes_on
    assert not any("warn" in text.lower() for text in told())


def test_loaded_shifts_start_the_next_run(widget, loop, run, qtbot, tmp_path):
    run(widget)
    path = tmp_path / "shifts.h5"
    widget.save_shifts(path)
    qtbot.waitUntil(path.exists, timeout=10_000)
    with qtbot.waitSignal(widget.loaded, timeout=10_000):
        widget.load_shifts(path)
    run(widget)
    np.testing.assert_array_equal(loop.arguments["initial_shifts"], np.full((24, 2), (3, -3)))


def test_loaded_shifts_are_seen_before_any_run(viewer, widget, qtbot, phantom, tmp_path):
    path = tmp_path / "shifts.npz"
    np.savez(path, sx=np.full(24, 1.0), sy=np.full(24, -2.0))
    with qtbot.waitSignal(widget.evaluator.ready, timeout=10_000):
        widget.load_shifts(path)
    assert np.abs(widget.session.course.shifts).min() >= 1
    expected = move(phantom.projections, widget.session.course.shifts)
    np.testing.assert_array_equal(viewer.layers["reference"].data, expected)


def test_the_dialogs_ask_for_a_file(done, qtbot, monkeypatch, tmp_path):
    from qtpy.QtWidgets import QFileDialog

    path = tmp_path / "asked.h5"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (str(path), ""))
    done.result.save.click()
    qtbot.waitUntil(path.exists, timeout=10_000)
    with qtbot.waitSignal(done.loaded, timeout=10_000):
        done.result.load.click()


def test_shifts_of_another_scan_are_refused(widget, run, qtbot, told, tmp_path, viewer, phantom):
    run(widget)
    path = tmp_path / "shifts.h5"
    widget.save_shifts(path)
    qtbot.waitUntil(path.exists, timeout=10_000)
    short = viewer.add_image(phantom.projections[:10], metadata={"angles": phantom.angles[:10]})
    widget.scan.layer.value = short
    widget.load_shifts(path)
    qtbot.waitUntil(
        lambda: any("24 projections" in text and "10" in text for text in told()), timeout=10_000
    )


def test_saving_before_any_run_is_told(widget, told, tmp_path):
    widget.save_shifts(tmp_path / "shifts.h5")
    assert any("no shifts yet" in text for text in told())


@pytest.mark.parametrize("binning", [1, 2])
def test_apply_to_a_sibling_of_any_binning(done, viewer, phantom, qtbot, binning):
    other = phantom.projections[:, ::binning, ::binning] * 2
    layer = viewer.add_image(other, name="iron", scale=(1, binning, binning))
    done.result.other.value = layer
    with qtbot.waitSignal(done.applied, timeout=10_000):
        done.result.apply.click()
    made = viewer.layers["iron aligned"]
    np.testing.assert_array_equal(made.data, move(other, done.session.course.shifts / binning))
    np.testing.assert_array_equal(made.scale, layer.scale)


def test_what_is_aligned_is_not_moved_again(done, viewer, told):
    done.apply_to(viewer.layers["reference"])
    assert any("'reference' is aligned already" in text for text in told())
    done.apply_to(viewer.add_image(np.zeros((3, 8, 8)), name="three"))
    assert any("'three' cannot be moved: it has 3 projections" in text for text in told())
    done.apply_to(viewer.add_image(np.zeros((24, 8, 32)), name="flat"))
    assert any("no binning explains" in text for text in told())


def test_the_plots_grow(done, line_in):
    shifts, convergence = done.result.shifts, done.result.convergence
    largest, row, column = (
        line_in(plot, label)
        for plot, label in (
            (convergence, "largest move"),
            (shifts, "row ± error"),
            (shifts, "column ± error"),
        )
    )
    np.testing.assert_array_equal(largest.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(largest.get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_array_equal(row.get_ydata(), np.full(24, 4.0))
    np.testing.assert_array_equal(column.get_ydata(), np.full(24, -4.0))
    assert largest.axes.get_yscale() == "log"


def test_the_plots_follow_the_theme(done, viewer):
    from napari.utils.theme import get_theme

    for theme in ("light", "dark"):
        viewer.theme = theme
        face = done.result.shifts.figure.get_facecolor()
        expected = np.array(get_theme(theme).background.as_rgb_tuple()) / 255
        np.testing.assert_allclose(face[:3], expected, atol=0.01)


@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
def test_apply_turns_the_images_of_a_turned_axis_back(done, viewer, phantom, qtbot, axis):
    def turn(stack):
        return stack if axis == "vertical" else np.swapaxes(stack, 1, 2)

    course = done.session.course
    geometry = course.state.measured_geometry.with_changes(axis_angle=0.2)
    done.session.course = replace(
        course,
        scan=replace(course.scan, place=replace(course.scan.place, rotation_axis=axis)),
        state=replace(course.state, measured_geometry=geometry),
    )
    done.result.other.value = viewer.add_image(turn(phantom.projections), name="iron")
    with qtbot.waitSignal(done.applied, timeout=10_000):
        done.result.apply.click()
    turning = np.full(24, 0.2), (15.5, 15.5)
    expected = move(phantom.projections, course.shifts, turning=turning)
    assert np.abs(expected - move(phantom.projections, course.shifts)).max() > 0.1
    np.testing.assert_allclose(turn(viewer.layers["iron aligned"].data), expected, atol=1e-5)
