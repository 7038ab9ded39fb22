"""Options of the command line: made from the parameters, explained, and read."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from napari_tomoalign import AlignmentParameters
from napari_tomoalign.cli import main
from napari_tomoalign.cli._align import PARAMETERS
from napari_tomoalign.cli._main import COMMANDS
from napari_tomoalign.cli._options import (
    indices,
    named_value,
    numbers,
    options_of_dataclass,
    parameter_texts,
    two_windows,
)

# -- reading values ---------------------------------------------------------------------------


def test_values_with_a_syntax_of_their_own() -> None:
    assert indices("0,5-7") == (0, 5, 6, 7)
    assert indices("") == ()
    assert two_windows("10:50,5:60") == (slice(10, 50), slice(5, 60))
    assert two_windows("10:,:-3") == (slice(10, None), slice(None, -3))
    assert numbers("0.5,2") == (0.5, 2.0)
    assert named_value("num_iter=10") == ("num_iter", 10)
    assert named_value("filter_name=hann") == ("filter_name", "hann")
    assert named_value("reg_par=[-1, 2]") == ("reg_par", [-1, 2])


@pytest.mark.parametrize(
    ("convert", "text", "message"),
    [
        (indices, "0,x", "expected whole numbers and ranges such as 0,5-7, got '0,x'"),
        (indices, "7-5", "the range 7-5 runs backwards; write 5-7"),
        (two_windows, "10:50", "expected rows,columns such as 10:50,5:60"),
        (two_windows, "1:2:3,4:5", "expected rows,columns such as 10:50,5:60"),
        (numbers, "1,a", "expected numbers such as 0.5,2, got '1,a'"),
        (named_value, "num_iter", "expected name=value such as num_iter=10, got 'num_iter'"),
    ],
)
def test_values_that_cannot_be_read(convert: object, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        convert(text)


def test_texts_are_taken_from_a_numpy_docstring() -> None:
    def documented(a, b, c):
        """Do.

        Parameters
        ----------
        a, b : int
            Two of
            them.
        c
            The ``third``.

        Returns
        -------
        d : int
            Not a parameter.
        """

    assert parameter_texts(documented) == {
        "a": "Two of them.",
        "b": "Two of them.",
        "c": "The third.",
    }


def parameters_of(words: list[str]) -> AlignmentParameters:
    """Return what the loop would be called with."""
    import argparse

    from napari_tomoalign.cli._align import add_arguments
    from napari_tomoalign.cli._options import chosen

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args(["scan.h5", "-o", "out", *words])
    return AlignmentParameters.from_dict(chosen(arguments, PARAMETERS))


def test_every_parameter_reaches_the_loop_from_the_command_line() -> None:
    words = {
        "maxiter": (["--maxiter", "7"], 7),
        "reconstruction_pipeline": (["--algorithm", "fbp"], "fbp"),
        "center_estimation": (["--no-center-estimation"], False),
        "reconstruction_pipeline_kwargs": (
            ["--reconstruction-option", "a=1", "--reconstruction-option", "b=x"],
            {"a": 1, "b": "x"},
        ),
        "ignored_subset": (["--ignored-subset", "0,5-7"], (0, 5, 6, 7)),
        "excluded_subset": (["--excluded-subset", "1,3-4"], (1, 3, 4)),
        "precision": (["--precision", "0.05"], 0.05),
        "projection_cropping": (
            ["--projection-cropping", "10:50,5:60"],
            (slice(10, 50), slice(5, 60)),
        ),
        "transmission": (["--transmission"], True),
        "use_absorbances": (["--no-use-absorbances"], False),
        "invert": (["--invert"], True),
        "background": (["--background", "plane"], "plane"),
        "gain": (["--no-gain"], False),
        "upsampling": (["--upsampling", "20"], 20),
        "shift_tolerance": (["--shift-tolerance", "0.2"], 0.2),
        "shift_cutoff": (["--shift-cutoff", "0.5"], 0.5),
        "relative_sample_size": (["--relative-sample-size", "0.5"], 0.5),
        "relaxation_weight": (["--relaxation-weight", "0.1"], 0.1),
        "center_of_mass_shift_weight": (["--center-of-mass-shift-weight", "0.3"], 0.3),
        "align_vertical": (["--no-align-vertical"], False),
        "align_horizontal": (["--no-align-horizontal"], False),
        "normalization": (["--normalization", "phase"], "phase"),
        "gauss_newton": (["--no-gauss-newton"], False),
        "levels": (["--levels", "4,2,1"], (4, 2, 1)),
        "initial_estimate": (["--no-initial-estimate"], False),
        "down_weight": (["--no-down-weight"], False),
        "axis_angle": (["--axis-angle", "-5"], np.deg2rad(-5)),
        "axis_tilt": (["--axis-tilt", "30"], np.deg2rad(30)),
        "refine": (["--refine", "axis_angle"], ("axis_angle",)),
        "use_gpu": (["--use-gpu"], True),
        "memory": (["--memory", "4 GB"], 4_000_000_000),
        "workers": (["--workers", "2"], 2),
        "seed": (["--seed", "5"], 5),
    }
    assert sorted(words) == sorted(option.name for option in PARAMETERS)
    default = AlignmentParameters()
    assert parameters_of([]) == default
    for name, (given, value) in words.items():
        assert parameters_of(given) == default.with_changes(**{name: value}), name
    assert parameters_of(["--levels", "none", "--normalization", "none"]) == default


def test_a_callable_is_named_by_its_module() -> None:
    pipeline = parameters_of(["--algorithm", "os.path:join"]).reconstruction_pipeline
    assert pipeline is os.path.join


def test_an_option_knows_its_default_and_range() -> None:
    options = {option.name: option for option in options_of_dataclass(AlignmentParameters)}
    assert options["maxiter"].default == AlignmentParameters().maxiter
    assert options["maxiter"].bounds["min"] == 1
    assert options["shift_cutoff"].optional
    assert options["workers"].advanced
    assert not options["maxiter"].advanced


# -- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: napari-tomoalign {command}")
    assert "--debug" in text


def test_usual_options_come_before_the_advanced_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["align", "--help"])
    text = capsys.readouterr().out
    places = [text.index(word) for word in ("--output", "--maxiter", "advanced", "--upsampling")]
    assert places == sorted(places)
