"""The command that began a run, as its user would type it again: with make, or with Python.

line = CommandLine(("--corpus", "my speech", "--seed", "3"), make=True)
str(line)                               # make bench CORPUS='my speech' SEED=3
str(line.changed(seed=4, drop=("name",)))
"""

from __future__ import annotations

import os
import shlex
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

BY_MAKE = "SPEECH_TTA_MAKE"
"""The variable that the Makefile sets, so that hints speak of make to those who typed make."""

VARIABLES = ("platform", "workload", "corpus", "seed", "batch", "name")
"""The options that make bench has as variables, in capitals."""


@dataclass(frozen=True)
class CommandLine:
    """The arguments of `python -m benchmark`, and whether make gave them."""

    arguments: tuple[str, ...] = ()
    make: bool = False

    @classmethod
    def given(cls, arguments: Sequence[str]) -> CommandLine:
        """Return the command line of this process."""
        return cls(tuple("--quiet" if word == "-q" else word for word in arguments), make=by_make())

    def changed(self, *, drop: Collection[str] = (), **options: object) -> CommandLine:
        """Return the command with some options dropped and others set: `changed(seed=4, drop=("name",))`."""
        kept = [words for name, words in self._options() if name not in drop and name not in options]
        added = [(f"--{name}", str(value)) for name, value in options.items()]
        return CommandLine(tuple(word for words in (*kept, *added) for word in words), self.make)

    def __str__(self) -> str:
        if not self.make:
            return shlex.join(["python", "-m", "benchmark", *self.arguments])
        variables: list[str] = []
        others: list[str] = []
        for name, words in self._options():
            if name not in VARIABLES or len(words) != 2:
                others += words
            elif (name, words[1]) != ("platform", "cpu"):
                variables.append(f"{name.upper()}={shlex.quote(words[1])}")
        more = [f"ARGS={shlex.quote(shlex.join(others))}"] if others else []
        return " ".join(["make bench", *variables, *more])

    def _options(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each option's name with its words; "--seed=3" becomes two words.

        A word after an option that is no option itself is its value: the command takes no other words.
        """
        words = deque(self.arguments)
        while words:
            word = words.popleft()
            name, equals, value = word.removeprefix("--").partition("=")
            if equals:
                yield name, (f"--{name}", value)
            elif word.startswith("--") and words and not words[0].startswith("--"):
                yield name, (word, words.popleft())
            else:
                yield name, (word,)


def by_make() -> bool:
    """Tell whether this process was started by the Makefile."""
    return bool(os.environ.get(BY_MAKE))
