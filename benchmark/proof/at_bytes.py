"""The level *bytes*: do the parts of a bundle belong together? Rows, run.json, clocks, utilisation, what was said.

    check_parts(run, bundle_files, report)          # Refuted at the first difference

That each file is what was sealed is `manifest.py`'s. Here the files are held against one another: rows must be those
that the plan has next; the journal's columns those of run.json; rows must touch, the last one end where end.json says,
and the two dates as far apart as the clock went; samples of the machine's use must cover the run; and what was said
must be the same in every evaluation, and as many utterances and words as run.json counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from benchmark.proof.bundle import MANIFEST, SAID
from benchmark.proof.verdict import BYTES, Refuted, Report
from benchmark.record import Facts, FactsError, Row, Run
from benchmark.record.columns import CLOCK_TOLERANCE_S, Identity
from benchmark.record.folder import WORDS
from benchmark.record.holes import JUMP_S
from benchmark.record.hypotheses import NAME as HYPOTHESES
from benchmark.record.hypotheses import HypothesesError, Said, read_hypotheses
from benchmark.record.phases import EVALUATED
from benchmark.record.usage import NAME as USAGE

AGREE: dict[str, Callable[[Facts], object]] = {
    "platform": lambda facts: facts.platform.name,
    "workload": lambda facts: facts.workload.name,
    "variant": lambda facts: facts.workload.variant,
    "recipe": lambda facts: facts.workload.recipe,
    "seed": lambda facts: facts.content.get("seed"),
    "machines": lambda facts: facts.devices.machines,
    "replicas": lambda facts: facts.devices.replicas,
    "emulated": lambda facts: facts.devices.emulated,
    "batch": lambda facts: facts.platform.input.batch,
    "precision": lambda facts: facts.platform.training.precision,
    "features": lambda facts: (facts.features.manifest_sha256 or "")[:12],
    "decoder": lambda facts: facts.decoder.label,
    "evaluation": lambda facts: facts.workload.evaluation_label,
}
"""The journal's columns that run.json says too, and where."""

DATES_S = 2.0  # both dates are cut to whole seconds
DATES_AFTER_S, DATES_SHARE = 120.0, 0.01  # how much later the end may be written than the clock ended
LEAST_COVERED = 0.9  # of the run's time, by samples
LONG_STEPS = 10  # usual steps between samples; a longer one covers nothing
LEAST_STEP = 0.95  # of the step that was asked for: a sampler may be late, and not early
AFTER_S, AFTER_SHARE = 10.0, 0.01  # how long samples may go on after the last row
USUAL_HZ = 10.0


def check_parts(run: Run, report: Report) -> dict[tuple[str, int], Said] | None:
    """Check that a run's files belong together; return what was heard, None where a run of an older version has none.

    Raises:
        Refuted: the first difference.
    """
    facts = facts_of(run)
    _agrees(run.identity, facts)
    report.checked(BYTES, f"{len(run.record)} rows are those that run.json's plan has next, and say what run.json says")
    report.checked(BYTES, _clocks(run, facts))
    _used(run, facts, report)
    _data(run, facts, report)
    return _said(run, facts, report)


def facts_of(run: Run) -> Facts:
    """Return a sealed run's run.json. Raises Refuted where it has none, or one that does not say what it must."""
    try:
        facts = run.facts
        if facts is None:
            raise Refuted(BYTES, "there is no run.json; expected how the run was made")
        for read in (*AGREE.values(), lambda facts: facts.created, lambda facts: facts.host, lambda facts: facts.plan):
            read(facts)
        if facts.whole_plan is None:
            raise Refuted(BYTES, "run.json has no whole plan; expected what a run of this version wrote")
    except FactsError as error:
        raise Refuted(BYTES, str(error)) from None
    if run.end is None or not run.end.is_over:
        raise Refuted(BYTES, "end.json does not say that the run is over; expected a run that finished or diverged")
    return facts


def _agrees(identity: Identity, facts: Facts) -> None:
    for name, read in AGREE.items():
        mine, theirs = getattr(identity, name), read(facts)
        if mine != theirs:
            raise Refuted(BYTES, f"{name} is {mine!r} in the journal, and {theirs!r} in run.json")
    commit = facts.code.git_commit
    if commit and str(commit)[:8] not in identity.code:
        raise Refuted(BYTES, f"code is {identity.code!r} in the journal, and commit {str(commit)[:8]} in run.json")


# --- clocks ----------------------------------------------------------------------------------------------------------


def _clocks(run: Run, facts: Facts) -> str:
    """Check that rows touch and that dates are as far apart as the clock went; return what was found."""
    record, end = run.record, run.end
    still = [(started_s - 1, started_s + seconds + 1) for started_s, seconds, _ in end.still or ()]
    if facts.workload.evaluation != "overlap":
        _one_after_another(record.rows)
    for (ended_s, began_s), line in _gaps(record.rows):
        if began_s - ended_s > JUMP_S and not any(a <= ended_s and began_s <= b for a, b in still):
            raise Refuted(
                BYTES,
                f"line {line} of the journal begins {began_s - ended_s:.3f} s after the row above ended; expected "
                f"at most {JUMP_S} s: a row is missing, or its time is another",
            )
    try:
        at = datetime.fromisoformat(end.at)
        took_s = (at - facts.created).total_seconds()
    except (TypeError, ValueError):
        raise Refuted(BYTES, f"end.json has the date {str(end.at)[:40]!r}; expected one with its zone") from None
    least_s = (record.ended_s - record.created_s) * (1 - DATES_SHARE / 10) - DATES_S
    down = [row.down_s for row in record.rows if row.phase.value == "create" and row.attempt > 1]
    most_s = math.inf if None in down else record.ended_s * (1 + DATES_SHARE) + sum(down) + DATES_AFTER_S
    most_s += end.suspended_s or 0.0
    if not least_s <= took_s <= most_s:
        raise Refuted(
            BYTES,
            f"from the date of run.json to that of end.json there are {took_s:.0f} s; expected {least_s:.0f} to "
            f"{most_s:.0f} s, by the journal's clock of {record.ended_s:.1f} s",
        )
    return f"rows touch, and end at {record.ended_s:.1f} s as end.json says; the dates are {took_s:.0f} s apart"


def _one_after_another(rows: Sequence[Row]) -> None:
    """Check that no row begins before the one above ended: only an evaluation may that overlaps training."""
    for number, (above, row) in enumerate(zip(rows, rows[1:], strict=False), start=3):
        if row.started_s < above.ended_s - CLOCK_TOLERANCE_S and row.attempt == above.attempt:
            raise Refuted(BYTES, f"line {number} of the journal begins at {row.started_s} s, before the row above "
                                 f"ended ({above.ended_s:.6f} s)")  # fmt: skip


def _gaps(rows: Sequence[Row]) -> list[tuple[tuple[float, float], int]]:
    """Return the stretches of an attempt that no row covers, each with the line of the row after it."""
    found, ended_s, attempt = [], math.nan, 0
    for number, row in sorted(enumerate(rows), key=lambda each: (each[1].attempt, each[1].started_s)):
        if row.attempt != attempt:
            ended_s, attempt = row.started_s, row.attempt
        if row.started_s > ended_s:
            found.append(((ended_s, row.started_s), number + 2))
        ended_s = max(ended_s, row.ended_s)
    return found


# --- utilisation -----------------------------------------------------------------------------------------------------


def _used(run: Run, facts: Facts, report: Report) -> None:
    """Check that samples cover the run, and come no more often than they were asked for."""
    path = run.folder / USAGE
    if not path.is_file():
        if "sampler" not in facts.unavailable:
            raise Refuted(BYTES, f"there is no {USAGE}, and run.json does not say that the sampler was off")
        report.unchecked(BYTES, f"how busy the machine was: {facts.unavailable['sampler']}")
        return
    times_s = _times(path)
    steps = [after - before for before, after in zip(times_s, times_s[1:], strict=False) if after > before]
    if not steps:
        raise Refuted(BYTES, f"{USAGE} has {len(times_s)} samples; expected some all the time")
    usual_s, hz = statistics.median(steps), _hz(facts.command.arguments)
    if usual_s * hz < LEAST_STEP:
        raise Refuted(BYTES, f"samples in {USAGE} are {usual_s:.4f} s apart; expected {1 / hz:.4f} s, or more: its "
                             f"clock is another")  # fmt: skip
    if (late_s := max(times_s) - run.record.ended_s) > AFTER_S + AFTER_SHARE * run.record.ended_s:
        raise Refuted(BYTES, f"samples in {USAGE} go on for {late_s:.0f} s after the last row ended")
    share = _covered(times_s, LONG_STEPS * usual_s, run.record.spans_s)
    if share < LEAST_COVERED:
        raise Refuted(BYTES, f"samples in {USAGE} cover {share:.0%} of the run's time; expected {LEAST_COVERED:.0%}")
    report.checked(BYTES, f"{len(times_s)} samples of the machine cover {math.floor(100 * share)}% of the time")


def _times(path: Path) -> list[float]:
    """Return when samples were taken, in seconds of the run's clock. Raises Refuted for what is no such file."""
    found = []
    with path.open(encoding="utf-8", errors="replace") as file:
        if file.readline().partition(",")[0].strip() != "seconds":
            raise Refuted(BYTES, f"{USAGE} has another first column than 'seconds'")
        for number, line in enumerate(file, start=2):
            try:
                value = float(line.partition(",")[0])
            except ValueError:
                value = math.nan
            if not 0 <= value < 2**40:
                if line.endswith("\n"):
                    raise Refuted(BYTES, f"{USAGE}:{number}: found {line[:40]!r}; expected seconds first")
                continue  # half a line, left by a kill
            found.append(value)
    return found


def _hz(arguments: Sequence[str]) -> float:
    """Return how many samples a second the command asked for."""
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, joined = option.partition("=")
        if name == "--monitor-hz":
            try:
                return float(joined or value)
            except ValueError:
                return USUAL_HZ
    return USUAL_HZ


def _covered(times_s: Sequence[float], longest_s: float, spans_s: Sequence[tuple[float, float]]) -> float:
    """Return the share of the run's time, 0 to 1, that short steps between samples cover."""
    covered_s, all_s = 0.0, sum(end - start for start, end in spans_s)
    for before, after in zip(times_s, times_s[1:], strict=False):
        if 0 < after - before <= longest_s:
            covered_s += sum(max(0.0, min(after, end) - max(before, start)) for start, end in spans_s)
    edges_s = min(all_s, 2 * longest_s * len(spans_s))  # a run does not begin and end with a sample
    return min(1.0, (covered_s + min(edges_s, all_s - covered_s)) / all_s) if all_s else 1.0


# --- data ------------------------------------------------------------------------------------------------------------


def _data(run: Run, facts: Facts, report: Report) -> None:
    """Check that the features' manifest, and the list of what was said, have the digest that is in every row."""
    beside = run.folder.parent
    path = beside / MANIFEST
    if not path.is_file():
        report.unchecked(BYTES, "that the features are those of the digest: their manifest was not sealed")
        return
    from features.shards.manifest import ManifestError, load  # here: it takes NumPy

    try:
        found = load(path.parent)
    except ManifestError as error:
        raise Refuted(BYTES, str(error)) from None
    if found.digest != facts.features.manifest_sha256:
        expected = str(facts.features.manifest_sha256)[:12]
        raise Refuted(BYTES, f"{MANIFEST} has the digest {found.digest[:12]}; expected {expected}, of run.json")
    if (unlike := sorted(name for name, use in facts.features.subsets.items()
                         if name in found.subsets and found.utterances(name) != use.utterances)):  # fmt: skip
        name = unlike[0]
        raise Refuted(BYTES, f"{name} has {facts.features.subsets[name].utterances} utterances in run.json, and "
                             f"{found.utterances(name)} in {MANIFEST}")  # fmt: skip
    words = run.folder / WORDS
    if words.is_file() and words.read_text(encoding="utf-8", errors="replace").split() != list(found.words):
        raise Refuted(BYTES, f"the words of the decoder ({WORDS}) are not those of {MANIFEST}")
    report.checked(BYTES, f"the features' manifest has the digest {found.digest[:12]} of every row")


def _said(run: Run, facts: Facts, report: Report) -> dict[tuple[str, int], Said] | None:
    """Check that every evaluation is there with what was said, always the same, as many words as run.json counts."""
    try:
        heard = read_hypotheses(run.folder)
    except HypothesesError as error:
        raise Refuted(BYTES, str(error)) from None
    if heard is None:
        report.unchecked(BYTES, f"what was said and heard: an older version wrote no {HYPOTHESES}")
        return None
    evaluated = facts.features.evaluated
    utterances = sum(use.utterances for use in evaluated.values())
    words = None if any(use.words is None for use in evaluated.values()) else sum(u.words for u in evaluated.values())
    first: Said | None = None
    for row in evaluations_of(run):
        said = heard.get((row.phase.value, row.step))
        if said is None:
            raise Refuted(BYTES, f"{HYPOTHESES} has nothing of the evaluation after batch {row.step}")
        first = first or said
        if said.references != first.references:
            raise Refuted(BYTES, f"after batch {row.step} other sentences were said than after batch {first.step}")
        if len(said.references) != row.utterances:
            raise Refuted(BYTES, f"{len(said.references)} utterances were heard after batch {row.step}; the journal "
                                 f"has {row.utterances}")  # fmt: skip
    if first is None:
        report.checked(BYTES, "there is no evaluation, and no sentence of one")
        return heard
    counted = sum(len(text.split()) for _, text in first.references)
    if evaluated and (len(first.references) != utterances or words not in (None, counted)):
        raise Refuted(BYTES, f"{len(first.references)} utterances of {counted} words were said; expected {utterances} "
                             f"of {words}, by run.json")  # fmt: skip
    report.checked(BYTES, f"{len(first.references)} utterances of {counted} words were said in every evaluation")
    _of_digest(run, first, report)
    return heard


def _of_digest(run: Run, said: Said, report: Report) -> None:
    """Check what was said against the list of ids, texts and recordings that the features' digest is made of."""
    beside = run.folder.parent
    if not (beside / SAID).is_file():
        report.unchecked(BYTES, "that these are the sentences of the digest: sealed without --corpus")
        return
    from features.shards.manifest import load

    listed = _listed(beside / SAID)
    shards = {shard.file: shard for shard in load((beside / MANIFEST).parent).shards}
    for name, utterances in listed.items():
        content = hashlib.sha256()
        for each in utterances:
            content.update(json.dumps(each).encode())
        if name not in shards or content.hexdigest() != shards[name].content:
            raise Refuted(BYTES, f"{SAID}: {name} is not what the digest of the features was made of")
    told = {each[0]: each[1] for utterances in listed.values() for each in utterances}
    for name, text in said.references:
        if _tidy(told.get(name)) != _tidy(text):
            raise Refuted(
                BYTES, f"{name}: {text[:60]!r} was said; expected {str(told.get(name))[:60]!r}, of the digest"
            )
    report.checked(BYTES, f"the sentences are those that the digest {run.identity.features} is made of")


def _listed(path: Path) -> Mapping[str, list[list[str]]]:
    try:
        content = json.loads(path.read_bytes())
        fits = all(
            type(each) is list and len(each) == 3 and all(type(text) is str for text in each)
            for utterances in content.values()
            for each in utterances
        )
        if not fits:
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Refuted(BYTES, f"{SAID} is no list of ids, texts and digests by shard") from None
    return content


def _tidy(text: str | None) -> str | None:
    return None if text is None else " ".join(text.lower().split())


def evaluations_of(run: Run) -> list[Row]:
    """Return the evaluations that still hold, those within epochs too, in their order."""
    return [row for row in run.record.standing if row.phase in EVALUATED]
