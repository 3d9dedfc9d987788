"""Shows a run's curves in TensorBoard while it goes on, by a process that reads the journal: training does nothing.

    with Curves(journal, Path("tensorboard/RUN")):      # starts benchmark.export.tensorboard, by its name
        ...

The process ends when its standard input closes, which it does with this one, however that ends. What it cannot do ends
no run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from benchmark.run.watch.monitor import ROOT

LAST_EVENTS_S = 10.0


class Curves:
    """The process that writes a run's events into a folder, for the length of a `with`."""

    def __init__(self, journal: Path, folder: Path) -> None:
        module = "benchmark.export.tensorboard"
        self._command = [sys.executable, "-m", module, str(journal.resolve()), str(folder.resolve()), "--follow"]

    def __enter__(self) -> Curves:
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=env,
            start_new_session=True,  # Ctrl-C is the training's
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Let it write what is left, and wait for it a while."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_EVENTS_S)
        self._process.kill()
        self._process.wait()
