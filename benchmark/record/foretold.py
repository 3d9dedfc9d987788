"""What was foretold of a run before it was made, by `benchmark.rig.estimate`: results/estimates/NAME.json.

    write_foretold(folder, foretold)            # beside others; the name says platform, workload, recipe and time
    for foretold in foretold_in(Path("results/estimates")): ...
    foretold.differs(about)                     # what differs from a run: [] if it is about that

An estimate is of one machine, platform, workload, recipe, batch, precision and set of features: a run that differs in
any of these, or in how it is fed, decoded and evaluated, is another one and says nothing about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.record.columns import Identity
from benchmark.record.facts import Facts, FactsError, Host
from benchmark.record.run import Run
from features.jobs.files import write_whole
from platforms import Platform

SCHEMA = 1
FOLDER = "estimates"
"""The folder in that of the results."""

OF_JOURNAL = (
    "platform", "workload", "variant", "recipe", "machines", "replicas", "devices", "emulated", "batch", "precision",
    "features", "decoder", "evaluation",
)  # fmt: skip
OF_HOST = ("cpu", "logical_cores", "usable_cores")
KNOBS = ("readers", "buffer", "accumulation")


class ForetoldError(ValueError):
    """A file of an estimate that cannot be used; the message says which, and why."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A value and its 95% interval; bounds are None where they are not known."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        known = [each for each in (self.value, self.low, self.high) if each is not None]
        if not all(isinstance(each, int | float) and 0 <= each < math.inf for each in known):
            raise ValueError(f"{self}; expected numbers from 0 on")

    def holds(self, value: float) -> bool | None:
        """Return whether a value lies within the interval; None if there is none."""
        return None if self.low is None or self.high is None else self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class ToLevel:
    """What one run is foretold to take to a level of a metric, in percent; `runs` of the reference say how many epochs.

    The interval of `minutes` is that of one further run, not of a mean of several.
    """

    metric: str
    percent: float
    epochs: float
    minutes: Bounds
    runs: int


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """An estimate: what it is about (`about_of`), seconds of an epoch, and the minutes to each level.

    `epoch_s` is of the epochs after the first, with evaluation and all else inside; `startup_s` is what the first one
    takes more, creation included. `measured` is what the probe found, for whoever wants to reckon otherwise.
    """

    created: str
    about: Mapping[str, Any]
    epoch_s: Bounds
    startup_s: float
    levels: Sequence[ToLevel] = ()
    window: int = 3
    measured: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def differs(self, about: Mapping[str, Any]) -> list[str]:
        """Return the names of what differs from another run's `about_of`."""
        return [name for name in self.about if self.about[name] != about.get(name)]


def about_of(identity: Identity, platform: Platform, host: Host, settings: str) -> dict[str, Any]:
    """Return what identifies a run to an estimate; `settings` is the digest of its workload's and model's settings."""
    return {
        **{name: getattr(identity, name) for name in OF_JOURNAL},
        **{name: getattr(host, name) for name in OF_HOST},
        **{name: getattr(platform.input, name) for name in KNOBS},
        "settings": settings,
    }


def facts_of(run: Run) -> Facts | None:
    """Return a run's facts; None if they are not there, or cannot be used."""
    try:
        return run.facts
    except FactsError:
        return None


def write_foretold(folder: Path, foretold: Foretold) -> Path:
    """Write an estimate beside others; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    about, stamp = foretold.about, "".join(c for c in foretold.created[:19] if c.isdigit())
    words = [str(about[name]) for name in ("platform", "workload", "variant", "recipe", "batch") if about[name]]
    path = folder / f"{'-'.join([*words, stamp])}.json"
    write_whole(path, json.dumps(asdict(foretold), indent=1) + "\n")
    return path


def read_foretold(path: Path) -> Foretold:
    """Read an estimate. Raises ForetoldError if the file is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}; expected {SCHEMA}")
        datetime.fromisoformat(content["created"])
        known = {each.name for each in fields(Foretold)}
        levels = [ToLevel(**{**each, "minutes": Bounds(**each["minutes"])}) for each in content["levels"]]
        kept = {name: value for name, value in content.items() if name in known}
        return Foretold(**{**kept, "epoch_s": Bounds(**content["epoch_s"]), "levels": tuple(levels)})
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ForetoldError(f"{path}: no estimate ({str(error)[:120]}); delete it, or make it again") from None


def foretold_in(folder: Path) -> Iterator[Foretold]:
    """Yield the estimates in a folder, those made last first. Raises ForetoldError for a file that is none."""
    found = [read_foretold(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    yield from sorted(found, key=lambda each: each.created, reverse=True)
