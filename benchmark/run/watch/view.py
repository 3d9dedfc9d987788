"""The live view of a run: a panel on a terminal, else one plain line per phase.

    with view(title, plan, clock) as show:
        show.phase(Phase.TRAIN, progress)   # about to start
        show.row(row, progress)             # done
        show.sentences("generate", sentences)
        show.decoded(40, 150)               # utterances of an evaluation

The view is written to standard error; standard output is kept for results.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from benchmark.record.clocks import Clock
from benchmark.record.columns import Row
from benchmark.record.phases import Phase, Plan
from benchmark.record.sentences import Example
from benchmark.run.state.progress import Progress
from benchmark.run.watch.outlook import Outlook

SHOWN_SENTENCES = 3
GAP = 3  # characters between figures
PLAIN_PROGRESS_EVERY_S = 5.0


Still = Callable[[Row], float]
Slow = Callable[[], str]


def never(row: Row) -> float:  # noqa: ARG001 - a Still that knows of none
    """Return 0.0: nobody looked."""
    return 0.0


@contextmanager
def view(
    title: str,
    plan: Plan,
    clock: Clock,
    still: Still = never,
    slow: Slow | None = None,
    *,
    busy: object = "",
    quiet: bool = False,
) -> Iterator[PlainView]:
    """Yield a LiveView if standard error is a terminal, else a PlainView; one that shows nothing if `quiet` is set.

    `still` tells how many seconds of a row that is over the run stood still. On several machines `slow` names the slow
    host of the latest rows, "" if there is none: "host 2 (c:2222) 1.31x in train". `busy` says as a text how busy the
    machine is just now.
    """
    if quiet:
        yield NoView(plan, still, slow)
        return
    if not sys.stderr.isatty():
        yield PlainView(plan, still, slow)
        return
    shown = LiveView(title, plan, clock, still, slow, busy=busy)
    with Live(shown, console=Console(stderr=True), refresh_per_second=4, transient=False):
        yield shown


def describe(row: Row, still_s: float = 0.0, slow: str = "") -> str:
    """Describe a row in a line: start, phase, epoch, batch, seconds, then loss, utterances/s or error rates.

    `still_s` are the seconds of it in which the run stood still, and `slow` the host that is slower than the others.
    """
    parts = [
        f"{row.started_s:8.1f} s  {row.phase.value:<10} epoch {row.epoch:<3} batch {row.step:<6} {row.seconds:6.1f} s"
    ]
    if row.loss is not None:
        parts.append(f"loss {row.loss:.2f}")
    if row.phase is Phase.TRAIN and row.utterances:
        parts.append(f"{row.utterances / row.seconds:.1f} utterances/s")
    if row.wer is not None:
        parts.append(f"WER {row.wer:.1f}%  CER {row.cer:.1f}%")
    if still_s:
        parts.append(f"stood still {still_s:.1f} s")
    if slow:
        parts.append(f"slow: {slow}")
    return "  ".join(parts)


class PlainView:
    """A view that prints one line per row, and generated sentences below it."""

    def __init__(self, plan: Plan, still: Still = never, slow: Slow | None = None) -> None:
        self.plan, self.still, self.slow = plan, still, slow
        self._said_s = time.monotonic()

    def phase(self, phase: Phase, progress: Progress) -> None:
        """Take the phase that is about to start; a plain view prints nothing."""

    def row(self, row: Row, progress: Progress) -> None:
        """Print the row of a phase that is over."""
        self._print(self.described(row))

    def described(self, row: Row) -> str:
        """Return the line of a row; a train row names the slow host too, if there is one."""
        return describe(row, self.still(row), self.slow() if self.slow and row.phase is Phase.TRAIN else "")

    def sentences(self, phase: str, sentences: Sequence[Example]) -> None:
        """Print reference and hypothesis of the first three sentences."""
        for sentence in sentences[:SHOWN_SENTENCES]:
            self._print(f"{'':12}reference   {sentence.reference}")
            self._print(f"{'':12}hypothesis  {sentence.hypothesis}")

    def decoded(self, done: int, total: int) -> None:
        """Print how far an evaluation's decoding is, at most every PLAIN_PROGRESS_EVERY_S seconds."""
        if done < total and time.monotonic() - self._said_s >= PLAIN_PROGRESS_EVERY_S:
            self._print(f"{'':12}decoded {done:,} of {total:,} utterances")

    def _print(self, line: str) -> None:
        self._said_s = time.monotonic()
        print(line, file=sys.stderr, flush=True)


class NoView(PlainView):
    """A view that shows nothing."""

    def _print(self, line: str) -> None:
        pass


class LiveView(PlainView):
    """A panel that rich redraws four times a second from its own thread, whatever TensorFlow is doing."""

    def __init__(
        self, title: str, plan: Plan, clock: Clock, still: Still = never, slow: Slow | None = None, *, busy: object = ""
    ) -> None:
        super().__init__(plan, still, slow)
        self.title, self.clock, self.busy = title, clock, busy
        self.outlook = Outlook(plan)
        self.now, self.started_s = Phase.CREATE, 0.0
        self.progress = Progress(window=plan.window)
        self.lines: deque[str] = deque(maxlen=8)
        self.shown: list[Example] = []
        self.decoding: tuple[int, int] | None = None
        self.slow_host = ""

    def phase(self, phase: Phase, progress: Progress) -> None:
        self.now, self.started_s, self.progress = phase, self.clock.elapsed(), progress
        for row in progress.recent:  # of earlier attempts too
            self.outlook.take(row)
        self.decoding = None

    def row(self, row: Row, progress: Progress) -> None:
        self.progress = progress
        self.outlook.take(row)
        self.lines.append(describe(row, self.still(row)))
        self.slow_host = self.slow() if self.slow else ""

    def sentences(self, phase: str, sentences: Sequence[Example]) -> None:
        self.shown = list(sentences[:SHOWN_SENTENCES])

    def decoded(self, done: int, total: int) -> None:
        self.decoding = (done, total)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inside = options.update(width=options.max_width - 4, height=None)  # without the panel's frame
        room = max(1, console.height - 3)  # lines: without the frame, and that of the cursor

        def lines(part: RenderableType) -> list[list[Segment]]:
            return console.render_lines(part, inside, pad=False)

        parts = [
            lines(self._figures(inside.max_width)),
            lines(self._epoch_bar(inside.max_width)),
            [],
            lines(self._sentence_table()),
        ]
        rows = [lines(Text(line, style="dim")) for line in self.lines]
        left = room - sum(map(len, parts))
        if rows and left < len(rows[-1]):  # the latest row says more than the sentences
            del parts[3][max(0, len(parts[3]) - len(rows[-1]) + left) :]
            left = room - sum(map(len, parts))
        while rows and len(rows[-1]) <= left:
            left -= len(rows[-1])
            parts[2] = rows.pop() + parts[2]
        shown = [line for part in parts for line in part][:room]
        whole = [segment for line in shown for segment in (*line, Segment.line())]
        yield Panel(Segments(whole), title=self.title, title_align="left")

    def _figures(self, width: int) -> Text:
        """Return the figures side by side, in as many rows as the terminal's width asks for."""
        elapsed = self.clock.elapsed()
        last, trained = self.progress.last_evaluation, self.progress.last_trained
        figures = {
            "clock": _minutes(elapsed),
            "phase": f"{self.now.value} {elapsed - self.started_s:.0f} s",
            "epoch": f"{self.progress.epoch} of {self.plan.max_epochs}",
            "loss": f"{trained.loss:.2f}" if trained else "-",
            "utterances/s": f"{trained.utterances / trained.seconds:.1f}" if trained else "-",
            "WER": f"{last.wer:.1f}%" if last else "-",
            "CER": f"{last.cer:.1f}%" if last else "-",
            **self._ahead(elapsed),
        }
        if said := str(self.busy):
            figures["busy"] = said
        if self.slow:
            figures["slow host"] = self.slow_host or "none"
        return _side_by_side(figures, width)

    def _ahead(self, elapsed_s: float) -> dict[str, str]:
        """Return the next targets, and the time left: by the limit at most, by the trend at the soonest."""
        left_s, which = self.outlook.limit_s(self.progress, elapsed_s)
        found = {"left at most": f"{_minutes(left_s)} ({which})"}
        if targets := self.outlook.targets(self.progress):
            found = {**targets, **found}
            trend_s = self.outlook.trend_s(self.progress, elapsed_s)
            soonest = "-" if trend_s is None else f"{_minutes(trend_s)} or more"
            found["left by trend"] = "past the limit" if trend_s is not None and trend_s > left_s else soonest
        return found

    def _epoch_bar(self, width: int) -> Group:
        """Return a bar of the batches trained in the epoch, or of the utterances decoded in an evaluation."""
        total = self.plan.batches_per_epoch
        done, what = self.progress.step % total or (total if self.progress.step else 0), "batch"
        if self.decoding:
            (done, total), what = self.decoding, "decoded utterance"
        text = f"  {what} {done:,} of {total:,}"
        row = Table.grid()  # a bar by itself would not end its line
        bar = ProgressBar(total=total, completed=done, width=min(60, width))
        if min(60, width) + len(text) <= width:
            row.add_row(bar, Text(text))
            return Group(row)
        row.add_row(bar)
        return Group(row, Text(text.strip()))

    def _sentence_table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for sentence in self.shown:
            table.add_row(Text("reference", style="dim"), Text(sentence.reference))
            table.add_row(Text("hypothesis", style="dim"), Text(sentence.hypothesis, style="cyan"))
        return table


def _side_by_side(figures: Mapping[str, str], width: int) -> Text:
    """Return figures below their names, as many next to each other as fit."""
    rows: list[list[tuple[str, str]]] = [[]]
    taken = 0
    for name, value in figures.items():
        if rows[-1] and taken + max(len(name), len(value)) > width:
            rows.append([])
            taken = 0
        rows[-1].append((name, value))
        taken += max(len(name), len(value)) + GAP
    text = Text()
    for row in rows:
        for place, style in ((0, "dim"), (1, "bold")):
            cells = [pair[place].ljust(max(map(len, pair)) + GAP) for pair in row]
            text.append("".join(cells).rstrip() + "\n", style)
    text.rstrip()
    return text


def _minutes(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
