"""What a probe measured, and the seconds of an epoch that follow from it.

    measured = Measured.from_dict(message)
    measured.epoch(errors=(60.0, 40.0, 30.0))   # Epoch(train_s=..., total_s=..., mean=Mean(...))

Where an epoch is short, whole epochs were timed. Else an epoch's training is the sum over buckets of (its batches) x
(seconds of one), each bucket timed in turns with the others from memory, times a ratio: what stretches of a real epoch
took, input and all, over what the buckets' seconds say of the same batches. So neither the lengths that came by chance
nor the input pipeline are left out. How much stretches vary says in both cases how sure the seconds are.

Decoding takes less and less as a model grows sure of what it hears. Its time is measured on the probe's model, and on
outputs that are certain of the right sentence; between the two it follows the character error rate in a straight line
(tests/trials/estimate.py says how straight): so the curves of reference runs say what an epoch's evaluation takes, and
without them it stands as the probe's model has it, which is too much.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from benchmark.judge.estimates import Mean
from benchmark.record.phases import Phase

UNSURE_FROM = 75.0
"""The CER in percent from which decoding takes no longer: a model that hears hardly anything is as unsure as can be."""
LEAST_CER = 1.0  # of the probe's model: below it nothing can be told of a model that errs more


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Batches of one shape: `frames` padded to, how many an epoch has, seconds of the first call and of others.

    `seconds` has the mean seconds of a batch in every round; none if no batch of it was met.
    """

    frames: int
    batches: int
    first_s: float | None = None
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive batches of a real epoch: how many of each bucket, by its frames, and their seconds together."""

    batches: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation of some utterances: `share` of all the set's frames. Seconds are of these utterances.

    `forward_s` is reading and the forward pass, `decode_s` the decoding after it, `sure_s` that of certain outputs;
    None where a decoder does not care. `first_s` is what the first forward pass took more. `cer` is in percent.
    """

    utterances: int
    share: float
    forward_s: float
    decode_s: float
    sure_s: float | None
    cer: float
    first_s: float = 0.0

    def seconds(self, cer: float | None = None) -> float:
        """Return the seconds of an evaluation of the whole set, at an error rate; None is the probe's."""
        decode_s = self.decode_s
        if self.sure_s is not None and cer is not None and self.sure_s < decode_s:
            unsure = min(UNSURE_FROM, cer) / min(UNSURE_FROM, max(self.cer, LEAST_CER))
            decode_s = self.sure_s + (decode_s - self.sure_s) * unsure
        return (self.forward_s + decode_s) / self.share


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch's seconds: `train_s`, and all together; `mean` is that with its spread, for a product."""

    train_s: float
    evaluate_s: float
    other_s: float
    mean: Mean

    @property
    def total_s(self) -> float:
        return math.exp(self.mean.log)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that a probe found. `before_s` is the start of the process until a run's clock would begin.

    `phases` counts an epoch's rows by phase; `memory_bytes` are this process's and its decoders' at most, `gpu_bytes`
    the GPUs' each, `features_bytes` and `checkpoint_bytes` on disk. `open_s` has the openings of epochs' batches, the
    first one's alone if a run opens them once, `opened_once`. `epochs_s` has whole epochs' training, their opening
    included, where there was time for some; `stretches` are then of these. `prepared_s` is what corpus and features
    took, if they were made now.
    """

    before_s: float
    create_s: float
    buckets: tuple[Bucket, ...]
    stretches: tuple[Stretch, ...]
    open_s: tuple[float, ...]
    generate_s: tuple[float, ...]
    checkpoint_s: tuple[float, ...]
    swap_s: tuple[float, ...]
    evaluation: Evaluation
    phases: Mapping[str, float]
    batches_per_epoch: int
    opened_once: bool = False
    epochs_s: tuple[float, ...] = ()
    seconds: float = 0.0
    prepared_s: float = 0.0
    memory_bytes: int = 0
    gpu_bytes: tuple[int, ...] = ()
    features_bytes: int = 0
    checkpoint_bytes: int = 0
    others: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Measured:
        """Make it from what a child said."""
        known = {each.name: given[each.name] for each in fields(cls) if each.name in given}
        made = {
            "buckets": tuple(Bucket(**{**each, "seconds": tuple(each["seconds"])}) for each in given["buckets"]),
            "stretches": tuple(Stretch(**each) for each in given["stretches"]),
            "epochs_s": tuple(given.get("epochs_s", ())),
            "evaluation": Evaluation(**given["evaluation"]),
        }
        return cls(**{**known, **made})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def unmet(self) -> list[Bucket]:
        """Return the buckets of which no batch was met in time, whose seconds follow from those of the others."""
        return [bucket for bucket in self.buckets if not bucket.seconds]

    def seconds_of(self, bucket: Bucket) -> list[float]:
        """Return the seconds of a batch in every round; those of a bucket that was not met lie on the others' line."""
        if bucket.seconds:
            return list(bucket.seconds)
        met = [each for each in self.buckets if each.seconds]
        if len(met) == 1:
            return [value * bucket.frames / met[0].frames for value in met[0].seconds]
        frames = [float(each.frames) for each in met]
        found = []
        for values in zip(*(each.seconds for each in met), strict=True):
            slope, intercept = statistics.linear_regression(frames, values)
            found.append(max(min(values), intercept + slope * bucket.frames))
        return found

    @property
    def rounds(self) -> list[float]:
        """Return the seconds of an epoch's training by each round, without what reading costs."""
        of_buckets = [[each.batches * value for value in self.seconds_of(each)] for each in self.buckets]
        return [sum(values) for values in zip(*of_buckets, strict=True)]

    @property
    def ratios(self) -> list[float]:
        """Return for each stretch of a real epoch its seconds over those that its batches take from memory."""
        usual = {str(each.frames): statistics.fmean(self.seconds_of(each)) for each in self.buckets}
        return [
            each.seconds / sum(count * usual[frames] for frames, count in each.batches.items())
            for each in self.stretches
        ]

    @property
    def ratio(self) -> float:
        """Return the same of all stretches together."""
        usual = {str(each.frames): statistics.fmean(self.seconds_of(each)) for each in self.buckets}
        from_memory = [sum(n * usual[frames] for frames, n in each.batches.items()) for each in self.stretches]
        return sum(each.seconds for each in self.stretches) / sum(from_memory) if from_memory else 1.0

    @property
    def first_s(self) -> float:
        """Return what first calls take more than later ones: tracing and compilation, of every shape."""
        extra = [
            each.first_s - statistics.fmean(each.seconds) for each in self.buckets if each.first_s and each.seconds
        ]
        unmet = len(self.unmet) * (statistics.median(extra) if extra else 0.0)
        generate = self.generate_s[0] - min(self.generate_s[1:], default=self.generate_s[0]) if self.generate_s else 0.0
        opening = self.open_s[0] - self._open_s if self.open_s else 0.0
        calls = (sum(extra) + unmet, generate, opening, self.evaluation.first_s)
        return sum(max(0.0, each) for each in calls)

    @property
    def _open_s(self) -> float:
        """Return what opening an epoch takes, the first one left out."""
        if self.opened_once:
            return 0.0
        return statistics.median(self.open_s[1:] or self.open_s or (0.0,))

    @property
    def startup_s(self) -> float:
        """Return what the first epoch takes more than the others: creation, and first calls."""
        return self.create_s + self.first_s

    def epoch(self, errors: Sequence[float] = ()) -> Epoch:
        """Return an epoch's seconds, the mean over epochs that are evaluated at these CERs; none: as the probe's."""
        evaluate_s = statistics.fmean([self.evaluation.seconds(cer) for cer in errors or (None,)])
        evaluations = sum(self.phases.get(name, 0.0) for name in (Phase.EVALUATE, Phase.PROBE))
        varied = [*([] if self.epochs_s else [self.rounds]), *([self.ratios] if len(self.ratios) > 1 else [])]
        train_s = statistics.fmean(self.epochs_s or [statistics.fmean(self.rounds) * self.ratio])
        others = {
            Phase.GENERATE: statistics.median(self.generate_s[1:] or self.generate_s or (0.0,)),
            Phase.CHECKPOINT: statistics.median(self.checkpoint_s or (0.0,)),
            Phase.SWAP: statistics.fmean(self.swap_s or (0.0,)),
        }
        other_s = sum(self.phases.get(phase, 0.0) * seconds for phase, seconds in others.items())
        other_s += 0.0 if self.epochs_s else self._open_s
        total_s = train_s + other_s + evaluations * evaluate_s
        share = train_s / total_s
        spread = [(part.variance, part.freedom) for part in map(Mean.of, varied) if part.variance]
        variance = share**2 * sum(value for value, _ in spread)
        freedom = sum(v for v, _ in spread) ** 2 / sum(v**2 / f for v, f in spread) if spread else 1.0
        mean = Mean(log=math.log(total_s), variance=variance, freedom=freedom)
        return Epoch(train_s=train_s, evaluate_s=evaluations * evaluate_s, other_s=other_s, mean=mean)
