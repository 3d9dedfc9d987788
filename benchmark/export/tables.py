"""DAWNBench's table, and one JSON document of everything judged."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmark.export.runs import NOTICES, Ask, ExportError, source_name
from benchmark.judge import Question, judge
from benchmark.judge.guard import by_level
from benchmark.metrics import FIGURES, METRICS
from benchmark.record import CLOCKS, Row, Run, RunRecord

DOCUMENT_SCHEMA = 1


def dawnbench(run: Run, ask: Ask) -> str:
    """A row an epoch: its number, hours since model creation, 100 - WER (a WER can be above 100)."""
    record = run.record
    if not record.evaluations:
        raise ExportError(
            f"{record.source}: no evaluation; DAWNBench's table expects a row an epoch: train longer, "
            f"or export --to json"
        )
    if unknown := [row.epoch for row in record.evaluations if row.wer is None]:
        raise ExportError(f"{record.source}: no WER in the evaluation of epoch {unknown[0]}; accuracy is 100 - WER")
    lines = ["epoch\thours\ttop1Accuracy"]
    for row in record.evaluations:
        hours, accuracy = record.read_s(row, ask.clock) / 3600, max(0.0, 100 - row.wer)
        lines.append(f"{row.epoch}\t{round(hours, 9)}\t{round(accuracy, 6)}")
    return "\n".join(lines) + "\n"


def document(run: Run, ask: Ask) -> dict[str, object]:
    """Everything of the judged run, ready for JSON: times in seconds, errors in percent, null for not reached."""
    record, question = run.record, Question(metrics=tuple(METRICS), window=ask.window, reference=ask.reference)
    judgement = judge([run], question)
    [group] = judgement
    columns = [(level.metric, level.percent) for level in group.levels]
    if ask.level is not None and ("wer", ask.level) not in columns:
        columns.append(("wer", ask.level))
    return {
        "schema": DOCUMENT_SCHEMA,
        "notice": NOTICES["json"],
        "source": source_name(run),
        "identity": vars(run.identity),
        "attempts": record.attempts,
        "window_epochs": ask.window,
        "clocks": {f"{clock}_s": round(record.clock_s(record.ended_s, clock), 6) for clock in CLOCKS},
        "levels": [
            _level(record, metric, percent, ask.window)
            | _convergence(run, replace(question, metrics=(metric,)), percent)
            for metric, percent in columns
        ],
        "best_percent": group.best,
        "utterances_per_s": group.utterances_per_s,
        "tflop_per_s": group.tflop_per_s,
        "input_share": group.input_share,
        "evaluation_share": group.evaluation_share,
        "evaluations": [_evaluation(record, row) for row in record.evaluations],
        "warnings": judgement.warnings,
        "provenance": run.facts.content if run.facts else None,
    }


def _clocks_s(record: RunRecord, evaluation: Row) -> dict[str, float]:
    """Return each clock's seconds at the end of an evaluation, as the judge reads them."""
    return {f"{clock}_s": round(record.read_s(evaluation, clock), 6) for clock in CLOCKS}


def _level(record: RunRecord, metric: str, percent: float, window: int) -> dict[str, object]:
    row = record.reached(metric, percent, window=window)
    times = dict.fromkeys(f"{clock}_s" for clock in CLOCKS) if row is None else _clocks_s(record, row)
    return {"metric": metric, "level_percent": percent, "reached": row is not None, "epoch": row and row.epoch, **times}


def _convergence(run: Run, question: Question, percent: float) -> dict[str, object]:
    """Return what the reference of convergence says of a level, under a name of its own; {} without one."""
    [group] = judge([run], replace(question, levels=(percent,)))
    found = by_level(group, question)
    return {"convergence": beside} if (beside := found.get((question.metrics[0], percent))) else {}


def _evaluation(record: RunRecord, row: Row) -> dict[str, object]:
    errors = {name: getattr(row, name) for name in FIGURES}
    counts = {"epoch": row.epoch, "step": row.step, "utterances": row.utterances, "seconds": row.seconds}
    return {**counts, **errors, **_clocks_s(record, row)}


def as_json(run: Run, ask: Ask) -> str:
    return json.dumps(document(run, ask), indent=1, allow_nan=False) + "\n"
