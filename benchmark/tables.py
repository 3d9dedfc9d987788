"""Tables and paragraphs for people: plain text, 100 columns wide, in a pipe; rich's tables on a terminal of any width.

    show([Table("title", ("platform", "minutes"), (("sys1", "123"),)), "A paragraph."])

All cells are text. The first column is left-aligned, the others are right-aligned. A plain-text table that is too
wide is split into parts; each part begins with the first column. On a terminal too narrow for two columns next to each
other every row stands upright, a line for each cell. No figure is cut.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 100  # characters, in a pipe
HOURS_FROM = 120  # minutes, above which a sentence has hours
GAP, RICH_GAP, RICH_EDGES = 2, 3, 4  # characters between columns, and around rich's tables


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def without_empty(table: Table, columns: Sequence[str] = ()) -> Table:
    """Return a table without those of `columns`, by default of all but the first, that say nothing: NA or nothing."""
    kept = [
        place
        for place, name in enumerate(table.header)
        if not place or (columns and name not in columns) or any(row[place] not in ("NA", "") for row in table.rows)
    ]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return Table(table.title, tuple(table.header[place] for place in kept), rows)


def show(parts: Sequence[str | Table]) -> None:
    """Print paragraphs and tables on standard output: with rich on a terminal, else as plain text."""
    if sys.stdout.isatty():
        print_rich(parts)
    else:
        encoding = sys.stdout.encoding or "utf-8"  # a path may hold bytes that cannot be encoded
        print(plain(parts).encode(encoding, "backslashreplace").decode(encoding))


def plain(parts: Iterable[str | Table]) -> str:
    """Return paragraphs and tables as plain text, without colours or box drawing."""
    return "\n\n".join(_plain(part) if isinstance(part, Table) else _wrapped(part) for part in parts)


def count(amount: int, noun: str) -> str:
    """Return so many of something: "1 run", "1,200 runs"."""
    return f"{amount:,} {noun}{'s' * (amount != 1)}"


def number(value: float | None) -> str:
    """Format a number: two decimals below 10, one below 100, else none; "NA" for None."""
    if value is None:
        return "NA"
    if round(value, 2) < 10:  # rounded first, so that 9.999 becomes 10.0
        return f"{value:.2f}"
    return f"{value:.1f}" if round(value, 1) < 100 else f"{value:.0f}"


def cell(value: float | None, style: str) -> str:
    """Format a value in a style of the built-in `format`; "NA" for None."""
    return "NA" if value is None else format(value, style)


def interval(low: float | None, high: float | None) -> str:
    """Format two bounds, as in "1.20 to 3.40"; "NA" if either is None."""
    return "NA" if low is None or high is None else f"{number(low)} to {number(high)}"


def duration(minutes: float) -> str:
    """Format a time with its unit: hours from two hours on, as in "3.62 hours"."""
    return f"{number(minutes)} minutes" if minutes <= HOURS_FROM else f"{number(minutes / 60)} hours"


def durations(low: float, high: float, *, by: float) -> str:
    """Format two times in the unit in which `duration` has a third, all in minutes, without the unit."""
    return interval(low, high) if by <= HOURS_FROM else interval(low / 60, high / 60)


def money(value: float | None, currency: str) -> str:
    """Format an amount with its currency, as in "1,234.50 USD"; "NA" for None. Small sums keep two digits: "0.012"."""
    if value is None:
        return "NA"
    if 0 < abs(value) < 1e-6:
        return f"{value:.1e} {currency}"
    decimals = 2 if not 0 < abs(value) < 0.1 else 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{decimals}f} {currency}"


def _wrapped(text: str) -> str:
    wrap = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = []
    for line in text.splitlines():
        wrap.subsequent_indent = "  " * line.startswith("-")
        lines += wrap.wrap(line)
    return "\n".join(lines)


def _plain(table: Table) -> str:
    lines = [table.title]
    for number, columns in enumerate(_fitting(table)):
        lines += [""] * (number > 0)
        widths = [max(map(len, column)) for column in columns]
        for cells in zip(*columns, strict=True):
            padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _fitting(table: Table, width: int = WIDTH, gap: int = GAP) -> Iterator[list[tuple[str, ...]]]:
    """Yield the table's columns, headers included, in parts that fit; each part begins with the first column."""
    first, *others = zip(table.header, *table.rows, strict=True)
    part, taken = [first], max(map(len, first))
    for column in others:
        column_width = gap + max(map(len, column))
        if taken + column_width > width and len(part) > 1:
            yield part
            part, taken = [first], max(map(len, first))
        part.append(column)
        taken += column_width
    yield part


def _upright(table: Table) -> str:
    """Return a line for each cell that is not empty: the name of its column, and what it says."""
    names = max(map(len, table.header[1:]), default=0)
    lines = [table.title]
    for first, *others in table.rows:
        lines.append(first)
        lines += [f"  {name:<{names}}  {text}" for name, text in zip(table.header[1:], others, strict=True) if text]
    return "\n".join(lines) + "\n"


def print_rich(parts: Iterable[str | Table]) -> None:
    from rich.box import SIMPLE_HEAD  # here, not above: importing takes 0.1 s, which a pipe is spared
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(markup=False, highlight=False)
    for part in parts:
        if not isinstance(part, Table):
            console.print(part + "\n")
            continue
        room = console.width - RICH_EDGES
        pieces = list(_fitting(part, room, RICH_GAP))
        widths = [sum(RICH_GAP + max(map(len, column)) for column in columns) - RICH_GAP for columns in pieces]
        if max(widths) > room:
            console.print(_upright(part))
            continue
        for number, columns in enumerate(pieces):
            shown = RichTable(title=None if number else part.title, title_justify="left", box=SIMPLE_HEAD)
            for place, column in enumerate(columns):
                shown.add_column(column[0], justify="right" if place else "left", no_wrap=True)
            for cells in zip(*(column[1:] for column in columns), strict=True):
                shown.add_row(*cells)
            console.print(shown)
