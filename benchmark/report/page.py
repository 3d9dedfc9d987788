"""The report's HTML: data in, one file out; page.html is its Jinja2 template.

    html = whole(Page(title=..., blocks=(...), ...))

Style, script, Plotly and the figures' data are inside the file, and the page's own policy (a meta tag) forbids it to
ask for anything else. Jinja2 escapes every text. Data goes through `script_json`, which leaves no character that HTML
or JavaScript would read as an end of the script.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader

from benchmark.report.appendix import Made, Understood
from benchmark.report.figures import Figure, Shown
from benchmark.tables import Table

SHORT = 4  # warnings: more are folded, so that the answer is on the first screen
SVG_DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"}
SVG_MARKERS = {  # centred on 0, as Plotly draws them
    "circle": '<circle r="4"/>',
    "square": '<rect x="-4" y="-4" width="8" height="8"/>',
    "diamond": '<path d="M0-5.5 5.5 0 0 5.5-5.5 0Z"/>',
    "triangle-up": '<path d="M0-5 5 4H-5Z"/>',
    "x": '<path d="M-4-4 4 4M4-4-4 4" stroke-width="2.5"/>',
    "triangle-down": '<path d="M0 5 5-4H-5Z"/>',
    "star": '<path d="M0-6 1.5-2H6L2.5 1 4 6 0 3-4 6-2.5 1-6-2H-1.5Z"/>',
}


@dataclass(frozen=True, kw_only=True)
class BlockSection:
    """The part of the page about the runs of one workload. `answer` are
    sentences, the first one large; `tiles` are (figure, what it is, whose)."""

    id: str
    title: str
    emulated: bool
    answer: Sequence[str]
    ranking: Table | None
    tiles: Sequence[tuple[str, str, str]]
    figures: Sequence[Figure]
    tables: Sequence[Table]

    @property
    def drawn(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.traces]

    @property
    def absent(self) -> list[str]:
        """Why a figure is not there, a sentence each."""
        empty = [figure for figure in self.figures if not figure.traces]
        return [f"{figure.title}: {figure.caption} {'; '.join(figure.notes)}".strip() for figure in empty]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything on the page. `links` are (id, title) of sections, `switches` (title, runs)."""

    title: str
    made: str
    definition: str
    links: Sequence[tuple[str, str]]
    switches: Sequence[tuple[str, Sequence[Shown]]]
    warnings: Sequence[str]
    blocks: Sequence[BlockSection]
    published_remark: str
    published: Sequence[Table]
    sentences: Sequence[Understood]
    provenance: Sequence[Made]

    @property
    def runs(self) -> int:
        return sum(len(members) for _, members in self.switches)

    @property
    def warnings_summary(self) -> str:
        many = "s" * (len(self.warnings) != 1)
        return f"{len(self.warnings)} warning{many}: what to doubt about these figures, and what to do"

    @property
    def warnings_opened(self) -> bool:
        return len(self.warnings) <= SHORT


def whole(page: Page) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs  # here: no other part of the suite needs it

    environment = Environment(loader=PackageLoader("benchmark.report", "."), autoescape=True)
    figures = [figure_data(figure) for block in page.blocks for figure in block.drawn]
    text = environment.get_template("page.html").render(
        page=page,
        dashes=SVG_DASHES,
        markers=SVG_MARKERS,
        style=_file("page.css"),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        script=_file("page.js"),
        figures=script_json(figures),
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # JSON and file names may hold halves of characters


def script_json(value: object) -> str:
    """JSON that stays JSON inside <script>; raises ValueError for NaN, which is none."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


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
