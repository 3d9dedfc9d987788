"""Processes of the suite's commands that begin with TensorFlow loaded, as they are forked from one that has loaded it.

    process = Forked("benchmark", ["--name", "x"], cwd=folder, env=environment)
    process.pid, process.poll(), process.communicate(timeout=60), process.kill()       # as of subprocess.Popen
    Forked("benchmark", [], cwd=folder, env=environment, given="to be read from standard input")

Importing TensorFlow, and what follows once, is half of the CPU time of a test's short run. What such a process does is
what `python -m benchmark` does from its arguments on, with what every report has in it packed already, and what LLVM
and Numba compile for each process compiled; hash seeds are those of the first, as are flags that TensorFlow reads while
it loads. So tests of a start, of hashes and of the environment take real processes (`commands.py`).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
LARGEST_REQUEST = 1 << 18  # bytes
LOADED = (
    "benchmark.__main__",
    "benchmark.final",
    "benchmark.run.train.trainer",
    "models.deepspeech.learner",
    "models.deepspeech.network",
    "benchmark.run.session",
    "benchmark.run.attempt",
    "models.ctc.search",
    "pandas",
)
"""What commands load anyway, and what that loads."""


class Forked:
    """A process that was forked; it answers as a subprocess.Popen does, with pipes for what it says."""

    def __init__(
        self, module: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], given: str = ""
    ) -> None:
        self.args = [sys.executable, "-m", module, *arguments]
        self.returncode: int | None = None
        self._readers: list[_Reader] | None = None
        hung_up = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # which a child inherits, as nohup's do
        request = {"module": module, "arguments": [*arguments], "cwd": str(cwd), "env": {**env}, "nohup": hung_up,
                   "given": given}  # fmt: skip
        pipes = [os.pipe() for _ in range(3)]
        socket.send_fds(_stem(), [json.dumps(request).encode()], [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        out, err, said = (read for read, _ in pipes)
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8", errors="replace") for read in (out, err))
        self._said = os.fdopen(said, encoding="ascii")
        self.pid = int(self._said.readline())

    def poll(self) -> int | None:
        """Return the exit status, minus the signal's number if one ended it; None while it runs."""
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns as `poll`. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._said], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = int(self._said.readline())
            self._said.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it says to its end, and wait for that. Raises subprocess.TimeoutExpired, with nothing lost."""
        if self._readers is None:
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
        self.wait(timeout)
        return tuple(reader.all() for reader in self._readers)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Reader(threading.Thread):
    """Reads a stream to its end, so that its writer never waits."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(daemon=True)
        self.stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        self.text = self.stream.read()

    def all(self) -> str:
        self.join()
        return self.text


@functools.cache
def _stem() -> socket.socket:
    """Begin the process that all are forked from; it ends when the last holder of this socket does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    with theirs:
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], env=environment, pass_fds=[theirs.fileno()])
    return ours


def _requests(channel: socket.socket) -> dict | None:
    """Fork a process for each request, and return the request in it; in the first return None at the end."""
    while True:
        message, files, *_ = socket.recv_fds(channel, LARGEST_REQUEST, 3)
        if not message:
            return None
        if os.fork():
            for file in files:
                os.close(file)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            continue
        channel.close()
        out, err, says = files
        if child := os.fork():
            os.close(out)
            os.close(err)
            os.write(says, f"{child}\n".encode())
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            with contextlib.suppress(BrokenPipeError):
                os.write(says, f"{status}\n".encode())
            os._exit(0)
        os.close(says)
        null = os.open(os.devnull, os.O_RDONLY)
        for file, place in ((null, 0), (out, 1), (err, 2)):
            os.dup2(file, place)
            os.close(file)
        return json.loads(message)


def _compile() -> None:
    """Compile what each process would, in this thread: processes are forked, threads are not."""
    import numpy as np

    from models.ctc import on_cpu
    from models.ctc.decoders import Decoder
    from models.deepspeech import batch_norm, layer_norm, recurrence

    for code in (
        on_cpu.code,
        recurrence.code,
        functools.partial(batch_norm.code, True),
        functools.partial(layer_norm.code, True),
    ):
        code()
    Decoder(name="dictionary", words=("one",)).load()(np.zeros([1, 9, 30], np.float32), np.array([9]))


def main() -> None:
    from benchmark.report import page
    from features.jobs.process import import_tensorflow

    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_tensorflow()
    for name in LOADED:
        importlib.import_module(name)
    for part in (page.template, page.plotly):
        part()
    _compile()
    gc.collect()
    gc.freeze()
    request = _requests(channel)
    if request is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["nohup"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as those of a new process
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    if request["given"]:
        sys.stdin = io.StringIO(request["given"])
    random.seed()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["module"], *request["arguments"]]
    sys.path[0] = request["cwd"]
    more = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[1:1] = more
    for name in ("benchmark.__main__", "benchmark.final"):
        sys.modules.pop(name)  # else runpy warns that it is there already
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
