"""MLPerf Training's log of its speech benchmark (rnnt), as a run: an epoch is one train row and one evaluate row.

    log = read_log("result_0.txt")      # IngestError names the file, the line, what was found and expected
    log.identity("dell-0"), log.rows, log.end, log.facts("result_0.txt")

What a log says and what becomes of it:

    init_start .. run_start             the create row; without init_start the run begins at run_start
    epoch_start .. epoch_stop           a train row; the first begins at run_start, where MLPerf's clock does
    eval_start .. eval_stop             an evaluate row; eval_accuracy is its WER, and no CER is known
    run_stop, its status                "success": finished; "aborted": diverged, so it counts as slower than all;
                                        without it the run is still going, or was interrupted
    ORG/results/SYSTEM/rnnt/ or, elsewhere, submission_org and submission_platform: the platform
    seed, global_batch_size             are what they are called
    opt_*, data_*, model_*, ...         a digest of them is the code: epochs are pooled only where all agree

Times are milliseconds. Logs of this suite also have exact seconds and error rates, which are taken instead, so that a
run that goes out and comes in again has the same figures.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.metrics import METRICS
from benchmark.record.clocks import Span
from benchmark.record.columns import LARGEST, Identity, Outcome, Row, Table
from benchmark.record.facts import SCHEMA
from benchmark.record.folder import End
from benchmark.record.holes import check_rows
from benchmark.record.phases import Phase

MARK = ":::MLLOG"
BENCHMARK = "rnnt"
QUALITY_TARGET = 0.058  # of rnnt, in rounds whose logs do not say it
OURS = "speech_tta_run"
NOT_OF_THE_RECIPE = ("submission_", "cache_clear", "seed", "global_batch_size", "eval_accuracy", "tracked_stats", OURS)
NOT_KNOWN = "not known"
LARGEST_LOG = 2**28  # bytes


class IngestError(ValueError):
    """A log that cannot become a run; the message names the file, the line, what was found and what was expected."""


@dataclass(frozen=True)
class Event:
    """One line of a log. `at_s` is in seconds of Unix time, or since the run's creation in a log of ours."""

    key: str
    at_s: float
    value: Any
    metadata: Mapping[str, Any]
    line: int


@dataclass(frozen=True)
class Log:
    """A log's events in the order of their times, and the run that they make."""

    source: str
    events: tuple[Event, ...]
    digest: str

    # --- what the log says ---------------------------------------------------------------------------------------

    def first(self, key: str) -> Event | None:
        return next((event for event in self.events if event.key == key), None)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The settings that the log names: the first value of every key that is a number, a word or yes or no."""
        found: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event.value, str | int | float) and event.key not in ("eval_accuracy", "tracked_stats"):
                found.setdefault(event.key, event.value)
        return found

    @cached_property
    def _began(self) -> Event:
        began = self.first("init_start") or self.first("run_start")
        if began is None or self.first("run_start") is None:
            raise IngestError(f"{self.source}: no run_start; expected a whole log of a training")
        return began

    @property
    def created(self) -> datetime:
        """The time at which the run began."""
        own = self.first(OURS)
        created_ms = own.metadata.get("created_ms") if own else None
        seconds = created_ms / 1000 if isinstance(created_ms, int | float) else self._began.at_s
        return datetime.fromtimestamp(seconds, timezone.utc)

    def _since_s(self, event: Event) -> float:
        return event.at_s - self._began.at_s if self.first(OURS) is None else event.at_s

    @property
    def platform(self) -> str:
        """The submitter and the system: by the folders of MLPerf's results, else by the log itself."""
        folders = Path(self.source).resolve().parts[:-1]
        if len(folders) > 3 and folders[-1] == BENCHMARK and folders[-3] == "results":
            return f"{folders[-4]} {folders[-2]}"
        parts = [str(self.values[key]) for key in ("submission_org", "submission_platform") if key in self.values]
        return " ".join(parts) or folders[-1]

    @property
    def target_percent(self) -> float:
        """The WER in percent that the run aimed at."""
        aim = self.values.get("quality_target", QUALITY_TARGET)
        return round(100 * float(aim), 8) if isinstance(aim, int | float) and aim > 0 else 100 * QUALITY_TARGET

    # --- the run -------------------------------------------------------------------------------------------------

    def identity(self, name: str) -> Identity:
        """Return the fields that all rows of the run share."""
        if own := self.first(OURS):
            try:
                return Identity(**{**own.value, "run": name})
            except TypeError:
                raise IngestError(f"{self.source}:{own.line}: {OURS} is not that of this version") from None
        seed, batch = (self.values.get(key, 0) for key in ("seed", "global_batch_size"))
        return Identity(
            run=name,
            platform=self.platform,
            workload=BENCHMARK,
            recipe=f"{BENCHMARK}-{self.values.get('submission_division', 'unknown')}",
            seed=int(seed) if isinstance(seed, int | float) else 0,
            replicas=1,
            devices=NOT_KNOWN,
            emulated=False,
            batch=int(batch) if isinstance(batch, int | float) else 0,
            precision=NOT_KNOWN,
            features=NOT_KNOWN,
            decoder=NOT_KNOWN,
            evaluation="resident",
            code=self._recipe_digest,
        )

    @property
    def _recipe_digest(self) -> str:
        kept = {k: v for k, v in self.values.items() if not k.startswith(NOT_OF_THE_RECIPE)}
        return hashlib.md5(json.dumps(kept, sort_keys=True).encode(), usedforsecurity=False).hexdigest()[:12]

    @cached_property
    def rows(self) -> tuple[tuple[Phase, Span, Outcome], ...]:
        """The run's rows, in the order in which a run would have written them.

        Raises:
            IngestError: the log has no evaluation, or an error rate that is no number.
        """
        assert self._began  # or there would be no run_start
        run_start = self._since_s(self.first("run_start"))  # type: ignore[arg-type]
        found = [(Phase.CREATE, Span(0.0, run_start), Outcome(step=0, epoch=0)), *_Epochs(self, run_start).rows()]
        if not any(phase is Phase.EVALUATE for phase, *_ in found):
            raise IngestError(f"{self.source}: no eval_accuracy; expected one for each epoch: nothing can be judged")
        self._check(found)
        return tuple(found)

    def _check(self, rows: Sequence[tuple[Phase, Span, Outcome]]) -> None:
        """Raise IngestError for rows that no reader of a journal would take."""
        try:
            made = [
                Row(**vars(self.identity("r")), **vars(outcome), phase=phase, started_s=s.started_s, seconds=s.seconds)
                for phase, s, outcome in rows
            ]
            check_rows(self.source, Table.of(made))
        except (ValueError, OverflowError) as error:
            words = str(error).removeprefix(f"{self.source}:").partition(": ")[2] or str(error)
            raise IngestError(f"{self.source}: its rows make no run: {words[:200]}") from None

    @property
    def end(self) -> End | None:
        """How the run ended; None if the log does not say, as that of a run that is still going."""
        stop = self.first("run_stop")
        if stop is None:
            return None
        status, (_, span, last) = str(stop.metadata.get("status")), self.rows[-1]
        return End(
            status="diverged" if status == "aborted" else "finished",
            message=f"{status}, by its log",
            step=last.step,
            epoch=last.epoch,
            clock_s=span.ended_s,
        )

    def facts(self) -> dict[str, Any]:
        """Return the content of the run's run.json: its targets, and what the log says of how it was made."""
        return {
            "schema": SCHEMA,
            "created": self.created.isoformat(timespec="milliseconds"),
            "plan": {"targets": {"wer": [self.target_percent]}},
            "log": {
                "format": "mllog",
                "file": Path(self.source).name,
                "digest": self.digest,
                "rows": len(self.rows),
                "values": self.values,
            },
        }


@dataclass
class _Epochs:
    """Follows a log event by event, and makes the rows of its epochs."""

    log: Log
    ended_s: float  # of the last train row
    epoch: int = 0
    training_s: float | None = None  # since when
    evaluation: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[Phase, Span, Outcome]]:
        first = True
        for event in self.log.events:
            at_s = self.log._since_s(event)
            if event.key == "epoch_start":
                yield from self._trained(at_s)
                self.epoch = _epoch(event, self.epoch + 1)
                self.training_s, first = (self.ended_s if first else at_s), False
            elif event.key in ("epoch_stop", "run_stop"):
                yield from self._trained(at_s)
            elif event.key == "eval_start":
                yield from self._trained(at_s)
                yield from self._evaluated()
                self.evaluation = {"epoch": _epoch(event, self.epoch), "started_s": at_s}
            elif event.key == "eval_accuracy":
                self.evaluation.setdefault("epoch", _epoch(event, self.epoch))
                self.evaluation.setdefault("started_s", at_s)
                self.evaluation |= {"ended_s": at_s, "errors": _errors(self.log.source, event)}
            elif event.key == "eval_stop":
                self.evaluation["ended_s"] = max(at_s, self.evaluation.get("ended_s", at_s))
        yield from self._evaluated()

    def _trained(self, at_s: float) -> Iterator[tuple[Phase, Span, Outcome]]:
        if self.training_s is None:
            return
        yield from self._evaluated()
        begun_s = max(self.training_s, self.ended_s)
        self.training_s, self.ended_s = None, max(at_s, begun_s)
        outcome = Outcome(step=self._step(self.epoch), epoch=self.epoch, utterances=self._count("train_samples"))
        yield Phase.TRAIN, Span(begun_s, self.ended_s - begun_s), outcome

    def _evaluated(self) -> Iterator[tuple[Phase, Span, Outcome]]:
        found, self.evaluation = self.evaluation, {}
        if "errors" in found:
            epoch, begun_s = found["epoch"], found["started_s"]
            outcome = Outcome(step=self._step(epoch), epoch=epoch, utterances=self._count("eval_samples"))
            self.ended_s = max(self.ended_s, found["ended_s"])
            yield Phase.EVALUATE, Span(begun_s, found["ended_s"] - begun_s), replace(outcome, **found["errors"])

    def _step(self, epoch: int) -> int:
        """Return the batches up to the end of an epoch, as far as the log says."""
        samples, batch = self._count("train_samples"), self.log.values.get("global_batch_size")
        whole = isinstance(batch, int) and batch > 0 and samples is not None
        return epoch * math.ceil(samples / batch) if whole else epoch  # type: ignore[operator]

    def _count(self, key: str) -> int | None:
        found = self.log.values.get(key)
        return int(found) if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0 else None


def _epoch(event: Event, otherwise: int) -> int:
    found = event.metadata.get("epoch_num", otherwise)
    return found if type(found) is int and found > 0 else otherwise


def _errors(source: str, event: Event) -> dict[str, float]:
    """Return the error rates in percent: the WER of the line, or all that a log of ours has."""
    own = event.metadata.get("percent")
    if isinstance(own, Mapping):
        found = {name: own[name] for name in METRICS if own.get(name) is not None}
    else:
        found = {"wer": event.value}
    if not found or not all(_is_rate(value) for value in found.values()):
        shown = repr(event.value if own is None else dict(own))
        raise IngestError(f"{source}:{event.line}: eval_accuracy is {shown[:80]}; expected an error rate from 0")
    return found if own is not None else {"wer": round(100 * found["wer"], 8)}


def _is_rate(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= LARGEST  # type: ignore[operator]


# --- reading ---------------------------------------------------------------------------------------------------------


def read_log(path: str | Path) -> Log:
    """Read a log.

    Raises:
        IngestError: it is no log of MLPerf's speech benchmark; the message says what was found.
    """
    source, path = str(path), Path(path)
    try:
        if path.stat().st_size > LARGEST_LOG:
            raise IngestError(f"{source}: {path.stat().st_size:,} bytes; expected a log, at most {LARGEST_LOG:,}")
        data = path.read_bytes()
    except OSError as error:
        raise IngestError(f"{source}: cannot be read ({error.strerror})") from None
    lines = enumerate(data.decode("utf-8", "replace").splitlines(), start=1)
    events = [_event(source, number, line) for number, line in lines if MARK in line]
    if not events:
        raise IngestError(f"{source}: no line with {MARK}; expected a log of MLPerf Training")
    log = Log(source, tuple(sorted(events, key=lambda event: event.at_s)), hashlib.md5(data).hexdigest())
    named = log.values.get("submission_benchmark")
    if named not in (None, BENCHMARK):
        raise IngestError(f"{source}: a log of {str(named)[:40]!r}; expected {BENCHMARK}, whose accuracy is a WER")
    return log


def _event(source: str, number: int, line: str) -> Event:
    try:
        content = json.loads(line[line.index(MARK) + len(MARK) :])
        metadata = content.get("metadata") or {}
        at_s = float(metadata["at_s"]) if "at_s" in metadata else float(content["time_ms"]) / 1000
        if not (math.isfinite(at_s) and isinstance(metadata, dict)):
            raise ValueError
        return Event(str(content["key"]), at_s, content.get("value"), metadata, number)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise IngestError(
            f"{source}:{number}: {line.strip()[:80]!r}; expected {MARK} and a JSON object with time_ms and key"
        ) from None
