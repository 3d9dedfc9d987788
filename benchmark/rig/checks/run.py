"""Makes checks in child processes, each within its time limit; whatever a check does, the next one is made.

    for outcome in outcomes(checks):
        outcome.check.name, outcome.finding.status, outcome.seconds

A check that does not answer in time, or whose process aborts, is a failure: a run would hang or abort too. One whose
process is killed, or that raises, is unknown. If NVML itself does not answer, what needs it is unknown and not asked.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.rig.checks.check import FILES, Check, Finding, fail, unknown
from benchmark.rig.checks.child import COOL_DOWN_S

ROOT = Path(__file__).resolve().parents[3]
START_S = 20.0  # for Python to start, and for NVML to answer
END_S = 5.0
KILLED = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SHOWN = 200  # characters of a process's last line


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check found, and the seconds that it took with its share of its process's start."""

    check: Check
    finding: Finding
    seconds: float


class _NoAnswer(Exception):
    """A child said nothing in time."""


class _Ended(Exception):
    """A child ended before it said anything more."""


def outcomes(
    checks: Sequence[Check], *, root: Path = Path("/"), start_s: float = START_S
) -> Generator[Outcome, None, None]:
    """Make checks in their order; yield what each found as soon as it is known."""
    waiting, nvml_hangs = list(checks), False
    while waiting:
        group = _together(waiting)
        if nvml_hangs and group[0].needs != FILES:
            yield Outcome(check=waiting.pop(0), finding=_not_asked(start_s), seconds=0.0)
            continue
        child = _Child(group, root)
        try:
            began_s = time.monotonic()
            try:
                child.line(start_s)
            except (_NoAnswer, _Ended) as ended:
                yield Outcome(
                    check=waiting.pop(0), finding=_broken(child, ended, start_s), seconds=time.monotonic() - began_s
                )
                nvml_hangs = isinstance(ended, _NoAnswer) and group[0].needs != FILES
                continue
            for check in group:
                try:
                    finding = Finding(**child.line(check.limit_s)["finding"])
                except (_NoAnswer, _Ended) as ended:
                    finding = _broken(child, ended, check.limit_s)
                waiting.remove(check)
                now_s = time.monotonic()
                yield Outcome(check=check, finding=finding, seconds=now_s - began_s)
                began_s = now_s
                if child.broken:
                    break
            if group[-1].load and any(each.load for each in waiting) and not child.broken:
                child.wait(COOL_DOWN_S + END_S)  # it ends when the boards have cooled down
        finally:
            child.end()


def _together(waiting: Sequence[Check]) -> list[Check]:
    """Return the next checks that share a process: those of level 1 of a topic that ask the same."""
    first = waiting[0]
    group: list[Check] = []
    for check in waiting:
        alike = check.topic == first.topic and check.level == 1 and (check.needs == FILES) == (first.needs == FILES)
        if group and not (alike and first.level == 1):
            break
        group.append(check)
    return group


class _Child:
    """A process that makes some checks, in a session of its own, so that what it starts can be ended with it."""

    def __init__(self, checks: Iterable[Check], root: Path) -> None:
        specs = [
            {
                "name": check.name,
                "look": f"{check.look.__module__}:{check.look.__qualname__}",
                "needs": check.needs,
                "load": check.load,
            }
            for check in checks
        ]
        self.broken, self._text = False, b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open while the child is
        self._from, to = os.pipe()
        command = [sys.executable, "-m", "benchmark.rig.checks.child", str(to), str(root), json.dumps(specs)]
        try:
            self.process = subprocess.Popen(
                command,
                env=_environment(),
                pass_fds=[to],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._from)
            self._errors.close()
            raise
        finally:
            os.close(to)

    def line(self, limit_s: float) -> dict[str, Any]:
        """Return the next thing that it says."""
        until_s = time.monotonic() + limit_s
        while b"\n" not in self._text:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self._from], [], [], left_s)[0]:
                self.broken = True
                raise _NoAnswer
            more = os.read(self._from, 65536)
            if not more:
                self.broken = True
                self.wait(END_S)
                raise _Ended
            self._text += more
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    def wait(self, limit_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(limit_s)

    def last_line(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-4096:].decode(errors="replace").strip().splitlines() or [""]
        return "".join(c for c in lines[-1] if c.isprintable())[:SHOWN]

    def end(self) -> None:
        """End it, with all that it started; one that hangs in the kernel is left behind."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait(END_S)
        os.close(self._from)
        self._errors.close()


def _environment() -> dict[str, str]:
    """Return the environment in which children find the suite's modules, and not a folder's that is called alike."""
    path = ":".join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _broken(child: _Child, ended: Exception, limit_s: float) -> Finding:
    if isinstance(ended, _NoAnswer):
        return fail(
            f"no answer within {limit_s:g} s",
            expected="an answer",
            way_out="what hangs here hangs in a run too: see dmesg (NVRM, Xid, hung task), and restart the machine",
        )
    status = child.process.returncode
    told = f": {line}" if (line := child.last_line()) else ""
    if status is None or status >= 0:
        return unknown(f"its process ended with status {status}{told}")
    name = signal.Signals(-status).name
    if -status in KILLED:
        return unknown(f"its process was killed ({name}){told}", way_out="dmesg says whether memory ran out")
    return fail(
        f"its process ended by {name}{told}",
        expected="a process that does not crash",
        way_out="what crashes here crashes in a run too: see dmesg, and reinstall what it names",
    )


def _not_asked(start_s: float) -> Finding:
    return unknown(f"not asked: NVML gave no answer within {start_s:g} s")
