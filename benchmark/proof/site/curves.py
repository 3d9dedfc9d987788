"""A run's error rates over time, as a drawing inside the page: scalable, without a script, in the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.metrics import METRICS, USUAL
from benchmark.record import Run

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 30, 44
MOST_POINTS = 400


def drawing(run: Run) -> str:
    """Return an <svg> of the usual error rates at the end of each epoch; "" where there is no evaluation."""
    record = run.record
    rows = record.evaluations[:: max(1, len(record.evaluations) // MOST_POINTS)]
    lines = {
        metric: [((record.read_s(row)) / 60, getattr(row, metric)) for row in rows if getattr(row, metric) is not None]
        for metric in USUAL
    }
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    most_x, most_y = max(x for x, _ in points) or 1.0, max(100.0 if y <= 100 else y for _, y in points)
    ticks_x, ticks_y = _ticks(most_x), _ticks(most_y)

    def place(x: float, y: float) -> tuple[float, float]:
        return (LEFT + x / most_x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM))

    parts = [f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Error rates over time">']
    for tick in ticks_y:
        _, at = place(0, tick)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in ticks_x:
        at, _ = place(tick, 0)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">minutes</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 10}" text-anchor="start">percent</text>')
    for number, (metric, line) in enumerate(lines.items()):
        if not line:
            continue
        path = "L".join("{:.1f} {:.1f}".format(*place(*point)) for point in line)
        parts.append(f'<path class="line line{number}" d="M{path}"/>')
        parts += ['<circle class="dot line{}" cx="{:.1f}" cy="{:.1f}" r="3"/>'.format(number, *place(*p)) for p in line]
        parts.append(f'<text class="name line{number}" x="{WIDTH - RIGHT - 70 * number}" y="{TOP - 10}" '
                     f'text-anchor="end">{METRICS[metric].label}</text>')  # fmt: skip
    return "".join([*parts, "</svg>"])


def _ticks(most: float) -> Sequence[float]:
    """Return four to eight round numbers from 0 to a maximum."""
    step = 10 ** math.floor(math.log10(most)) / 2 if most > 0 else 1.0
    while most / step > 7:
        step *= 2
    return [number * step for number in range(math.floor(most / step) + 1)]
