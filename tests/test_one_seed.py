"""One seed, one figure: a run's journal depends on nothing but its command."""

import subprocess
import sys

import pytest
from commands import command

from benchmark.record import journal


@pytest.mark.slow
def test_one_seed_gives_one_journal_beside_any_load_with_any_number_of_workers(tone_corpus, tmp_path):
    """Five runs with four workers, two of them beside a process that keeps a core busy: all but times is equal."""
    journals = []
    for number in range(5):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number % 2)]
        try:
            options = ["--max-epochs", 1, "--seed", 3, "--decode-jobs", 4, "--monitor-hz", 0, "--name", f"r{number}"]
            done = command(tmp_path, "benchmark", "--corpus", tone_corpus, *options, fresh=True)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        assert done.returncode == 0, done.stderr
        assert not busy or "WARNING: other processes keep" in done.stderr
        rows = journal.read(tmp_path / "results" / f"r{number}.csv").rows
        untimed = ("run", "started_s", "seconds", "input_s")
        journals.append([{k: v for k, v in vars(row).items() if k not in untimed} for row in rows])
    assert all(other == journals[0] for other in journals[1:])
