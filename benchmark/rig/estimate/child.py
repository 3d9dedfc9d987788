"""A child process that is given an object, says lines of JSON, and may hang, abort or be killed without harm to others.

    with child("benchmark.rig.estimate.probe", job) as process:
        for message in process.messages(limit_s=600):   # dicts, as they come; `limit_s` without one is a hang
            ...
    process.ending                                      # Ending(kind="done"), or killed, aborted, hung, failed

The object is pickled onto the child's standard input, and lines may follow it (`ask`). What the child prints elsewhere
is kept: `Ending.said` has the last line. The child runs in a session of its own, so that all that it started ends with
it, and it dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
DONE, FAILED, KILLED, ABORTED, HUNG = "done", "failed", "killed", "aborted", "hung"
END_S = 5.0
SHOWN = 300  # characters of a process's last line
PR_SET_PDEATHSIG = 1
Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a child ended, its status as a shell has it (137 killed, 134 aborted), and the last line it printed."""

    kind: str
    status: int | None = None
    said: str = ""

    def __str__(self) -> str:
        status = "" if self.status is None or self.kind == HUNG else f" (status {self.status})"
        return f"{self.kind}{status}{': ' if self.said else ''}{self.said}"


class Child:
    """A process under way; `ending` is None until it is over."""

    def __init__(self, module: str, given: object, *arguments: str) -> None:
        self.ending: Ending | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open while the child is
        self._from, to = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(to), *arguments],
                env=_environment(),
                pass_fds=[to],
                stdin=subprocess.PIPE,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )
        finally:
            os.close(to)
        self._text = b""
        with suppress(BrokenPipeError):
            pickle.dump(given, self.process.stdin)
            self.process.stdin.flush()

    def ask(self, line: str) -> None:
        """Give the child a line; one that is over is told nothing."""
        with suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def messages(self, *, limit_s: float) -> Iterator[dict[str, Any]]:
        """Yield what the child says until it ends; without a word for `limit_s` it is taken to hang, and ended."""
        while True:
            while b"\n" in self._text:
                line, _, self._text = self._text.partition(b"\n")
                yield json.loads(line)
            if not select.select([self._from], [], [], limit_s)[0]:
                self._over(Ending(kind=HUNG, said=f"no word within {limit_s:g} s"))
                return
            more = os.read(self._from, 65536)
            if not more:
                self._over(None)
                return
            self._text += more

    def _over(self, ending: Ending | None) -> None:
        with suppress(subprocess.TimeoutExpired):
            if ending is None:
                self.process.wait(END_S)
        self.ending = ending or _ending(self.process.poll(), self._last_line())

    def _last_line(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-4096:].decode(errors="replace").strip().splitlines() or [""]
        return "".join(c for c in lines[-1] if c.isprintable())[:SHOWN]

    def end(self) -> None:
        """End the process with all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        os.close(self._from)
        self._errors.close()


def _ending(code: int | None, said: str) -> Ending:
    """Name how a process ended by its status; a signal's stands as 128 and its number."""
    if code == 0:
        return Ending(kind=DONE, status=0)
    number = code - 128 if code is not None and code > 128 else -(code or 0)
    kinds: dict[int, str] = {
        signal.SIGKILL: KILLED,
        signal.SIGABRT: ABORTED,
        signal.SIGSEGV: ABORTED,
        signal.SIGBUS: ABORTED,
    }
    kind = kinds.get(number, FAILED) if number > 0 else FAILED
    return Ending(kind=kind, status=128 + number if number > 0 else code, said=said)


@contextmanager
def scratch(folder: Path) -> Iterator[str]:
    """Make a hidden folder in which a child may work, on the disk of `folder`; it goes even if the child was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".child-", ignore_cleanup_errors=True) as place:
        yield place


@contextmanager
def child(module: str, given: object, *arguments: str) -> Iterator[Child]:
    """Begin a child, and end it with the block."""
    process = Child(module, given, *arguments)
    try:
        yield process
    finally:
        process.end()


def begun(argv: list[str]) -> tuple[Any, Say]:
    """In the child: return what it was given, and the function that says a line to the parent."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    fd, given = int(argv[0]), pickle.load(sys.stdin.buffer)

    def say(message: dict[str, Any]) -> None:
        os.write(fd, json.dumps(message).encode() + b"\n")

    return given, say


def _environment() -> dict[str, str]:
    path = ":".join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def now_s() -> float:
    """Return the monotonic clock, which parent and child share."""
    return time.monotonic()
