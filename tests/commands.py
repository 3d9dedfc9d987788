"""Processes of the suite's commands, for the tests that take it as a user does."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def command(folder: Path, module: str, *arguments: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def in_process(folder: Path, main: Callable[[list[str]], int], *arguments: object) -> subprocess.CompletedProcess:
    """What a command says that ends before TensorFlow is loaded; a process would only cost its start."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(list(map(str, arguments)))
        except SystemExit as stopped:
            status = stopped.code
    return subprocess.CompletedProcess(list(arguments), status, out.getvalue(), err.getvalue())


def begin(folder: Path, *arguments: object) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmark", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen, path: Path, text: str, *, more_than: int = 0) -> None:
    until = time.monotonic() + 120
    while not path.is_file() or path.read_text().count(text) <= more_than:
        assert process.poll() is None and time.monotonic() < until, process.stderr.read()
        time.sleep(0.02)
