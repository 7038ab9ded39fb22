"""Run the command line: ``python -m napari_tomoalign``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
