"""Two runs on the same utterances: which final evaluations are compared, and what is said of them.

    pairs = paired_finals(Side(name="a", ...), Side(name="b", ...), Wish())     # a Pair for each subset
    against_parts([contrast(pair) for pair in pairs])                           # benchmark.judge.against_summary

Only files are read (`benchmark.record.finals`): nothing is decoded. Both runs must have been evaluated by one decoder,
on the same utterances with the same references. What differs is refused or said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.judge.paired import (
    FEWEST_SPEAKERS,
    Counts,
    MatchedPairs,
    bootstrap,
    interval,
    matched_pairs,
    segments,
    share_below_zero,
    speakers_of,
)
from benchmark.judge.question import JudgeError
from benchmark.metrics import METRICS, USUAL
from benchmark.record.finals import Final, of_checkpoint

if TYPE_CHECKING:
    import numpy as np

    from benchmark.record.columns import Identity
else:
    from benchmark.record import arrays as np

ROLES = ("train", "dev", "test")  # with which names of subsets begin


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two runs: how it is called, its identity, and its final evaluations."""

    name: str
    run: Identity
    finals: Sequence[Final]
    which: str = "best"  # of its checkpoints

    def called(self) -> list[Final]:
        """Return the evaluations of the checkpoint asked for."""
        return of_checkpoint(self.finals, self.which)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What of two runs is to be compared; empty is what both have. `decoders` are names or labels.

    Training utterances are compared only if they are asked for.
    """

    subsets: tuple[str, ...] = ()
    decoders: tuple[str, ...] = ()
    beam_widths: tuple[int, ...] = ()
    features: str = ""  # the name of their folder

    def takes(self, final: Final) -> bool:
        parts = final.decoder.split("-")
        decoder = not self.decoders or any(_is_of(final.decoder, name) for name in self.decoders)
        width = not self.beam_widths or any(str(each) in parts for each in self.beam_widths) or parts == ["greedy"]
        features = not self.features or f".on-{self.features}-" in final.path.name
        return decoder and width and features and self._subset(final.subset)

    def _subset(self, name: str) -> bool:
        of_role = next(each for each in ROLES if name.lower().startswith(each))
        return name in self.subsets or of_role in self.subsets or not self.subsets and of_role != "train"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two evaluations of one subset, their runs' names, and what is to be said of the choice."""

    names: tuple[str, str]
    finals: tuple[Final, Final]
    notes: tuple[str, ...] = ()


def _is_of(label: str, name: str) -> bool:
    return label == name or label.startswith(f"{name}-")


# --- which evaluations -----------------------------------------------------------------------------------------------


def paired_finals(first: Side, second: Side, wish: Wish) -> list[Pair]:
    """Return the evaluations to compare, a pair a subset, by one decoder that both runs were evaluated with.

    Of several decoders the one asked for is taken, else the run's own, else the widest. Of evaluations on several
    features or batches those are taken that agree, and then the runs' own.

    Raises:
        JudgeError: one side has none, they have no decoder or no subset in common, or are the same evaluation.
    """
    sides = (first, second)
    there = [[each for each in side.called() if wish.takes(each)] for side in sides]
    for side, of_side in zip(sides, there, strict=True):
        if not of_side:
            raise JudgeError(f"{side.name}: {_lacking(side)}")
    labels = [dict.fromkeys(each.decoder for each in found) for found in there]
    common = [label for label in labels[0] if label in labels[1]]
    if not common:
        found = "; ".join(f"{s.name} by {', '.join(each)}" for s, each in zip(sides, labels, strict=True))
        raise JudgeError(
            f"no decoder in common: {found}; expected one that evaluated both: "
            f"{_command(second, next(iter(labels[0])))}"
        )
    taken = max(common, key=lambda label: _preference(label, first.run.decoder))
    candidates = [[each for each in found if each.decoder == taken] for found in there]
    subsets = dict.fromkeys((each.subset, each.sample) for each in candidates[0])
    others = dict.fromkeys((each.subset, each.sample) for each in candidates[1])
    pairs = [
        _pair(sides, [[e for e in found if (e.subset, e.sample) == subset] for found in candidates])
        for subset in subsets
        if subset in others
    ]
    if not pairs:
        on = [", ".join(" ".join(filter(None, subset)) for subset in found) for found in (subsets, others)]
        raise JudgeError(
            f"by {taken} {first.name} was evaluated on {on[0]}, {second.name} on {on[1]}; expected the same "
            f"subset: give benchmark.final --subsets or --features"
        )
    return [_noted(pair, sides, common, taken, set(subsets) ^ set(others)) for pair in pairs]


def _lacking(side: Side) -> str:
    found = dict.fromkeys(f"{each.checkpoint} by {each.decoder} on {each.subset}" for each in side.finals)
    return (
        f"final evaluations of it are {', '.join(found) or 'none'}; expected one of {side.which} as asked for; make it "
        f"with: {_command(side)}"
    )


def _command(side: Side, label: str = "") -> str:
    """Return the command that evaluates a run's checkpoint, by the decoder of a label such as "dictionary-512"."""
    step = side.which.removeprefix("batch ")
    run = f"{side.name}/checkpoints/ckpt-{step}" if step != side.which else side.name
    name = next((name for name in ("greedy", "dictionary", "language-model") if _is_of(label, name)), "")
    width = label.removeprefix(f"{name}-").partition("-")[0] if name and label != name else ""
    options = f" --decoder {name}" * bool(name) + f" --beam-width {width}" * bool(width)
    return f"python -m benchmark.final {run}{options}"


def _preference(label: str, own: str) -> tuple[bool, bool, int]:
    """Order decoders: the run's own label, then its kind of decoder, then by beam width."""
    widths = [int(part) for part in label.split("-") if part.isdecimal()]
    return label == own, label.partition("-")[0] == own.partition("-")[0], max(widths, default=1)


def _pair(sides: tuple[Side, Side], candidates: Sequence[Sequence[Final]]) -> Pair:
    def merit(pair: tuple[Final, Final]) -> tuple[bool, bool, int]:
        batches = len({each.row.get("batch") or "" for each in pair}) == 1
        others = sum(len(each.not_own(side.run)) for each, side in zip(pair, sides, strict=True))
        return len({each.features for each in pair}) == 1, batches, -others

    best = max(((one, other) for one in candidates[0] for other in candidates[1]), key=merit)
    if best[0].path == best[1].path and best[0].row == best[1].row:
        raise JudgeError(f"{best[0].path}: compared with itself; expected two runs, or two checkpoints of one")
    names = (sides[0].name, sides[1].name)
    if names[0] == names[1]:
        names = tuple(f"{name} ({each.checkpoint})" for name, each in zip(names, best, strict=True))  # type: ignore[assignment]
    return Pair(names=names, finals=best)


def _noted(pair: Pair, sides: tuple[Side, Side], common: Sequence[str], taken: str, lone: set) -> Pair:
    notes = []
    for name, final, side in zip(pair.names, pair.finals, sides, strict=True):
        own = final.not_own(side.run)
        called = final.checkpoint if final.checkpoint.startswith("batch") else f"{final.checkpoint}, batch {final.step}"
        notes.append(f"{name}: {', '.join((called, *own))}: {final.path}")
    if len(common) > 1:
        others = ", ".join(label for label in common if label != taken)
        notes.append(f"by {taken}; both were evaluated by {others} too: --decoder, --beam-width")
    if lone:
        notes.append(f"evaluated of one run only, and left out: {', '.join(' '.join(filter(None, s)) for s in lone)}")
    digests = {final.features for final in pair.finals}
    if len(digests) > 1:
        notes.append(f"on features that differ ({' and '.join(each[:6] or 'not known' for each in sorted(digests))})")
    return Pair(names=pair.names, finals=pair.finals, notes=tuple(notes))


# --- the same utterances ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Both:
    """The utterances that two evaluations share: their rows, side by side, and their speakers where they are known."""

    ids: tuple[str, ...]
    rows: tuple[list[dict[str, str]], list[dict[str, str]]]
    speakers: list[str] | None
    texts: bool  # whether references and hypotheses are there
    notes: tuple[str, ...] = ()

    def counts(self, metric: str) -> Counts:
        """Return edits and units of a metric, utterance by utterance."""
        edits, units = METRICS[metric].edits, METRICS[metric].units
        first, second = (np.array([int(row[edits]) for row in rows], np.int64) for rows in self.rows)
        return Counts(first, second, np.array([int(row[units]) for row in self.rows[0]], np.int64))

    def words(self, column: str, side: int = 0) -> Iterator[list[str]]:
        return (row[column].split() for row in self.rows[side])


def utterances_of(pair: Pair) -> Both:
    """Return the utterances that a pair of evaluations shares.

    Raises:
        JudgeError: they share fewer than half, or what was said is not the same.
        FinalsError: a file cannot be read.
    """
    tables = [{row["utterance"]: row for row in final.utterances()} for final in pair.finals]
    for final, table in zip(pair.finals, tables, strict=True):
        if not table:
            raise JudgeError(
                f"{final.path}: no file of its utterances beside it; expected one: decode anew with --again"
            )
    ids = tuple(sorted(set(tables[0]) & set(tables[1])))
    alone = [len(table) - len(ids) for table in tables]
    if len(ids) < max(map(len, tables)) / 2:
        sizes = ", ".join(f"{name} {len(table):,}" for name, table in zip(pair.names, tables, strict=True))
        raise JudgeError(
            f"{pair.finals[0].subset}: {len(ids):,} utterances in common ({sizes}); expected the same ones: evaluate "
            f"both on the same features"
        )
    notes = [
        f"{number:,} utterances of {pair.finals[0].subset} were evaluated of {name} only, and are left out"
        for name, number in zip(pair.names, alone, strict=True)
        if number
    ]
    rows = ([tables[0][each] for each in ids], [tables[1][each] for each in ids])
    texts = all("reference" in table[0] for table in rows)
    _check_references(pair, ids, rows, texts)
    speakers = speakers_of(ids)
    if speakers is None:
        strange = next(each for each in ids if speakers_of([each]) is None)
        notes.append(f"speakers are not known: {strange} is no id like SPEAKER-CHAPTER-NUMBER")
    elif (number := len(set(speakers))) < FEWEST_SPEAKERS:
        notes.append(f"speakers: {number}, too few for an interval over speakers ({FEWEST_SPEAKERS} at least)")
    if not texts:
        notes.append("a file of an older version has no sentences: no words, no segments; decode it anew for them")
    return Both(ids=ids, rows=rows, speakers=speakers, texts=texts, notes=tuple(notes))


def _check_references(pair: Pair, ids: Sequence[str], rows: Sequence[list[dict[str, str]]], texts: bool) -> None:
    """Raise JudgeError unless both evaluations have the same references, or as many words and characters."""
    columns = ("words", "characters", *["reference"] * texts)
    wrong = [n for n, (one, two) in enumerate(zip(*rows, strict=True)) if any(one[c] != two[c] for c in columns)]
    if not wrong:
        return
    n = wrong[0]
    shown = [f"{name} {row[n][columns[-1]][:80]!r}" for name, row in zip(pair.names, rows, strict=True)]
    why = "the same transcripts"
    if texts:
        used = [set("".join(row["reference"] for row in table)) for table in rows]
        if odd := "".join(sorted(used[0] ^ used[1])):
            why = f"one alphabet; only one of them has {odd[:40]!r}"
    raise JudgeError(
        f"{pair.finals[0].subset}: references differ in {len(wrong):,} of {len(ids):,} utterances, as in {ids[n]}: "
        f"{' and '.join(shown)} ({columns[-1]}); expected {why}"
    )


# --- what is found ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How one figure of two evaluations differs, in percentage points, first - second; intervals are of 95%."""

    metric: str
    rates: tuple[float, float]
    difference: float
    by_utterances: tuple[float, float] | None
    by_speakers: tuple[float, float] | None
    better: float  # share of redrawn utterances in which the first has fewer errors
    wins: int  # utterances in which the first has fewer edits
    losses: int
    ties: int

    @property
    def judged_by(self) -> tuple[float, float] | None:
        """The interval by which the two are told apart: over speakers where they are known, as theirs are alike."""
        return self.by_speakers or self.by_utterances

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 0 out."""
        bounds = self.judged_by
        return bounds is not None and not bounds[0] <= 0 <= bounds[1]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """All that is found of a pair: WER and CER, and NIST's test of words, which is None without sentences."""

    pair: Pair
    both: Both
    figures: tuple[Compared, ...]
    nist: MatchedPairs | None


def contrast(pair: Pair) -> Contrast:
    """Compare two evaluations. Raises JudgeError, FinalsError as `utterances_of` does."""
    both = utterances_of(pair)
    nist = None
    if both.texts:
        sentences = zip(both.words("reference"), both.words("hypothesis"), both.words("hypothesis", 1), strict=True)
        nist = matched_pairs([each for three in sentences for each in segments(*three)])
    return Contrast(pair=pair, both=both, figures=tuple(_compared(both, metric) for metric in USUAL), nist=nist)


def _compared(both: Both, metric: str) -> Compared:
    counts = both.counts(metric)
    draws, units = bootstrap(counts), max(int(counts.units.sum()), 1)
    by_speakers = None
    if both.speakers and (number := len(set(both.speakers))) >= FEWEST_SPEAKERS:
        by_speakers = interval(bootstrap(counts.summed(both.speakers)), number)
    wins, losses = (int((counts.first < counts.second).sum()), int((counts.first > counts.second).sum()))
    return Compared(
        metric=metric,
        rates=(100 * int(counts.first.sum()) / units, 100 * int(counts.second.sum()) / units),
        difference=counts.difference,
        by_utterances=interval(draws, len(both.ids)),
        by_speakers=by_speakers,
        better=share_below_zero(draws),
        wins=wins,
        losses=losses,
        ties=len(both.ids) - wins - losses,
    )
