"""The report's HTML: pieces that escape whatever they are given, and the page that holds them together.

    body = section("b0", "mini", paragraph("Three runs."), table(Table(...)), figure(Figure(...)))
    html = whole(title="...", runs=[...], body=body, figures=[...])

One file: style, script, Plotly and the figures' data are inside, and the page's own policy (a meta tag) forbids it to
ask for anything else. Every text from a file goes through `words`; data goes through `script_json`, which leaves no
character that HTML or JavaScript would read as an end of the script.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from string import Template

from benchmark.report.figures import Figure, Key, Run
from benchmark.tables import Table

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


def words(text: object) -> str:
    """Text, nothing else, wherever it stands."""
    return html.escape(str(text), quote=True)


def script_json(value: object) -> str:
    """JSON that stays JSON inside <script>; raises ValueError for NaN, which is none."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def paragraph(text: str, *, kind: str = "") -> str:
    return f'<p class="{kind}">{words(text)}</p>' if kind else f"<p>{words(text)}</p>"


def bullets(texts: Iterable[str], *, kind: str = "") -> str:
    items = "".join(f"<li>{words(text)}</li>" for text in texts)
    return f'<ul class="{words(kind)}">{items}</ul>' if items else ""


def table(content: Table) -> str:
    """Wide ones scroll in a box of their own, which the keyboard reaches."""
    head = "".join(f'<th scope="col">{words(name)}</th>' for name in content.header)
    rows = "".join(
        f'<tr><th scope="row">{words(row[0])}</th>{"".join(f"<td>{words(cell)}</td>" for cell in row[1:])}</tr>'
        for row in content.rows
    )
    caption = f"<caption>{words(content.title)}</caption>"
    inside = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{words(content.title)}">{inside}</div>'


def folded(summary: str, *content: str, kind: str = "", opened: bool = False) -> str:
    """`summary` is text, `content` is HTML."""
    tag = f'<details class="{words(kind)}"' + " open" * opened
    return f"{tag}><summary>{words(summary)}</summary>{''.join(content)}</details>"


def section(identity: str, title: str, *content: str) -> str:
    """`title` is text, `content` is HTML."""
    return f'<section id="{words(identity)}"><h2>{words(title)}</h2>{"".join(content)}</section>'


def figure(content: Figure) -> str:
    """The place where the page draws it, its legend, its words and its table."""
    key = f'<p class="keys">{"".join(map(_key, content.keys))}</p>' if content.keys else ""
    kind = "figure wide" if content.wide else "figure"
    parts = [
        f'<figure class="{kind}"><h3 id="{words(content.id)}-title">{words(content.title)}</h3>',
        f'<div class="plot" id="{words(content.id)}" role="group" aria-labelledby="{words(content.id)}-title"></div>',
        key,
        f"<figcaption>{words(content.caption)}{bullets(content.notes)}</figcaption>",
        folded("As a table", table(content.table), kind="data") if content.table else "",
        "</figure>",
    ]
    return "".join(parts)


def figure_data(content: Figure) -> dict:
    """What the page's script needs to draw it."""
    return {
        "id": content.id,
        "traces": content.traces,
        "layout": content.layout,
        "height": content.height,
        "panels": content.panels,
    }


def _key(entry: Key) -> str:
    if entry.phase:
        picture = f'<i class="area {words(entry.phase)}" style="--colour:{entry.colour}"></i>'
    else:
        picture = _swatch(entry.colour, entry.dash, entry.marker)
    return f"<span>{picture}{words(entry.name)}</span>"


def _swatch(colour: str, dash: str, marker: str = "") -> str:
    """A piece of a line, a marker, or one on the other."""
    look = f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{SVG_DASHES.get(dash)}"'
    line = f'<path d="M1 8H31" {look}/>' if dash else ""
    sign = (
        f'<g transform="translate(16 8)" fill="{colour}" stroke="{colour}">{SVG_MARKERS[marker]}</g>' if marker else ""
    )
    return f'<svg class="swatch" viewBox="0 0 32 16" width="32" height="16" aria-hidden="true">{line}{sign}</svg>'


def switches(runs: Sequence[Run], titles: dict[str, str]) -> str:
    """A checkbox a run, which is the legend too. `titles`: key of a run -> what stands over it and its like."""
    together: dict[str, list[Run]] = {}
    for run in runs:
        together.setdefault(titles[run.key], []).append(run)
    sets = "".join(
        f"<fieldset><legend>{words(title)}</legend>{''.join(map(_switch, members))}</fieldset>"
        for title, members in together.items()
    )
    buttons = '<button type="button" id="all">all</button> <button type="button" id="none">none</button>'
    return (
        f'<details class="switches" open><summary>Runs shown: <output id="count">{len(runs)} of {len(runs)}</output>'
        f"</summary><div>{sets}<p>{buttons}</p></div></details>"
    )


def _switch(run: Run) -> str:
    box = f'<input type="checkbox" name="run" value="{words(run.key)}" checked>'
    return f"<label>{box}{_swatch(run.colour, run.dash, run.marker)}{words(run.name)}</label>"


def whole(*, title: str, head: str, runs: str, body: str, figures: Sequence[Figure]) -> str:
    """The page. `head`, `runs` and `body` are HTML already."""
    from plotly.offline import get_plotlyjs  # here: no other part of the suite needs it

    text = Template(_file("page.html")).substitute(
        title=words(title),
        head=head,
        runs=runs,
        body=body,
        style=_file("page.css"),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        script=_file("page.js"),
        figures=script_json([figure_data(each) for each in figures if each.traces]),
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # JSON and file names may hold halves of characters


def _file(name: str) -> str:
    return resources.files("benchmark.report").joinpath(name).read_text(encoding="utf-8")
