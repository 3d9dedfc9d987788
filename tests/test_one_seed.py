"""One seed, one figure: a run's journal depends on nothing but its command."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import command
from trained import tiny

from benchmark.record import journal


@pytest.mark.slow
def test_one_seed_gives_one_journal_beside_any_load_with_any_number_of_workers(tone_corpus, tone_data, tmp_path):
    """A run with four workers, and four more at once, each beside the load of the others: all but times is equal."""
    usual = ["--workload", tiny(tmp_path), "--decoder", "dictionary", "--seed", 3, "--decode-jobs", 4]

    def run(number):
        options = ["--corpus", tone_corpus, "--data", tone_data, *usual, "--monitor-hz", 0, "--name", f"r{number}"]
        return command(tmp_path, "benchmark", *options, fresh=True)

    alone = run(0)  # it makes the features too, if they are not there, which the others share
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(1, 5)))
    journals = []
    for number, done in enumerate([alone, *together]):
        assert done.returncode == 0, done.stderr
        rows = journal.read(tmp_path / "results" / f"r{number}.csv").rows
        untimed = ("run", "started_s", "seconds", "input_s")
        journals.append([{k: v for k, v in vars(row).items() if k not in untimed} for row in rows])
    assert any("WARNING: other processes keep" in done.stderr for done in together)
    assert all(other == journals[0] for other in journals[1:])
