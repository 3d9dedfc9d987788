"""A command's output, whatever happens to its terminal: closed, full, or ASCII only.

    options = parse(parser, argv)           # first of all: sets up standard output and error, and parses
    with reported("features"):              # results go to standard output; SystemExit if they cannot be written
        print(result)

Standard error is what a run's viewer reads. A viewer that leaves (`| head`, a closed terminal, a full disk) must not
end the run: what cannot be written there is dropped. Standard output holds results, and failing to write those is an
error with a sentence and status 2; a reader who has seen enough (`| head`) is not an error.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

BAD = 2
GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET)
"""Errors that say that nobody reads any more: a closed pipe, a terminal that is gone."""

_protected = False
_wanted = False


class Unshakeable(io.TextIOBase):
    """A text stream that drops what its file cannot take, and never raises for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        with suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


def protect(name: str) -> None:
    """Set up standard output and error of a command; what is not open is replaced by nothing at all."""
    global _protected
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the shell: the next file opened would become it
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115 - stays open until the process ends
        with suppress(AttributeError, ValueError):
            getattr(sys, stream).reconfigure(errors="backslashreplace")  # a terminal of ASCII alone
    if not isinstance(sys.stderr, Unshakeable):
        sys.stderr = Unshakeable(sys.stderr)
    if not _protected:
        _protected = True
        atexit.register(_at_exit, name)


def parse(parser: ArgumentParser, argv: Sequence[str] | None) -> Namespace:
    """Parse a command line, with standard output and error set up; --version is added.

    What is wrong with it is said in one line, and ends the process with status 2 (`features.jobs.wrong`). argparse
    itself ignores a help that is not shown.
    """
    if _wanted:
        raise _ParserFound(parser)
    from features.jobs import version, wrong  # here, not above: they say it by way of this module

    def print_help(file: Any = None) -> None:
        with reported(parser.prog):
            print(parser.format_help(), end="", file=file)

    protect(parser.prog)
    parser.print_help = print_help  # type: ignore[method-assign]
    version.add_version(parser)
    return wrong.parsed(parser, sys.argv[1:] if argv is None else argv)


class _ParserFound(Exception):
    """Carries a command's parser out of its `main`."""


def parser_of(main: Callable[[list[str]], int]) -> ArgumentParser:
    """Return the parser of a command, whose `main` calls `parse` before anything else; nothing is parsed or done."""
    from features.jobs.version import add_version

    global _wanted
    _wanted = True
    try:
        main([])
    except _ParserFound as found:
        parser: ArgumentParser = found.args[0]
        add_version(parser)
        return parser
    finally:
        _wanted = False
    raise AssertionError(f"{main} did not ask for its arguments to be parsed")


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Write results within this context; raise SystemExit with status 2 and say why if they cannot be written."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        to_nowhere()
        if error.errno not in GONE:
            say(f"{name}: standard output: {error.strerror}; expected a place with room for the results")
            raise SystemExit(BAD) from None


def to_nowhere() -> None:
    """Flush standard output; if that fails, discard what is left, so that Python does not fail at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print a line on standard error; standard output is kept for results."""
    print(line, file=sys.stderr, flush=True)


def _at_exit(name: str) -> None:
    """Flush what argparse or others have left: Python itself would fail with a traceback."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            to_nowhere()
        if isinstance(error, OSError) and error.errno not in GONE:
            say(f"{name}: standard output: {error.strerror}; expected a place with room for the results")
            os._exit(BAD)


def one_line(message: object) -> str:
    """Return a message that is safe to print: names from data may hold line ends and terminal escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(message))
