"""The table of commands, and how a command ends: an exit code and at most one line of error."""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import logging
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from .. import __version__
from ._interrupt import Interrupt, Interrupted
from ._outcome import REFUSED, one_line
from ._settings import words_of

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
    "report": ("_report", "draw a finished run anew, and make a film of it"),
    "view": ("_view", "open a finished run in napari"),
    "api": ("_api", "show everything public that scripts can use, from its docstrings"),
    "backends": ("_backends", "list the reconstruction engines: installed, or how to install"),
}

# What is said where a signal comes and there is nothing to keep.
_NOTHING = {
    "align": "interrupted before the first iteration; nothing was written",
    "": "interrupted; files that are there are whole",
}

_PROGRAM = "napari-tomoalign"
_EXAMPLES = """\
examples:
  napari-tomoalign align scan.h5 -o aligned
  napari-tomoalign align series.mrc -o aligned --rotation-axis horizontal
  napari-tomoalign align --each scans/ -o aligned
  napari-tomoalign align --config aligned/run.toml --overwrite
  napari-tomoalign COMMAND --help
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that asks whether something near was meant."""

    def error(self, message: str) -> NoReturn:
        """Print the error and where the help is; exit with 2."""
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(REFUSED)

    def flags(self) -> list[str]:
        """Return all long options, as the help has them."""
        return list(dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][\w-]*", self.format_help())))

    def parse_words(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse options and positional words in any order; refuse what no option takes."""
        arguments, unknown = self.parse_known_intermixed_args(list(words))
        if unknown:
            asked = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
            near = difflib.get_close_matches(asked, self.flags(), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return arguments


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=30, **settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done; 2 refused or failed, the error says why; 3 done, but the shifts are not known; 128 and
    the number of the signal where one ended it (Ctrl-C: 130).

    Parameters
    ----------
    argv : sequence of str, optional
        What follows the program's name; by default what the shell gave.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    command = given[0] if given else ""
    try:
        with Interrupt(_NOTHING.get(command, _NOTHING[""])) as interrupt:
            arguments = _parse(given)
            arguments.interrupt = interrupt
            with warnings.catch_warnings(), _logged(arguments.verbose):
                warnings.showwarning = _show_warning
                code = arguments.run(arguments)
                sys.stdout.flush()
    except KeyboardInterrupt as interrupted:
        if debug:
            raise
        print(f"error: {interrupted or 'interrupted'}", file=sys.stderr)
        return interrupted.code if isinstance(interrupted, Interrupted) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return REFUSED
    return int(code)


def _parse(given: list[str]) -> argparse.Namespace:
    """Parse the words of a command line, those of a settings file before them."""
    command = given[0] if given else ""
    if not command or command.startswith("-"):
        _parser().parse_args(given)  # --help or --version, else an error
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(map(repr, COMMANDS))
        _parser().error(f"unknown command {command!r}: {hint}known are {known}")
    words = given[1:]
    parser = _command_parser(command)
    arguments = parser.parse_words(words)
    if getattr(arguments, "config", None) is not None:
        scan, options = words_of(arguments.config, parser.flags())
        words = [*options, *words, *([] if arguments.scan else scan)]
        arguments = parser.parse_words(words)
    arguments.words, arguments.parser = words, parser
    return arguments


@contextmanager
def _logged(verbose: int) -> Iterator[None]:
    """Show the package's log on stderr: once -v what happens, twice all there is."""
    logger = logging.getLogger(__package__.partition(".")[0])
    if not verbose:
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _parser() -> _Parser:
    """Return the parser of what stands before a command: help, and the version."""
    parser = _Parser(
        prog=_PROGRAM,
        description="Align the projections of a tomographic scan: "
        "reconstruct, reproject, register, repeat.",
        epilog=_EXAMPLES,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (_, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose)
    return parser


def _command_parser(command: str) -> _Parser:
    """Return the parser of a command, whose module is imported only now."""
    module, purpose = COMMANDS[command]
    implementation = importlib.import_module(f"{__package__}.{module}")
    parser = _Parser(
        prog=f"{_PROGRAM} {command}",
        usage=f"%(prog)s {implementation.USAGE}".rstrip(),
        description=textwrap.fill(purpose[0].upper() + purpose[1:] + ".", 88),
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log what happens; -vv: everything"
    )
    implementation.add_arguments(parser)
    parser.set_defaults(run=implementation.run)
    return parser


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
