"""Parts of a job for many machines: every n-th item, so that parts are alike.

part = parse("3/16")                # the third of sixteen
part.of(items)                      # items 2, 18, 34, ...

What starts the machines gives each its part: a Slurm array, an indexed job of Kubernetes, xargs. The machines need not
know of one another, and a part that was cut short is run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
MOST = 1 << 20


@dataclass(frozen=True)
class Part:
    """One of `count` equal parts of a list: every `count`-th item, from the `number`-th on, counted from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST:
            raise ValueError(f"part {self}; expected 1/N to N/N, with at most {MOST:,} parts")

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        return items[self.number - 1 :: self.count]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Part:
    """Parse "3/16"; a type for argparse. Raises argparse.ArgumentTypeError for what is no part."""
    number, slash, count = text.partition("/")
    try:
        if slash and number.isdecimal() and count.isdecimal():
            return Part(int(number), int(count))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}; expected a part and how many there are, such as 3/16")
