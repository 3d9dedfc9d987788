"""A package that is not installed, in one line: who types `python -m benchmark.tta` may have another Python than meant.

explain()       # where a package of ours begins; from then on, if `python -m` runs us
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

BAD_INPUT = 2
OURS = ("benchmark", "features", "models", "platforms")


def explain() -> None:
    """Let a missing package end the command with one line and status 2; does nothing in a program that imports us.

    While `python -m` imports the packages around its module, the first argument is "-m".
    """
    if sys.argv[:1] == ["-m"] and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _hook


def sentence(name: str) -> str:
    return (
        f"{name} is not installed for {sys.executable}; expected the suite's environment: type `. .venv/bin/activate`, "
        f"after `make setup` if there is no .venv yet"
    )


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or name.partition(".")[0] in OURS:
        sys.__excepthook__(kind, error, trace)
        return
    print(sentence(name), file=sys.stderr, flush=True)
    os._exit(BAD_INPUT)  # an exception hook cannot change the status otherwise
