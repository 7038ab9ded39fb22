"""The help: one page with everything public, from the docstrings as they are now."""

from __future__ import annotations

import html
import importlib
import inspect
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from . import __version__
from .io import atomic_path
from .io.outputs import CREATOR

__all__ = ["open_help", "public_names", "write_help"]

_ROOT = __package__ or ""
_MODULES = (
    *("", "findings", "io", "simulation", "geometry", "backends", "report"),
    *("compat.mumott", "compat.tomopy"),
)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}pre{background:#f6f6f6;padding:.6rem;overflow-x:auto;white-space:pre-wrap}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #ddd}h3 code{font-size:1rem}"
    "dt{font-family:monospace}dd{margin:0 0 .4rem 2rem}"
)


def public_names() -> dict[str, dict[str, Any]]:
    """Return what is public: by module, what stands under each name."""
    found = {}
    for name in _MODULES:
        module = importlib.import_module(f"{_ROOT}.{name}" if name else _ROOT)
        found[module.__name__] = {each: getattr(module, each) for each in sorted(module.__all__)}
    return found


def write_help(path: Path, *, overwrite: bool = False) -> Path:
    """Write the page.

    Raises
    ------
    FileExistsError
        It is there already, and may not be replaced.
    OSError
        It cannot be written.
    ValueError
        Its name is that of another kind of file.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path}: the help is a page; give a name that ends in .html")
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_text(_page(), encoding="utf-8")
    return path


def open_help() -> Path:
    """Write the page where temporary files are, in a folder of its own, and show it.

    Where there is no browser to show it in, the file is what is returned.
    """
    path = write_help(Path(mkdtemp(prefix="napari-tomoalign-")) / f"{__version__}.html")
    webbrowser.open(path.as_uri())
    return path


def _page() -> str:
    contents, sections = [], []
    for module, names in public_names().items():
        links = ", ".join(f'<a href="#{module}.{name}">{name}</a>' for name in names)
        contents.append(f"<dt>{module}</dt><dd>{links}</dd>")
        sections.append(f"<h2>{module}</h2>")
        sections += [_entry(module, name, thing) for name, thing in names.items()]
    title = f"napari-tomoalign {__version__}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="generator" content="{CREATOR}"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>\n"
        f"<dl>{''.join(contents)}</dl>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def _entry(module: str, name: str, thing: Any) -> str:
    """Return a name with its signature, its docstring and, of a class, its members."""
    text = inspect.getdoc(thing) if callable(thing) else None
    body = html.escape(text or f"{name} = {thing!r}")
    members = "".join(
        f"<dt>{html.escape(member)}</dt><dd>{html.escape(said)}</dd>"
        for member, said in (_members(thing) if inspect.isclass(thing) else ())
    )
    return (
        f'<h3 id="{module}.{name}"><code>{name}{html.escape(_signature(thing))}</code></h3>\n'
        f"<pre>{body}</pre>" + (f"\n<dl>{members}</dl>" if members else "")
    )


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the methods and properties of a class that say what they are, and their first line."""
    for name, member in inspect.getmembers(cls):
        if name.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        text = inspect.getdoc(member)
        if text and getattr(getattr(member, "fget", member), "__module__", "").startswith(_ROOT):
            yield name + _signature(member), text.splitlines()[0]


def _signature(thing: Any) -> str:
    try:
        return str(inspect.signature(thing)) if callable(thing) else ""
    except ValueError:  # such as of an exception
        return ""
