"""Processes of the suite's commands, for the tests that take it as a user does."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from forked import Forked

ROOT = Path(__file__).resolve().parents[1]
FORKED = ("benchmark", "benchmark.final", "benchmark.rig", "benchmark.transcribe", "spoilt")
"""What needs TensorFlow: a process of these is forked from one that has it loaded (forked.py).

`spoilt` is a module that a test writes into the folder: it changes a part of the suite and calls one of the others, or
calls what only it can.
"""


def command(folder: Path, module: str, *arguments: object, fresh: bool = False) -> subprocess.CompletedProcess:
    """Run a command to its end. `fresh`: in a process that loads TensorFlow itself, as a user's does."""
    if module not in FORKED or fresh:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
    process = Forked(module, [*map(str, arguments)], cwd=folder, env=_environment())
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def in_process(folder: Path, main: Callable[[list[str]], int], *arguments: object) -> subprocess.CompletedProcess:
    """What a command says that ends before TensorFlow is loaded; a process would only cost its start."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(list(map(str, arguments)))
        except SystemExit as stopped:
            status = stopped.code
    return subprocess.CompletedProcess(list(arguments), status, out.getvalue(), err.getvalue())


def begin(folder: Path, *arguments: object, module: str = "benchmark") -> Forked:
    """Begin a training; `module` may be `spoilt`."""
    return Forked(module, [*map(str, arguments)], cwd=folder, env=_environment())


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


def wait_for(process: Forked, path: Path, text: str, *, more_than: int = 0) -> None:
    until = time.monotonic() + 120
    while not path.is_file() or path.read_text().count(text) <= more_than:
        assert process.poll() is None and time.monotonic() < until, process.stderr.read()
        time.sleep(0.02)
