"""Is anything wrong with this machine? Each check is ok, warn, fail or unknown, with the value and the way out.

    python -m benchmark.rig doctor                  # seconds: system, disk, driver, boards at rest
    python -m benchmark.rig doctor --level 2        # a minute or two: kernels, links, sums, clocks under load
    python -m benchmark.rig doctor --long           # 15 minutes more: do clocks hold?
    python -m benchmark.rig doctor --only gpus disk.write

Exit status, by the worst: 0 all ok, 1 a warning, 3 a failure; 2 is for a command line that is wrong, 130 for Ctrl-C.
Unknown does not count, as a skipped test does not for DCGM (Nagios gives it a status of its own): a machine without a
GPU ends with 0, and what it could not look at is listed as unknown, never as ok. --strict counts it as a warning. Under
make a warning ends with 0, as make would call it an error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from benchmark.record.command import by_make
from benchmark.rig.checks.catalogue import CHECKS, TOPICS, chosen
from benchmark.rig.checks.check import FAIL, OK, STATUSES, UNKNOWN, WARN, Check
from benchmark.rig.checks.run import Outcome, outcomes
from features.jobs import streams
from features.jobs.parent import obey_parent
from features.jobs.streams import one_line, parse, reported, say

PROG = "python -m benchmark.rig doctor"
EXIT = {OK: 0, UNKNOWN: 0, WARN: 1, FAIL: 3}
BAD_INPUT, INTERRUPTED = 2, 130
COLOURS = {OK: "32", WARN: "33", FAIL: "31", UNKNOWN: "2"}
WORST = (OK, UNKNOWN, WARN, FAIL)
SCHEMA = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Make the checks that were asked for, show each as it ends; return the exit status."""
    options = parse(_parser(), argv)
    if by_make():
        obey_parent()
    try:
        checks = chosen(3 if options.long else options.level, options.only)
        if not options.root.is_dir():
            raise ValueError(f"--root {options.root}: no such folder")
    except ValueError as error:
        say(f"{PROG}: {error}")
        return BAD_INPUT
    if options.list:
        with reported(PROG):
            for check in checks if options.only else CHECKS:
                print(f"{check.name:<18} level {check.level}   {check.asks}")
        return 0
    try:
        return _examined(checks, options)
    except BrokenPipeError:
        streams.to_nowhere()
        return 0
    except OSError as error:
        say(f"{PROG}: {error}")
        streams.to_nowhere()
        return BAD_INPUT


def _examined(checks: Sequence[Check], options: argparse.Namespace) -> int:
    began_s, found, status = time.monotonic(), [], 0
    try:
        with _terminated(), closing(outcomes(checks, root=options.root)) as running:
            for outcome in _shown(running, checks, quiet=options.format == "json"):
                found.append(outcome)
        status = exit_status(worst(found, strict=options.strict))
    except KeyboardInterrupt as error:
        status = getattr(error, "status", INTERRUPTED)
    seconds, left = time.monotonic() - began_s, len(checks) - len(found)
    counts = {each: sum(outcome.finding.status == each for outcome in found) for each in STATUSES}
    summary = ", ".join(f"{number} {name}" for name, number in counts.items()) + f", in {seconds:.1f} s"
    summary += f"; interrupted, {left} not made" if left else ""
    if options.format == "json":
        document = {
            "schema": SCHEMA,
            "exit_status": status,
            "status": worst(found),
            "counts": counts,
            "not_made": left,
            "seconds": round(seconds, 2),
            "checks": [_row(outcome) for outcome in found],
            "next": following(found, interrupted=bool(left)),
        }
        print(json.dumps(document, indent=1))
    else:
        print(f"\n{summary}\n{following(found, interrupted=bool(left))}")
    sys.stdout.flush()
    return status


def exit_status(status: str) -> int:
    """Return the exit status; make would take a warning for its own failure."""
    return 0 if status == WARN and by_make() else EXIT[status]


def worst(found: Sequence[Outcome], *, strict: bool = False) -> str:
    """Return the worst status; unknown is none, or with `strict` a warning."""
    status = max((each.finding.status for each in found), key=WORST.index, default=UNKNOWN)
    return WARN if strict and status == UNKNOWN else status


def following(found: Sequence[Outcome], *, interrupted: bool = False) -> str:
    """Return a line that says what to do next."""
    first = {status: next((each for each in found if each.finding.status == status), None) for status in STATUSES}
    if bad := first[FAIL]:
        return f"Next: {bad.check.name}: {bad.finding.way_out}. Then ask again: {_command()}"
    if interrupted:
        return f"Next: ask again: {_command()}"
    after = "make platform NAME=mine, then make bench PLATFORM=mine"
    if odd := first[WARN]:
        return f"Next: {odd.check.name}: {odd.finding.way_out}. Or, if it must be so: {after}"
    return f"Next: {after}"


def _command() -> str:
    return "make doctor" if by_make() else PROG


def _row(outcome: Outcome) -> dict[str, object]:
    check = outcome.check
    about = {"name": check.name, "asks": check.asks, "level": check.level, "needs": check.needs}
    return {**about, **asdict(outcome.finding), "seconds": round(outcome.seconds, 3)}


# --- what is seen ----------------------------------------------------------------------------------------------------


def _shown(running: Iterator[Outcome], checks: Sequence[Check], *, quiet: bool) -> Iterator[Outcome]:
    """Show each outcome as it is known, and on a terminal the check that is under way."""
    live, held = sys.stderr.isatty(), list[Outcome]()
    try:
        for turn, check in enumerate(checks):
            if live:
                print(f"  ...      {check.name} ({turn + 1} of {len(checks)})", end="\r", file=sys.stderr, flush=True)
            outcome = next(running)
            if live:
                print("\033[K", end="", file=sys.stderr, flush=True)
            if held and not _same(held[0], outcome):
                held = _print(held, quiet=quiet)
            held.append(outcome)
            if outcome.finding.status != UNKNOWN:  # those that are unknown for one reason are shown together
                held = _print(held, quiet=quiet)
            yield outcome
    finally:
        _print(held, quiet=quiet)


def _same(one: Outcome, other: Outcome) -> bool:
    return one.finding == other.finding and one.finding.status == UNKNOWN


def _print(together: list[Outcome], *, quiet: bool) -> list[Outcome]:
    if together and not quiet:
        print("\n".join(lines(together, colour=coloured(), width=_width())), flush=True)
    return []


def coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _width() -> int:
    return max(60, min(120, shutil.get_terminal_size((120, 24)).columns))


def lines(together: Sequence[Outcome], *, colour: bool, width: int) -> list[str]:
    """Return outcomes that found the same: status, name and what was found, and what was expected and the way out."""
    finding, indent = together[0].finding, " " * 30
    names = [outcome.check.name for outcome in together]
    status = f"{finding.status:<8}"
    status = f"\033[{COLOURS[finding.status]}m{status}\033[0m" if colour else status
    texts = [finding.found]
    texts += [f"expected: {finding.expected}"] * bool(finding.expected)
    texts += [f"way out: {finding.way_out}"] * bool(finding.way_out)
    texts += [f"and so {', '.join(names[1:])}"] * bool(names[1:])
    parts = [
        part
        for text in texts
        for part in textwrap.wrap(one_line(text), width - len(indent), subsequent_indent="  ", break_on_hyphens=False)
    ]
    return [f"  {status} {names[0]:<18} {parts[0]}", *(f"{indent}{part}" for part in parts[1:])]


# --- the frame -------------------------------------------------------------------------------------------------------


@contextmanager
def _terminated() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end checks as Ctrl-C does, with a status of their own."""

    def end(number: int, _: object) -> NoReturn:
        interrupted = KeyboardInterrupt()
        interrupted.status = 128 + number  # type: ignore[attr-defined]
        raise interrupted

    try:
        former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    except ValueError:  # not the main thread
        former = {}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--level", type=int, choices=(1, 2), default=1, help="1: seconds, nothing is loaded; 2: a minute or two")
    add("--long", action="store_true", help="level 3: matrix products for 15 minutes as well")
    add("--only", nargs="+", default=[], metavar="NAME", help=f"these checks, or topics ({', '.join(TOPICS)})")
    add("--list", action="store_true", help="list the checks, and make none")
    add("--format", choices=("table", "json"), default="table", help="a table for people, or JSON; default: table")
    add("--strict", action="store_true", help="count unknown as a warning")
    add("--root", type=Path, default=Path("/"), metavar="DIR", help="read /proc and /sys below DIR, as tests do")
    return parser
