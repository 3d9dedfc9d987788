"""What is said of two runs on the same utterances: the answer, the figures, and what changed most.

show(against_parts([contrast(pair) for pair in paired_finals(first, second, wish)]))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmark.judge.against import Both, Compared, Contrast, Pair
from benchmark.judge.paired import DRAWS, Counts, errors_at
from benchmark.metrics import METRICS
from benchmark.tables import Table

MOST = 5  # utterances that changed most, for the better and for the worse
MOST_WORDS = 10
ENOUGH = 50  # segments, from which the matched-pairs test holds

SEEDS = (
    "the intervals are of other utterances and speakers, for these two models as they are: another seed gives another "
    "model, and whether a recipe is better takes several seeds of each"
)


def against_parts(found: Sequence[Contrast]) -> list[str | Table]:
    """Return the answer, the figures, for each subset what changed most, and what was compared."""
    parts: list[str | Table] = ["\n".join(_answer(each.pair, each.figures[0]) for each in found), *_figures(found)]
    for each in found:
        if each.both.texts:
            parts += _changed(each.pair, each.both)
    notes = dict.fromkeys(note for each in found for note in (*each.pair.notes, *each.both.notes))
    return [*parts, "\n".join(["Compared:", *(f"- {note}" for note in (*notes, SEEDS))])]


def _answer(pair: Pair, figure: Compared) -> str:
    first, second = pair.names
    bounds = figure.judged_by
    rates = f"{METRICS[figure.metric].label} {figure.rates[0]:.2f} against {figure.rates[1]:.2f}"
    if bounds is None:
        return f"{pair.finals[0].subset}: {rates}; one utterance says nothing of others."
    less = figure.difference < 0
    by = "speakers" if figure.by_speakers else "utterances"
    low, high = sorted(map(abs, bounds)) if figure.differs else bounds
    if not figure.differs:
        return (
            f"{pair.finals[0].subset}: {first} and {second} are not told apart: {rates}, a difference of "
            f"{figure.difference:+.2f} points ({low:+.2f} to {high:+.2f} over {by})."
        )
    return (
        f"{pair.finals[0].subset}: {first} makes {'fewer' if less else 'more'} errors than {second}: {rates}, "
        f"{abs(figure.difference):.2f} points {'fewer' if less else 'more'} ({low:.2f} to {high:.2f} over {by})."
    )


def _figures(found: Sequence[Contrast]) -> Iterator[Table]:
    """Yield the rates with their difference, and how it is spread over utterances, speakers and segments."""
    first, second = found[0].pair.names
    rates, spread = [], []
    for each in found:
        subset = each.pair.finals[0].subset
        for figure in each.figures:
            label = f"{subset}, {METRICS[figure.metric].label}"
            rates.append((
                label, f"{figure.rates[0]:.2f}", f"{figure.rates[1]:.2f}", f"{figure.difference:+.2f}",
                _bounds(figure.by_utterances), _bounds(figure.by_speakers),
            ))  # fmt: skip
            spread.append((
                label, f"{figure.wins:,}", f"{figure.losses:,}", f"{figure.ties:,}",
                f"{100 * figure.better:.1f}%", *_nist(each, figure),
            ))  # fmt: skip
    yield Table(
        f"RUN is {first}, OTHER is {second}:\npercent, and RUN - OTHER in points with 95% intervals of {DRAWS:,} draws",
        ("figure", "RUN", "OTHER", "RUN - OTHER", "over utterances", "over speakers"),
        tuple(rates),
    )
    yield Table(
        "Utterances in which RUN has fewer edits (wins), more, as many; draws of utterances in which RUN has fewer;\n"
        "and NIST's matched pairs, a test of segments between words that both hear rightly",
        ("figure", "wins", "losses", "ties", "RUN better", "segments", "p"),
        tuple(spread),
    )


def _nist(each: Contrast, figure: Compared) -> tuple[str, str]:
    if figure.metric != "wer" or each.nist is None:
        return "", "" if figure.metric != "wer" else "NA"
    few = f" ({ENOUGH} expected)" * (each.nist.segments < ENOUGH)
    return f"{each.nist.segments:,}{few}", "NA" if each.nist.p is None else _p(each.nist.p)


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "NA" if bounds is None else f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _changed(pair: Pair, both: Both) -> Iterator[str | Table]:
    """Yield the utterances and the words of which the two make most unlike numbers of errors."""
    counts, subset = both.counts("wer"), pair.finals[0].subset
    change = (counts.first - counts.second).tolist()
    order = sorted(range(len(change)), key=lambda n: (change[n], both.ids[n]))
    for kind, places in (("fewer", order[:MOST]), ("more", order[::-1][:MOST])):
        chosen = [n for n in places if (change[n] < 0 if kind == "fewer" else change[n] > 0)]
        if chosen:
            yield "\n".join([
                f"{subset}: utterances in which {pair.names[0]} makes {kind} errors than {pair.names[1]}, most first",
                *(line for n in chosen for line in _utterance(pair, both, counts, n)),
            ])  # fmt: skip
    if rows := _words(both):
        title = f"{subset}: words of the references heard wrongly, by the change: RUN - OTHER"
        yield Table(title, ("word", "said", "wrong in RUN", "in OTHER", "change"), rows)


def _utterance(pair: Pair, both: Both, counts: Counts, n: int) -> Iterator[str]:
    edits = f"{counts.first[n]} and {counts.second[n]} of {counts.units[n]} words wrong"
    yield f"- {both.ids[n]}: {edits}"
    yield f"- reference: {both.rows[0][n]['reference']}"
    for name, rows in zip(pair.names, both.rows, strict=True):
        yield f"- {name}: {rows[n]['hypothesis']}"


def _words(both: Both) -> tuple[tuple[str, ...], ...]:
    said: Counter[str] = Counter()
    wrong: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for side in (0, 1):
        for words, hypothesis in zip(both.words("reference"), both.words("hypothesis", side), strict=True):
            said.update(words if side == 0 else ())
            if words != hypothesis:
                wrong[side].update(w for w, n in zip(words, errors_at(words, hypothesis)[1::2], strict=True) if n)
    changes = {word: wrong[0][word] - wrong[1][word] for word in {*wrong[0], *wrong[1]}}
    chosen = sorted((w for w, change in changes.items() if change), key=lambda w: (-abs(changes[w]), w))[:MOST_WORDS]
    return tuple((w, str(said[w]), str(wrong[0][w]), str(wrong[1][w]), f"{changes[w]:+d}") for w in chosen)
