"""A small scan, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import SMALL

from napari_tomoalign.cli import main


@pytest.fixture(autouse=True)
def quick(blank_picture: None) -> None:
    """Make commands quick; fixtures of whole modules are made before, with all that is drawn."""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    assert main(["simulate", "-o", str(path), *SMALL, "--seed", "4"]) == 0
    return path
