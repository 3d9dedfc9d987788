"""A contender's process: python -m benchmark.speed.child PART NAME OPTIONS, as `contest.contender` writes it.

`CONTENDERS[NAME](**OPTIONS)` of `benchmark.speed.PART` prepares the work, warms it up and returns a function of the
line read that gives the answer, a dict. Only answers go to standard output: what libraries print is kept out of it.
With a "core" among the options the process is pinned to that core before the first import.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import import_module
from typing import TextIO

PEERS = ("torch", "librosa", "pyctcdecode", "keras")


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    part, name, given = sys.argv[1:4]
    options = json.loads(given)
    if (core := options.pop("core")) is not None:
        os.sched_setaffinity(0, {core})
    answers = _standard_output_of_our_own()
    try:
        ask = import_module(f"benchmark.speed.{part}").CONTENDERS[name](**options)
    except ModuleNotFoundError as error:
        if error.name not in PEERS:
            raise
        _say(answers, {"missing": error.name})
        return
    _say(answers, {"ready": True})
    for line in sys.stdin:
        _say(answers, ask(line.strip()))


def _standard_output_of_our_own() -> TextIO:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, what: dict) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
