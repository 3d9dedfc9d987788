"""The child process in which checks are made: a line of JSON for each on a pipe, as soon as it is known.

    python -m benchmark.rig.checks.child FD ROOT '[{"name": ..., "look": "module:function", "needs": ...}, ...]'

It says {"place": true} when NVML, where it is needed, has answered, and {"name": ..., "finding": {...}} for each check.
After load it waits until the GPUs are about as cool as before, and ends.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.rig.boards import boards, count
from benchmark.rig.checks.check import FILES, GPU, Finding, unknown
from benchmark.rig.place import Place

COOLED_C = 5  # above the temperature before
COOL_DOWN_S = 30.0
PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    with suppress(OSError, AttributeError):  # a parent that is killed leaves no child behind
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    fd, root, specs = int(argv[0]), Path(argv[1]), json.loads(argv[2])

    def say(message: dict[str, Any]) -> None:
        os.write(fd, json.dumps(message).encode() + b"\n")

    place = Place(root=root, why_no_nvml="NVML was not asked")
    if any(spec["needs"] != FILES for spec in specs):
        here = Place.here()
        place = Place(root=root, nvml=here.nvml, why_no_nvml=here.why_no_nvml)
    say({"place": True})
    before = temperatures(place) if specs[-1]["load"] else []
    for spec in specs:
        say({"name": spec["name"], "finding": asdict(_made(place, spec))})
    if before:
        cool_down(place, before)
    return 0


def _made(place: Place, spec: dict[str, Any]) -> Finding:
    if spec["needs"] == GPU and not (there := count(place)).value:
        return unknown(f"no GPU can be asked ({there.why_not or 'NVML lists none'})")
    try:
        module, _, function = spec["look"].partition(":")
        return getattr(importlib.import_module(module), function)(place)
    except Exception as error:  # whatever it is, it is said, and the other checks are made
        told = " ".join(str(error).split())[:300]
        return unknown(f"the check itself failed: {type(error).__name__}: {told}".rstrip(": "))


def temperatures(place: Place) -> list[float]:
    """Return the temperatures in degrees Celsius of the GPUs that know theirs."""
    return [each["temperature_c"].value for each in boards(place, "temperature_c") if each["temperature_c"].known]


def cool_down(
    place: Place, before: Sequence[float], *, limit_s: float = COOL_DOWN_S, sleep: Callable[[float], Any] = time.sleep
) -> None:
    """Wait until every GPU is nearly as cool as before its load, or until the time is over."""
    for _ in range(round(limit_s)):
        now = temperatures(place)
        if all(new <= old + COOLED_C for new, old in zip(now, before, strict=False)):
            return
        sleep(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
