"""What a tuning has found so far: results/tune/NAME/found.jsonl, so that one that was stopped goes on.

    kept = Kept(folder, about=..., fresh=False)
    kept.find("try", 16)                        # what was kept, or None
    kept.keep("try", 16, {"ran": True, ...})

The first line says what it is about: machine, platform, workload, data. Of anything else nothing is taken over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.jobs.files import write_whole

NAME = "found.jsonl"


class Kept:
    """Findings by kind and key, each written down at once."""

    def __init__(self, folder: Path, *, about: Mapping[str, Any], fresh: bool = False) -> None:
        self.path = folder / NAME
        self._about = json.loads(json.dumps(about))
        self._found: dict[tuple[str, str], Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        lines = [] if fresh else self._lines()
        if lines and lines[0] == self._about:
            self._found = {(line["kind"], line["key"]): line["found"] for line in lines[1:]}
        else:
            lines = [self._about]
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def __len__(self) -> int:
        return len(self._found)

    def _lines(self) -> list[Any]:
        """Return what is there; a last line that a kill cut short is left out."""
        found = []
        try:
            for line in self.path.read_text(encoding="utf-8").splitlines():
                found.append(json.loads(line))
        except (OSError, ValueError):
            pass
        return found

    def find(self, kind: str, key: object) -> Any:
        """Return what was found; None if nothing was."""
        return self._found.get((kind, str(key)))

    def keep(self, kind: str, key: object, found: Any) -> None:
        """Write a finding down."""
        self._found[kind, str(key)] = found
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "key": str(key), "found": found}) + "\n")
