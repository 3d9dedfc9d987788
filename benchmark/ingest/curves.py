"""A training log of times, steps and error rates, as a run: what AlgoPerf's, TensorBoard's and mapped logs become.

    curve = Curve(source, digest, points, Known(...), Said(...))
    curve.identity("lion-0"), curve.rows, curve.end, curve.facts(), curve.notes

A `Point` is one evaluation: what the log's clocks and counters showed when its error rates were known. Between two of
them lie, in this order, what is neither training nor evaluation (a checkpoint row: logging, saving, lost work), a train
row and an evaluate row. What a log cannot say is `Said` by an option, or not known: batch and seed are then 0, the
machine is "not known", evaluation has no seconds of its own, and `knows` in run.json says so, for the judge.

Epochs are the log's where every evaluation stands at the end of one. Else evaluations are counted in place of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.ingest.epochs import TOUCHING_S, Rows
from benchmark.ingest.events import IngestError
from benchmark.ingest.points import NOT_KNOWN, OUTSIDE, Known, Point, Said
from benchmark.ingest.restarts import straightened
from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome, Row
from benchmark.record.facts import SCHEMA
from benchmark.record.folder import FINISHED, End
from benchmark.record.holes import check_rows
from benchmark.record.phases import Phase
from benchmark.record.table import Table

NEAR = 0.01  # epochs
SLACK = 1e-3  # the share by which clocks of one log may disagree
FROM_0 = "step 0 is taken for an untrained model: if steps are counted from 0, add one to them"
COUNTED = "its epochs are evaluations, counted: the log does not say that they stand at the ends of epochs"


@dataclass(frozen=True)
class Curve:
    """The evaluations of one log, in its order, and the run that they make."""

    source: str
    digest: str
    points: tuple[Point, ...]
    known: Known
    said: Said = Said()
    metric: str = "wer"
    read_notes: tuple[str, ...] = ()

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def platform(self) -> str:
        return self.known.platform or self.devices

    @property
    def stem(self) -> str:
        return self.known.stem

    @property
    def devices(self) -> str:
        return self.said.devices or self.known.devices

    @property
    def batch(self) -> int | None:
        """The global batch; None if neither the log nor an option says it. Raises IngestError if they differ."""
        return self._agreed("batch", self.known.batch, self.said.batch)

    @property
    def seed(self) -> int | None:
        return self._agreed("seed", self.known.seed, self.said.seed)

    def _agreed(self, name: str, known: int | None, said: int | None) -> int | None:
        if None not in (known, said) and known != said:
            raise IngestError(f"{self.source}: its {name} is {known}, and --{name} says {said}; leave --{name} out")
        return said if known is None else known

    @property
    def targets(self) -> dict[str, float]:
        """The levels in percent that the run aimed at, by metric."""
        return {self.metric: self.said.target} if self.said.target else dict(self.known.targets)

    def identity(self, name: str) -> Identity:
        """Return the fields that all rows of the run share."""
        return Identity(
            run=name,
            platform=self.platform,
            workload=self.said.workload or self.known.workload,
            recipe=self.said.recipe or self.known.recipe,
            seed=self.seed or 0,
            replicas=self.known.gpus,
            devices=self.devices,
            emulated=False,
            batch=self.batch or 0,
            precision=NOT_KNOWN,
            features=NOT_KNOWN,
            decoder=NOT_KNOWN,
            evaluation="resident",
            code=self.known.code,
        )

    # --- its rows ------------------------------------------------------------------------------------------------

    @cached_property
    def _straight(self) -> tuple[tuple[Point, ...], tuple[str, ...]]:
        """The evaluations that stand, with times that only grow, and what was done for that."""
        kept, notes = straightened(self.source, self.points, self.said)
        if self._budget_s is not None and self.said.budget_s is not None:
            within = tuple(p for p in kept if _clock_s(p) <= self._budget_s)
            if len(within) < len(kept):
                notes = (*notes, "evaluations after --budget left out")
            kept = within
        if not kept:
            raise IngestError(f"{self.source}: no evaluation left; expected one at least")
        if kept[0].step == 0 and len(kept) > 1 and 2 * kept[0].time_s > kept[1].time_s - kept[0].time_s:
            notes = (*notes, f"{FROM_0} ({kept[0].time_s:g} s had passed)")
        return kept, notes

    @property
    def _budget_s(self) -> float | None:
        return self.said.budget_s if self.said.budget_s is not None else self.known.budget_s

    @cached_property
    def _epochs(self) -> tuple[tuple[int, ...], bool, tuple[str, ...]]:
        """Each evaluation's epoch, whether these are the log's, and what is to be said of it."""
        points = self._straight[0]
        trained = [p.step is None or p.step > 0 for p in points]
        counted = tuple(sum(trained[: n + 1]) for n in range(len(points)))
        found = [self._epoch_of(point) for point in points]
        if any(each is None for each in found):
            return counted, False, (COUNTED,)
        epochs = [float(each) for each in found if each is not None]
        notes: tuple[str, ...] = ()
        if points[0].epoch is not None and epochs[0] == 0 and trained[0]:
            if self.said.first_epoch is None and not points[0].step:
                raise IngestError(
                    f"{self.source}:{points[0].line}: the first evaluation is of epoch 0, which is the first epoch or "
                    f"none at all; say --first-epoch 0 or 1"
                )
            if self.said.first_epoch != 1:
                epochs, notes = [each + 1 for each in epochs], ("epochs counted from 0: one added",)
        whole = [round(each) for each in epochs]
        near = all(abs(each - number) < NEAR for each, number in zip(epochs, whole, strict=True))
        if not near or len(set(whole)) < len(whole) or sorted(whole) != whole:
            return counted, False, (COUNTED,)
        return tuple(whole), True, notes

    def _epoch_of(self, point: Point) -> float | None:
        if point.epoch is not None:
            return point.epoch
        size = self.known.samples_per_epoch
        samples = self._samples_of(point)
        return samples / size if size and samples is not None else None

    def _samples_of(self, point: Point) -> float | None:
        if point.samples is not None:
            return point.samples
        return point.step * self.batch if point.step is not None and self.batch else None

    @cached_property
    def rows(self) -> Rows:
        """The run's rows, in the order in which a run would have written them.

        Raises:
            IngestError: the log makes no run; the message names the line.
        """
        found: Rows = [(Phase.CREATE, Span(0.0, 0.0), Outcome(step=0, epoch=0))]
        before: Point | None = None
        for number, point in enumerate(self._straight[0]):
            found += self._between(before, point, number)
            before = point
        self._check(found)
        return found

    def _between(self, before: Point | None, point: Point, number: int) -> Iterator[tuple[Phase, Span, Outcome]]:
        """Yield the rows from one evaluation's end to the next one's."""
        begun_s = before.time_s if before else 0.0
        total_s = point.time_s - begun_s
        eval_s = self._grown(before, point, "eval_s")
        train_s = self._grown(before, point, "train_s")
        known_s = (eval_s or 0.0) + (train_s or 0.0) + point.lost_s
        if known_s > total_s + max(TOUCHING_S, SLACK * point.time_s):
            raise IngestError(
                f"{self.source}:{point.line}: {known_s:g} s of training and evaluation since the one before, and "
                f"{total_s:g} s of everything; expected a time that holds both"
            )
        evaluated_s = min(total_s, eval_s or 0.0)
        rest_s = max(0.0, total_s - known_s) if train_s is not None else 0.0
        rest_s = min(rest_s + point.lost_s, total_s - evaluated_s)
        step = point.step if point.step is not None else number + 1
        epoch = self._epochs[0][number]
        if rest_s > TOUCHING_S:
            at = Outcome(step=self._step_before(number), epoch=self._epochs[0][number - 1] if number else 0)
            yield Phase.CHECKPOINT, Span(begun_s, rest_s), at
        else:
            rest_s = 0.0
        trained_s = total_s - evaluated_s - rest_s
        samples = self._samples_of(point)
        earlier = self._samples_of(before) if before else 0.0
        grown = None if samples is None or earlier is None else round(max(0.0, samples - earlier))
        untrained = step == 0
        if not untrained:
            span = Span(begun_s + rest_s, trained_s)
            yield Phase.TRAIN, span, Outcome(step=step, epoch=epoch, utterances=grown)
            evaluated = Span(point.time_s - evaluated_s, evaluated_s)
        else:
            evaluated = Span(begun_s + rest_s, trained_s + evaluated_s)
        phase = Phase.PROBE if untrained else Phase.EVALUATE
        yield phase, evaluated, Outcome(step=step, epoch=epoch, **point.errors)  # type: ignore[arg-type]

    def _step_before(self, number: int) -> int:
        if not number:
            return 0
        step = self._straight[0][number - 1].step
        return number if step is None else step

    def _grown(self, before: Point | None, point: Point, name: str) -> float | None:
        """Return by how many seconds a clock that the log sums up has grown; None if it has no such clock."""
        now, then = getattr(point, name), getattr(before, name) if before else 0.0
        if now is None or then is None:
            return None
        if now < then:
            raise IngestError(
                f"{self.source}:{point.line}: {name[:-2]} time falls from {then:g} to {now:g} s; expected sums "
                f"since the run began"
            )
        return now - then

    def _check(self, found: Rows) -> None:
        """Raise IngestError for rows that no reader of a journal would take."""
        try:
            identity = vars(self.identity("r"))
            made = [
                Row(**identity, **vars(outcome), phase=phase, started_s=span.started_s, seconds=span.seconds)
                for phase, span, outcome in found
            ]
            check_rows(self.source, Table.of(made))
        except IngestError:
            raise
        except (ValueError, OverflowError) as error:
            words = str(error).removeprefix(f"{self.source}:").partition(": ")[2] or str(error)
            raise IngestError(f"{self.source}: its evaluations make no run: {words[:200]}") from None

    def check(self) -> None:
        """Raise IngestError if the log makes no run."""
        self.rows  # noqa: B018

    # --- how it ended, and what is said of it ------------------------------------------------------------------------

    @property
    def end(self) -> End | None:
        """How the run ended: at its target, or at its budget; None if the log does not say."""
        points = self._straight[0]
        reached = any(p.errors.get(metric, math.inf) <= level for metric, level in self.targets.items() for p in points)
        budget_s = self._budget_s
        spent = budget_s is not None and _clock_s(points[-1]) + self.known.period_s >= budget_s
        cut = self.said.budget_s is not None and len(points) < len(self.points)
        if not (reached or spent or cut or self.said.ended):
            return None
        why = "at its target" if reached else "at its budget" if spent or cut else "by --ended"
        last = self.rows[-1]
        return End(
            status=FINISHED,
            message=f"{why}, by its log" if not self.said.ended or reached else why,
            step=last[2].step,
            epoch=last[2].epoch,
            clock_s=last[1].ended_s,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood in one of several ways, left out or not known, a sentence each."""
        notes = [*self.read_notes, *self._straight[1], *self._epochs[2]]
        missing = [f"--{name}" for name in ("batch", "seed") if getattr(self, name) is None]
        missing += ["--devices"] * (self.devices == NOT_KNOWN)
        if missing:
            notes.append(f"not in the log, and not known: {', '.join(missing)} would say it")
        if not self.knows["evaluation"]:
            notes.append(
                "the log does not say how long evaluation took; --evaluation says whether it is inside its time"
            )
        elif self.said.evaluation == OUTSIDE and self.points[0].eval_s is None:
            notes.append("evaluation is outside the log's time: the wall clock is that of training")
        if self.end is None:
            notes.append("nothing says that the run ended: a level that it missed is open (--ended says that it did)")
        return tuple(notes)

    @cached_property
    def knows(self) -> dict[str, bool]:
        """Whether the log says steps, epochs, samples, and which seconds are evaluation's."""
        points = self._straight[0]
        return {
            "steps": all(p.step is not None for p in points),
            "epochs": self._epochs[1],
            "samples": all(self._samples_of(p) is not None for p in points),
            "evaluation": all(p.eval_s is not None or p.train_s is not None for p in points)
            or self.said.evaluation == OUTSIDE,
        }

    @property
    def key(self) -> str:
        """What tells the log from others that were taken in: its digest, and the metric where it is not WER."""
        return self.digest if self.metric == "wer" else f"{self.digest}-{self.metric}"

    def facts(self) -> dict[str, Any]:
        """Return the content of the run's run.json: its targets, and what the log says of how it was made."""
        clocks = [name for name in ("train_s", "eval_s") if getattr(self.points[0], name) is not None]
        return {
            "schema": SCHEMA,
            "plan": {"targets": {metric: [level] for metric, level in self.targets.items()}},
            "log": {
                "format": self.known.format,
                "file": Path(self.source).name,
                "digest": self.key,
                "rows": len(self.rows),
                "knows": self.knows,
                "clocks": ["time_s", *clocks],
                "evaluation": "measured" if clocks else self.said.evaluation or NOT_KNOWN,
                "budget_s": self._budget_s,
                "values": dict(self.known.values),
            },
        }


def _clock_s(point: Point) -> float:
    return point.time_s if point.train_s is None else point.train_s
