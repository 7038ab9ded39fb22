"""Engines that are missing, do not load, or are registered by another distribution."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from engines import installed

from napari_tomoalign import align, backends
from napari_tomoalign.backends import (
    BackendUnavailable,
    available_backends,
    get_backend,
)
from napari_tomoalign.backends.tomopy import engine as _tomopy
from napari_tomoalign.simulation import simulate


def test_a_missing_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tomopy" else find(name)
    )
    assert available_backends()[0] == "builtin"
    assert "tomopy" not in available_backends()
    assert get_backend("auto").name == "builtin"
    with pytest.raises(BackendUnavailable, match=r"'tomopy'.*not installed.*conda install"):
        get_backend("tomopy")


def test_a_backend_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomopy", None)
    with pytest.raises(BackendUnavailable, match=r"does not load.*tomopy.*backend='builtin'"):
        _tomopy.create()


def register(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str) -> None:
    """Put a distribution on the path that registers an engine "theirs"."""
    metadata = folder / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        f"[napari_tomoalign.backends]\ntheirs = {value}\nbuiltin = nosuch:create\n",
        encoding="utf-8",
    )
    (folder / "their_engine.py").write_text(
        "from napari_tomoalign.backends.builtin.engine import BuiltinBackend\n"
        "class Theirs(BuiltinBackend):\n"
        "    name = 'theirs'\n"
        "def create(*, workers=None, use_gpu=False):\n"
        "    return Theirs(workers)\n"
        "def nothing(**_):\n"
        "    return None\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(folder)


def test_another_distribution_can_register_an_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, tmp_path, "their_engine:create")
    assert backends.backend_names()[-1] == available_backends()[-1] == "theirs"
    engine = get_backend("theirs", workers=1)
    assert (engine.name, engine.workers) == ("theirs", 1)
    assert get_backend("builtin").name == "builtin"  # nobody takes its place
    assert get_backend("auto").name != "theirs"
    scan = simulate(32, 12, n_rows=8)
    result = align(scan.projections, scan.angles, backend="theirs", maxiter=1, progress=False)
    assert result.backend == "theirs"


def test_a_registered_engine_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch, tmp_path, "their_engine:nothing")
    with pytest.raises(TypeError, match=r"'theirs' \(their_engine:nothing\) gives a NoneType"):
        get_backend("theirs")


def test_a_registered_engine_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, tmp_path, "their_engine:missing")
    with pytest.raises(BackendUnavailable, match=r"'theirs'.*does not load.*missing.*builtin"):
        get_backend("theirs")


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="'nosuch'; known are 'auto', 'tomopy', 'builtin'"):
        get_backend("nosuch")


@pytest.mark.parametrize("name", [name for name in installed() if name != "warp"])
def test_no_gpu(name: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"use_gpu=True.*CPU.*use_gpu=False"):
        get_backend(name, use_gpu=True)
