"""The command line, ``napari-tomoalign``: one module a command, all named in one table."""

from ._main import main

__all__ = ["main"]
