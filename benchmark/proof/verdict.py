"""What a verification says: levels, what was checked at each, what could not be and why, and the first difference.

report = Report(bundle="a.tta.zip", ...)
report.checked(BYTES, "9 files are those of seal.json")
report.unchecked(WEIGHTS, "the corpus was not given (--corpus DIR)")
raise Refuted(FIGURES, "the WER of epoch 3 is 21.9; expected 22.4, by its sentences")
report.status                                   # 0 verified at `report.level`, 1 refuted, 2 cannot
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

BYTES, FIGURES, WEIGHTS, REPLAY = LEVELS = ("bytes", "figures", "weights", "replay")
"""Each holds what is checked at those before it."""

RULES = 1
"""The version of the rules by which a bundle is verified. A stricter check raises it; a verdict names it."""

VERIFIED, REFUTED, CANNOT = 0, 1, 2  # exit statuses


class Refuted(Exception):
    """A difference between what a bundle says and what is so: the first one found, at the level that can see it."""

    def __init__(self, level: str, difference: str) -> None:
        super().__init__(difference)
        self.level, self.difference = level, difference


@dataclass
class Report:
    """The verdict on one bundle, as far as it has come. `level` is the highest at which it is verified, "" if none."""

    bundle: str
    run: str = ""
    asked: str = FIGURES
    level: str = ""
    refuted_at: str = ""
    difference: str = ""
    cannot: str = ""
    signer: str = ""
    seal: str = ""  # SHA-256 of seal.json, by which a verdict is known to be of this bundle
    done: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)

    def checked(self, level: str, what: str) -> None:
        self.done.setdefault(level, []).append(what)

    def unchecked(self, level: str, why: str) -> None:
        self.left.setdefault(level, []).append(why)

    @property
    def status(self) -> int:
        """The exit status: REFUTED comes before CANNOT, as a difference that was found stays one."""
        return REFUTED if self.refuted_at else CANNOT if self.cannot or self.level != self.asked else VERIFIED

    def lines(self) -> Iterator[str]:
        """Yield the verdict for people."""
        yield f"{self.bundle}{': ' * bool(self.run)}{self.run}"
        for level in LEVELS:
            yield from (f"  {level:<8} checked: {what}" for what in self.done.get(level, ()))
            yield from (f"  {level:<8} not checked: {why}" for why in self.left.get(level, ()))
        yield f"  {self.sentence}"

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        if self.refuted_at:
            return f"REFUTED at {self.refuted_at}: {self.difference}"
        verified = f"verified at {self.level} by rules {RULES}" if self.level else "not verified"
        if self.cannot:
            return f"{verified}; cannot go on: {self.cannot}"
        return verified if self.level == self.asked else f"{verified}; {self.asked} was asked for"

    def fields(self) -> dict[str, object]:
        """Return the verdict as plain values for programs."""
        return {
            "bundle": self.bundle,
            "run": self.run,
            "status": ("verified", "refuted", "cannot")[self.status],
            "level": self.level or None,
            "asked": self.asked,
            "rules": RULES,
            "refuted_at": self.refuted_at or None,
            "difference": self.difference or None,
            "cannot": self.cannot or None,
            "signer": self.signer or None,
            "seal": self.seal or None,
            "checked": self.done,
            "not_checked": self.left,
        }
