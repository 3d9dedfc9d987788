"""Starts the sampler beside a run and ends it with the run; says in one line what could not be sampled.

    with Monitor(folder / "utilisation.csv", started_at=clock.origin, hz=10) as monitor:
        ...  # state monitor.unavailable once, for example {"gpu": "NVML: Driver Not Loaded"}; then the run
    monitor.failure  # None, or in one line why the sampler ended before the run did, and until when it sampled

`benchmark.run.sampler` is the sampler's own process; `benchmark.record.usage` says what the file holds. `unavailable`
tells why a column is empty, once a column ("gpu": no GPU column, "sampler": no sample at all); a sensor that first
fails later is in it when the monitor has ended.
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

START_LIMIT_S = 30.0  # a driver without persistence mode takes seconds per GPU to wake
END_LIMIT_S = 1.0
TAIL_BYTES = 2**16  # more than a row
ROOT = Path(__file__).resolve().parents[2]


class Monitor:
    """Keeps a sampler for the length of a `with`.

    A sampler that dies does not end the run. A file that it cannot use does, at once: ValueError.
    """

    def __init__(self, output: str | Path, *, started_at: float, hz: float = 10):
        if not 0 < hz <= 100:
            raise ValueError(f"hz is {hz}; expected above 0 and at most 100 samples a second, 10 is usual")
        self.unavailable: dict[str, str] = {}
        self.failure: str | None = None
        # "=" since a resumed run's origin may be negative, and argparse takes "-1e-05" for an option.
        flags = [f"--pid={os.getpid()}", f"--origin={started_at}", f"--hz={hz}"]
        self._output = Path(output).resolve()
        self._command = [sys.executable, "-m", "benchmark.run.sampler", *flags, f"--output={self._output}"]

    def __enter__(self) -> Monitor:
        # cwd too, as it comes before PYTHONPATH: there may be another `benchmark` where the user stands.
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would fill up
        self._sampler = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            cwd=ROOT,
            env=env,
        )
        try:
            self._hear_start()
        except BaseException:  # Ctrl-C too: there is no __exit__ before __enter__ is done
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

    def _stop(self) -> None:
        with self._errors:
            self._end()

    def _end(self) -> None:
        died = self._sampler.poll() is not None
        try:  # a byte, because a forked child of ours may hold the pipe open after we close it
            later, _ = self._sampler.communicate(b"\n", timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            if self._sampler.poll() is None:  # else it was we who were late, among many threads
                self._sampler.kill()
                self.failure = f"sampler gave no answer for {END_LIMIT_S:g} s, killed; does nvidia-smi hang too?"
            try:
                later, _ = self._sampler.communicate(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:  # stuck in a driver, where no signal reaches it
                return
        for line in later.splitlines():
            self.unavailable.update(_message(line).get("unavailable", {}))
        if self.failure is None and (died or self._sampler.returncode):
            self._errors.seek(0)
            why = (self._errors.read().decode(errors="replace").strip() or "it left no message").splitlines()[-1]
            status = "killed" if self._sampler.returncode == -signal.SIGKILL else f"status {self._sampler.returncode}"
            self.failure = f"sampler ended ({status}, {last_sample(self._output)}): {why}"


def _message(line: bytes) -> dict:
    """A message of the sampler; empty for what a driver's library prints, and for a line that a kill cut short."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def last_sample(path: Path) -> str:
    """Say until when a file goes."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            seconds = float(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0])
    except (OSError, ValueError):  # no file, or its header alone
        return "no sample"
    return f"last sample at {seconds:.1f} s"
