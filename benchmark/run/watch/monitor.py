"""Start the sampler with a run and end it with the run; warn in one line about what could not be sampled.

    with Monitor(folder / "utilisation.csv", started_at=clock.origin, hz=10) as monitor:
        ...  # the run; monitor.unavailable is known, for example {"gpu": "NVML: Driver Not Loaded"}, and monitor.boards
    monitor.failure  # None, or one line: why the sampler ended before the run, and when its last sample was

`benchmark.run.watch.sampler` is the sampler, a process of its own; `benchmark.record.usage` describes its file.
`unavailable` has, for each empty column, the reason ("gpu": there are no GPU columns, "gpu2": those of a lost GPU are
all empty, "sampler": there are no samples). A sensor that fails for the first time during the run is added when the
monitor ends.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")  # as benchmark.run.watch.rapl has it, which the sampler loads
START_LIMIT_S = 30.0  # a driver without persistence mode takes seconds per GPU to wake
END_LIMIT_S = 1.0
TAIL_BYTES = 2**16  # more than a row
ROOT = Path(__file__).resolve().parents[3]


class Monitor:
    """A sampler that runs for the length of a `with`, `hz` times per second (above 0, at most 100).

    A sampler that dies does not end the run. Raises ValueError on entry if the sampler cannot use the file.
    """

    def __init__(self, output: str | Path, *, started_at: float, hz: float = 10, powercap: Path | None = None):
        if not 0 < hz <= 100:
            raise ValueError(f"hz is {hz}; expected above 0 and at most 100 samples a second, 10 is usual")
        self.unavailable: dict[str, str] = {}
        self.boards: dict[str, dict] = {}  # the machine's GPUs, by the prefix of their columns
        self.failure: str | None = None
        # With "=", as the origin of a resumed run may be negative and argparse takes "-1e-05" for an option.
        flags = [f"--pid={os.getpid()}", f"--origin={started_at}", f"--hz={hz}", f"--powercap={powercap or POWERCAP}"]
        self._output = Path(output).resolve()
        self._command = [sys.executable, "-m", "benchmark.run.watch.sampler", *flags, f"--output={self._output}"]

    def __enter__(self) -> Monitor:
        # cwd is set too, as it precedes PYTHONPATH: the user's folder may hold another `benchmark`.
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would fill up
        self._sampler = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,  # neither Ctrl-C nor a closed terminal reaches it
            cwd=ROOT,
            env=env,
        )
        try:
            self._hear_start()
        except BaseException:  # Ctrl-C too: __exit__ is not called if __enter__ fails
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        told = set(self.unavailable)
        if self.failure is None:
            self._stop()
        lost = [f"{column}: {why}" for column, why in self.unavailable.items() if column not in told]
        more = [f"and {len(lost) - 1} more"] if len(lost) > 1 else []
        if problems := [*filter(None, [self.failure]), *lost[:1], *more]:
            logging.getLogger(__name__).warning("utilisation is not complete: %s", ", ".join(problems))

    def _hear_start(self) -> None:
        poll = select.poll()  # select refuses descriptors over 1023, and a run may have many files open
        poll.register(self._sampler.stdout, select.POLLIN)
        message: dict = {}
        while not message:
            if not poll.poll(START_LIMIT_S * 1000) or not (line := self._sampler.stdout.readline()):
                self._stop()
                self.unavailable["sampler"] = str(self.failure)
                return
            message = _message(line)
        if "refused" in message:
            raise ValueError(message["refused"])
        self.unavailable.update(message["unavailable"])
        self.boards = message.get("boards", {})

    def _stop(self) -> None:
        with self._errors:
            self._end()

    def _end(self) -> None:
        died = self._sampler.poll() is not None
        try:  # a byte, because a forked child of ours may hold the pipe open after we close it
            later, _ = self._sampler.communicate(b"\n", timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            if self._sampler.poll() is None:  # else it ended in time, but this process was slow to notice
                self._sampler.kill()
                self.failure = f"sampler gave no answer for {END_LIMIT_S:g} s, killed; does nvidia-smi hang too?"
            try:
                later, _ = self._sampler.communicate(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:  # it is stuck in a driver, where no signal reaches it
                return
        for line in later.splitlines():
            self.unavailable.update(_message(line).get("unavailable", {}))
        if self.failure is None and (died or self._sampler.returncode):
            self._errors.seek(0)
            why = (self._errors.read().decode(errors="replace").strip() or "it left no message").splitlines()[-1]
            status = "killed" if self._sampler.returncode == -signal.SIGKILL else f"status {self._sampler.returncode}"
            self.failure = f"sampler ended ({status}, {last_sample(self._output)}): {why}"


def _message(line: bytes) -> dict:
    """Parse a message of the sampler; empty for other output, as of a driver's library, and for an incomplete line."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def last_sample(path: Path) -> str:
    """Return the time of a file's last sample as text, or "no sample"."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            seconds = float(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0])
    except (OSError, ValueError):  # no file, or its header alone
        return "no sample"
    return f"last sample at {seconds:.1f} s"
