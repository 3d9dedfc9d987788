"""MLPerf Training's log of its speech benchmark (rnnt), open division, rules 3.1.0."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.export.runs import NOTICES, Ask, ExportError, created_ms, hardest_wer
from benchmark.metrics import METRICS
from benchmark.record import Row, Run, RunRecord
from benchmark.record.phases import Phase
from models.optimisers import AdaDelta, AdamW, AveragedAdamW
from models.table import RECIPES


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of an mllog: a key and its value at a moment of the journal; `line` is that journal's."""

    key: str
    at_s: float
    value: object = None
    line: int = 2  # the first below the header
    kind: str = "POINT_IN_TIME"
    metadata: Mapping[str, object] = field(default_factory=dict)

    def text(self, created_ms: int) -> str:
        parts = {
            "namespace": "",
            "time_ms": created_ms + round(self.at_s * 1000),
            "event_type": self.kind,
            "key": self.key,
            "value": self.value,
            "metadata": {"file": "journal", "lineno": self.line, "at_s": self.at_s, **self.metadata},
        }
        return f":::MLLOG {json.dumps(parts, allow_nan=False)}\n"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A WER level, and the evaluation at which TTA(a, e) reads that it was reached, or None."""

    percent: float
    window: int
    reached: Row | None

    @property
    def status(self) -> str:
        return "aborted" if self.reached is None else "success"

    @property
    def metadata(self) -> dict[str, object]:
        return {"metric": "wer", "level_percent": self.percent, "median_over_epochs": self.window}


def goal(run: Run, ask: Ask) -> Goal:
    percent = hardest_wer(run) if ask.level is None else ask.level
    return Goal(percent=percent, window=ask.window, reached=run.record.reached("wer", percent, window=ask.window))


def mllog(run: Run, ask: Ask) -> str:
    """The run as an MLPerf training log of open rnnt, up to the moment its goal was reached, or its end.

    Raises:
        ExportError: the log would not pass MLPerf's compliance checker, or run.json does not say when it began.
    """
    began_ms, record, aim = created_ms(run), run.record, goal(run, ask)
    stop_s = record.ended_s if aim.reached is None else aim.reached.ended_s
    evaluations = [row for row in record.evaluations if row.ended_s <= stop_s]
    _check_quality(run, evaluations)
    lines = {row: number for number, row in enumerate(record.rows, start=2)}
    last = evaluations[-1]
    events = [
        *_preamble(run, aim),
        *_epochs(record, evaluations, lines, stop_s),
        Event(
            key="run_stop",
            at_s=stop_s,
            kind="INTERVAL_END",
            line=lines[last if aim.reached else record.rows[-1]],
            metadata={"status": aim.status, "epoch_num": last.epoch, **aim.metadata, "notice": NOTICES["mllog"]},
        ),
    ]
    # Sorted by what is written: a row that begins where another ends, to the millisecond, stays behind it.
    return "".join(event.text(began_ms) for event in sorted(events, key=lambda event: round(event.at_s * 1000)))


def _check_quality(run: Run, evaluations: Sequence[Row]) -> None:
    """The open rules ask for one evaluation under 100%, of a model that was trained."""
    if unknown := [row.epoch for row in evaluations if row.wer is None]:
        raise ExportError(
            f"{run.record.source}: no WER in the evaluation of epoch {unknown[0]}; mllog's error is the WER"
        )
    best = min((row.wer for row in evaluations), default=None)
    if best is None or best >= 100 or not any(row.phase is Phase.TRAIN for row in run.record.rows):
        found = "no evaluation" if best is None else f"no WER under 100% (best {best:.2f}%)"
        raise ExportError(
            f"{run.record.source}: {found} up to the end of the log; MLPerf's open rules expect one: train longer, "
            f"or export --to json"
        )


def _preamble(run: Run, aim: Goal) -> Iterator[Event]:
    """Yield the events about the whole run, its creation, and run_start at the first training batch."""
    record, row, begun_s = run.record, run.identity, run.record.created_s
    notice = {"notice": NOTICES["mllog"]}
    attempts = {"emulated": row.emulated, "attempts": run.record.attempts}
    yield Event(key="notice", value=NOTICES["mllog"], at_s=begun_s, metadata=attempts)
    submission = {
        "submission_benchmark": "rnnt",
        "submission_division": "open",
        "submission_org": "none (speech-tta)",
        "submission_platform": row.platform + " (emulated)" * row.emulated,
        "submission_status": "research",
    }
    for key, value in submission.items():
        yield Event(key=key, value=value, at_s=begun_s, metadata=notice)
    created = {"created_ms": created_ms(run)}
    yield Event(key="speech_tta_run", value=vars(run.identity), at_s=begun_s, metadata=created)
    yield Event(key="quality_target", value=_fraction(aim.percent), at_s=begun_s, metadata=aim.metadata)
    not_done = {"reason": "speech-tta does not clear the system's caches"}
    yield Event(key="cache_clear", value=False, at_s=begun_s, metadata=not_done)
    yield Event(key="init_start", at_s=begun_s, kind="INTERVAL_START")
    taken_in = _taken_in(run)
    numbers: dict[str, object] = {**_samples(record), "seed": row.seed, "global_batch_size": row.batch}
    numbers |= taken_in or _optimiser(row.recipe)
    for key, number in numbers.items():
        yield Event(key=key, value=number, at_s=begun_s)
    training = next(place for place, row in enumerate(record.rows) if row.phase is Phase.TRAIN)
    start_s = record.rows[training].started_s
    yield Event(key="init_stop", at_s=min(record.rows[0].ended_s, start_s), kind="INTERVAL_END")
    yield Event(key="run_start", at_s=start_s, kind="INTERVAL_START", line=training + 2)


def _taken_in(run: Run) -> dict[str, object]:
    """Return the settings of a run that came from another suite's log, as the log had them; {} for a run of ours."""
    log = run.facts.content.get("log") if run.facts else None
    values = log.get("values") if isinstance(log, dict) else None
    kept = values.items() if isinstance(values, dict) else ()
    return {key: value for key, value in kept if not key.startswith("submission_") and key not in OWN_KEYS}


OWN_KEYS = ("cache_clear", "quality_target", "seed", "global_batch_size", "notice", "train_samples", "eval_samples")


def _optimiser(recipe: str) -> dict[str, object]:
    """Return the recipe's hyperparameters under MLPerf's names."""
    optimiser = RECIPES[recipe].optimiser if recipe in RECIPES else AdaDelta()
    if isinstance(optimiser, AdamW | AveragedAdamW):
        return {
            "opt_name": "adamw",
            "opt_base_learning_rate": optimiser.peak if isinstance(optimiser, AdamW) else optimiser.learning_rate,
            "opt_adamw_beta_1": optimiser.beta_1,
            "opt_adamw_beta_2": optimiser.beta_2,
            "opt_adamw_epsilon": optimiser.epsilon,
            "opt_adamw_weight_decay": optimiser.weight_decay,
        }
    return {
        "opt_name": "adadelta",
        "opt_base_learning_rate": optimiser.learning_rate,
        "opt_adadelta_rho": optimiser.rho,
        "opt_adadelta_epsilon": optimiser.epsilon,
    }


def _samples(record: RunRecord) -> dict[str, int | None]:
    """Utterances of an epoch of training, and of an evaluation; None where the journal does not say."""
    first = record.evaluations[0]
    counts = [row.utterances for row in record.standing if row.phase is Phase.TRAIN and row.epoch == first.epoch]
    return {"train_samples": None if None in counts else sum(counts), "eval_samples": first.utterances}


def _epochs(record: RunRecord, evaluations: Sequence[Row], lines: dict[Row, int], stop_s: float) -> Iterator[Event]:
    """Epochs and evaluations. An epoch that the end of the log cuts short has no epoch_stop."""
    trained: dict[int, list[Row]] = {}
    for row in record.standing:
        if row.phase is Phase.TRAIN and row.started_s < stop_s:
            trained.setdefault(row.epoch, []).append(row)
    evaluated = {row.epoch: row for row in evaluations}
    for epoch in sorted({*trained, *evaluated}):
        of_epoch = {"epoch_num": epoch}
        rows = trained.get(epoch, ())
        if rows:
            yield _edge("epoch_start", rows[0].started_s, lines[rows[0]], of_epoch)
        if rows and (epoch in evaluated or epoch < max(trained)):
            yield _edge("epoch_stop", rows[-1].ended_s, lines[rows[-1]], of_epoch)
        if row := evaluated.get(epoch):
            of_epoch["step_num"] = row.step
            yield _edge("eval_start", row.started_s, lines[row], of_epoch)
            error = {**of_epoch, "metric": "wer", "percent": {name: getattr(row, name) for name in METRICS}}
            yield Event(
                key="eval_accuracy", value=_fraction(row.wer), at_s=row.ended_s, line=lines[row], metadata=error
            )
            yield _edge("eval_stop", row.ended_s, lines[row], of_epoch)


def _edge(key: str, at_s: float, line: int, metadata: Mapping[str, object]) -> Event:
    kind = "INTERVAL_START" if key.endswith("_start") else "INTERVAL_END"
    return Event(key=key, at_s=at_s, kind=kind, line=line, metadata=dict(metadata))


def _fraction(percent: float) -> float:
    return round(percent / 100, 10)  # 41.23 / 100 is 0.41229999999999994
