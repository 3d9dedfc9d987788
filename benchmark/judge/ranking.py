"""The answer first: which rig is soonest, which cheapest, by how much, how certain, which are tied, what would tell.

    ranking = answer(block, question)   # or a sentence that says why not
    ranking.sentences                   # for a buyer
    ranking.table()                     # each rig against the soonest: time, cost, energy, throughput, verdict

Rigs are ranked at the hardest level that all runs reached, else the hardest that most rigs' medians did. What stands
between the soonest rig and another is `benchmark.judge.comparison`'s verdict, with Holm's adjustment over the others:
where it does not tell two apart they are tied, whatever their times are. Rigs with a single run are told apart by the
spread of others' runs, which is said. Emulated rigs are not ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.judge.circumstances import some
from benchmark.judge.common import hardest_common_level, unlike
from benchmark.judge.cost import RigCost, rig_costs
from benchmark.judge.groups import Group, Level
from benchmark.judge.missed import missed_sentence
from benchmark.judge.prices import cost_sentences
from benchmark.judge.question import COMPARED, Question, level_name
from benchmark.judge.terms import Terms
from benchmark.tables import Table, duration, durations, interval, money, number

if TYPE_CHECKING:
    from benchmark.judge.comparison import Asked
    from benchmark.judge.pairs import Answer, Pair


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rig's place: its group at the one level, its cost, and its comparison with the soonest, None for that one."""

    group: Group
    cost: RigCost
    pair: Pair | None = None

    @property
    def level(self) -> Level:
        return self.group.levels[0]

    @property
    def label(self) -> str:
        return self.group.label

    @property
    def is_tied(self) -> bool:
        """Whether nothing tells it from the soonest: neither a difference, nor a machine that differs by enough."""
        return self.pair is not None and (
            not self.pair.differs or (self.pair.is_same and not _training_differs(self.pair))
        )


def telling(place: Place) -> Answer | None:
    """Return the answer that tells the soonest rig ahead of a place; None if nothing does, or it was but luckier."""
    if place.pair is None or place.is_tied:
        return None
    answer = _answer(place.pair)
    return answer if _first_is_faster(answer) else None


def _training_differs(pair: Pair) -> bool:
    return pair.training is not None and pair.training.differs


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rigs in the order of their time to one level: those that reached it, then those that did not."""

    workload: str
    metric: str
    percent: float
    places: tuple[Place, ...]
    terms: Terms = field(default_factory=Terms)
    missed: str = ""  # which rigs missed a harder level, in a sentence
    aside: str = ""  # says which rigs are not ranked with these, as they learn something else

    @property
    def level(self) -> str:
        return level_name(self.metric, self.percent)

    @property
    def ranked(self) -> list[Place]:
        return [place for place in self.places if place.level.minutes is not None]

    @cached_property
    def tied(self) -> list[Place]:
        """The rigs that nothing tells from the soonest."""
        return [place for place in self.ranked if place.is_tied]

    @property
    def sentences(self) -> list[str]:
        """Return the answer in sentences."""
        if not self.ranked and (lower := self._lower()):
            return [lower]
        if not self.ranked:
            start = f"No level has been reached yet, not even {self.level}"
            return [f"{start}: train longer, or name an easier one with --level."]
        found = [
            self.missed,
            self._soonest(),
            *self._tied(),
            self._behind(),
            *cost_sentences([place.cost for place in self.ranked], self.terms),
            *self._unranked(),
            self.aside,
            self._way_out(),
        ]
        return [sentence for sentence in found if sentence]

    def _lower(self) -> str:
        """Say that single evaluations were as low as a level that no median has reached; "" if none was."""
        records = [run.record for place in self.places for run in place.group.runs]
        errors = [getattr(row, self.metric) for record in records for row in record.finely.evaluations]
        best = min((error for error in errors if error is not None), default=None)
        if best is None or best > self.percent:
            return ""
        whole = any(record.evaluations for record in records)
        counted, option = (
            ("", "") if whole else (" of whole epochs, of which none was evaluated", "--every-evaluation ")
        )
        return (
            f"{self.level} has not been reached yet by a median over evaluations{counted}; the lowest single "
            f"evaluation has {level_name(self.metric, round(best, 1))}: train for more epochs, or have it counted by "
            f"python -m benchmark.tta with {option}--epochs 1."
        )

    def _soonest(self) -> str:
        first = self.ranked[0]
        bounds = first.level.interval_minutes
        about = f" (95%: {durations(*bounds, by=first.level.minutes)})" if bounds else ""
        start = f"{first.label} takes {duration(first.level.minutes)} to {self.level}{about}"
        if len(self.ranked) == 1:
            return f"{start}; n = {first.level.n}."
        if len(self.tied) == len(self.ranked) - 1:
            return f"No rig is certain to be the soonest to {self.level}: {start}, the least of {len(self.ranked)}."
        return f"Soonest: {start}; n = {first.level.n}."

    def _tied(self) -> list[str]:
        same = [place.label for place in self.tied if place.pair.is_same]
        open_ = [place.label for place in self.tied if not place.pair.is_same]
        margin = f"{100 * (self.tied[0].pair.margin - 1):.3g}%" if self.tied else ""
        found = []
        if same:
            found.append(f"Tied with it: {some(same)}, the same within {margin}.")
        if open_:
            found.append(f"Not told from it by these runs: {some(open_)}.")
        return found

    def _behind(self) -> str:
        behind = [place for place in self.ranked[1:] if not place.is_tied]
        if not behind:
            return ""
        place, best = behind[0], self.ranked[0]
        answer = _answer(place.pair)
        how = " at equal epochs" if answer is place.pair.hardware else ""
        if answer.others and _first_is_faster(answer):
            return self._behind_by_others(behind)
        slower = f"{best.label} takes {answer.less_time}{how} than {place.label}" if _first_is_faster(answer) else (
            f"{place.label} would take {answer.less_time}{how} than {best.label}, whose runs were lucky in their epochs"
        )  # fmt: skip
        others = [p.label for p in behind[1:]]
        return f"{slower}." + (f" Further behind: {some(others)}." if others else "")

    def _behind_by_others(self, behind: Sequence[Place]) -> str:
        """Say how sure the soonest rig is to be it, where single runs rest on the spread of others'."""
        place, best = behind[0], self.ranked[0]
        answer = _answer(place.pair)
        as_machine = answer is place.pair.hardware
        alike = [p for p in behind if _first_is_faster(a := _answer(p.pair)) and (a is p.pair.hardware) == as_machine]
        surely, share = certainty(max(_answer(p.pair).p for p in alike))
        if len(alike) == len(self.ranked) - 1:
            claim = "the fastest machine" if as_machine else "the soonest"
        else:
            claim = f"{'a faster machine' if as_machine else 'sooner'} than {some([p.label for p in alike])}"
        others = [p.label for p in behind if p not in alike or len(alike) == len(self.ranked) - 1 and p is not place]
        single = [p.label for p in (best, *behind) if p.level.n < 2]
        how = " at equal epochs" * as_machine
        return (
            f"{place.label} takes {_times(answer.ratio.value)} as long{how} as {best.label}; by the spread of "
            f"others' runs (MLPerf's) single runs differ by up to {answer.chance}: {best.label} is {surely} "
            f"{claim} (over {share}). "
            + (f"Further behind: {some(others)}. " if others else "")
            + f"A second run of {some(single)} would give an interval of its own."
        )

    def _unranked(self) -> list[str]:
        missing = [p for p in self.places if p.level.minutes is None]
        if not missing:
            return []
        return [
            f"Not ranked, as no more than half of their runs reached {self.level}: {some([p.label for p in missing])}."
        ]

    def _way_out(self) -> str:
        few = [place.label for place in (*self.ranked[:1], *self.tied) if place.level.n < 2]
        if few and self.tied:
            return f"What would tell: a second run at least of {some(few)}, each with a seed of its own."
        open_ = [place for place in self.tied if not place.pair.is_same and place.pair.needed]
        if not open_:
            return ""
        pair = open_[0].pair
        margin = f"{100 * (pair.margin - 1):.3g}%"
        if not pair.more_runs:
            return f"These runs would have found a difference of {margin} four times in five."
        return (
            f"What would tell {pair.first} from {pair.second} at {margin}: {pair.needed.runs} runs of each "
            f"({pair.needed.low} to {pair.needed.high}), {pair.more_runs} more{pair.effort}."
        )

    def table(self) -> Table:
        """Return a row for each rig, with its verdict against the soonest."""
        header = (
            "platform", "n", "minutes", "verdict", "95% interval", "against the first", "p", "cost", "energy kWh",
            "utterances/s",
        )  # fmt: skip
        rows: list[tuple[str, ...]] = [
            (
                place.label,
                str(place.level.n),
                number(place.level.minutes),
                self._verdict(place),
                interval(*(place.level.interval_minutes or (None, None))),
                _against(place),
                _p(place),
                money(place.cost.cost, place.cost.currency),
                "NA" if place.cost.energy_kwh is None else f"{place.cost.energy_kwh:.3g}",
                number(place.group.utterances_per_s),
            )
            for place in self.places
        ]
        kept = [n for n, name in enumerate(header) if name not in OPTIONAL or any(row[n] != "NA" for row in rows)]
        title = f"{self.workload}: the rigs at {self.level}"
        return Table(title, tuple(header[n] for n in kept), tuple(tuple(row[n] for n in kept) for row in rows))

    def _verdict(self, place: Place) -> str:
        if place.level.minutes is None:
            return "not reached"
        if place.pair is None:
            return "first" if len(self.ranked) > 1 else ""
        if place.is_tied:
            return "tied" if place.pair.is_same else "not told apart"
        answer = _answer(place.pair)
        words = "slower" if _first_is_faster(answer) else "faster machine"
        return f"{words} (by others' spread)" if answer.others else words


OPTIONAL = ("cost", "energy kWh", "95% interval", "against the first", "p")


def _answer(pair: Pair) -> Answer:
    """Return the answer that tells two rigs apart: the machine's before the training's, of single runs the surer."""
    told = [answer for answer in (pair.deciding, pair.training) if answer is not None and answer.differs]
    if told and all(answer.others for answer in told):
        return min(told, key=lambda answer: answer.p or 0.0)
    return told[0] if told else pair.training


def certainty(p: float) -> tuple[str, str]:
    """Return how sure a difference is, in words and as a round share below 1 - p."""
    shares = (("almost surely", 99.9), ("very likely", 99.0), ("likely", 95.0))
    words, share = next((pair for pair in shares if 100 * (1 - p) >= pair[1]), shares[-1])
    return words, f"{share:g}%"


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio >= 2 else f"{ratio:.3g} times"


def _first_is_faster(answer: Answer) -> bool:
    """Tell whether the rig that is soonest, the second of the pair, is the faster."""
    return answer.ratio.value > 1


def _against(place: Place) -> str:
    """Return the ratio to the soonest: at equal epochs where rigs may be compared so, else as they were run."""
    answer = place.pair.deciding if place.pair else None
    if answer is None:
        return "1" if place.pair is None and place.level.minutes is not None else "NA"
    ratio = answer.ratio
    if answer.others:
        return f"{ratio.value:.3f}"  # the interval is of others
    return f"{ratio.value:.3f}" + (f" ({ratio.low:.3f} to {ratio.high:.3f})" if ratio.low is not None else "")


def _p(place: Place) -> str:
    """Return the evidence of the ratio: Holm-adjusted p."""
    answer = place.pair.deciding if place.pair else None
    return "NA" if answer is None or answer.p is None else f"{answer.p:.2g}"


def answer(block: Sequence[Group], question: Question, *, terms: Terms | None = None) -> Ranking | str:
    """Rank the measured rigs of one workload, or say in a sentence why they are not ranked.

    Raises:
        PriceError: energy has one price, and the rigs have several currencies.
    """
    measured = [group for group in block if group.runs]
    if not measured:
        return "No runs to be ranked."
    if measured[0].emulated:
        return "Emulated: CPUs stood in for GPUs. These times say nothing about the rig and are not ranked."
    differ = unlike(measured)
    alike = largest_alike(measured) if differ else measured
    if not alike:
        return (
            f"Not ranked: these rigs do not learn the same, they differ in {', '.join(differ)}; what of their times "
            f"comes from that, and what from the machine: python -m benchmark.compare A=FILES B=FILES --merit."
        )
    ranking = rank(alike, question, terms=terms)
    if ranking is None:
        return "Not ranked: no level is common to these rigs."
    others = some([group.label for group in measured if not any(group is other for other in alike)])
    aside = f"Not ranked with these, as they do not learn the same ({', '.join(differ)}): {others}."
    return replace(ranking, aside=aside) if differ else ranking


def largest_alike(groups: Sequence[Group]) -> list[Group]:
    """Return the rigs that learn the same and are most, two at least; none if as many others learn something else."""
    found: dict[tuple, list[Group]] = {}
    for group in groups:
        found.setdefault(tuple(getattr(group.runs[0].identity, name) for name in COMPARED), []).append(group)
    first, *others = sorted(found.values(), key=len, reverse=True)
    return first if len(first) > 1 and not (others and len(others[0]) == len(first)) else []


def rank(
    measured: Sequence[Group], question: Question, *, terms: Terms | None = None, asked: Asked | None = None
) -> Ranking | None:
    """Rank measured rigs that learn the same; None if they have no level in common."""
    metric = question.metrics[0]
    percent = hardest_common_level(measured, metric)
    if percent is None:
        return None
    levels = [
        next(level for level in group.levels if (level.metric, level.percent) == (metric, percent))
        for group in measured
    ]
    groups = [replace(group, levels=(level,)) for group, level in zip(measured, levels, strict=True)]
    groups.sort(key=lambda group: (group.levels[0].minutes is None, group.levels[0].minutes or 0.0))
    costs = rig_costs(groups, terms)
    by_group = _against_the_first(groups, question, terms, asked)
    return Ranking(
        workload=measured[0].workload,
        metric=metric,
        percent=percent,
        terms=terms or Terms(),
        missed=missed_sentence(measured, metric, percent),
        places=tuple(
            Place(group=group, cost=cost, pair=by_group.get(id(group)))
            for group, cost in zip(groups, costs, strict=True)
        ),
    )


def _against_the_first(
    groups: Sequence[Group], question: Question, terms: Terms | None, asked: Asked | None
) -> dict[int, Pair]:
    """Compare each rig that reached the level with the first; return the pairs by the identity of their groups."""
    rivals = [group for group in groups[1:] if group.levels[0].minutes is not None]
    if not rivals:
        return {}
    from benchmark.judge import comparison  # here, not above: a rig alone is compared with none

    asked = asked or comparison.Asked(clock=question.clock)
    pairs = comparison.compare(groups, terms=terms, asked=asked, couples=[(group, groups[0]) for group in rivals])
    return {id(group): pair for group, pair in zip(rivals, pairs, strict=True)}
