"""hypotheses.jsonl: what the model wrote for every utterance of every evaluation, so that errors can be counted again.

    with HypothesisLog(folder) as log:
        log.write("evaluate", epoch=3, step=900, said=(("84-1-0000", "what was said", "what was heard"), ...))
    found = read_hypotheses(folder)             # {("evaluate", 900): Said(...)}; None where there is no such file

A line is one evaluation, {"phase", "epoch", "step", "hypotheses": [text, ...]}. What was said stands once before it,
{"references": [[id, text], ...]} in the same order, and again where it is another, as after a resumption.
sentences.jsonl has the worst, median and best utterances for people; this file has all, for programs. Older versions
wrote none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

NAME = "hypotheses.jsonl"
Utterance = tuple[str, str, str]  # id, reference, hypothesis


class HypothesesError(ValueError):
    """A hypotheses.jsonl that cannot be used; the message names the file, the line and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One evaluation: id and text of what was said, and in the same order what was heard."""

    phase: str
    epoch: int
    step: int
    references: Sequence[tuple[str, str]]
    hypotheses: Sequence[str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Reference and hypothesis of every utterance."""
        return [(text, heard) for (_, text), heard in zip(self.references, self.hypotheses, strict=True)]


class HypothesisLog:
    """The file, open for appending; each evaluation is flushed."""

    def __init__(self, folder: Path) -> None:
        self._file: TextIO = (folder / NAME).open("a", encoding="utf-8")
        self._references: list[tuple[str, str]] | None = None

    def write(self, phase: str, *, epoch: int, step: int, said: Iterable[Utterance]) -> None:
        said = tuple(said)
        references = [(name, reference) for name, reference, _ in said]
        if references != self._references:
            self._line({"references": references})
            self._references = references
        hypotheses = [hypothesis for _, _, hypothesis in said]
        self._line({"phase": phase, "epoch": epoch, "step": step, "hypotheses": hypotheses})
        self._file.flush()

    def _line(self, content: Mapping[str, object]) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False) + "\n")

    def __enter__(self) -> HypothesisLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def read_hypotheses(folder: Path) -> dict[tuple[str, int], Said] | None:
    """Read all evaluations by phase and batch, of two of one batch the last; None if there is no such file.

    Raises:
        HypothesesError: a line is not what a run writes. Half a line that a kill left is left out.
        OSError: the file cannot be read.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise HypothesesError(f"{path}: not UTF-8; expected what a run writes") from None
    found: dict[tuple[str, int], Said] = {}
    references: Sequence[tuple[str, str]] = ()
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line) if line else {}
        except (ValueError, RecursionError):
            if lines[number : number + 1] in ([], [""]) or lines[number].startswith('{"references"'):
                continue  # the last line of a process that was killed
            raise HypothesesError(f"{path}:{number}: not JSON; expected one evaluation a line") from None
        try:
            if "references" in content:
                references = tuple((_text(name), _text(text)) for name, text in content["references"])
            elif content:
                said = _said(content, references)
                found[said.phase, said.step] = said
        except (TypeError, ValueError, KeyError, AttributeError):
            shown = f"{path}:{number}: found {line[:80]!r}"
            raise HypothesesError(f"{shown}; expected an evaluation of {len(references)} utterances") from None
    return found


def _said(content: Mapping, references: Sequence[tuple[str, str]]) -> Said:
    phase, epoch, step = content["phase"], content["epoch"], content["step"]
    hypotheses = tuple(map(_text, content["hypotheses"]))
    if type(epoch) is not int or type(step) is not int or len(hypotheses) != len(references):
        raise ValueError
    return Said(phase=_text(phase), epoch=epoch, step=step, references=references, hypotheses=hypotheses)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
