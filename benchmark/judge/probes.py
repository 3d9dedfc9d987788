"""Estimates of runs that were not made, as probes of rigs: what python -m benchmark.rig estimate wrote.

    journals, estimates = estimates_in(["results"])     # results/estimates/*.json, or a file that ends in .json
    newest(estimates, groups)                           # of each rig without runs, of the groups' training

A plain object with `platform` and `seconds_per_epoch` will do, too, as other tools may write it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.judge.groups import Group
from benchmark.judge.question import JudgeError
from benchmark.judge.reference import Convergence
from platforms import LARGEST


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What an estimate says of a rig: seconds an epoch, with their 95% interval if it has one, and start-up.

    `about` is what identifies the run that it is of, by the names of a journal's columns, as far as it says.
    """

    source: str
    platform: str
    seconds_per_epoch: float
    low: float | None = None
    high: float | None = None
    start_s: float = 0.0
    created: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def differs(self, about: Mapping[str, Any]) -> list[str]:
        """Return the names of what makes it another training than one of these columns; what it does not say agrees."""
        return [name for name in (*LEARNT, "emulated") if name in self.about and self.about[name] != about.get(name)]

    def is_of(self, run: Convergence) -> bool:
        """Tell whether it is of the training that a reference run is of; it says so in full, or is not."""
        names = (*LEARNT, "settings")
        return all(name in self.about and self.about[name] == getattr(run, name) for name in names)


LEARNT = ("workload", "variant", "recipe", "features", "decoder")
"""The columns in which rigs must agree; batch, replicas and precision belong to a rig."""


def newest(estimates: Sequence[Estimated], groups: Sequence[Group]) -> list[Estimated]:
    """Return the newest estimate of each rig without runs, of those that are of the groups' training."""
    there, about = {group.platform for group in groups}, None
    if groups:
        about = _training_of(groups[0])
    found: dict[str, Estimated] = {}
    for each in sorted(estimates, key=lambda each: each.created):
        if each.about.get("emulated") or each.platform in there or (about and each.differs(about)):
            continue  # journals tell more
        found[each.platform] = each
    kinds = {tuple(each.about.get(name) for name in LEARNT) for each in found.values()}
    if len(kinds) > 1:
        raise JudgeError(
            f"estimates of several trainings ({'; '.join(sorted(str(kind) for kind in kinds))[:200]}); expected those "
            f"of one, or runs that say which"
        )
    return list(found.values())


def _training_of(group: Group) -> dict[str, Any]:
    """Return the columns that identify a group's training."""
    return {name: getattr(group.runs[0].identity, name) for name in (*LEARNT, "emulated")}


def read_estimate(path: str | Path) -> Estimated:
    """Read an estimate, as python -m benchmark.rig estimate writes it: `about`, `epoch_s` and `startup_s`.

    A plain object with `platform` and `seconds_per_epoch`, and `batch` and `start_s` where they are known, will do.

    Raises:
        JudgeError: it is no such file.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise JudgeError(f"{path}: no JSON ({str(error)[:80]}); expected an estimate") from None
    if not isinstance(content, Mapping):
        raise JudgeError(f"{path}: {type(content).__name__}; expected an object with platform and seconds_per_epoch")
    about = content.get("about", content)
    about = about if isinstance(about, Mapping) else {}
    seconds = content.get("epoch_s", content.get("seconds_per_epoch"))
    spread = seconds if isinstance(seconds, Mapping) else {"value": seconds}
    value, low, high = (_positive(spread.get(key)) for key in ("value", "low", "high"))
    name = about.get("platform")
    if not isinstance(name, str) or value is None:
        raise JudgeError(
            f"{path}: platform {str(name)[:40]!r}, seconds an epoch {str(seconds)[:40]!r}; expected a name and a "
            f"number above 0, or an object with value, low and high"
        )
    names = (*LEARNT, "emulated", "batch", "machines", "replicas", "devices", "precision", "settings")
    return Estimated(
        source=str(path),
        platform=name,
        seconds_per_epoch=value,
        low=low,
        high=high,
        start_s=_positive(content.get("startup_s") or content.get("start_s")) or 0.0,
        created=str(content.get("created") or ""),
        about={name: about[name] for name in names if name in about},
    )


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        return None
    return float(value)


def estimates_in(paths: Sequence[str]) -> tuple[list[str], list[Estimated]]:
    """Return the paths that are no estimates, and the estimates: files that end in .json, and those in folders."""
    journals, found = [], []
    for path in paths:
        if path.endswith(".json"):
            found.append(read_estimate(path))
            continue
        inside = [
            each for pattern in ("**/estimate.json", "**/estimates/*.json") for each in sorted(Path(path).glob(pattern))
        ] if Path(path).is_dir() else []  # fmt: skip
        found += [read_estimate(each) for each in inside]
        if not inside or any(Path(path).glob("*.csv")):
            journals.append(path)
    return journals, found
