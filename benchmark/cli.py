"""Code that the command lines share: common options, reading runs, exit statuses, and closed pipes.

    def main(argv=None) -> int:
        options = parse(_parser(), argv)
        return command("benchmark.tta", lambda: show(...))

A user's mistake gives one line on standard error and exit status 2; Ctrl-C gives 130. A pipe that closes
(`| head -1`) ends a command quietly, and a training goes on without its viewer: `features.jobs.streams`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from benchmark.judge.question import SPLITS, JudgeError
from benchmark.judge.terms import TENURES, Terms
from benchmark.metrics import METRICS, TARGETS, USUAL
from benchmark.record import CLOCKS, Run, bulk, read_run
from benchmark.record.command import by_make
from benchmark.tables import Table, plain, show
from features.jobs import streams
from features.jobs.files import write_whole
from features.jobs.parent import obey_parent
from features.jobs.streams import parse as parse
from features.jobs.streams import say as say
from platforms import PlatformError
from platforms.offers import Offer, offer, read_offers

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130
FORMATS = ("table", "csv", "json")


def command(name: str, work: Callable[[], int | None]) -> int:
    """Do a command's work and return its exit status; if it fails, print one line that says why."""
    streams.protect(name)
    if by_make():
        obey_parent()
    try:
        status = work() or DONE
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # for example, | head has read enough
        streams.to_nowhere()
        return DONE
    except KeyboardInterrupt as error:
        say(f"\n{name}: interrupted")
        return getattr(error, "status", INTERRUPTED)  # 143 after SIGTERM
    except (ValueError, OSError) as error:
        number = error.errno if isinstance(error, OSError) and error.filename is None else None
        say(f"{name}: standard output: {os.strerror(number)}" if number else f"{name}: {error}")
        streams.to_nowhere()  # if the disk is full, say, Python would write again at exit and complain
        return BAD_INPUT


# --- runs ------------------------------------------------------------------------------------------------------------


def add_journals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journals", nargs="*", metavar="results/RUN.csv", help="journals of runs, or folders of them")


def read_runs(paths: Sequence[str]) -> list[Run]:
    """Read runs from their journals.

    Raises:
        JudgeError: no paths are given, or a pattern matches no file.
        JournalError: a journal cannot be read.
    """
    found = checked(paths)
    bulk.expect(found)
    return [read_run(path) for path in found]


def maker() -> str:
    """Return what makes runs, in the words of who asks."""
    return "make bench" if by_make() else "python -m benchmark"


def checked(paths: Sequence[str]) -> Sequence[str]:
    """Return the paths of journals, of a folder those in it.

    Raises:
        JudgeError: there are none, or one is a pattern that matched no file, or a folder without journals.
    """
    if not paths:
        raise JudgeError(
            f"no journals given; expected the CSV files of runs, such as results/*.csv ({maker()} makes them)"
        )
    for path in paths:
        if set("*?[") & set(path) and not Path(path).exists():
            raise JudgeError(f"no file matches {path}; expected the CSV files of runs ({maker()} makes them)")
    return [file for path in paths for file in journals_in(path)]


def journals_in(path: str) -> list[str]:
    """Return the CSV files in a folder, in order; of a run's own folder its journal; else the path itself.

    Raises:
        JudgeError: a folder has no CSV file.
    """
    if not Path(path).is_dir():
        return [path]
    beside = Path(f"{os.path.normpath(path)}.csv")
    found = [str(beside)] if beside.is_file() else sorted(map(str, Path(path).glob("*.csv")))
    if not found:
        raise JudgeError(f"{path}: a folder without CSV files; expected those of runs in it ({maker()} makes them)")
    return found


# --- options ---------------------------------------------------------------------------------------------------------


def add_metric(parser: argparse.ArgumentParser, *, every: bool = False, default: str | None = None) -> None:
    """Add --metric, which also takes "all" if `every` is set."""
    explained = "; ".join(f"{name}: {metric.words}" for name, metric in METRICS.items())
    choices = (*METRICS, *["all"] * every)
    words = f"{explained}; default: {default or ' and '.join(USUAL)}"
    parser.add_argument("--metric", choices=choices, default=default, help=words)


def add_targets(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --target METRIC=LEVEL to an argparse group; it may be repeated, and gives pairs."""
    group.add_argument(
        "--target",
        action="append",
        default=[],
        type=_target,
        metavar="METRIC=LEVEL",
        help=f"also reach this error rate in percent before ending, as wer=40 ({', '.join(TARGETS)}); may be repeated",
    )


def _target(text: str) -> tuple[str, float]:
    """Return metric and level of a target: "wer=40"."""
    metric, _, level = text.partition("=")
    try:
        found = metric.strip().lower(), float(level)
    except ValueError:
        found = metric, math.nan
    if found[0] not in TARGETS or not 0 < found[1] < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r:.80}; expected {' or '.join(TARGETS)}, =, and percent, as wer=40")
    return found


def add_levels(parser: argparse.ArgumentParser, *, default: str = "the runs' targets") -> None:
    parser.add_argument(
        "--level", type=percent, action="append", default=[], help=f"error rate (%%); repeatable; default: {default}"
    )


def add_epochs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=whole_from_1, default=3, metavar="E", help="epochs the median is taken over; default: 3"
    )


def add_every_evaluation(parser: argparse.ArgumentParser) -> None:
    words = "count evaluations within epochs too (runs with --evaluate-every), not only those at their ends"
    parser.add_argument("--every-evaluation", action="store_true", help=words)


def add_reference(parser: argparse.ArgumentParser) -> None:
    words = "reference runs that epochs are held against (python -m benchmark.reference); default: the suite's own"
    parser.add_argument("--reference", metavar="FILE", help=words)


def add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="how time is counted; default: wall")


def add_by(parser: argparse.ArgumentParser) -> None:
    words = f"do not pool runs that differ in FIELD ({', '.join(SPLITS)}); repeatable"
    parser.add_argument("--by", choices=SPLITS, action="append", default=[], metavar="FIELD", help=words)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a rig is paid for."""
    words = (
        "what a rig costs, in place of the price that its runs recorded: NAME=12.10/h or 'NAME=3400 EUR', or both; "
        "repeatable"
    )
    usual, group = Terms(), parser.add_argument_group("how a rig is paid for")
    add = group.add_argument
    add("--offer", dest="offers", action="append", default=[], type=_offer, metavar="NAME=PRICE", help=words)
    words = (
        "a file of offers, .toml or .csv (this suite's columns, SkyPilot's or gpuhunt's): each rig takes the cheapest"
    )
    add("--offers", dest="book", metavar="FILE", help=f"{words} of its own")
    add("--spot", action="store_true", help="spot offers of the file count too, whose machines may be taken away")
    add("--reserved", action="store_true", help="so do offers for which one pays for months")
    add("--region", metavar="NAME", help="of the file's offers those in this region alone")
    add(
        "--years",
        type=float,
        metavar="N",
        default=usual.years,
        help="years until a purchase is written off; default: %(default)g",
    )
    add(
        "--duty",
        type=float,
        metavar="SHARE",
        default=usual.duty,
        help="share of that time in use, 0 to 1; default: %(default)g",
    )
    add("--kwh-price", type=float, metavar="P", help="price of a kWh in the platform's currency; default: no energy")
    add("--idle-w", type=float, default=0.0, metavar="W", help="watts of a bought rig while it is not used; default: 0")
    add(
        "--billing-minutes",
        type=float,
        default=0.0,
        metavar="M",
        help="rent is for every started M minutes; default: 0",
    )
    add("--setup-minutes", type=float, default=0.0, metavar="M", help="rented minutes before each training; default: 0")
    words = "rent is for the preparation of features too, as long as the runs took for it"
    add("--with-preparation", action="store_true", help=words)
    add("--down-time", action="store_true", help="rent goes on while an interrupted run stands still")
    add("--failures", action="store_true", help="runs that reached the level also pay for those that missed it")
    words = "which cost ranks rigs; default: the cheaper of the two"
    add("--tenure", choices=TENURES, default=usual.tenure, help=words)


def terms_of(options: argparse.Namespace) -> Terms:
    """Return the terms that the options give.

    Raises:
        PriceError: a value is out of range.
        PlatformError: the file of offers cannot be used.
    """
    given = {f.name: getattr(options, f.name) for f in fields(Terms)}
    book = read_offers(options.book) if options.book is not None else None
    return Terms(**{**given, "offers": tuple(options.offers), "book": book})


def _offer(text: str) -> tuple[str, Offer]:
    try:
        return offer(text)
    except PlatformError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="tables for people, or rows in full precision; default: table",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add --format, --brief, -o and -q, as `give` obeys them."""
    add = parser.add_argument
    words = "tables for people, or rows in full precision; default: table, or what -o FILE ends in"
    add("--format", choices=FORMATS, help=words)
    add("--brief", action="store_true", help="the answer alone, in sentences; tables and warnings are left out")
    add("-o", "--out", type=Path, metavar="FILE", help="write into FILE, which must not be there, in place of printing")
    add("-q", "--quiet", action="store_true", help="nothing on standard error but errors")


def give(
    options: argparse.Namespace,
    name: str,
    *,
    parts: Callable[[], Sequence[str | Table]],
    brief: Callable[[], Sequence[str]],
    rows: Callable[[], Sequence[Mapping[str, object]]],
    warnings: Sequence[str],
) -> None:
    """Print what a judge found, or write it into -o FILE: all of it, the answer alone, or rows.

    `parts` have the warnings inside; of a brief answer one line says how many there are, and beside rows they go to
    standard error.

    Raises:
        JudgeError: options contradict one another, or FILE is there or cannot be written.
    """
    ending = options.out.suffix[1:].lower() if options.out else ""
    style = options.format or (ending if ending in FORMATS else "table")
    if options.brief and style != "table":
        raise JudgeError(f"--brief and rows as {style}; expected one of them: the answer is sentences")
    if options.out and options.out.exists():
        raise JudgeError(f"{options.out} is there already and nothing is overwritten; choose another -o, or remove it")
    if style != "table":
        found: Sequence[str | Table] = [_csv(rows()) if style == "csv" else json.dumps(rows(), indent=1)]
    else:
        found = [*brief(), *_counted(warnings)] if options.brief else parts()
    if options.out:
        _write(options.out, plain(found) if style == "table" else str(found[0]))
    elif style == "table":
        show(found)
    else:
        print(found[0])
    if not options.quiet:
        for text in warnings if style != "table" else ():
            say(f"{name}: warning: {text}")
        if options.out:
            say(f"{name}: written: {options.out}")


def _counted(warnings: Sequence[str]) -> list[str]:
    """Return a line that says how many warnings a brief answer leaves out; none if there are none."""
    many = f"{len(warnings)} warnings" if len(warnings) > 1 else "1 warning"
    return [f"{many}: without --brief {'they are' if len(warnings) > 1 else 'it is'} shown."] if warnings else []


def _write(place: Path, text: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, text + "\n")
    except OSError as error:
        raise JudgeError(f"{place}: cannot be written ({error.strerror}); choose another -o") from None


def print_rows(name: str, rows: Sequence[Mapping[str, object]], style: str, warnings: Sequence[str]) -> None:
    """Print rows of figures as csv or json in full precision, and the warnings on standard error."""
    print(_csv(rows) if style == "csv" else json.dumps(rows, indent=1))
    for text in warnings:
        say(f"{name}: warning: {text}")


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_csv_field(value) for value in row.values()] for row in rows)
    return text.getvalue().rstrip("\n")


def _csv_field(value: object) -> object:
    if value is None or value == []:
        return "NA"
    if isinstance(value, bool):
        return "yes" if value else "no"
    field = ";".join(map(str, value)) if isinstance(value, list) else value
    formula = isinstance(field, str) and field[:1] in ("=", "+", "-", "@")
    return f"'{field}" if formula else field  # a spreadsheet must not take it for a formula


def whole_from_1(text: str) -> int:
    """Parse a whole number of epochs, at least 1. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a whole number of epochs, at least 1")
    return int(text)


def percent(text: str) -> float:
    """Parse an error rate in percent, at least 0. Raises argparse.ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a number in percent, such as 22")
    return number
