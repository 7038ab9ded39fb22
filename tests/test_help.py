"""The help: everything public is in it, with its docstring, as it is now."""

import html
import inspect
from pathlib import Path

import napari_tomoalign
from napari_tomoalign import _help
from napari_tomoalign.cli import main


def test_every_public_name_is_on_the_page(tmp_path, capsys):
    path = tmp_path / "api.html"
    assert main(["api", "-o", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    page = path.read_text(encoding="utf-8")
    names = _help.public_names()
    assert set(names["napari_tomoalign"]) == set(napari_tomoalign.__all__)
    for module, things in names.items():
        for name, thing in things.items():
            assert f'id="{module}.{name}"' in page
            if inspect.isclass(thing) or inspect.isfunction(thing):
                assert html.escape(inspect.getdoc(thing)) in page, name
    assert "apply(self, stack" in page  # members too
    assert main(["api", "-o", str(path)]) == 2  # a file that is there is kept
    assert main(["api", "-o", str(path), "--overwrite"]) == 0
    scan = tmp_path / "scan.h5"
    scan.write_bytes(b"mine")
    assert main(["api", "-o", str(scan), "--overwrite"]) == 2
    assert "give a name that ends in .html" in capsys.readouterr().err


def test_the_page_is_shown_from_napari(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(_help.webbrowser, "open", seen.append)
    for _ in range(2):  # as often as one likes
        _help.open_help()
    assert sorted(seen) == sorted(page.as_uri() for page in tmp_path.glob("*/*.html"))
    assert len(seen) == 2


def test_the_command_says_where_the_page_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(_help.webbrowser, "open", lambda _: False)  # there is no browser
    assert main(["api"]) == 0
    assert (
        Path(capsys.readouterr().out.strip())
        .read_text(encoding="utf-8")
        .startswith("<!DOCTYPE html>")
    )
