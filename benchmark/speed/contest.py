"""Contenders measured in turn: processes that are kept alive and asked for one piece of work at a time.

    with Arena() as arena:
        ours = arena.enter(contender("step", "ours", size="mini"))
        keras = arena.enter(contender("step", "keras", size="mini"))
        rounds = play({"ours": ours.ask, "keras": keras.ask}, rounds=5)
    rounds.ratios("keras", "ours")              # how many times as fast as Keras, one ratio a round

Each contender is a process of its own, so that thread pools, allocators and memory stay apart. It prints {"ready":
true} once its work is prepared and warmed up; then one JSON line with at least "seconds" for every line it is sent.
While one works the others wait. Every other round goes backwards, so that no position in the order is an advantage.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from features.jobs.progress import progress

ROOT = Path(__file__).resolve().parents[2]
END_LIMIT_S = 5.0
ERROR_LINES = 3  # of a crashed contender's standard error, the last ones
WAYS_OUT = {"torch": "pip install torch==2.13.0, or pip install -e '.[peers]'"}

Answer = dict[str, Any]
"""An answer of a contender: "seconds", and whatever shows that it did the work (a loss, a count)."""


class ContestError(ValueError):
    """A contender crashed or does not keep to the protocol; the message has the end of its standard error."""


class MissingPeer(ContestError):
    """A contender's package is not installed; the message says how to get it."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A command to run; `environment` is added to this process's."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def contender(
    part: str, name: str, *, core: int | None = None, environment: Mapping[str, str] | None = None, **options: object
) -> Contender:
    """Return `CONTENDERS[name]` of `benchmark.speed.<part>`, pinned to `core` if given; options must fit into JSON."""
    given = json.dumps({**options, "core": core}, default=str)
    command = (sys.executable, "-m", "benchmark.speed.child", part, name, given)
    return Contender(name=f"{part} {name}", command=command, environment=environment or {})


class Running:
    """A contender's process that is ready to be asked."""

    def __init__(self, contender: Contender) -> None:
        self.name = contender.name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        # cwd too, as it comes before PYTHONPATH: there may be another `benchmark` where the user stands.
        path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
        self._process = subprocess.Popen(
            contender.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, **contender.environment},
            start_new_session=True,  # Ctrl-C is the parent's; and what the contender starts ends with it
        )

    def wait_until_ready(self) -> None:
        said = self._hear()
        if missing := said.get("missing"):
            way_out = WAYS_OUT.get(missing, f"pip install {missing}")
            raise MissingPeer(f"{missing} is not installed: {way_out}")
        if not said.get("ready"):
            raise ContestError(f"{self.name}: said {said}; expected it to be ready")

    def ask(self, what: str = "go") -> Answer:
        """Ask for one piece of work and return the answer."""
        with suppress(BrokenPipeError):  # it has ended; its standard error says why
            self._process.stdin.write(what + "\n")
            self._process.stdin.flush()
        return self._hear()

    def stop(self) -> None:
        """End the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            _close(pipe)

    def _hear(self) -> dict:
        line = self._process.stdout.readline()
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            status = self._process.wait(END_LIMIT_S) if not line else "still running"
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-ERROR_LINES:]
            raise ContestError(
                f"{self.name}: {'ended with status' if not line else 'said ' + repr(line[:80]) + ','} {status}: "
                f"{' | '.join(last) or 'it left no message'}"
            ) from None


class Arena(AbstractContextManager):
    """Starts contenders, and ends them all when the block ends, by Ctrl-C or an error too."""

    def __init__(self) -> None:
        self._running: list[Running] = []

    def enter(self, contender: Contender) -> Running:
        """Start a contender and wait until it is ready. Raises ContestError; MissingPeer if a package is missing."""
        print(f"speed: starting {contender.name}", file=sys.stderr, flush=True)
        running = Running(contender)
        self._running.append(running)
        running.wait_until_ready()
        return running

    def leave(self, running: Running) -> None:
        self._running.remove(running)
        running.stop()

    def __exit__(self, *exception: object) -> None:
        for running in self._running:
            running.stop()


@dataclass(frozen=True)
class Rounds:
    """The answers of every contender, round by round."""

    answers: Mapping[Any, Sequence[Answer]]

    def values(self, name: Any, key: str = "seconds") -> tuple[float, ...]:
        return tuple(answer[key] for answer in self.answers[name])

    def median(self, name: Any, key: str = "seconds") -> float:
        return statistics.median(self.values(name, key))

    def ratios(self, over: Any, under: Any, key: str = "seconds") -> tuple[float, ...]:
        """Return one ratio per round, of figures measured in the same round."""
        return tuple(a / b for a, b in zip(self.values(over, key), self.values(under, key), strict=True))


def play(turns: Mapping[Any, Callable[[], Answer]], *, rounds: int, label: str = "rounds") -> Rounds:
    """Ask every contender in turn, `rounds` times."""
    answers: dict[Any, list[Answer]] = {name: [] for name in turns}
    with progress(label, total=rounds * len(turns), unit="turns") as advance:
        for number in range(rounds):
            for name in list(turns) if number % 2 == 0 else reversed(list(turns)):
                answers[name].append(turns[name]())
                advance(1)
    return Rounds(answers)


def together(runners: Sequence[Running]) -> Answer:
    """Ask all at once; return the answer of the slowest."""
    with ThreadPoolExecutor(len(runners)) as threads:
        answers = list(threads.map(Running.ask, runners))
    return max(answers, key=lambda answer: answer["seconds"])


def _close(file: IO) -> None:
    with suppress(OSError):
        file.close()
