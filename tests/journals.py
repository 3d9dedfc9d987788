"""Small journals made by hand, for the tests of the judge and of what it feeds."""

import zlib
from pathlib import Path

from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome, Row
from benchmark.record.history import RunRecord
from benchmark.record.journal import Journal
from benchmark.record.phases import Phase

IDENTITY = {
    "run": "r1", "platform": "sys1", "workload": "mini", "variant": "", "recipe": "paper", "seed": 1, "replicas": 4,
    "devices": "CPU",
    "emulated": False, "batch": 96, "precision": "float32", "features": "ab12", "decoder": "greedy",
    "evaluation": "resident", "code": "cd34",
}  # fmt: skip


def make_row(phase: Phase, started_s: float, seconds: float, **changes) -> Row:
    usual = {**IDENTITY, "step": 0, "epoch": 0}
    return Row(**{**usual, **changes}, phase=phase, started_s=started_s, seconds=seconds)


def make_run(wers, *, cers=None, train_s: float = 100.0, evaluate_s: float = 10.0, source="", **identity) -> RunRecord:
    """Creation 30 s; then every epoch 10 train rows of 100 utterances and an evaluation. Epoch i ends at 30 + 110 i."""
    rows = [make_row(Phase.CREATE, 0.0, 30.0, **identity)]
    loss = 50 + zlib.crc32(rows[0].run.encode()) / 2**32  # of each run its own: runs of one curve count as one
    for epoch, wer in enumerate(wers, start=1):
        for part in range(10):
            rows.append(
                make_row(
                    Phase.TRAIN, rows[-1].ended_s, train_s / 10, step=10 * epoch + part, epoch=epoch, utterances=100,
                    loss=loss, **identity
                )
            )  # fmt: skip
        cer = cers[epoch - 1] if cers else wer / 2
        rates = {"wer": wer, "cer": cer, "wer_mean": wer + 5, "cer_paper": cer + 2}
        rows.append(
            make_row(
                Phase.EVALUATE, rows[-1].ended_s, evaluate_s, step=10 * epoch, epoch=epoch, utterances=9, **rates,
                **identity
            )
        )  # fmt: skip
    return RunRecord(tuple(rows), source)


def make_runs(*all_wers, **identity) -> list[RunRecord]:
    return [make_run(w, run=f"r{n}", seed=n, source=f"r{n}.csv", **identity) for n, w in enumerate(all_wers, start=1)]


def write(path: Path, record: RunRecord) -> str:
    """The record as a file; its path as the command line has it."""
    journal = Journal.create(path, record.identity or Identity(**IDENTITY))
    for row in record.rows:
        outcome = Outcome(**{name: getattr(row, name) for name in Outcome.__dataclass_fields__})
        journal.append(row.phase, Span(row.started_s, row.seconds), outcome)
    journal.close()
    return str(path)
