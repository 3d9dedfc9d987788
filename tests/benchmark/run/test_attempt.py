"""What a run says at its end about its own time."""

from types import SimpleNamespace

import pandas
import pytest
from journals import make_run, write

from benchmark.record.folder import End
from benchmark.run import attempt


@pytest.mark.parametrize(("seconds", "said"), [(3.0, 0), (3.7, 1)])
def test_a_run_that_stood_still_for_a_percent_of_its_time_is_warned_of_at_its_end(seconds, said):
    end = End(status="finished", clock_s=360.0, still=[(200.0, seconds, 2)])  # 1% of 360 s is 3.6 s
    found: list[str] = []
    attempt._warn_of_stillness(end, found.append)
    assert len(found) == said
    assert all("3.7 s of 360 stood still (most of it from 200.0 s on, epoch 2)" in text for text in found)


def test_the_stretches_of_a_run_are_those_of_its_samples(tmp_path):
    """A run of 30 s and an epoch of 110 s, sampled once a second; it stood still from 60 to 80 s."""
    path = write(tmp_path / "r1.csv", make_run([60]))
    (tmp_path / "r1").mkdir()
    job = SimpleNamespace(folder=tmp_path / "r1", journal=path)
    assert attempt._still(job) is None  # nobody sampled
    used = [0.0 if 60 < second <= 80 else 150.0 for second in range(141)]
    samples = pandas.DataFrame({"seconds": range(141), "process_cpu_percent": used})
    samples.to_csv(tmp_path / "r1" / "utilisation.csv", index=False)
    assert attempt._still(job) == [(60.0, 20.0, 1)]
