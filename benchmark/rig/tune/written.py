"""What a tuning leaves: the platform's file with new settings beside the old ones, curve.csv and curve.svg.

text = tuned_text(old, {"batch": 48, "readers": 4, "buffer": 8}, why="...")
write_curve(folder, rows)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from features.jobs.files import write_whole

COLUMNS = ("batch", "ran", "fits", "memory_bytes", "limit_bytes", "speed", "ratio", "low", "high", "ending")
WIDTH, HEIGHT, EDGE = 640, 360, 60


class WriteError(ValueError):
    """A platform file in which a setting cannot be found; the message says which."""


def tuned_text(old: str, settings: Mapping[str, int], *, why: str, name: str = "", command: str = "") -> str:
    """Return a platform file's text with other settings of [input], the old values in a comment behind each.

    `name` is the platform's in place of the old one, `command` that of a run with it; the lines "# Batch:" and
    "# Command:" at the file's head say what holds now.

    Raises:
        WriteError: [input] has no line of such a setting.
    """
    lines, table, left, found = old.splitlines(), "", dict(settings), []
    for line in lines:
        if heading := re.match(r"\s*\[([^\]]+)\]", line):
            table = heading[1].strip()
        elif not table and "batch" in settings and re.match(r"# Batch:", line):
            line = f"# Batch:          {settings['batch']} utterances a step; {why}"
        elif not table and command and re.match(r"# Command:", line):
            line = f"# Command:        {command}"
        key = re.match(r"\s*([A-Za-z_]+)\s*=\s*([^#]*?)\s*(#.*)?$", line)
        if key and table == "input" and key[1] in left:
            new = left.pop(key[1])
            line = f"{key[1]} = {new}  # was {key[2]}; {why}"
        elif key and not table and key[1] == "name" and name:
            line = f'name = "{name}"'
        found.append(line)
    if left:
        raise WriteError(f"[input] has no line of {', '.join(left)}; expected each on a line of its own")
    return "\n".join(found) + "\n"


def write_curve(folder: Path, rows: Sequence[Mapping[str, object]]) -> list[Path]:
    """Write curve.csv, and curve.svg of those batches whose speed is known; return the files."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: int(str(row["batch"]))))
    write_whole(folder / "curve.csv", text.getvalue())
    points = [(float(str(row["batch"])), float(str(row["speed"]))) for row in rows if row.get("speed")]
    if len(points) < 2:
        return [folder / "curve.csv"]
    write_whole(folder / "curve.svg", figure(sorted(points)))
    return [folder / "curve.csv", folder / "curve.svg"]


def figure(points: Sequence[tuple[float, float]]) -> str:
    """Return a figure of speed over batch, from 0 on, as SVG."""
    most_x, most_y = max(x for x, _ in points), 1.1 * max(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        return (EDGE + x / most_x * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y / most_y * (HEIGHT - 2 * EDGE))

    placed = [place(x, y) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    marks = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f77b4"/>'
        f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="middle">{speed:.3g}</text>'
        f'<text x="{x:.1f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{batch:g}</text>'
        for (x, y), (batch, speed) in zip(placed, points, strict=True)
    ]
    left, right, bottom = EDGE, WIDTH - EDGE, HEIGHT - EDGE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    parts = [
        f'{head} font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{left},{EDGE} V{bottom} H{right}" fill="none" stroke="black"/>',
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
        *marks,
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 15}" text-anchor="middle">batch, utterances</text>',
        f'<text x="{EDGE}" y="{EDGE - 20}">seconds of audio trained on in a second</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
