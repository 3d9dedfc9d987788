"""What a check says, one JSON object a line, written at once: what a check found before it hangs is kept.

    findings = Findings(path)
    findings.judged("cudnn, float32", "1.2e-6", expected="under 1e-4", right=True, figures={"ms": 3.1})
    findings.told("chosen", "cudnn: its outputs are XLA's")     # nothing is expected of it
    findings.left_out("cudnn", "no GPU")
    findings.command(["python", "-m", "benchmark"])
    read(path)                                                  # (findings, commands)

A finding has `what`, `expected`, `found`, `right` (true, false; null if it is told only) and `figures` for programs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = "left out"


class Findings:
    """Appends findings to a file and shows them on standard output."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def judged(
        self, what: str, found: str, *, expected: str, right: bool, figures: Mapping[str, Any] | None = None
    ) -> None:
        self._add(what=what, expected=expected, found=found, right=bool(right), figures=dict(figures or {}))

    def told(self, what: str, found: str, *, figures: Mapping[str, Any] | None = None) -> None:
        self._add(what=what, expected="", found=found, right=None, figures=dict(figures or {}))

    def left_out(self, what: str, why: str) -> None:
        self._add(what=what, expected="", found=f"{LEFT_OUT}: {why}", right=None, figures={})

    def command(self, words: Sequence[str]) -> None:
        """Note a command that the check gives, so that others can give it by hand."""
        self._add(command=list(words))

    def _add(self, **line: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if "command" in line:
            print("$ " + shlex.join(line["command"]), flush=True)
        else:
            expected = f" (expected: {line['expected']})" if line["expected"] else ""
            print(f"{line['what']}: {line['found']}{expected}", flush=True)


def read(path: Path) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Return the findings and the commands of a file; none if it is missing. Half a line at its end is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if "what" in line], [line["command"] for line in lines if "command" in line]
