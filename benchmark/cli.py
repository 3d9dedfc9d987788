"""The frame of every command line: options that several share, reading runs, exit statuses, pipes that close.

    def main(argv=None) -> int:
        options = _parser().parse_args(argv)
        return command("benchmark.tta", lambda: show(...))

A user's mistake is one line on standard error and exit status 2. Ctrl-C is 130. A pipe that closes (`| head -1`) ends
a command quietly, and a closed standard output (`>&-`) is written to nowhere.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.judge.cost import Terms
from benchmark.judge.question import SPLITS, JudgeError
from benchmark.record import CLOCKS, METRICS, Run, read_run

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130


def command(name: str, work: Callable[[], int | None]) -> int:
    """Do a command's work; returns its exit status, or says in one line why it could not be done."""
    if sys.stdout is None:  # closed by the shell; a file opened next would take its place
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open to the end of the process
    try:
        status = work() or DONE
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # | head has seen enough
        _write_to_nowhere()
        return DONE
    except KeyboardInterrupt as error:
        say(f"\n{name}: interrupted")
        return getattr(error, "status", INTERRUPTED)  # 143 after SIGTERM
    except (ValueError, OSError) as error:
        say(f"{name}: {error}")
        _write_to_nowhere()  # a full disk, say: Python would try once more to write, and complain
        return BAD_INPUT


def _write_to_nowhere() -> None:
    """Let what is still to be written go nowhere, so that Python does not fail on its way out."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print a line on standard error: standard output is kept for results."""
    print(line, file=sys.stderr, flush=True)


# --- runs ------------------------------------------------------------------------------------------------------------


def add_journals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journals", nargs="*", metavar="results/RUN.csv", help="the runs; make bench makes one")


def read_runs(paths: Sequence[str]) -> list[Run]:
    """Read runs from their journals.

    Raises:
        JudgeError: there are none; JournalError: one cannot be read.
    """
    return [read_run(path) for path in checked(paths)]


def checked(paths: Sequence[str]) -> Sequence[str]:
    """The paths of journals, if there are any and none is a pattern that matched nothing. Raises JudgeError."""
    if not paths:
        raise JudgeError("no journals given; expected the CSV files of runs, such as results/*.csv (make bench)")
    for path in paths:
        if set("*?[") & set(path) and not Path(path).exists():
            raise JudgeError(f"no file matches {path}; expected the CSV files of runs (make bench makes one)")
    return paths


# --- options ---------------------------------------------------------------------------------------------------------


def add_metric(parser: argparse.ArgumentParser, *, every: bool = False, default: str | None = None) -> None:
    """--metric, with "all" if `every` metric may be asked for at once."""
    usual = "wer and cer, summed over the corpus" if default is None else default
    choices = (*METRICS, *["all"] * every)
    parser.add_argument("--metric", choices=choices, default=default, help=f"default: {usual}")


def add_levels(parser: argparse.ArgumentParser, *, default: str = "the runs' targets") -> None:
    parser.add_argument(
        "--level", type=percent, action="append", default=[], help=f"percent; repeatable; default: {default}"
    )


def add_epochs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=whole_from_1, default=3, metavar="E", help="epochs the median is taken over; default: 3"
    )


def add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="default: wall")


def add_by(parser: argparse.ArgumentParser) -> None:
    words = f"keep runs apart that differ in {', '.join(SPLITS)}; repeatable"
    parser.add_argument("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help=words)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """How a purchase is written off, and what energy costs."""
    usual, add = Terms(), parser.add_argument
    add("--years", type=float, default=usual.years, help="a purchase is written off over; default: %(default)g")
    add("--duty", type=float, default=usual.duty, help="share of that time in use; default: %(default)g")
    add("--kwh-price", type=float, metavar="P", help="of energy, in the platform's currency; default: energy left out")


def terms_of(options: argparse.Namespace) -> Terms:
    """The terms that were asked for. Raises PriceError for what makes no sense."""
    return Terms(years=options.years, duty=options.duty, kwh_price=options.kwh_price)


def whole_from_1(text: str) -> int:
    """Read a number of epochs."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a whole number of epochs, at least 1")
    return int(text)


def percent(text: str) -> float:
    """Read an error rate."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a number in percent, such as 22")
    return number
