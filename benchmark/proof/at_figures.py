"""The level *figures*: do the figures follow from what was recorded?

    check_figures(run, heard, claims, report)       # Refuted at the first that does not

Error rates are counted again from every sentence that was heard, and must be the journal's to its last digit. Claims
must follow from rows. Epochs must train on as many utterances, as much audio and as much arithmetic as one another, and
no row be faster than its devices can compute. Where the reference of convergence has such a
training, epochs that all but none of honest trainings would take as few of are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judge import guard
from benchmark.judge.groups import judged_groups
from benchmark.judge.question import Question
from benchmark.metrics import COUNTS, FIGURES, METRICS, share
from benchmark.proof.at_bytes import evaluations_of, facts_of
from benchmark.proof.claims import claims_of, unlike
from benchmark.proof.peaks import peak_of
from benchmark.proof.verdict import FIGURES as LEVEL
from benchmark.proof.verdict import Refuted, Report
from benchmark.record import Facts, Row, Run
from benchmark.record.history import CLOCK_STEP_S
from benchmark.record.hypotheses import Said
from benchmark.record.phases import Phase
from benchmark.record.sentences import last_evaluation

DECIMALS = 6  # of a journal's error rates
ROUNDED = 1.01 * 10**-DECIMALS / 2
EVEN = 1e-3  # how much one epoch's audio and arithmetic may differ from another's: each row is rounded
LUCK = 1e-4  # of honest trainings: what takes so few epochs that fewer would is refuted, and not only doubted


def check_figures(
    run: Run, heard: Mapping[tuple[str, int], Said] | None, claims: Mapping[str, Any], report: Report
) -> None:
    """Check all figures of a run whose files belong together. Raises Refuted."""
    facts = facts_of(run)
    _errors(run, facts, heard, report)
    if difference := unlike(claims_of(run), claims):
        name, found, claimed = difference
        raise Refuted(LEVEL, f"{name} is claimed to be {claimed}; the rows make it {found}")
    report.checked(LEVEL, "times to accuracy, error rates and throughput that are claimed follow from the rows")
    _work(run, report)
    _speed(run, facts, report)
    _convergence(run, report)


# --- errors ----------------------------------------------------------------------------------------------------------


def _errors(run: Run, facts: Facts, heard: Mapping[tuple[str, int], Said] | None, report: Report) -> None:
    rows = evaluations_of(run)
    for row in rows:
        _by_counts(row, facts)
        if heard is not None:
            _by_sentences(row, heard[row.phase.value, row.step])
    if rows and (last := last_evaluation(run.folder)):
        _shown(run, last.step, {"wer": last.wer, "cer": last.cer})
    if heard is None:
        report.unchecked(LEVEL, "error rates by sentences: an older version did not keep all of them")
    else:
        report.checked(LEVEL, f"error rates of {len(rows)} evaluations, counted again from all sentences")


def _by_counts(row: Row, facts: Facts) -> None:
    """Check an evaluation's rates against its own counts, and the words that run.json says were said."""
    counts = (row.substitutions, row.deletions, row.insertions)
    words = [use.words for use in facts.features.evaluated.values()]
    if None in counts or not words or None in words or row.wer is None:
        return
    expected = 100 * sum(counts) / max(sum(words), 1)
    if abs(row.wer - expected) > ROUNDED:
        raise Refuted(LEVEL, f"the WER after batch {row.step} is {row.wer}; expected {expected:.6f}, by {sum(counts)} "
                             f"word errors in {sum(words)} words")  # fmt: skip


def _by_sentences(row: Row, said: Said) -> None:
    """Check an evaluation's figures against those counted from its sentences."""
    found = figures_of(said.pairs)
    for name in METRICS:
        recorded = getattr(row, name)
        if recorded is not None and abs(recorded - found[name]) > ROUNDED:
            label = FIGURES[name].label
            raise Refuted(LEVEL, f"the {label} after batch {row.step} is {recorded}; expected {found[name]:.6f}, by "
                                 f"its {len(said.references)} sentences")  # fmt: skip
    inserted, deleted = row.insertions, row.deletions
    if None not in (inserted, deleted) and inserted - deleted != found["longer"]:
        raise Refuted(LEVEL, f"after batch {row.step} there are {inserted} insertions and {deleted} deletions; "
                             f"expected {found['longer']} more of the former, by its sentences")  # fmt: skip


def figures_of(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Return the error rates in percent of (reference, hypothesis), by metric, and the words by which all is "longer".

    Edits are Levenshtein's, of words and of characters, as `benchmark.run.evaluate.accuracy` counts them.
    """
    from rapidfuzz.distance import Levenshtein  # here: it is needed nowhere else without a training

    distance = Levenshtein.distance
    counts: dict[str, list[int]] = {name: [] for name in (*COUNTS, "longer")}
    said_before: dict[str, tuple[str, list[str]]] = {}
    for reference, hypothesis in pairs:
        said, said_words = said_before.get(reference) or said_before.setdefault(reference, _words(reference))
        heard, heard_words = _words(hypothesis)
        word_edits = 0 if said == heard else distance(said_words, heard_words)
        counts["word_edits"].append(word_edits)
        counts["words"].append(len(said_words))
        counts["character_edits"].append(distance(said, heard) if word_edits else 0)
        counts["characters"].append(len(said))
        counts["longest"].append(max(len(said), len(heard)))
        counts["sentence_errors"].append(word_edits > 0)
        counts["sentences"].append(1)
        counts["longer"].append(len(heard_words) - len(said_words))
    found: dict[str, float] = {"longer": sum(counts["longer"])}
    for name, metric in METRICS.items():
        edits, units = counts[metric.edits], counts[metric.units]
        if metric.averaged:
            found[name] = 100 * math.fsum(map(share, edits, units)) / max(len(edits), 1)
        else:
            found[name] = 100 * sum(edits) / max(sum(units), 1)
    return found


def _words(sentence: str) -> tuple[str, list[str]]:
    """Return a sentence as it is compared, without the separators of doubled letters, in lower case; and its words."""
    words = sentence.replace("_", "").lower().split()
    return " ".join(words), words


def _shown(run: Run, step: int, rates: Mapping[str, float | None]) -> None:
    """Check the rates that sentences.jsonl has of the last evaluation."""
    row = next((row for row in run.record.evaluations if row.step == step), None)
    for name, rate in rates.items():
        recorded = getattr(row, name) if row else None
        if recorded is not None and rate is not None and abs(recorded - rate) > ROUNDED:
            raise Refuted(LEVEL, f"the {FIGURES[name].label} after batch {step} is {recorded} in the journal, and "
                                 f"{rate:.6f} in sentences.jsonl")  # fmt: skip


# --- work and speed --------------------------------------------------------------------------------------------------


def _work(run: Run, report: Report) -> None:
    """Check that every whole epoch trained on as much as the others, with as much arithmetic."""
    plan = run.facts.plan
    epochs: dict[int, list[Row]] = {}
    for row in run.record.standing:
        if row.phase is Phase.TRAIN:
            epochs.setdefault(row.epoch, []).append(row)
    whole = {epoch: rows for epoch, rows in epochs.items() if rows[-1].step == epoch * plan.batches_per_epoch}
    for name in ("utterances", "audio_s", "tflop"):
        sums = {epoch: sum(getattr(row, name) or 0 for row in rows) for epoch, rows in whole.items()}
        tolerance = 0.0 if name == "utterances" else EVEN
        first = next(iter(sums.values()), 0)
        for epoch, found in sums.items():
            if abs(found - first) > tolerance * first + 1e-9:
                raise Refuted(LEVEL, f"epoch {epoch} has {found:g} of {name}; expected {first:g}, as the first one")
    report.checked(LEVEL, f"{len(whole)} epochs trained on as many utterances, as much audio and arithmetic")


def _speed(run: Run, facts: Facts, report: Report) -> None:
    """Check that no train row computed faster than its devices can."""
    peak = peak_of(facts)
    if peak is None:
        names = ", ".join(dict.fromkeys(map(str, facts.devices.names)))
        report.unchecked(LEVEL, f"throughput against the peak of {names}, "
                                f"which is not known")  # fmt: skip
        return
    trained = [row for row in run.record.rows if row.phase is Phase.TRAIN and row.tflop]
    fastest = max(trained, key=lambda row: row.tflop / max(row.seconds, CLOCK_STEP_S), default=None)
    if fastest is None:
        report.unchecked(LEVEL, "throughput: the journal does not count arithmetic")
        return
    rate = fastest.tflop / max(fastest.seconds, CLOCK_STEP_S)
    if rate > peak.tflop_per_s:
        raise Refuted(LEVEL, f"batch {fastest.step}: {rate:.4g} TFLOP/s; {peak.of} can do {peak.tflop_per_s:.4g}")
    report.checked(LEVEL, f"at most {rate:.3g} TFLOP/s, of {peak.tflop_per_s:.4g} that {peak.of} could do")


def _convergence(run: Run, report: Report) -> None:
    """Hold the run's epochs against the reference; few are doubted, and refuted where luck explains them no more."""
    try:
        (group,) = judged_groups([run], Question())
        found = guard.held(group, Question())
    except ValueError as error:
        found = str(error)
    if isinstance(found, str):
        report.unchecked(LEVEL, f"epochs against the reference of convergence: {found or 'it has no such workload'}")
        return
    known = [each for each in found if each.law is not None]
    for each in known:
        if each.verdict == guard.TOO_FEW:
            said = f"{each.epochs:.1f} epochs to {each.level.name}; the reference takes {each.reference:.1f}"
            if each.p_few < LUCK:
                raise Refuted(LEVEL, f"{said}, and fewer than {LUCK:.2%} of honest trainings are as quick")
            report.unchecked(LEVEL, f"doubtful: {said}, and at least {each.least:.1f} in 99% of honest trainings")
    if known:
        report.checked(LEVEL, f"epochs to {len(known)} levels beside the reference of convergence")
    else:
        why = next((each.reason for each in found if each.reason), "no level was reached")
        report.unchecked(LEVEL, f"epochs against the reference of convergence: {why}")
