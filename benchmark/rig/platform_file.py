"""The text of a platform file that says what a machine is, every value with its source, or the reason why not.

    text = platform_text("mine", Rig(host=..., gpus=..., links=..., storage=...), command="make bench PLATFORM=mine")
    tomllib.loads(text)                         # as platforms.load reads it

What only the owner knows, the price, is left as comments to fill in; so are keys whose values are not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmark.rig.gpus import Gpus, Link, models
from benchmark.rig.place import Fact

BATCH_PER_GPU = 16
MOST_READERS = 16
BUFFER = 8
PAPER = "the paper's rigs take 24 a GPU of 8 GB, 60 of 11 GB and 150 of 32 GB"
LONGEST = 300  # characters of a comment's source or reason
READ_AS_WELL = ("physical_cores", "usable_cores", "cpu_quota", "numa_nodes", "wsl", "operating_system", "kernel")
DIGITS = {"storage_gib": 0, "free_gib": 0, "ram_gib": 1, "gpu_memory_gib": 1, "cpu_quota": 2}
"""How many decimals a number has; else none above 10, and one below."""


@dataclass(frozen=True, kw_only=True)
class Rig:
    """What was found out about a machine: its facts by name, its GPUs and their links."""

    host: Mapping[str, Fact]
    storage: Mapping[str, Fact]
    gpus: Gpus
    links: Sequence[Link]

    @property
    def hardware(self) -> dict[str, Fact]:
        """The keys of [hardware] but links, as Facts."""
        shown, count = self.gpus.shown, self.gpus.count
        of = f", of {count.value} that NVML lists" if count.known else ""
        why = f"CUDA shows this process so many{of}" if shown else self.gpus.why_none
        found = {"gpus": Fact(len(shown), why), "machines": Fact(1, "this one")}
        if shown:
            memories = [gpu.memory_gib for gpu in shown]
            unknown = next((fact for fact in memories if not fact.known), None)
            found["gpu"] = self.gpu
            found["gpu_memory_gib"] = unknown or min(memories, key=lambda fact: fact.value)
        return {**found, "cpu": self.cpu, **{name: self.host[name] for name in ("logical_cores", "ram_gib")}}

    @property
    def cpu(self) -> Fact:
        """The processor with the number of sockets, as platforms have it: "2x Intel Xeon Gold 6136"."""
        sockets = self.host["sockets"]
        many = f"{sockets.value}x " if sockets.known and sockets.value > 1 else ""
        return self.host["cpu"].then(lambda name: f"{many}{name}")

    @property
    def gpu(self) -> Fact:
        """The GPUs' model, or models: "1 x Tesla V100 + 1 x GeForce GT 1030"."""
        first, kinds = self.gpus.shown[0].name, models(self.gpus.shown)
        if unknown := next((gpu.name for gpu in self.gpus.shown if not gpu.name.known), None):
            return unknown
        return first if len(kinds) == 1 else Fact(_counted(kinds), f"{first.source}, in CUDA's order; unlike models")

    @property
    def words(self) -> str:
        """The machine in a line: "4 x NVIDIA GeForce RTX 2070, Intel Core i7-6700K"."""
        kinds = models(self.gpus.shown)
        return f"{_counted(kinds) or 'no GPU'}, {self.cpu.value or 'a processor without a name'}"


def readers(host: Mapping[str, Fact]) -> int:
    """Return with how many readers to begin: one a usable core, MOST_READERS at most."""
    return max(1, min(MOST_READERS, host["usable_cores"].value or 1))


def _counted(kinds: Mapping[str, int]) -> str:
    return " + ".join(f"{count} x {name}" for name, count in kinds.items())


def shown(name: str, value: object) -> str:
    """Return a value as text for people, without digits that mean nothing."""
    if isinstance(value, float):
        digits = DIGITS.get(name, 0 if value >= 10 else 1)
        return f"{round(value, digits):g}" if digits else f"{value:.0f}"
    return str(value)


def platform_text(name: str, rig: Rig, *, command: str, today: date, remarks: Sequence[str] = ()) -> str:
    """Return the file's text, with what there is to say of the machine. `command` is how a benchmark of it begins."""
    hardware, what = rig.hardware, rig.words
    gpus, batch = hardware["gpus"].value, BATCH_PER_GPU * max(1, hardware["gpus"].value)
    lines = [
        f"# Machine:        {_comment(what)}",
        "# Cost:           not stated, so price/performance is NA until [price] is filled in",
        f"# Batch:          {batch} utterances a step, {BATCH_PER_GPU} per {'GPU' if gpus else 'replica'}; not tuned",
        f"# Command:        {_comment(command)}",
        f"# Found out by python -m benchmark.rig detect on {today.isoformat()}; each value with where it was read",
        "",
        f"name = {_text(name)}",
        f"label = {_text(name)}",
        f"description = {_text(what)}",
        "",
        *PRICE,
        "",
        "[hardware]",
        *(line for key, fact in hardware.items() for line in _key(key, fact)),
        *(_links(rig) if gpus else ()),
        "# Read too, and no keys of a platform:",
        *(_beside(key, rig.host[key]) for key in READ_AS_WELL),
        *(_beside(key, fact) for key, fact in rig.storage.items()),
        *(f"# Note: {_comment(remark)}" for remark in remarks),
        "",
        "[input] # to begin with, and not tuned: what is fastest depends on model, GPU and storage",
        f"batch = {batch} # {BATCH_PER_GPU} a {'GPU' if gpus else 'replica'}, as cpu.toml has; {PAPER}",
        f"readers = {readers(rig.host)} # one a usable core, {MOST_READERS} at most",
        f"buffer = {BUFFER} # batches; 40 to 100 in the paper, at 0.6 MB an utterance of 16.7 s",
        "",
        "[training]",
        'reduction = "first-gpu" # the paper\'s; of several GPUs "nccl" may be faster',
        'precision = "float32" # the paper\'s; docs/gpu.md has the others',
        "",
    ]
    return "\n".join(lines)


PRICE = (
    "# Fill in what one machine costs, and take away the marks, for python -m benchmark.price:",
    "# [price]",
    "# total = 0.00 # one whole machine",
    "# gpus = 0.00 # of that all GPUs together; this line and the next may be left out",
    "# cpu = 0.00 # all processors together",
    '# currency = "" # three capital letters, "USD"',
    '# date = "" # when these prices held, "2019-10"',
    '# source = "" # where they are from',
    "# storage_included = false",
    "# rent_per_hour = 0.00 # of a rented machine, in place of total and storage_included",
)


def _key(key: str, fact: Fact) -> list[str]:
    if not fact.known:
        return [f"# {key} is not known: {_comment(fact.why_not)}"]
    text = shown(key, fact.value) if isinstance(fact.value, int | float) else _text(fact.value)
    return [f"{key} = {text} # {_comment(fact.source)}"]


def _links(rig: Rig) -> list[str]:
    lines = ["links = ["]
    for gpu, link in zip(rig.gpus.shown, rig.links, strict=True):
        fact = link.text
        said = fact.source if fact.known else f"not known: {fact.why_not}"
        said += f"; NUMA node {gpu.numa_node.value}" if gpu.numa_node.known else ""
        lines.append(f"    {_text(fact.value or 'not known')}, # {_comment(f'{gpu}: {said}')}")
    return [*lines, "]"]


def _beside(key: str, fact: Fact) -> str:
    if not fact.known:
        return f"#   {key} is not known: {_comment(fact.why_not)}"
    return f"#   {key} = {_comment(shown(key, fact.value))} # {_comment(fact.source)}"


def _printable(text: object) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def _comment(text: object) -> str:
    found = _printable(text)
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 3]}..."


def _text(value: object) -> str:
    """Return a TOML text: JSON's escapes are TOML's too."""
    return json.dumps(_printable(value) or "not known", ensure_ascii=False)
