"""``align --each``: one run a scan; one that fails does not stop the others."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ._job import prepare
from ._outcome import NOT_CONVERGED, REFUSED, one_line
from ._plan import say_plan
from ._running import run_job
from ._text import print_table

__all__ = ["run_each"]


def run_each(arguments: argparse.Namespace, typed: dict[str, Any]) -> int:
    """Run every scan by itself, go on after one that fails, and end with a table.

    Returns
    -------
    int
        The exit code: that of the signal that ended it, else the worst of all.

    Raises
    ------
    ValueError
        No scans, or nowhere to put the results.
    """
    if arguments.resume or arguments.output is None:
        raise ValueError(
            "--each needs a folder for the results, -o DIR, and resumes nothing: give --resume DIR "
            "for one scan"
        )
    rows: list[tuple[str, ...]] = []
    codes = [0]
    for scan, name in _named(_scans(arguments.scan)):
        one = argparse.Namespace(**vars(arguments))
        one.scan, one.output = [scan], arguments.output / name
        try:
            job = prepare(one)
            if arguments.dry_run:
                say_plan(one, job)
                continue
            code, found = run_job(one, job, {**typed, "scan": [scan], "output": str(one.output)})
            rows.append(_row(name, found))
        except Exception as error:
            if arguments.debug or isinstance(error, BrokenPipeError):
                raise
            code, words = REFUSED, one_line(error)
            print(f"error: {name}: {words}", file=sys.stderr)
            if arguments.json:
                print(json.dumps({"scan": name, "error": words}), flush=True)
            rows.append((name, "refused", "", "", ""))
        codes.append(code)
        if arguments.interrupt.asked:
            break
    if rows and not arguments.json:
        print()
        print_table(("scan", "result", "iterations", "standard error, px", "seconds"), rows)
    return arguments.interrupt.code or max(codes, key=(0, NOT_CONVERGED, REFUSED).index)


def _scans(given: list[str]) -> list[str]:
    """Return the scans that are meant: a folder that is no scan itself stands for those in it."""
    from ..io import can_read

    scans: list[str] = []
    for one in given:
        path = Path(one)
        if path.is_dir() and not can_read(path):
            entries = sorted(path.iterdir())
            scans += [str(entry) for entry in entries if can_read(entry)]
            others = [entry.name for entry in entries if not can_read(entry)]
            if others:
                print(f"note: no scan, so left out: {', '.join(others)}", file=sys.stderr)
        else:
            scans.append(one)
    if not scans:
        where = ", ".join(given) or "nothing"
        raise ValueError(f"no scan in {where}: give files, or a folder of them")
    return scans


def _named(scans: list[str]) -> list[tuple[str, str]]:
    """Return each scan with the name of its folder: that of the file, its suffix where needed."""
    stems = Counter(Path(scan).stem for scan in scans)
    named = [
        (scan, Path(scan).stem if stems[Path(scan).stem] == 1 else Path(scan).name)
        for scan in scans
    ]
    names = Counter(name for _, name in named)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"{names[twice[0]]} scans are called {twice[0]}, so their results would go to one "
            "folder: run them one by one"
        )
    return named


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    error = found["standard_error"]
    return (
        name,
        "converged" if found["converged"] else "not converged",
        str(found["iterations"]),
        "unknown" if error is None else f"{error:.3f}",
        f"{found['seconds']:.1f}",
    )
