"""The final evaluations of a study's points: which rows of final.csv count, and what to do where they are not there.

    rows = asked_for(final_rows(run), "best")       # of the best checkpoint, greedily decoded
    lacking(run, final_rows(run), "best", arm="")   # "" or a sentence with the command that makes what is missing
    of_role(rows, counts, "test")["wer"]            # percent, over all subsets of a role

final.csv holds what was evaluated last, by whatever decoder: a reader asks for checkpoint, decoder and subsets.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.metrics import METRICS, USUAL
from benchmark.record import FactsError, Run
from benchmark.study.curves import StudyError
from features.corpus.roles import role

NAME = re.compile(r"(steps|epochs|target)-(\d+)-seed(\d+)(?:\+(.+))?")
FINAL, UTTERANCES = "final.csv", "final-utterances.csv"
COUNTS = {name: (METRICS[name].edits, METRICS[name].units) for name in USUAL}
RATES = (*USUAL, "wer_mean")
DECODER = "greedy"  # of the final evaluations of a study
BOTH = "best and last"  # how a final evaluation calls a checkpoint that is both
ELSEWHERE = re.compile(r"(^|\+)on-")  # an arm that learns another corpus than it is tested on


def which_checkpoint(protocol: str) -> str:
    """Return the checkpoint that counts in a protocol: "best" or "last"."""
    return "best" if protocol == "target" else "last"


def final_rows(run: Run, name: str = FINAL, numbers: Sequence[str] = ("utterances", *RATES)) -> list[dict[str, str]]:
    """Return the rows of a final evaluation; [] where there is none. Raises StudyError if they cannot be read."""
    path = run.folder / name  # type: ignore[operator]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        named = ("checkpoint", "subset", "decoder")
        if not all(all(row[each] for each in named) for row in rows):
            raise ValueError
        if not all(math.isfinite(float(row[each])) for row in rows for each in numbers):
            raise ValueError
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        raise StudyError(f"{path}: cannot be read as a final evaluation; make it again: {_command(run)}") from None
    return rows


def asked_for(rows: Sequence[dict[str, str]], which: str) -> list[dict[str, str]]:
    """Return the rows of the checkpoint and decoder that a study asks for."""
    return [row for row in rows if row["decoder"] == DECODER and row["checkpoint"] in (which, BOTH)]


def lacking(run: Run, finals: Sequence[dict[str, str]], which: str, arm: str) -> str:
    """Say what a final evaluation lacks of what a study asks for, and the command that makes it; "" if nothing."""
    rows = asked_for(finals, which)
    there = {row["subset"] for row in rows}
    try:
        features = run.facts.features if run.facts else None
    except FactsError:
        features = None
    own = features.subsets if features and not ELSEWHERE.search(arm) else {}
    missing = sorted(name for name in own if role(name) in ("dev", "test") and name not in there)
    if rows and not missing:
        return ""
    found = ", ".join(dict.fromkeys(f"{row['checkpoint']} by {row['decoder']} on {row['subset']}" for row in finals))
    asked = f"{which} by {DECODER}" + f" on {', '.join(missing)}" * bool(missing)
    again = _command(run)
    if ELSEWHERE.search(arm):
        again = "the command of the study again, which evaluates it on the corpus of the study"
    return f"{run.folder / FINAL}: has {found}; expected {asked}: the point is left out; make it with: {again}"  # type: ignore[operator]


def _command(run: Run) -> str:
    """Return the command that evaluates a point as its study does, on training data of the smallest size too."""
    command, mine = f"python -m benchmark.final {run.folder}", NAME.fullmatch(Path(run.source).stem)
    if mine is None:
        return command
    others = (NAME.fullmatch(path.stem) for path in Path(run.source).parent.glob("*.csv"))
    size = min(int(each[2]) for each in others if each and (each[1], each[4]) == (mine[1], mine[4]))
    speakers = " --train-select speakers" * ("speakers" in (mine[4] or "").split("+"))
    sample = f"--train-sample {size} --train-seed {mine[3]}{speakers}"
    return f"{command} --checkpoints {which_checkpoint(mine[1])} --decoder {DECODER} {sample}"


def edits_of(rows: Sequence[dict[str, str]]) -> tuple[dict[str, str], ...]:
    """Return the counts of the test utterances, or of dev's where there is no test set, in the order of their ids."""
    for name in ("test", "dev"):
        own = [row for row in rows if role(row["subset"]) == name]
        if own:
            return tuple(sorted(own, key=lambda row: (row["subset"], row["utterance"])))
    return ()


def of_role(finals: Sequence[dict[str, str]], counts: Sequence[dict[str, str]], name: str) -> dict[str, float]:
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
