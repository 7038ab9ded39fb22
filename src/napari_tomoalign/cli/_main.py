"""The table of commands, and how a command ends: an exit code and at most one line of error."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from .. import __version__

__all__ = ["COMMANDS", "main"]

# name: (module of this package, what it does). A module has ``USAGE``, ``add_arguments(parser)``
# and ``run(arguments) -> exit code``; it is imported when its command is asked for.
COMMANDS = {
    "align": ("_align", "align a scan: shifts, aligned stack, reconstruction, picture of the run"),
    "info": ("_info", "say what is in a scan file and how it is understood"),
    "simulate": ("_simulate", "make a scan with known shifts"),
    "apply": ("_apply", "move a scan, or another channel or binning of it, by shifts once found"),
    "export": ("_export", "write shifts for another program"),
    "verify": ("_verify", "inject known shifts into an aligned scan and report what comes back"),
    "view": ("_view", "open a finished run in napari"),
    "backends": ("_backends", "list the reconstruction engines: installed, or how to install"),
}

_EXAMPLES = """\
examples:
  napari-tomoalign align scan.h5 -o aligned
  napari-tomoalign align series.mrc -o aligned --rotation-axis horizontal
  napari-tomoalign COMMAND --help
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and where the help is; exit with 2."""
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=30, **settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 2 refused, 130 interrupted.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows the program's name; by default what the shell gave.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    try:
        parser = _parser(next((word for word in given if not word.startswith("-")), None))
        arguments = parser.parse_args(given)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = arguments.run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        if debug:
            raise
        print(f"error: {interrupt or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    return int(code)


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser, with the options of the one command that was asked for."""
    parser = _Parser(
        prog="napari-tomoalign",
        description="Align the projections of a tomographic scan: "
        "reconstruct, reproject, register, repeat.",
        epilog=_EXAMPLES,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, purpose) in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=purpose,
            description=textwrap.fill(purpose[0].upper() + purpose[1:] + ".", 88),
            formatter_class=_HelpFormatter,
        )
        subparser.add_argument(
            "--debug", action="store_true", help="show the traceback of an error"
        )
        if name == command:
            implementation = importlib.import_module(f"{__package__}.{module}")
            subparser.usage = f"%(prog)s {implementation.USAGE}".rstrip()
            implementation.add_arguments(subparser)
            subparser.set_defaults(run=implementation.run)
    return parser


def _one_line(error: BaseException) -> str:
    """Return the message of an error on one line; name the type where the message is not ours."""
    text = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(error).split()))
    expected = (ValueError, TypeError, OSError, RuntimeError, ImportError)
    return text if text and isinstance(error, expected) else f"{type(error).__name__}: {text}"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
