"""The error figures of an evaluation, declared once: what each is called, and how it follows from edits.

    errors = Errors.of(utterances)              # utterances: the Edits of each
    errors.wer, errors.substitutions            # 33.33 percent, 2
    METRICS["wer"].label                        # "WER": the figures in percent, by which runs are judged
    FIGURES["substitutions"].of(utterances)     # 2: every figure, counts too

A further figure is one field of `Errors`. Evaluation then computes it; the journal, the files of `benchmark.final` and
the exports have it too; `--metric` takes it if it is in percent, and a workload if it may be a target.

A reference is what was said, a hypothesis what a model wrote. Edits are substitutions, deletions and insertions: the
fewest that turn a reference into its hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Edits:
    """The edits of one utterance, and the counts by which they are divided.

    `word_pairs` has (reference word, hypothesis word) for every word edited; a deletion has no hypothesis word, "", and
    an insertion no reference word. More than one alignment may have the fewest edits. The split among substitutions,
    deletions and insertions is that of one of them; their sum is that of all. `longest` is the number of characters of
    the longer sentence.
    """

    word_pairs: tuple[tuple[str, str], ...]
    words: int
    character_edits: int
    characters: int
    longest: int

    sentences = 1

    @property
    def word_edits(self) -> int:
        return len(self.word_pairs)

    @property
    def substitutions(self) -> int:
        return sum(bool(reference and hypothesis) for reference, hypothesis in self.word_pairs)

    @property
    def deletions(self) -> int:
        return sum(not hypothesis for _, hypothesis in self.word_pairs)

    @property
    def insertions(self) -> int:
        return sum(not reference for reference, _ in self.word_pairs)

    @property
    def sentence_errors(self) -> int:
        """1 if any word is wrong, else 0."""
        return int(bool(self.word_pairs))

    @property
    def word_share(self) -> float:
        return share(self.word_edits, self.words)

    @property
    def character_share(self) -> float:
        return share(self.character_edits, self.longest)


def share(edits: int, units: int) -> float:
    """Divide the edits of one utterance by its units; without units 0 if there are no edits, else 1."""
    return edits / units if units else float(edits > 0)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a figure is called, how it follows from edits, and what may be asked of it.

    `edits` and `units` are names of counts of `Edits`. A figure with units is a rate in percent: the edits of all
    utterances / their units, or, if it is `averaged`, the mean over utterances of edits / units. A figure without units
    is a count: the edits of all utterances.
    """

    label: str  # as tables print it
    words: str  # as --help explains it
    edits: str
    units: str = ""
    averaged: bool = False
    target: bool = False  # whether a workload may end a run at a level of it
    published: tuple[float, ...] = ()  # levels in percent of the paper's table 3
    as_the_paper: str = ""  # the metric that the paper's authors computed in its place

    def of(self, utterances: Sequence[Edits]) -> float:
        """Return the figure of at least one utterance; their order does not change a single digit."""
        edits = [getattr(utterance, self.edits) for utterance in utterances]
        if not self.units:
            return sum(edits)
        units = [getattr(utterance, self.units) for utterance in utterances]
        if self.averaged:
            return 100 * math.fsum(map(share, edits, units)) / len(utterances)  # fsum: exact in any order
        return 100 * sum(edits) / max(sum(units), 1)

    def shown(self, value: float) -> str:
        """Return the figure as people read it: "SER 93.10%", "512 substitutions"."""
        return f"{self.label} {value:.2f}%" if self.units else f"{value} {self.label}"


def _figure(**of_metric: Any) -> Any:
    return field(default=None, metadata={"metric": Metric(**of_metric)})


@dataclass(frozen=True, kw_only=True)
class Errors:
    """The error figures of a set of utterances; None if one was not measured. WER and CER may exceed 100 percent."""

    wer: float | None = _figure(
        label="WER",
        words="word edits / words of the references",
        edits="word_edits",
        units="words",
        target=True,
        published=(22.0, 20.2, 19.2),
        as_the_paper="wer_mean",
    )
    cer: float | None = _figure(
        label="CER",
        words="character edits / characters of the references",
        edits="character_edits",
        units="characters",
        target=True,
        published=(10.0, 8.0, 7.0),
        as_the_paper="cer_paper",
    )
    wer_mean: float | None = _figure(
        label="WER mean",
        words="mean over utterances of word edits / words",
        edits="word_edits",
        units="words",
        averaged=True,
    )
    cer_paper: float | None = _figure(
        label="CER paper",
        words="mean over utterances of character edits / characters of the longer sentence",
        edits="character_edits",
        units="longest",
        averaged=True,
    )
    ser: float | None = _figure(
        label="SER",
        words="sentences with an error / sentences",
        edits="sentence_errors",
        units="sentences",
        target=True,
    )
    substitutions: int | None = _figure(label="substitutions", words="words heard as others", edits="substitutions")
    deletions: int | None = _figure(label="deletions", words="words not heard", edits="deletions")
    insertions: int | None = _figure(label="insertions", words="words heard that were not said", edits="insertions")

    @classmethod
    def of(cls, utterances: Sequence[Edits]) -> Errors:
        """Compute every figure of at least one utterance; their order does not change a single digit."""
        figures: dict[str, Any] = {name: metric.of(utterances) for name, metric in FIGURES.items()}
        return cls(**figures)


FIGURES: dict[str, Metric] = {f.name: f.metadata["metric"] for f in fields(Errors)}
"""Every figure by name, in the order of the files that hold them."""

METRICS = {name: metric for name, metric in FIGURES.items() if metric.units}
"""The figures in percent, by which runs may be judged."""

TARGETS = tuple(name for name, metric in METRICS.items() if metric.target)
"""The metrics that a workload may have as targets."""

USUAL = tuple(name for name, metric in METRICS.items() if metric.published)
"""The metrics that are judged if nobody asks for others: those that the paper publishes."""

COUNTS = tuple(dict.fromkeys(name for m in FIGURES.values() for name in (m.edits, m.units) if name))
"""The counts of an utterance from which all figures follow."""
