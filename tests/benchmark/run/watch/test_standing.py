"""Stretches in which a run stood still are told of its rows while samples are still written."""

import pytest
from journals import make_row

from benchmark.record.phases import Phase
from benchmark.run.watch.standing import KEPT, Standing

HEADER = "seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,host_memory_mib\n"


def samples(start_s, end_s, cpu):
    """Ten samples a second, after start_s and until end_s."""
    tenths = range(round(10 * start_s) + 1, round(10 * end_s) + 1)
    return "".join(f"{n / 10:.3f},{cpu},700.0,50.0,2000.0\n" for n in tenths)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "utilisation.csv"


def row(started_s, seconds, phase=Phase.TRAIN, **other):
    return make_row(phase, started_s, seconds, epoch=1, step=1, **{"devices": "CPU", "replicas": 1, **other})


def test_a_row_is_told_its_own_stretch_and_the_rows_around_it_none(path):
    standing = Standing(path)
    assert standing.within(row(0, 10)) == 0.0, "no file yet"
    path.write_text(HEADER + samples(0, 10, 95.0))
    assert standing.within(row(0, 10)) == 0.0
    with path.open("a") as file:
        file.write(samples(10, 12, 95.0) + samples(12, 16, 0.0) + samples(16, 20, 95.0))
    assert standing.within(row(10, 10)) == pytest.approx(4.0, abs=0.1)
    with path.open("a") as file:
        file.write(samples(20, 30, 95.0))
    assert standing.within(row(20, 10)) == 0.0


def test_a_line_that_is_half_written_is_read_when_it_is_whole(path):
    standing = Standing(path)
    text = HEADER + samples(0, 2, 95.0) + samples(2, 8, 0.0) + samples(8, 10, 95.0)
    path.write_text(text[:-150])
    standing.within(row(0, 9))
    with path.open("a") as file:
        file.write(text[-150:])
    assert standing.within(row(0, 10)) == pytest.approx(6.0, abs=0.1)


def test_a_gap_in_which_the_sampler_stood_still_too_is_one(path):
    path.write_text(HEADER + samples(0, 5, 95.0) + samples(9.9, 10, 0.4) + samples(10, 15, 95.0))
    assert Standing(path).within(row(0, 15)) == pytest.approx(5.0, abs=0.15)


def test_what_a_row_waited_for_its_input_and_saving_are_not_still(path):
    path.write_text(HEADER + samples(0, 2, 95.0) + samples(2, 8, 0.0) + samples(8, 10, 95.0))
    assert Standing(path).within(row(0, 10, input_s=6.0)) == 0.0
    assert Standing(path).within(row(0, 10, phase=Phase.CHECKPOINT)) == 0.0


def test_a_gpu_that_works_or_cannot_be_read_is_not_still(path):
    on_gpu = {"devices": "1 x V100", "replicas": 1}
    for util, still_s in (("50", 0.0), ("", 0.0), ("0", 6.0)):
        header = HEADER.replace("\n", ",gpu0_util_percent\n")
        parts = (samples(0, 2, 95.0), samples(2, 8, 0.0), samples(8, 10, 95.0))
        text = header + "".join(parts).replace("\n", f",{util}\n")
        path.write_text(text)
        assert Standing(path).within(row(0, 10, **on_gpu)) == pytest.approx(still_s, abs=0.1), util


def test_only_the_latest_samples_are_kept_and_a_file_that_is_damaged_says_nothing(path):
    path.write_text(HEADER + samples(0, 2 * KEPT / 10, 95.0))
    standing = Standing(path)
    assert standing.within(row(0, 10)) == 0.0
    assert len(standing._samples) == KEPT
    with path.open("a") as file:
        file.write("x,y\n")
    assert standing.within(row(0, 10)) == 0.0
