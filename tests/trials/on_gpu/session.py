"""Does one check after the other, each in a process of its own, under its own limit and what is left of the budget.

    session = Session(folder, header={"machine": ...}, environment={}, page=render)
    session.do(checks, budget_s=1500)           # True if all that ran are ok

The folder gets results.jsonl, whose first line is the header and every other a Result, appended when it is known;
log.txt, all that the checks printed; and gpu.md, the page of all results, written anew after each. Results of the same
machine and platform that are there already are kept. A check that hangs is ended, with all processes that it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from features.jobs.files import write_whole
from tests.trials.on_gpu import findings
from tests.trials.on_gpu.findings import LEFT_OUT

SCHEMA = 1  # of results.jsonl
AGREE = ("schema", "rehearsal", "machine", "platform")  # of headers
FINDINGS = "GPU_TRIAL_FINDINGS"
"""The variable of the environment that names the file for a check's findings."""

OK, WRONG, FAILED, TIMED_OUT, INTERRUPTED = "ok", "wrong", "failed", "timed out", "interrupted"
GOOD = (OK, LEFT_OUT)
GRACE_S = 5.0  # from SIGTERM to SIGKILL
WORTH_BEGINNING = 1 / 3  # of a check's limit: with less than that left it is left out
LONGEST_REASON = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Check:
    """A question and the command that answers it; `left_out` is why it is not asked here, if it is not."""

    name: str
    asks: str
    limit_s: float
    command: tuple[str, ...]
    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a check: its status, why it is not ok, what it found and which commands it gave."""

    check: str
    asks: str
    status: str
    seconds: float
    why: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)


Header = Mapping[str, Any]
Page = Callable[[Header, Sequence[Result]], str]


class Session:
    """A folder of results. Raises ValueError if it holds those of another machine, another platform or other code."""

    def __init__(self, out: Path, *, header: Header, environment: Mapping[str, str], page: Page) -> None:
        self._environment, self._page = environment, page
        self._header = json.loads(json.dumps({"schema": SCHEMA, **header}))
        self._results, self._log, self._findings = (out / name for name in ("results.jsonl", "log.txt", ".findings"))
        self._shown = out / "gpu.md"
        out.mkdir(parents=True, exist_ok=True)
        if self._results.exists():
            begun = self._lines()[0]
            _agree(self._results, begun, self._header)
            self._header = begun
        else:
            self._append(self._header)

    def do(self, checks: Sequence[Check], *, budget_s: float) -> bool:
        """Do checks in their order and say what became of each; return whether all that ran are ok."""
        until_s, good = time.monotonic() + budget_s, True
        for check in checks:
            result = self._do(check, left_s=until_s - time.monotonic())
            why = f": {result.why}" if result.why else ""
            print(f"{check.name}: {result.status}, {result.seconds:.1f} s{why}", flush=True)
            good &= result.status in GOOD
        return good

    @property
    def results(self) -> list[Result]:
        """The last result of every check, in the order in which they were first made."""
        return list({line["check"]: Result(**line) for line in self._lines()[1:]}.values())

    def _do(self, check: Check, *, left_s: float) -> Result:
        why = check.left_out
        if not why and left_s < WORTH_BEGINNING * check.limit_s:
            why = f"{max(0.0, left_s):.0f} s of the budget are left, and it may take {check.limit_s:.0f}"
        if why:
            return self._record(Result(check=check.name, asks=check.asks, status=LEFT_OUT, seconds=0.0, why=why))
        limit_s, began_s, place = min(check.limit_s, left_s), time.monotonic(), self._log_place(check)
        self._findings.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            process = self._begin(check, log)
            try:
                status = _wait(process, limit_s)
            except BaseException:  # what it has found so far is kept
                end_with_descendants(process)
                self._record(self._result(check, began_s, INTERRUPTED, "the trial was interrupted"))
                raise
            if status is None:
                end_with_descendants(process)
        became = self._became(status, limit_s=limit_s, last_line=_last_line(self._log, place))
        return self._record(self._result(check, began_s, *became))

    def _begin(self, check: Check, log: BinaryIO) -> subprocess.Popen:
        return subprocess.Popen(
            check.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._environment, FINDINGS: str(self._findings.absolute())},
            start_new_session=True,  # Ctrl-C is the trial's
        )

    def _became(self, status: int | None, *, limit_s: float, last_line: str) -> tuple[str, str]:
        """Return a check's status and why, from its exit status (None: it was ended at its limit) and its findings."""
        found, _ = findings.read(self._findings)
        wrong = [each["what"] for each in found if each["right"] is False]
        if status is None:
            return TIMED_OUT, f"ended after {limit_s:.0f} s; it said last: {last_line}"
        if status:
            how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            return FAILED, f"{how}: {last_line}"
        if wrong:
            return WRONG, "; ".join(wrong)
        if not found:
            return FAILED, f"it found nothing: {last_line}"
        if all(each["found"].startswith(LEFT_OUT) for each in found):
            return LEFT_OUT, found[0]["found"].removeprefix(f"{LEFT_OUT}: ")
        return OK, ""

    def _result(self, check: Check, began_s: float, status: str, why: str) -> Result:
        found, commands = findings.read(self._findings)
        seconds = round(time.monotonic() - began_s, 1)
        return Result(
            check=check.name, asks=check.asks, status=status, seconds=seconds, why=why, figures=found, commands=commands
        )

    def _record(self, result: Result) -> Result:
        self._append(asdict(result))
        write_whole(self._shown, self._page(self._header, self.results))
        self._findings.unlink(missing_ok=True)
        return result

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._results.read_text(encoding="utf-8").splitlines()]

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _log_place(self, check: Check) -> int:
        """Write a check's name into the log, and return where its output begins."""
        with self._log.open("ab") as log:
            log.write(f"\n=== {check.name}\n".encode())
            return log.tell()


def end_with_descendants(process: subprocess.Popen) -> None:
    """End a process and all that it started, those in a session of their own too: they may hold a GPU's memory."""
    family = _family(process.pid)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    psutil.wait_procs(family, timeout=GRACE_S)
    for each in {*family, *_family(process.pid)}:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _wait(process: subprocess.Popen, limit_s: float) -> int | None:
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None


def _last_line(log: Path, place: int) -> str:
    with log.open("rb") as file:
        file.seek(place)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line[:LONGEST_REASON] for line in reversed(lines) if line), "nothing")


def _agree(path: Path, there: Mapping[str, Any], here: Header) -> None:
    for name in AGREE:
        if there.get(name) != here.get(name):
            raise ValueError(
                f"{path} has results of another {name}: {_short(there.get(name))}; "
                f"here it is {_short(here.get(name))}: give another --out"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
