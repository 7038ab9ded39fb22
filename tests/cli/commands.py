"""What tests of the command line share: options that make a command quick, and one refused."""

from __future__ import annotations

import pytest

from napari_tomoalign.cli import main

SMALL = ["--size", "24", "--n-angles", "24", "--jitter", "1.5", "--drift", "1"]
QUICK = ["--backend", "builtin", "--no-progress"]


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must be refused and return its one line on stderr."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as exit_:
        code = exit_.code
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    return output.err
