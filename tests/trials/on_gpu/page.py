"""Results as a page of Markdown, to be put at the end of docs/gpu.md.

page = partial(render, out=folder)
page(header, results)                       # "## NVIDIA H200 ..."
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.trials.on_gpu.machine import ROOT
from tests.trials.on_gpu.session import Result

VERDICTS = {True: "yes", False: "**no**", None: ""}


def render(header: Mapping[str, Any], results: Sequence[Result], *, out: Path) -> str:
    """Return the page. Commands have OUT where they name the folder, so that no path of one machine is in it."""
    gpu = header["platform"]["hardware"]["gpu"]
    title = "Rehearsed on a CPU, at tiny sizes" if header["rehearsal"] else f"{gpu}, {header['begun']}"
    rows = [(each.check, _bold(each.status), f"{each.seconds:.0f}", _plain(each.why, out)) for each in results]
    parts = [
        f"## {title}",
        "    " + _words(header["command"], out),
        _table(("machine", ""), _machine(header["machine"])),
        _table(("check", "status", "seconds", "why"), rows),
    ]
    families: dict[str, list[Result]] = {}
    for each in results:
        families.setdefault(each.check.partition("-")[0], []).append(each)
    return "\n\n".join([*parts, *(_section(name, own, out) for name, own in families.items())]) + "\n"


def _section(family: str, results: Sequence[Result], out: Path) -> str:
    """Return what the checks found that ask the same, in one table."""
    commands = [_words(command, out) for result in results for command in result.commands]
    commands = list(dict.fromkeys(commands)) or [f"python -m tests.trials.gpu --only {family}"]
    rows = [
        [result.check.partition("-")[2], each["what"], each["expected"], each["found"], VERDICTS[each["right"]]]
        for result in results
        for each in result.figures
    ]
    header = ["", "what", "expected", "found", "right"]
    if not any(row[0] for row in rows):
        header, rows = header[1:], [row[1:] for row in rows]
    table = [_table(header, [[_plain(cell, out) for cell in row] for row in rows])] if rows else []
    return "\n\n".join([f"### {family}", results[0].asks, "\n".join(f"    {line}" for line in commands), *table])


def _machine(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    def shown(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {one}" for name, one in value.items())
        return ", ".join(value) if isinstance(value, list) else str(value)

    return [(name.replace("_", " "), shown(value)) for name, value in machine.items() if value not in (None, [], {})]


def _words(command: Sequence[str], out: Path) -> str:
    return _plain(shlex.join("python" if word == sys.executable else word for word in command), out)


def _plain(text: str, out: Path) -> str:
    for path in {str(out.absolute()), str(out)} - {"."}:
        text = text.replace(path, "OUT")
    for path, name in ((sys.prefix, "VENV"), (str(ROOT), "."), (str(Path.home()), "~")):
        text = text.replace(path, name) if len(path) > 1 else text
    return text


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _bold(status: str) -> str:
    return status if status in ("ok", "left out") else f"**{status}**"
