"""Tables and paragraphs for people: plain text of 100 columns in a pipe, rich's tables on a terminal.

    show([Table("title", ("platform", "minutes"), (("sys1", "123"),)), "A paragraph."])

Cells are text already; the first column is left-aligned, the others right-aligned. A table that is too wide for
plain text is cut into parts that each begin with the first column.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 100  # columns of a terminal that everybody has


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show(parts: Sequence[str | Table]) -> None:
    """Print on standard output: with rich on a terminal, else plain."""
    if sys.stdout.isatty():
        print_rich(parts)
    else:
        encoding = sys.stdout.encoding or "utf-8"  # a path may hold bytes that it has no characters for
        print(plain(parts).encode(encoding, "backslashreplace").decode(encoding))


def plain(parts: Iterable[str | Table]) -> str:
    """Without colours or box drawing."""
    return "\n\n".join(_plain(part) if isinstance(part, Table) else _wrapped(part) for part in parts)


def number(value: float | None) -> str:
    """Three digits or more: two decimals under 10, one under 100, else none; NA for what is not known."""
    if value is None:
        return "NA"
    if round(value, 2) < 10:  # rounded first: 9.999 is 10.0
        return f"{value:.2f}"
    return f"{value:.1f}" if round(value, 1) < 100 else f"{value:.0f}"


def cell(value: float | None, style: str) -> str:
    """A value in a style of `format`; NA for what is not known."""
    return "NA" if value is None else format(value, style)


def interval(low: float | None, high: float | None) -> str:
    """Two bounds as numbers: "1.20 to 3.40"; NA where there is no interval."""
    return "NA" if low is None or high is None else f"{number(low)} to {number(high)}"


def money(value: float | None, currency: str) -> str:
    """An amount with its currency: "1,234.50 USD"."""
    return "NA" if value is None else f"{value:,.2f} {currency}"


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


def _fitting(table: Table) -> Iterator[list[tuple[str, ...]]]:
    """The table's columns, header on top, in parts that fit WIDTH; each begins with the first column."""
    first, *others = zip(table.header, *table.rows, strict=True)
    part, width = [first], max(map(len, first))
    for column in others:
        column_width = 2 + max(map(len, column))
        if width + column_width > WIDTH and len(part) > 1:
            yield part
            part, width = [first], max(map(len, first))
        part.append(column)
        width += column_width
    yield part


def print_rich(parts: Iterable[str | Table]) -> None:
    from rich.box import SIMPLE_HEAD  # here, not above: a tenth of a second that a pipe need not wait
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(markup=False, highlight=False)
    for part in parts:
        if isinstance(part, Table):
            shown = RichTable(title=part.title, title_justify="left", box=SIMPLE_HEAD)
            for number, name in enumerate(part.header):
                shown.add_column(name, justify="right" if number else "left", no_wrap=number == 0)
            for row in part.rows:
                shown.add_row(*row)
            console.print(shown)
        else:
            console.print(part + "\n")
