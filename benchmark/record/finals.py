"""The final evaluations of a run: what `benchmark.final` wrote into its folder, each evaluation in files of its own.

    for each in read_finals(run.folder):            # Final; FinalsError names a file that cannot be read
        each.row["wer"], each.utterances()          # figures by column; edits and sentences of every utterance
    of_checkpoint(finals, "best")                   # of each kind the one that counts

    final/best-1000.dev-clean.dictionary-512.csv             figures: a header and one row
    final/best-1000.dev-clean.dictionary-512.utterances.csv  edits, reference and hypothesis of every utterance
    final/best-1000.dev-clean.dictionary-512.sentences.txt   the worst, median and best ones, for people

The name says checkpoint and batch, subset, decoder, and what is not the run's own: other features, another batch. Which
evaluation a file has is what its row says. Older versions wrote all evaluations of their last call into final.csv and
final-utterances.csv beside the run, without sentences; they are read too. Columns are found by name: what a file has no
column for was not written by the version that made it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.record.columns import Identity, decoder_read

FOLDER = "final"
UTTERANCES, SENTENCES = ".utterances.csv", ".sentences.txt"  # ends of the names of the files beside one with figures
OLD, OLD_UTTERANCES = "final.csv", "final-utterances.csv"
BOTH = "best and last"  # how a checkpoint is called that is both
NAMED = ("checkpoint", "subset", "decoder")

Key = tuple[str, ...]


class FinalsError(ValueError):
    """A file that cannot be read as a final evaluation; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """One final evaluation: the file of its figures, and its row by column. `old` says that the file has others too."""

    path: Path
    row: Mapping[str, str]
    old: bool = False

    @property
    def checkpoint(self) -> str:
        """What the checkpoint was called: best, last, both, or "batch N"."""
        return self.row["checkpoint"]

    @property
    def subset(self) -> str:
        return self.row["subset"]

    @property
    def decoder(self) -> str:
        """The decoder's label, with its beam width: "dictionary-512"."""
        return decoder_read(self.row["decoder"])

    @property
    def features(self) -> str:
        """The digest of the features that were evaluated; "" in a file that does not say."""
        return self.row.get("features") or ""

    @property
    def sample(self) -> str:
        """Which training utterances were evaluated, "500-seed3"; "" if none, or in a file that does not say."""
        return self.row.get("sample") or ""

    @property
    def step(self) -> int:
        """The batches that the checkpoint was trained; 0 in a file that does not say."""
        step = self.row.get("step") or ""
        return int(step) if step.isdecimal() else 0

    @property
    def kind(self) -> Key:
        """What was evaluated and how, but for the checkpoint."""
        return self.subset, self.sample, self.decoder, self.features, self.row.get("batch") or ""

    @property
    def key(self) -> Key:
        """What makes two evaluations the same decode: weights, utterances, decoder, features and batch."""
        return str(self.step), *self.kind

    def not_own(self, run: Identity) -> tuple[str, ...]:
        """Say what is not the run's own: the features, the batch; () if all is, or the file does not say."""
        features = self.features not in ("", run.features)
        batch = self.row.get("batch") or ""
        return (*[f"on other features ({self.features[:6]})"] * features,
                *[f"batch {batch}"] * (batch not in ("", str(run.batch // run.replicas))))  # fmt: skip

    def utterances(self) -> list[dict[str, str]]:
        """Return a row for each utterance, by column; [] where no file has them. Raises FinalsError."""
        if not self.old:
            return _rows(self.path.with_name(self.path.name.removesuffix(".csv") + UTTERANCES), "utterance")
        rows = _rows(self.path.with_name(OLD_UTTERANCES), *NAMED, "utterance")
        return [row for row in rows if all(row[name] == self.row[name] for name in NAMED)]


def read_finals(folder: Path) -> list[Final]:
    """Read the final evaluations in a run's folder, those of older versions first; [] where there are none.

    Raises:
        FinalsError: a file cannot be read, or is no final evaluation.
    """
    found = [Final(path=folder / OLD, row=row, old=True) for row in _rows(folder / OLD, *NAMED)]
    paths = (path for path in sorted((folder / FOLDER).glob("*.csv")) if not path.name.endswith(UTTERANCES))
    return [*found, *(Final(path=path, row=row) for path in paths for row in _rows(path, *NAMED))]


def of_checkpoint(finals: Iterable[Final], which: str) -> list[Final]:
    """Return, of each kind, the evaluation of a checkpoint called `which`: "best", "last" or "batch N".

    A run that went on has another best and another last one: that of the most batches counts, and of the same weights
    the file of the newer format.
    """
    names = (which, BOTH) if which in BOTH.split(" and ") else (which,)
    called = [each for each in finals if each.checkpoint in names]
    new = [each for each in called if not each.old]
    told = {(each.subset, each.decoder, known) for each in new for known in ("", each.features)}
    old = [each for each in called if each.old and (each.subset, each.decoder, each.features) not in told]
    found = {each.kind: each for each in sorted([*old, *new], key=lambda each: each.step)}
    return sorted(found.values(), key=lambda each: each.kind)


def name_of(row: Mapping[str, object], *, own_features: bool, own_batch: bool, features_name: str = "") -> str:
    """Return the name of an evaluation's files, without their ends, from its row."""
    checkpoint = str(row["checkpoint"]).replace(" ", "-")
    if not checkpoint.startswith("batch-"):
        checkpoint += f"-{row['step']}"
    subset = "-".join(filter(None, (str(row["subset"]), str(row.get("sample") or ""))))
    parts = [checkpoint, subset, str(row["decoder"])]
    if not own_features:
        parts.append("-".join(filter(None, ("on", features_name, str(row["features"])[:6]))))
    if not own_batch:
        parts.append(f"batch-{row['batch']}")
    return ".".join(re.sub(r"[^\w.+-]", "_", part) for part in parts)


def _rows(path: Path, *named: str) -> list[dict[str, str]]:
    """Return the rows of a file whose columns `named` have a value in each; [] where there is no file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not all(row[name] for row in rows for name in named):
            raise ValueError
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, csv.Error):
        raise FinalsError(f"{path}: cannot be read as a final evaluation") from None
    return rows


def missing(finals: Sequence[Final], *, asked: str) -> str:
    """Say what final evaluations there are where another one was asked for."""
    there = ", ".join(dict.fromkeys(f"{each.checkpoint} by {each.decoder} on {each.subset}" for each in finals))
    return f"has {there or 'no final evaluation'}; expected {asked}"
