"""Where facts about a machine are read, and what a fact is.

    place = Place.here()                            # this machine
    place = Place(root=tmp_path, nvml=None)         # a made-up one, for tests
    place.text("/proc/cpuinfo")                     # Fact(value="processor : 0...", source="/proc/cpuinfo")
    Fact(why_not="/proc/cpuinfo is not there")      # value is None

Every value has its source, or the reason why there is none; nothing is made up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Fact:
    """A value with its source, or None with the reason why it is not known."""

    value: Any = None
    source: str = ""
    why_not: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.why_not):
            raise ValueError(f"{self!r}: expected a value, or the reason why there is none")

    @property
    def known(self) -> bool:
        return self.value is not None

    def then(self, make: Callable[[Any], Any]) -> Fact:
        """Return what `make` makes of a known value, from the same source; a ValueError is why there is none."""
        if not self.known:
            return self
        try:
            return Fact(make(self.value), self.source)
        except (ValueError, LookupError) as error:
            return Fact(why_not=f"{self.source}: {error}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A machine to be asked: a root for /proc and /sys, NVML (None without its library), and the environment."""

    root: Path = Path("/")
    nvml: ModuleType | Any | None = None
    why_no_nvml: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @classmethod
    def here(cls) -> Place:
        """Return this machine. NVML's library is loaded, and started, if it is there."""
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return cls(why_no_nvml=f"NVML: {error}")
        return cls(nvml=pynvml)

    def path(self, path: str) -> Path:
        """Return where a path of the machine ("/proc/cpuinfo") is."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> Fact:
        """Return the text of a file of the machine, without white space around it."""
        try:
            return Fact(self.path(path).read_text(errors="replace").strip(), path)
        except OSError as error:
            return Fact(why_not=f"{path}: {error.strerror or type(error).__name__}")

    def number(self, path: str) -> Fact:
        """Return the number in a file of the machine."""
        return self.text(path).then(float)
