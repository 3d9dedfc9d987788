"""MLPerf Training's log of its speech benchmark (rnnt), as a run: an epoch is one train row and one evaluate row.

    log = read_log("result_0.txt")      # IngestError names the file, the line, what was found and expected
    log.identity("dell-0"), log.rows, log.end, log.facts(), log.notes

What a log says and what becomes of it:

    init_start .. run_start             the create row; without init_start the run begins at run_start
    epoch_start .. epoch_stop           a train row; the first begins at run_start, where MLPerf's clock does. Blocks
                                        are taken where a log has no epochs. Counted from 0 or 1: numbers.py
    eval_start .. eval_stop             an evaluate row, within an epoch a probe; eval_accuracy is its WER, and no CER
                                        is known
    run_stop, its status                "success": finished, and the last evaluation ends here, as MLPerf's clock does;
                                        "aborted": diverged, so it counts as slower than all;
                                        without run_stop the run is still going, or was interrupted
    quality_target                      the WER aimed at, 0.058 without it. Error rates are fractions if it is one, and
                                        in percent if it and all of them are over 1
    ORG/results/SYSTEM/rnnt/ or, elsewhere, submission_org and submission_platform: the platform
    seed, global_batch_size             are what they are called
    opt_*, data_*, model_*, ...         a digest of them is the code: epochs are pooled only where all agree

A log is one run: more than one run_start or run_stop is refused. Times are milliseconds. Logs of this suite also have
exact seconds and error rates, which are taken instead, so that a run that goes out and comes in again has the same
figures.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.ingest.epochs import Rows, Sizes, rows
from benchmark.ingest.events import NAMES_BENCHMARK, Event, IngestError, is_amount, read_events
from benchmark.ingest.numbers import numbered
from benchmark.ingest.timeline import Timeline, follow
from benchmark.metrics import METRICS
from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome, Row
from benchmark.record.facts import SCHEMA
from benchmark.record.folder import End
from benchmark.record.holes import check_rows
from benchmark.record.phases import EVALUATED, Phase
from benchmark.record.table import Table

BENCHMARK = "rnnt"
QUALITY_TARGET = 0.058  # of rnnt, in rounds whose logs do not say it
OURS = "speech_tta_run"
NOT_OF_THE_RECIPE = ("submission_", "cache_clear", "seed", "global_batch_size", "eval_accuracy", "tracked_stats", OURS)
ONE_VALUE = (NAMES_BENCHMARK, "quality_target", "global_batch_size", "train_samples", "eval_samples")
STATUSES = {"success": "finished", "aborted": "diverged"}
NOT_KNOWN = "not known"
PARTS = 100  # steps of an epoch evaluated within, where the log does not say its batches


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
    def _run_start(self) -> Event:
        return self.first("run_start")  # type: ignore[return-value]  # read_log has seen it

    @cached_property
    def _began(self) -> Event:
        return self.first("init_start") or self._run_start

    @property
    def created(self) -> datetime:
        """The time at which the run began."""
        own = self.first(OURS)
        created_ms = own.metadata.get("created_ms") if own else None
        seconds = created_ms / 1000 if isinstance(created_ms, int | float) else self._began.at_s
        return datetime.fromtimestamp(seconds, UTC)

    @property
    def _zero_s(self) -> float:
        """The moment at which the run's clock shows 0, in the seconds of the events."""
        return self._began.at_s if self.first(OURS) is None else 0.0

    @property
    def platform(self) -> str:
        """The submitter and the system: by the folders of MLPerf's results, else by the log itself."""
        folders = Path(self.source).resolve().parts[:-1]
        if len(folders) > 3 and folders[-1] == BENCHMARK and folders[-3] == "results":
            return f"{folders[-4]} {folders[-2]}"
        parts = [str(self.values[key]) for key in ("submission_org", "submission_platform") if key in self.values]
        return " ".join(parts) or folders[-1]

    @property
    def stem(self) -> str:
        """The beginning of the run's name."""
        return self.platform

    @property
    def target_percent(self) -> float:
        """The WER in percent that the run aimed at."""
        return round(self._percent_of_one * self._aim, 8)

    @cached_property
    def _aim(self) -> float:
        said = self.first("quality_target")
        if said is None:
            return QUALITY_TARGET
        if not is_amount(said.value) or not said.value:
            raise IngestError(
                f"{self.source}:{said.line}: quality_target is {said.value!r:.40}; expected a WER above 0, as 0.058"
            )
        return said.value

    @cached_property
    def _percent_of_one(self) -> int:
        """What an error rate of 1 is in percent: 100, or 1 in a log whose target and error rates are all over 1.

        The WER of a model that has learnt nothing may well be over 1 as a fraction; all of them are not.
        """
        lines = [event for event in self.events if event.key == "eval_accuracy" and not _own_rates(event)]
        least = min(lines, key=lambda event: _rate(self.source, event), default=None)
        if least is None or (self._aim <= 1) == (least.value <= 1):
            return 100 if self._aim <= 1 else 1
        said = self.first("quality_target")
        target = f"line {said.line} has" if said else f"{BENCHMARK} has without its line"
        raise IngestError(
            f"{self.source}:{least.line}: eval_accuracy is {least.value:g} at the least, and the quality_target that "
            f"{target} is {self._aim:g}; expected both as fractions, or both in percent"
        )

    # --- the run -------------------------------------------------------------------------------------------------

    def identity(self, name: str) -> Identity:
        """Return the fields that all rows of the run share."""
        if own := self.first(OURS):
            try:
                return Identity(**{**own.value, "run": name})
            except TypeError:
                raise IngestError(f"{self.source}:{own.line}: {OURS} is not that of this version") from None
        return Identity(
            run=name,
            platform=self.platform,
            workload=BENCHMARK,
            recipe=f"{BENCHMARK}-{self.values.get('submission_division', 'unknown')}",
            seed=self._whole("seed") or 0,
            replicas=1,
            devices=NOT_KNOWN,
            emulated=False,
            batch=self._whole("global_batch_size") or 0,
            precision=NOT_KNOWN,
            features=NOT_KNOWN,
            decoder=NOT_KNOWN,
            evaluation="resident",
            code=self._recipe_digest,
        )

    @property
    def key(self) -> str:
        """What tells the log from others that were taken in."""
        return self.digest

    @property
    def _recipe_digest(self) -> str:
        kept = {k: v for k, v in self.values.items() if not k.startswith(NOT_OF_THE_RECIPE)}
        return hashlib.md5(json.dumps(kept, sort_keys=True).encode(), usedforsecurity=False).hexdigest()[:12]

    def _whole(self, key: str) -> int | None:
        """Return a setting that is a whole number from 0; None if the log does not have it."""
        said = next((event for event in self.events if event.key == key and event.value is not None), None)
        if said is None:
            return None
        if not is_amount(said.value) or said.value != int(said.value):
            raise IngestError(f"{self.source}:{said.line}: {key} is {said.value!r:.40}; expected a whole number")
        return int(said.value)

    @cached_property
    def _timeline(self) -> Timeline:
        errors = {event.line: self._errors(event) for event in self.events if event.key == "eval_accuracy"}
        return numbered(follow(self.source, self.events, errors))

    def _errors(self, event: Event) -> dict[str, float]:
        """Return the error rates in percent: the WER of the line, or all that a log of ours has."""
        own = _own_rates(event)
        if not all(map(is_amount, own.values())):
            raise IngestError(
                f"{self.source}:{event.line}: eval_accuracy has {own!r:.80} percent; expected error rates from 0"
            )
        return own or {"wer": round(self._percent_of_one * _rate(self.source, event), 8)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood in one of several ways, rounded or left out, a sentence each."""
        notes = [*self._timeline.notes]
        if any(phase is Phase.PROBE for phase, *_ in self.rows):
            notes.append("evaluations within epochs count with --every-evaluation only")
        if not self._timeline.evaluations[-1].is_whole and self.rows[-1][0] is Phase.EVALUATE:
            notes.append(
                "the target was reached within an epoch, which is taken for a whole one: epochs are rounded up, and "
                "seconds per epoch are too low by up to an epoch's share of them"
            )
        return tuple(notes)

    def check(self) -> None:
        """Raise IngestError if the log makes no run."""
        self.identity("r")
        self.rows  # noqa: B018

    @cached_property
    def rows(self) -> Rows:
        """The run's rows, in the order in which a run would have written them.

        Raises:
            IngestError: the log has no evaluation, or what it says makes no run; the message names the line.
        """
        run_start_s = self._run_start.at_s - self._zero_s
        create = (Phase.CREATE, Span(0.0, run_start_s), Outcome(step=0, epoch=0))
        if self.first("eval_accuracy") is None:
            raise IngestError(f"{self.source}: no eval_accuracy; expected one for each epoch: nothing can be judged")
        success = self._status == "success"
        found = [create, *rows(self._timeline, self._sizes, zero_s=self._zero_s, success=success)]
        if not any(phase in EVALUATED for phase, *_ in found):
            raise IngestError(
                f"{self.source}: no evaluation between run_start and run_stop; expected one for each epoch"
            )
        self._check(found)
        return found

    @cached_property
    def _sizes(self) -> Sizes:
        samples, batch = self._whole("train_samples"), self._whole("global_batch_size")
        whole = all(each.is_whole for each in self._timeline.evaluations)
        batches = math.ceil(samples / batch) if samples and batch else 1 if whole else PARTS
        return Sizes(batches, samples, self._whole("eval_samples"))

    def _check(self, found: Rows) -> None:
        """Raise IngestError for rows that no reader of a journal would take, or that deny the log's status."""
        try:
            made = [
                Row(**vars(self.identity("r")), **vars(outcome), phase=phase, started_s=s.started_s, seconds=s.seconds)
                for phase, s, outcome in found
            ]
            check_rows(self.source, Table.of(made))
        except (ValueError, OverflowError) as error:
            words = str(error).removeprefix(f"{self.source}:").partition(": ")[2] or str(error)
            raise IngestError(f"{self.source}: its rows make no run: {words[:200]}") from None
        best = min((outcome.wer for _, _, outcome in found if outcome.wer is not None), default=math.inf)
        if self.first(OURS) is None and self._status == "success" and best > self.target_percent:
            raise IngestError(
                f"{self.source}:{self.first('run_stop').line}: run_stop says success, but the lowest WER before it is "
                f"{best:g}% and the target {self.target_percent:g}%; expected the quality_target that was reached"
            )

    @cached_property
    def _status(self) -> str | None:
        """The status of run_stop; None without run_stop."""
        stop = self.first("run_stop")
        if stop is None:
            return None
        said = stop.value.get("status") if isinstance(stop.value, Mapping) else stop.value
        status = str(stop.metadata.get("status", said))
        if status not in STATUSES:
            raise IngestError(
                f"{self.source}:{stop.line}: run_stop has the status {status[:40]!r}; expected {' or '.join(STATUSES)}"
            )
        return status

    @property
    def end(self) -> End | None:
        """How the run ended; None if the log does not say, as that of a run that is still going."""
        stop = self.first("run_stop")
        if stop is None:
            return None
        last = self.rows[-1][2]
        return End(
            status=STATUSES[self._status],
            message=f"{self._status}, by its log",
            step=last.step,
            epoch=last.epoch,
            clock_s=stop.at_s - self._zero_s,
        )

    @property
    def knows(self) -> dict[str, bool]:
        """Whether the log says steps, epochs, samples, and which seconds are evaluation's."""
        sized = bool(self._whole("train_samples") and self._whole("global_batch_size"))
        return {"steps": sized, "epochs": True, "samples": sized, "evaluation": True}

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
                "knows": self.knows,
                "values": self.values,
            },
        }


def _own_rates(event: Event) -> dict[str, float]:
    """Return the error rates in percent that a line of ours has; {} for a line of others."""
    own = event.metadata.get("percent")
    found = {name: own.get(name) for name in METRICS} if isinstance(own, Mapping) else {}
    return {name: value for name, value in found.items() if value is not None}


def _rate(source: str, event: Event) -> float:
    if not is_amount(event.value):
        raise IngestError(f"{source}:{event.line}: eval_accuracy is {event.value!r:.80}; expected an error rate from 0")
    return event.value


def read_log(path: str | Path) -> Log:
    """Read a log.

    Raises:
        IngestError: it is no log of one run of MLPerf's speech benchmark; the message says what was found.
    """
    log = Log(str(path), *read_events(path))
    _check_one_run(log)
    return log


def _check_one_run(log: Log) -> None:
    """Raise IngestError for a log of another benchmark, or of none or several runs."""
    for key in ONE_VALUE:
        said = [event for event in log.events if event.key == key]
        if other := next((event for event in said if event.value != said[0].value), None):
            raise IngestError(
                f"{log.source}:{other.line}: {key} is {other.value!r:.40}, and {said[0].value!r:.40} on line "
                f"{said[0].line}; expected one value, and one run a file"
            )
    for key in ("run_start", "run_stop"):
        lines = sorted(event.line for event in log.events if event.key == key)
        if len(lines) > 1:
            raise IngestError(
                f"{log.source}: {key} on lines {', '.join(map(str, lines[:8]))}; expected one run a file: cut the file "
                f"into one for each run, or keep the run that counts"
            )
        if not lines and key == "run_start":
            raise IngestError(f"{log.source}: no run_start; expected a whole log of a training")
    start, stop = log.first("run_start"), log.first("run_stop")
    if stop and stop.at_s < start.at_s:
        raise IngestError(
            f"{log.source}:{stop.line}: run_stop before run_start (line {start.line}); expected the log of one run"
        )
    _check_benchmark(log)


def _check_benchmark(log: Log) -> None:
    named = log.values.get(NAMES_BENCHMARK)
    if named is None and Path(log.source).resolve().parent.name == BENCHMARK:
        return
    if named != BENCHMARK:
        found = "no " + NAMES_BENCHMARK if named is None else f"a log of {str(named)[:40]!r}"
        raise IngestError(f"{log.source}: {found}; expected {BENCHMARK}, whose accuracy is a WER")
