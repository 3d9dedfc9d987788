"""The levels *weights* and *replay*: what a child process computed again, held against the journal.

    check_weights(place, corpus, report, say=print)
    replay(place, corpus, (3,), report, say=print)

Digits are the same on the same kind of processor with the same TensorFlow: there not one may differ. On another kind,
and where a GPU trained or evaluates, sums are made in another order: error rates may then differ by RATE_POINTS, or
RATE_SHARE of them, and losses by LOSS_SHARE. Those are stated tolerances, not measured ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.metrics import FIGURES, METRICS
from benchmark.proof.bundle import BundleError
from benchmark.proof.unpacked import Place
from benchmark.proof.verdict import REPLAY, WEIGHTS, Refuted, Report
from benchmark.record import Row, Run
from benchmark.record.hypotheses import read_hypotheses
from benchmark.record.phases import EVALUATED, Phase
from platforms.machine import usable_cores

RATE_POINTS, RATE_SHARE = 0.5, 0.02
LOSS_SHARE = 0.05
DIGITS = 1e-6 * 1.01
Say = Callable[[str], None]


def check_weights(place: Place, corpus: Path | None, report: Report, *, say: Say) -> None:
    """Evaluate the checkpoints again that have an evaluation in the journal. Raises Refuted, BundleError."""
    if corpus is None:
        raise BundleError("the weights need the corpus, or its features: --corpus DIR")
    rows = {row.step: row for row in place.run.record.standing if row.phase in EVALUATED}
    steps = sorted(step for step in place.bundle.checkpoints if step in rows)
    if not steps:
        raise BundleError("no checkpoint of an evaluated epoch was sealed: the weights cannot be evaluated again")
    for step in steps:
        place.checkpoint(step)
    say(f"evaluating {len(steps)} checkpoints again")
    for found in _results(place, corpus, {"what": "weights", "steps": steps}):
        row, how = rows[found["step"]], _exact(place.run, found)
        _check_rates(WEIGHTS, row, found, how)
        if not how:
            _check_heard(place.run, row, found["heard"])
        report.checked(WEIGHTS, f"the checkpoint after batch {row.step}: WER {row.wer:.2f}%, CER {row.cer:.2f}%"
                                f"{_within(how)}")  # fmt: skip


def _check_heard(run: Run, row: Row, found: Sequence[Sequence[str]]) -> None:
    """Check what was heard in every utterance, where the run has kept it."""
    said = (read_hypotheses(run.folder) or {}).get((row.phase.value, row.step))
    if said is None:
        return
    again = {each[0]: each[1] for each in found}
    for (name, _), heard in zip(said.references, said.hypotheses, strict=True):
        if again.get(name, heard) != heard:
            raise Refuted(WEIGHTS, f"after batch {row.step} {heard[:60]!r} was heard in {name}; evaluated again it is "
                                   f"{again[name][:60]!r}")  # fmt: skip


def replay(place: Place, corpus: Path, epochs: tuple[int, ...], report: Report, *, say: Say) -> None:
    """Train epochs again, by default the last that can be. Raises Refuted, BundleError."""
    run = place.run
    for epoch in epochs or (_last(place),):
        step = (epoch - 1) * run.facts.plan.batches_per_epoch
        if not any(row.phase is Phase.EVALUATE and row.epoch == epoch for row in run.record.standing):
            raise BundleError(f"epoch {epoch} has no evaluation; there are those of 1 to {run.record.evaluated_epoch}")
        if step and not place.bundle.checkpoints.get(step):
            raise BundleError(f"epoch {epoch} begins after batch {step}, of which no whole checkpoint was sealed (seal "
                              f"--whole); epoch 1 begins with the seed: --replay 1")  # fmt: skip
        for there in (step, epoch * run.facts.plan.batches_per_epoch):
            if there in place.bundle.checkpoints:
                place.checkpoint(there)
        say(f"training epoch {epoch} again, from {f'the checkpoint after batch {step}' if step else 'the seed'}")
        _replayed(place, corpus, epoch, step, report)


def _last(place: Place) -> int:
    """Return the last epoch whose beginning is known: the seed's, or that of a whole checkpoint."""
    batches, last = place.run.facts.plan.batches_per_epoch, place.run.record.evaluated_epoch
    whole = [step for step, with_optimiser in place.bundle.checkpoints.items() if with_optimiser]
    return max([1, *(step // batches + 1 for step in whole if step % batches == 0 and step // batches < last)])


def _replayed(place: Place, corpus: Path, epoch: int, step: int, report: Report) -> None:
    rows = {row.step: row for row in place.run.record.standing if row.epoch == epoch and row.phase is Phase.TRAIN}
    evaluation = next(row for row in place.run.record.evaluations if row.epoch == epoch)
    results = list(_results(place, corpus, {"what": "replay", "epoch": epoch, "step": step}))
    about = next(found for found in results if "evaluated" in found)
    how = _exact(place.run, about)
    if about["kernels"] != place.run.facts.kernels:
        how = how or f"the kernels here are {about['kernels']}, and were {place.run.facts.kernels}"
    for found in results:
        if "row" in found:
            _check_row(rows[found["row"]], found, how)
        elif "evaluated" in found:
            _check_rates(REPLAY, evaluation, found, how)
        elif found["weights_differ"] and not how:
            raise Refuted(REPLAY, f"the weights after epoch {epoch} are others than those of the checkpoint "
                                  f"({found['weights_differ']} bytes)")  # fmt: skip
    weights = ", and the weights of its checkpoint" if any("weights_differ" in each for each in results) else ""
    losses = f"{len(rows)} loss{'es' * (len(rows) != 1)}, the error rates" + weights * (not how)
    report.checked(REPLAY, f"epoch {epoch}, trained again: {losses}{_within(how)}")


def _check_row(row: Row, found: Mapping[str, Any], how: str) -> None:
    for name in ("utterances", "audio_s", "tflop"):
        if getattr(row, name) is not None and abs(getattr(row, name) - found[name]) > DIGITS:
            raise Refuted(REPLAY, f"{name} of the row after batch {row.step} is {getattr(row, name)}; trained again "
                                  f"it is {found[name]}")  # fmt: skip
    loss = found["loss"]
    differs = row.loss != loss if not how else abs(row.loss - loss) > LOSS_SHARE * abs(loss)
    if differs:
        raise Refuted(REPLAY, f"the loss of the row after batch {row.step} is {row.loss}; trained again it is {loss}")


def _check_rates(level: str, row: Row, found: Mapping[str, Any], how: str) -> None:
    for name in METRICS:
        recorded, again = getattr(row, name), found["figures"][name]
        most = DIGITS if not how else max(RATE_POINTS, RATE_SHARE * again)
        if recorded is not None and abs(recorded - again) > most:
            raise Refuted(level, f"the {FIGURES[name].label} after batch {row.step} is {recorded}; evaluated again it "
                                 f"is {again}")  # fmt: skip


def _exact(run: Run, found: Mapping[str, Any]) -> str:
    """Return "" where not a digit may differ, else why some may."""
    facts = run.facts
    if found["on_gpu"] or not run.identity.devices.upper().startswith("CPU"):
        return "a GPU trained it, or is here"
    if found["cpu"] != facts.host.cpu or found["usable_cores"] != facts.host.usable_cores:
        return f"it was trained on {facts.host.usable_cores} cores of {facts.host.cpu}"
    if found["tensorflow"] != facts.versions.get("tensorflow"):
        return f"TensorFlow is {found['tensorflow']} here, and was {facts.versions.get('tensorflow')}"
    return ""


def _within(how: str) -> str:
    return f", within the tolerance for another machine ({how})" if how else ", to the last digit"


def _results(place: Place, corpus: Path, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Run the child process; yield its results. Raises BundleError where it could not."""
    asked = {"folder": str(place.folder), "corpus": str(corpus.absolute()), "jobs": usable_cores(), **request}
    command = [sys.executable, "-m", "benchmark.proof.again"]
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environ(root),
    ) as child:
        out, err = child.communicate(json.dumps(asked))
    for line in out.splitlines():
        found = json.loads(line)
        if "broken" in found:
            raise Refuted(request["what"], place.told(found["broken"]))
        if "cannot" in found:
            raise BundleError(place.told(found["cannot"]))
        yield found
    if child.returncode:
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        raise BundleError(f"the child process ended with status {child.returncode} ({place.told(last)[:200]})")


def _environ(root: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}  # the user's folder may hold another `models`
