"""One seed, one figure: a run's journal depends on nothing but its command."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import command
from trained import tiny

from benchmark.record import journal


@pytest.mark.slow
def test_one_seed_gives_one_journal_beside_any_load_with_any_number_of_workers(tone_corpus, tone_data, tmp_path):
    """A run with one worker, and two more at once, of four and of three: all but times is equal.

    Those two are processes that load TensorFlow themselves, as hash seeds differ from one start to the next.
    """
    usual = ["--workload", tiny(tmp_path), "--decoder", "dictionary", "--seed", 3, "--monitor-hz", 0]

    def run(workers, *, fresh=True):
        options = ["--corpus", tone_corpus, "--data", tone_data, *usual, "--decode-jobs", workers]
        return command(tmp_path, "benchmark", *options, "--name", f"r{workers}", fresh=fresh)

    alone = run(1, fresh=False)  # it makes the features too, if they are not there, which the others share
    with ThreadPoolExecutor(2) as pool:  # each beside the load of the other
        together = list(pool.map(run, (4, 3)))
    journals = []
    for workers, done in zip((1, 4, 3), [alone, *together], strict=True):
        assert done.returncode == 0, done.stderr
        rows = journal.read(tmp_path / "results" / f"r{workers}.csv").rows
        untimed = ("run", "started_s", "seconds", "input_s")
        journals.append([{k: v for k, v in vars(row).items() if k not in untimed} for row in rows])
    assert any("WARNING: other processes keep" in done.stderr for done in together)
    assert all(other == journals[0] for other in journals[1:])
