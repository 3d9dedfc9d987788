"""How long each host of a run on several machines takes by itself: written down after every row, and who is slow told.

    watch = HostWatch(folder / "hosts.csv", hosts=("a:2222", "b:2222"), attempt=1, taken=everywhere.taken_everywhere)
    watch.written(row)                  # after a row of the journal
    watch.slow()                        # "host 1 (b:2222) 1.31x in train", by the latest rows; "" if none is

`benchmark.record.host_times` has the file's format, `benchmark.record.slowest` the rule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.record.columns import Row
from benchmark.record.host_times import PARTS, HostLog, HostRow, host_name
from benchmark.record.phases import Phase
from benchmark.record.slowest import slow_hosts

LATEST = 60
"""Rows of a phase by which the view judges: a host that becomes slow in the second week is to be seen then."""

Taken = Callable[[Iterable[str]], Mapping[str, tuple[float | None, ...]]]


class HostWatch:
    """The hosts of one attempt at a run. Raises HostTimesError or OSError if the file cannot be gone on with.

    A file that cannot be written any more, as on a full disk, does not end the run: `warn` is told, once.
    """

    def __init__(
        self, path: Path, *, hosts: Sequence[str], attempt: int, taken: Taken, warn: Callable[[str], None]
    ) -> None:
        self.names = tuple(host_name(rank, address) for rank, address in enumerate(hosts))
        self.attempt, self._taken, self._warn = attempt, taken, warn
        self._latest: dict[tuple[Phase, str], deque[HostRow]] = {}
        self._log: HostLog | None = HostLog.open(path, machines=len(hosts))

    def written(self, row: Row) -> None:
        """Write down what a row that is now in the journal took on each host."""
        own = self._taken(PARTS.get(row.phase, ()))
        rows = [self._row(row, part, times) for part, times in own.items()]
        for each in rows:
            self._latest.setdefault((each.phase, each.part), deque(maxlen=LATEST)).append(each)
        try:
            if self._log:
                self._log.append(rows)
        except OSError as error:
            self._warn(f"{self._log.path}: cannot be written ({error.strerror}); what each host takes is lost from now")
            self.close()

    def _row(self, row: Row, part: str, own: tuple[float | None, ...]) -> HostRow:
        where = {name: getattr(row, name) for name in ("phase", "epoch", "step", "started_s", "seconds")}
        return HostRow(attempt=self.attempt, part=part, own=own, **where)

    def slow(self) -> str:
        """Return the slow host of the latest rows and its work, the one that costs most; "" if there is none."""
        found = slow_hosts(row for rows in self._latest.values() for row in rows)
        if not found:
            return ""
        worst = max(found, key=lambda work: work.share)
        return f"{self.names[worst.slowest]} {worst.ratio:.2f}x in {worst.name}"

    def close(self) -> None:
        if self._log:
            self._log.close()
            self._log = None
