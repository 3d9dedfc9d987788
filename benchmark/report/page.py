"""The report's HTML: data in, one file out; page.html is its Jinja2 template.

    html = whole(Page(title=..., blocks=(...), ...))

Style, script, Plotly and the figures' data are inside the file, and the page's own policy (a meta tag) forbids it to
ask for anything else. Jinja2 escapes every text. Plotly and the data are packed, as whoever sends the page on has to
send them too: gzip in base64, in which is no character that HTML would read as an end of the script, and which
browsers unpack by themselves (from Chrome 80, Safari 16.4 and Firefox 113 on; in others the tables are left).
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

from benchmark.report.appendix import Made, Understood
from benchmark.report.figures import MANY_RUNS, Figure, Shown
from benchmark.tables import Table

if TYPE_CHECKING:
    from jinja2 import Template

LONG = 30  # rows: a longer table scrolls, says how many rows it has, and is printed so far
SHORT = 4  # warnings: more are folded, so that the answer is on the first screen
SVG_DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"}
SVG_MARKERS = {  # centred on 0, as Plotly draws them
    "circle": '<circle r="4"/>',
    "circle-open": '<circle r="6" fill="none" stroke-width="2"/>',
    "line-ns-open": '<path d="M0-6V6" stroke-width="2"/>',
    "square": '<rect x="-4" y="-4" width="8" height="8"/>',
    "diamond": '<path d="M0-5.5 5.5 0 0 5.5-5.5 0Z"/>',
    "triangle-up": '<path d="M0-5 5 4H-5Z"/>',
    "x": '<path d="M-4-4 4 4M4-4-4 4" stroke-width="2.5"/>',
    "triangle-down": '<path d="M0 5 5-4H-5Z"/>',
    "star": '<path d="M0-6 1.5-2H6L2.5 1 4 6 0 3-4 6-2.5 1-6-2H-1.5Z"/>',
    "cross": '<path d="M-1.6-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z"/>',
    "pentagon": '<path d="M0-5.5 5.2-1.7 3.2 4.5H-3.2L-5.2-1.7Z"/>',
    "hexagram": '<path d="M0-6 1.7-3H5.2L3.5 0 5.2 3H1.7L0 6-1.7 3H-5.2L-3.5 0-5.2-3H-1.7Z"/>',
}


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Boxes of runs under a title; `folded` ones have a box for all of them, and the others inside."""

    title: str
    runs: Sequence[Shown]
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Singles:
    """The figures of one platform's single runs, drawn when the reader opens them."""

    title: str
    figures: Sequence[Figure]

    @property
    def drawn(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.traces]

    @property
    def absent(self) -> list[str]:
        return absent_from(self.figures)


def absent_from(figures: Sequence[Figure]) -> list[str]:
    """Return why figures are not there, a sentence each."""
    empty = [figure for figure in figures if not figure.traces]
    return [f"{figure.title}: {figure.caption} {'; '.join(figure.notes)}".strip() for figure in empty]


@dataclass(frozen=True, kw_only=True)
class BlockSection:
    """The part of the page about the runs of one workload. `answer` are
    sentences, the first one large; `tiles` are (figure, what it is, whose)."""

    id: str
    title: str
    emulated: bool
    answer: Sequence[str]
    ranking: Table | None
    rigs: Table | None = None
    beside: Sequence[Table] = ()
    beneath: Sequence[str] = ()  # sentences below the figures
    tiles: Sequence[tuple[str, str, str]]
    figures: Sequence[Figure]
    singles: Sequence[Singles]
    tables: Sequence[Table]

    @property
    def drawn(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.traces]

    @property
    def absent(self) -> list[str]:
        """Why a figure is not there, a sentence each."""
        return absent_from(self.figures)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything on the page. `links` are (id, title) of sections: those that are not named are left out."""

    title: str
    heading: str = "Time to accuracy"
    made: str
    definition: str
    links: Sequence[tuple[str, str]]
    switches: Sequence[Switches]
    warnings: Sequence[str]
    blocks: Sequence[BlockSection]
    published_title: str
    published_remark: str
    published: Sequence[Table]
    sentences: Sequence[Understood]
    provenance: Sequence[Made]

    @property
    def runs(self) -> int:
        return sum(len(switches.runs) for switches in self.switches)

    @property
    def switches_opened(self) -> bool:
        """Whether the list of runs is short enough to stand open; the page closes it where a window is narrow."""
        return self.runs <= MANY_RUNS

    @property
    def silent(self) -> list[str]:
        """What is said of the runs that have no sentences."""
        return [each.summary for each in self.sentences if not (each.ranks or each.text)]

    @property
    def provenances(self) -> list[tuple[str, list[Made]]]:
        """How runs were made: of many, platform by platform, what its runs share once and then what is each run's."""
        if self.runs <= MANY_RUNS:
            return [("", list(self.provenance))]
        found: dict[str, list[Made]] = {}
        for each in self.provenance:
            found.setdefault(each.label, []).append(each)
        return [(_runs(label, members), without_common(members)) for label, members in found.items()]

    @property
    def warnings_summary(self) -> str:
        many = "s" * (len(self.warnings) != 1)
        return f"{len(self.warnings)} warning{many}: what to doubt about these figures, and what to do"

    @property
    def warnings_opened(self) -> bool:
        return len(self.warnings) <= SHORT


def _runs(label: str, members: Sequence[Made]) -> str:
    return f"{label}: {len(members)} run{'s' * (len(members) > 1)}"


def without_common(members: Sequence[Made]) -> list[Made]:
    """Return what all runs share as one entry before them, and of each run the other facts."""
    common = set.intersection(*(set(each.table.rows) for each in members))
    if len(members) < 2 or not common:
        return list(members)
    shared = tuple(row for row in members[0].table.rows if row in common)
    name = f"what all {len(members)} share"
    first = Made(name=name, label=members[0].label, remark="", table=replace(members[0].table, title=name, rows=shared))
    own = [tuple(row for row in each.table.rows if row not in common) for each in members]
    return [first, *(replace(m, table=replace(m.table, rows=rows)) for m, rows in zip(members, own, strict=True))]


def whole(page: Page) -> str:
    """The page as text."""
    shown = [figure for block in page.blocks for figure in block.drawn]
    later = [figure for block in page.blocks for each in block.singles for figure in each.drawn]
    text = template().render(
        page=page,
        dashes=SVG_DASHES,
        markers=SVG_MARKERS,
        style=_file("page.css"),
        plotly=plotly(),
        script=_file("page.js"),
        figures=packed(json_text([figure_data(figure) for figure in (*shown, *later)])),
        long=LONG,
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # JSON and file names may hold halves of characters


@functools.cache
def template() -> Template:
    """The page's template, which is compiled once, as that takes as long as all that is then put into it."""
    from jinja2 import Environment, PackageLoader  # here: --help waits for no templates

    return Environment(loader=PackageLoader("benchmark.report", "."), autoescape=True).get_template("page.html")


@functools.cache
def plotly() -> str:
    """Plotly, packed once: 5 MB take as long as a page of some runs."""
    from plotly.offline import get_plotlyjs  # here: no other part of the suite needs it

    return packed(get_plotlyjs())


def packed(text: str) -> str:
    """Return a text as gzip in base64, the same for the same text; lone halves of characters become "?"."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 9, mtime=0)).decode()


def unpacked(text: str) -> str:
    """Return the text that `packed` made."""
    return gzip.decompress(base64.b64decode(text)).decode()


def json_text(value: object) -> str:
    """Return JSON without spaces. Raises ValueError for NaN, which is none."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def figure_data(figure: Figure) -> dict[str, object]:
    """Return what the page's script needs to draw a figure."""
    return {
        "id": figure.id,
        "traces": figure.traces,
        "layout": figure.layout,
        "height": figure.height,
        "panels": figure.panels,
    }


def _file(name: str) -> str:
    return resources.files("benchmark.report").joinpath(name).read_text(encoding="utf-8")
