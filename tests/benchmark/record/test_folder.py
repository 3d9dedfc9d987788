"""A run's folder: one process at a time, its heartbeat, how the run ended."""

import os
import time

import pytest

from benchmark.record.folder import End, RunLocked, heartbeat, is_locked, last_heartbeat, locked, read_end, write_end


def test_one_process_at_a_time_works_on_a_run(tmp_path):
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(RunLocked, match=f"process {os.getpid()} is working on this run"), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)


def test_heartbeats_say_what_the_clock_showed_and_when(tmp_path):
    clock = iter(range(100, 200))
    before = time.time()
    with heartbeat(tmp_path, lambda: next(clock), every_s=0.01):
        first = last_heartbeat(tmp_path)
        while last_heartbeat(tmp_path).clock_s < first.clock_s + 3:
            time.sleep(0.01)
    last = last_heartbeat(tmp_path)
    assert first.clock_s == 100 and last.clock_s > 103 and before - 1 < last.at_unix_s < time.time() + 1
    with locked(tmp_path) as found:
        assert found == last


@pytest.mark.parametrize("text", ["", "[1, 2", "[1]", "{}", '["a", "b"]', "[-1, 5]", "[NaN, 1]", "[1e999, 1]"])
def test_a_heartbeat_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "alive").write_text(text)
    assert last_heartbeat(tmp_path) is None


def test_the_end_of_a_run_is_read_back_with_keys_of_a_later_version_passed_over(tmp_path):
    assert read_end(tmp_path) is None
    end = End(status="finished", step=900, epoch=3, clock_s=61.5)
    write_end(tmp_path, end)
    found = read_end(tmp_path)
    assert (found.status, found.step, found.epoch, found.clock_s, found.is_over) == ("finished", 900, 3, 61.5, True)
    assert found.at.endswith("+00:00")
    text = (tmp_path / "end.json").read_text()
    (tmp_path / "end.json").write_text(text.replace("{", '{"of_a_later_version": 1,', 1))
    assert read_end(tmp_path) == found


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": 3}', "not JSON"])
def test_an_end_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "end.json").write_text(text)
    assert read_end(tmp_path) is None
