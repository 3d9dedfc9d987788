"""The last evaluation's sentences of a run: what was said, what was understood, and where the two part.

    heading, examples = last_examples(Path("results/RUN/sentences.txt").read_text())
    examples[0].rank, examples[0].output                # "worst", "i could of been"
    marked("a b c", "a x c")                            # [("a", False), ("x", True), ("c", False)]

sentences.txt is written by `benchmark.run.session` (a heading for every evaluation) and `Evaluated.describe_examples`
(the worst, median and best utterances below it). Older runs have a heading for every utterance and no ranks; they are
read too, and whatever else is in the file is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

TAIL_BYTES = 2**20  # of a long run's file: the last evaluation is at its end
MOST_PAIRS = 10**6  # of words of two sentences
HEADING = re.compile(r"evaluate epoch (\d+) batch (\d+)(.*)")
EXAMPLE = re.compile(r"  (worst|median|best) (\S+): (.+)")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One utterance. `rank` (worst, median, best) and `counts` are empty where the file does not have them."""

    rank: str = ""
    id: str = ""
    counts: str = ""
    target: str = ""
    output: str = ""


def read_tail(path: Path) -> str:
    """The end of a file as text."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")


def last_examples(text: str) -> tuple[str, list[Example]]:
    """(what the last evaluation was, its utterances); ("", []) where there is none."""
    lines = text.splitlines()
    headings = [(number, match) for number, line in enumerate(lines) if (match := HEADING.fullmatch(line))]
    if not headings:
        return "", []
    epoch, batch, rest = headings[-1][1].groups()
    last = [(number, match) for number, match in headings if match.groups()[:2] == (epoch, batch)]
    examples = [example for number, match in last for example in _below(lines[number + 1 :], match[3].strip())]
    rates = rest.strip() if rest.startswith(" WER") else ""
    return f"epoch {epoch}, batch {batch}" + (f", {rates}" if rates else ""), examples


def _below(lines: list[str], heading: str) -> Iterator[Example]:
    """The utterances under one heading, whose own words are an identity in older files."""
    found = {"id": "" if heading.startswith("WER") else heading}
    for line in lines:
        if match := EXAMPLE.fullmatch(line):
            found = dict(zip(("rank", "id", "counts"), match.groups(), strict=True))
        elif (stripped := line.strip()).startswith("target") and line.startswith("  "):
            found["target"] = stripped.removeprefix("target").strip()
        elif stripped.startswith("output") and line.startswith("  "):
            yield Example(**{**found, "output": stripped.removeprefix("output").strip()})
        else:
            return


def by_rank(examples: list[Example]) -> dict[str, list[Example]]:
    """Worst first, in the order of the file."""
    return {rank: list(members) for rank, members in groupby(examples, key=lambda example: example.rank)}


def marked(text: str, other: str) -> list[tuple[str, bool]]:
    """The words of `text`, each with whether it has no partner in `other`; of what is no sentence, none is marked."""
    mine, theirs = text.split(), other.split()
    if len(mine) * len(theirs) > MOST_PAIRS:  # a damaged file: it would take hours
        return [(word, False) for word in mine]
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    paired = {n for block in blocks for n in range(block.a, block.a + block.size)}
    return [(word, n not in paired) for n, word in enumerate(mine)]
