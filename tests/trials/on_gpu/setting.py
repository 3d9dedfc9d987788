"""The settings that every check is given.

setting = Setting(out=Path("results/gpu"), platform="results/gpu/gpu.toml")
setting.sized(usual, tiny=...)              # `usual`, or `tiny` in a rehearsal
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NO_GPU = "no GPU"
"""Why a rehearsal leaves something out."""

Anything = TypeVar("Anything")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The folder of results, the platform of runs on the GPU, and whether the CPU stands in for one at tiny sizes."""

    out: Path
    platform: str
    rehearse: bool = False

    def sized(self, usual: Anything, *, tiny: Anything) -> Anything:
        """Return what is used on a GPU, or what a rehearsal uses in its place."""
        return tiny if self.rehearse else usual

    def to_json(self) -> str:
        return json.dumps({"out": str(self.out), "platform": self.platform, "rehearse": self.rehearse})

    @classmethod
    def from_json(cls, text: str) -> Setting:
        given = json.loads(text)
        return cls(**{**given, "out": Path(given["out"])})
