"""Kinds of GPUs, by the names that drivers, shops and catalogues give them.

    kind("NVIDIA A100-SXM4-80GB")                                    # Kind(model="A100", memory_gib=80, form="SXM")
    kind("RTX4090").fits(kind("NVIDIA GeForce RTX 4090"))            # True
    kind("A100", memory_gib=40).fits(kind("NVIDIA A100-SXM4-80GB"))  # False

What a name leaves out (memory, SXM or PCIe) is not known and fits either; who has several to choose from asks `apart`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MAKERS = frozenset(["NVIDIA", "TESLA", "GEFORCE", "QUADRO", "GRID", "CORPORATION", "GPU", "GENERATION"])
NEAR = 1.12  # a ratio of memories: 192 GB are 179 GiB, and drivers keep some for themselves


@dataclass(frozen=True)
class Kind:
    """A kind of GPU: its model, and its memory and form ("SXM", "PCIE", "NVL") where the name says them."""

    model: str
    memory_gib: float | None = None
    form: str | None = None

    def fits(self, other: Kind) -> bool:
        """Tell whether both may be one kind: nothing that both say differs."""
        return self.model == other.model and not self._differs(other)

    def _differs(self, other: Kind) -> str:
        """Return in what two GPUs of one model are known to differ; "" if in nothing."""
        mine, others = self.memory_gib, other.memory_gib
        if mine and others and not 1 / NEAR < mine / others < NEAR:
            return "memory"
        return "form" if self.form and other.form and self.form != other.form else ""

    def __str__(self) -> str:
        memory = f"{self.memory_gib:g} GB" if self.memory_gib else ""
        return " ".join(filter(None, (self.model, self.form, memory)))


def apart(kinds: Iterable[Kind]) -> tuple[Kind, Kind] | None:
    """Return two of these that are known to differ; None if all may be one kind."""
    found = list(dict.fromkeys(kinds))
    pairs = ((a, b) for place, a in enumerate(found) for b in found[place + 1 :])
    return next(((a, b) for a, b in pairs if not a.fits(b)), None)


@lru_cache(4096)
def kind(name: str, *, memory_gib: float | None = None, also: str = "") -> Kind:
    """Return the kind of a GPU by its name; `also` may say its form, as a machine's name does."""
    text = re.sub(r"\d+(\.\d+)?\s*[GM]HZ", " ", name.upper())
    memory = re.search(r"(?<![A-Z\d])(\d{1,4})\s*(GIB|GB|G)(?![A-Z\d])", text)
    words = re.findall(r"[A-Z\d]+", text[: memory.start()] + " " + text[memory.end() :] if memory else text)
    form = _form(words) or _form(re.findall(r"[A-Z\d]+", also.upper()))
    model = "".join(word for word in words if word not in MAKERS and not _form([word]))
    if model.endswith("NVL") and model != "NVL":  # one catalogue joins them: H100NVL
        model, form = model.removesuffix("NVL"), "NVL"
    model = re.sub(r"^RTX(?=A\d{4}$)", "", model)  # RTX A6000
    if memory and memory_gib is None and not model.startswith(("GH", "GB")):  # there it is the CPU's, as in GH200 480GB
        memory_gib = float(memory[1])
    return Kind(model, memory_gib, form)


def _form(words: Iterable[str]) -> str | None:
    """Return the form that one of these words says; HBM3 is said of H100s with SXM alone, HBM2e of those with PCIe."""
    for word in words:
        if found := re.fullmatch(r"(SXM|PCIE|NVL)\d*|HBM3|HBM2E?", word):
            return found[1] or ("SXM" if word == "HBM3" else "PCIE")
    return None
