"""sentences.jsonl: references and hypotheses, one JSON object per line. sentences.txt has the same for people.

    with SentenceLog(folder) as log:
        log.write(Heard(phase="evaluate", epoch=3, step=900, wer=41.2, cer=20.1, examples=(...)))
    heard = last_evaluation(folder)             # Heard, or None

Every evaluation writes its worst, median and best utterances, and the commonest word errors of all utterances. Every
generation writes the sentences that it showed. All utterances of every evaluation are in hypotheses.jsonl beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from benchmark.record.confusions import Confusions
from benchmark.record.hypotheses import HypothesisLog, Utterance

NAME, NAME_FOR_PEOPLE = "sentences.jsonl", "sentences.txt"
TAIL_BYTES = 2**20  # read from the end of the file, where the last evaluation is


@dataclass(frozen=True, kw_only=True)
class Example:
    """One utterance. `rank` is its place in an evaluation, worst, median or best; empty for a generated sentence."""

    id: str
    reference: str
    hypothesis: str
    rank: str = ""
    word_edits: int | None = None
    words: int | None = None
    character_edits: int | None = None
    characters: int | None = None

    @property
    def counts(self) -> str:
        """The error counts as text for people; empty if they were not counted."""
        if self.words is None:
            return ""
        return f"{self.word_edits} of {self.words} words wrong, {self.character_edits} of {self.characters} characters"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Sentences of one evaluation or generation.

    `wer` and `cer`, in percent, and `confusions` are of all utterances evaluated, not of the examples only. Older
    versions wrote no confusions. `said` has every utterance of an evaluation, for hypotheses.jsonl; none is read back.
    """

    phase: str
    epoch: int
    step: int
    wer: float | None = None
    cer: float | None = None
    examples: tuple[Example, ...] = ()
    confusions: Confusions | None = None
    said: tuple[Utterance, ...] = ()

    @property
    def heading(self) -> str:
        """The epoch, the batch and the error rates as text for people."""
        rates = "" if self.wer is None else f", WER {self.wer:.2f}%, CER {self.cer:.2f}%"
        return f"epoch {self.epoch}, batch {self.step}{rates}"


class SentenceLog(AbstractContextManager["SentenceLog"]):
    """A log that appends to the files in a run's folder and flushes each entry."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._lines = self._stack.enter_context((folder / NAME).open("a", encoding="utf-8"))
        self._text = self._stack.enter_context((folder / NAME_FOR_PEOPLE).open("a", encoding="utf-8"))
        self._all = self._stack.enter_context(HypothesisLog(folder))

    def write(self, heard: Heard) -> None:
        if heard.said:
            self._all.write(heard.phase, epoch=heard.epoch, step=heard.step, said=heard.said)
        content = {name: value for name, value in asdict(replace(heard, said=())).items() if name != "said"}
        self._lines.write(json.dumps(content, ensure_ascii=False) + "\n")
        self._lines.flush()
        self._text.write(for_people(heard))
        self._text.flush()

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def for_people(heard: Heard) -> str:
    """Format an entry of sentences.txt."""
    rates = "" if heard.wer is None else f" WER {heard.wer:.2f}% CER {heard.cer:.2f}%"
    return f"{heard.phase} epoch {heard.epoch} batch {heard.step}{rates}\n{describe(heard.examples)}"


def describe(examples: Iterable[Example]) -> str:
    """Format utterances as text for people, three lines each."""
    return "".join(
        f"  {' '.join(filter(None, (e.rank, e.id)))}{': ' * bool(e.counts)}{e.counts}\n"
        f"    reference   {e.reference}\n    hypothesis  {e.hypothesis}\n"
        for e in examples
    )


def last_evaluation(folder: Path) -> Heard | None:
    """Read the last evaluation of a run; None if the end of its file has none. Damaged lines are skipped."""
    try:
        with (folder / NAME).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return None
    return next((heard for line in reversed(lines) if (heard := _read(line)) and heard.phase == "evaluate"), None)


def _read(line: str) -> Heard | None:
    try:
        found = json.loads(line)
        found["examples"] = tuple(Example(**example) for example in found["examples"])
        if found.get("confusions") is not None:
            found["confusions"] = Confusions.read(found["confusions"])
        known = {f.name for f in fields(Heard)}  # a later version may say more
        heard = Heard(**{name: value for name, value in found.items() if name in known})
        heard.heading, [example.counts for example in heard.examples]
        texts = [text for e in heard.examples for text in (e.id, e.rank, e.reference, e.hypothesis)]
        return heard if all(isinstance(text, str) for text in texts) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
