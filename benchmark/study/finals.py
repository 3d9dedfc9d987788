"""The final evaluations of a study's points: which of them count, and what to do where they are not there.

    finals = finals_of(run)                         # all that there are; StudyError if one cannot be read
    asked = asked_for(run, finals, "best", arm="")  # of the best checkpoint, greedily decoded, on the study's features
    lacking(run, finals, "best", arm="")            # "" or a sentence with the command that makes what is missing
    of_role(rows_of(asked), counts_of(run, asked), "test")["wer"]       # percent, over all subsets of a role

A run may have been evaluated by any decoder, on any features: a reader asks for checkpoint, decoder and subsets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.metrics import METRICS, USUAL
from benchmark.record import FactsError, Run
from benchmark.record.finals import Final, FinalsError, of_checkpoint, read_finals
from benchmark.study.curves import StudyError
from features.corpus.roles import role

NAME = re.compile(r"(steps|epochs|target)-(\d+)-seed(\d+)(?:\+(.+))?")
COUNTS = {name: (METRICS[name].edits, METRICS[name].units) for name in USUAL}
RATES = (*USUAL, "wer_mean")
DECODER = "greedy"  # of the final evaluations of a study
ELSEWHERE = re.compile(r"(^|\+)on-")  # an arm that learns another corpus than it is tested on


def which_checkpoint(protocol: str) -> str:
    """Return the checkpoint that counts in a protocol: "best" or "last"."""
    return "best" if protocol == "target" else "last"


def finals_of(run: Run) -> list[Final]:
    """Return the final evaluations of a run; [] where there is none. Raises StudyError if one cannot be read."""
    try:
        finals = read_finals(run.folder)  # type: ignore[arg-type]
    except FinalsError as error:
        raise StudyError(f"{error}; make it again: {_command(run)}") from None
    for each in finals:
        _check(run, each.path, [each.row], ("utterances", *RATES))
    return finals


def rows_of(finals: Sequence[Final]) -> list[Mapping[str, str]]:
    """Return the figures of final evaluations, a row each."""
    return [each.row for each in finals]


def counts_of(run: Run, finals: Sequence[Final]) -> list[dict[str, str]]:
    """Return the edits of all utterances of final evaluations. Raises StudyError if a file cannot be read."""
    found = []
    for each in finals:
        try:
            rows = each.utterances()
        except FinalsError as error:
            raise StudyError(f"{error}; make it again: {_command(run)}") from None
        _check(run, each.path, rows, [name for names in COUNTS.values() for name in names])
        found += rows
    return found


def _check(run: Run, path: Path, rows: Sequence[Mapping[str, str]], numbers: Sequence[str]) -> None:
    try:
        if all(math.isfinite(float(row[each])) for row in rows for each in numbers):
            return
    except (ValueError, KeyError, TypeError):
        pass
    raise StudyError(f"{path}: cannot be read as a final evaluation; make it again: {_command(run)}")


def asked_for(run: Run, finals: Sequence[Final], which: str, arm: str) -> list[Final]:
    """Return the evaluations of the checkpoint, decoder and features that a study asks for.

    Those features are the run's own, or for an arm that learns another corpus those of the study. Of several samples of
    training data that of the study's smallest size counts.
    """
    called = of_checkpoint((each for each in finals if each.decoder == DECODER), which)
    own = [each for each in called if not each.not_own(run.identity)]
    if ELSEWHERE.search(arm):
        own = [each for each in called if not each.features or each not in own]
    samples = {each.sample for each in own} - {""}
    mine = _sample(run) if len(samples) > 1 else None
    return [each for each in own if not (mine and each.sample not in ("", mine))]


def lacking(run: Run, finals: Sequence[Final], which: str, arm: str) -> str:
    """Say what a final evaluation lacks of what a study asks for, and the command that makes it; "" if nothing."""
    rows = asked_for(run, finals, which, arm)
    there = {each.subset for each in rows}
    try:
        features = run.facts.features if run.facts else None
    except FactsError:
        features = None
    own = features.subsets if features and not ELSEWHERE.search(arm) else {}
    missing = sorted(name for name in own if role(name) in ("dev", "test") and name not in there)
    if len(on := {each.features for each in rows}) > 1:
        return (
            f"{run.folder}/final: has evaluations on the features {', '.join(sorted(on))}; expected those of the study "
            f"alone: the point is left out; move the files of the others away"
        )
    if rows and not missing:
        return ""
    found = ", ".join(dict.fromkeys(f"{each.checkpoint} by {each.decoder} on {each.subset}" for each in finals))
    asked = f"{which} by {DECODER}" + f" on {', '.join(missing)}" * bool(missing)
    again = _command(run)
    if ELSEWHERE.search(arm):
        again = "the command of the study again, which evaluates it on the corpus of the study"
    return f"{finals[0].path}: has {found}; expected {asked}: the point is left out; make it with: {again}"


def _command(run: Run) -> str:
    """Return the command that evaluates a point as its study does, on training data of the smallest size too."""
    command, mine = f"python -m benchmark.final {run.folder}", NAME.fullmatch(Path(run.source).stem)
    if mine is None:
        return command
    size, seed, *speakers = (_sample(run) or "").split("-")
    sample = (
        f"--train-sample {size} --train-seed {seed.removeprefix('seed')}{' --train-select speakers' * bool(speakers)}"
    )
    return f"{command} --checkpoints {which_checkpoint(mine[1])} --decoder {DECODER} {sample}"


def _sample(run: Run) -> str | None:
    """Return which training utterances a point of a study is evaluated on, "200-seed3": those of its smallest size."""
    mine = NAME.fullmatch(Path(run.source).stem)
    if mine is None:
        return None
    others = (NAME.fullmatch(path.stem) for path in Path(run.source).parent.glob("*.csv"))
    size = min(int(each[2]) for each in others if each and (each[1], each[4]) == (mine[1], mine[4]))
    return f"{size}-seed{mine[3]}" + "-speakers" * ("speakers" in (mine[4] or "").split("+"))


def edits_of(rows: Sequence[dict[str, str]]) -> tuple[dict[str, str], ...]:
    """Return the counts of the test utterances, or of dev's where there is no test set, in the order of their ids."""
    for name in ("test", "dev"):
        own = [row for row in rows if role(row["subset"]) == name]
        if own:
            return tuple(sorted(own, key=lambda row: (row["subset"], row["utterance"])))
    return ()


def of_role(finals: Sequence[Mapping[str, str]], counts: Sequence[Mapping[str, str]], name: str) -> dict[str, float]:
    """Return the error rates over all subsets of a role; {} if there are none.

    WER and CER are edits over words or characters of all, where those were written; else, and for the mean over
    utterances, subsets weigh by their utterances.
    """
    rows = [row for row in finals if name in (row["subset"], role(row["subset"]))]
    total = sum(int(row["utterances"]) for row in rows)
    if not total:
        return {}
    found = {rate: sum(float(row[rate]) * int(row["utterances"]) for row in rows) / total for rate in RATES}
    own = [row for row in counts if name in (row["subset"], role(row["subset"]))]
    for rate, (edits, units) in COUNTS.items():
        if len(own) == total and (said := sum(int(row[units]) for row in own)):
            found[rate] = 100 * sum(int(row[edits]) for row in own) / said
    return found
