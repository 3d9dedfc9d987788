"""What a run's utilisation.csv says: means, maxima, energy over time; worked out by hand on small files."""

import textwrap
from pathlib import Path

import pytest

from benchmark.record.energy import NO_POWER, POWER, Energy
from benchmark.record.usage import GpuSummary, Summary, read_usage

NOTHING = Energy(gap=NO_POWER)
HOST = ["seconds", "process_cpu_percent", "process_memory_mib", "host_cpu_percent", "host_memory_mib"]


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "utilisation.csv"


def write(output: Path, text: str) -> Path:
    output.write_text(textwrap.dedent(text).lstrip())
    return output


TWO_GPUS = """
    seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,host_memory_mib,gpu0_util_percent,gpu0_memory_mib,gpu0_power_w,gpu1_util_percent,gpu1_memory_mib,gpu1_power_w
    0,100,1000,10,5000,0,100,50,,400,60
    1,200,3000,20,5000,90,300,150,50,400,60
    3,,2000,60,5000,,200,250,,400,60
"""


def test_the_summary_of_a_file_worked_out_by_hand(output):
    assert read_usage(write(output, TWO_GPUS)).summary() == Summary(
        samples=3,
        process_cpu_percent_mean=150.0,  # (100 + 200) / 2: the empty field is no 0
        host_cpu_percent_mean=30.0,  # (10 + 20 + 60) / 3
        process_memory_mib_max=3000.0,
        gpus=(
            # 90 / 2; 50 / 1; utilisation was read in two and in one of three samples
            GpuSummary(util_percent_mean=45.0, memory_mib_max=300.0, share=2 / 3),
            GpuSummary(util_percent_mean=50.0, memory_mib_max=400.0, share=1 / 3),
        ),
        # GPU 0: (50 + 150) / 2 x 1 s + (150 + 250) / 2 x 2 s = 500 J; GPU 1: 60 W x 3 s = 180 J; / 3600
        energy=Energy(wh=pytest.approx(680 / 3600), seconds=3.0, share=1.0, source=POWER),
    )


def test_the_window_takes_both_its_ends(output):
    summary = read_usage(write(output, TWO_GPUS)).summary(start_s=1, end_s=3)
    assert summary.samples == 2
    assert summary.host_cpu_percent_mean == 40.0  # (20 + 60) / 2
    assert summary.energy.wh == pytest.approx((400 + 120) / 3600)  # (150 + 250) / 2 x 2 s; 60 W x 2 s
    assert read_usage(output).summary(end_s=0.5).samples == 1


def test_a_window_without_samples_is_none_everywhere_and_never_0(output):
    assert read_usage(write(output, TWO_GPUS)).summary(start_s=100) == Summary(
        0, None, None, None, (GpuSummary(None, None), GpuSummary(None, None)), NOTHING
    )


def test_one_sample_has_a_maximum_but_no_energy(output):
    summary = read_usage(write(output, TWO_GPUS)).summary(end_s=0)
    assert summary.gpus[0].memory_mib_max == 100.0
    assert (summary.energy.wh, summary.energy.seconds) == (None, 0.0)


def test_a_file_without_gpus_has_no_gpu_and_no_energy(output):
    summary = read_usage(write(output, "seconds,host_cpu_percent\n0,10\n1,20\n")).summary()
    assert summary == Summary(2, None, 15.0, None, (), NOTHING)


def test_a_file_with_its_header_alone_has_no_figures(output):
    assert read_usage(write(output, ",".join(HOST) + "\n")).summary() == Summary(0, None, None, None, (), NOTHING)


def test_energy_of_a_rig_with_a_gpu_that_tells_no_power_is_none(output):
    text = "seconds,gpu0_util_percent,gpu0_power_w,gpu1_util_percent,gpu1_power_w\n0,1,100,1,\n1,1,100,1,\n"
    usage = read_usage(write(output, text))
    assert usage.summary().energy.wh is None  # GPU 0's 100 J alone would read as the rig's
    assert [usage.energy([gpu]).mean_w for gpu in usage.gpus] == [100.0, None]


def test_energy_bridges_a_missed_reading_but_not_the_pause_before_a_resumed_run(output):
    text = """
        seconds,gpu0_util_percent,gpu0_power_w
        0,1,100
        1,1,
        2,1,300
        3602,1,300
        3603,1,300
    """
    summary = read_usage(write(output, text)).summary()
    # (100 + 300) / 2 x 2 s over the missed reading + 300 W x 1 s after an hour of pause = 700 J in 3 s
    assert summary.energy.wh == pytest.approx(700 / 3600)
    assert summary.energy.seconds == 3.0


def test_energy_of_rows_that_go_back_in_time_counts_both_attempts_once(output):
    text = """
        seconds,gpu0_util_percent,gpu0_power_w
        0,1,100
        1,1,100
        2,1,100
        1,1,200
        2,1,200
    """
    summary = read_usage(write(output, text)).summary()
    # 100 W x 2 s, then the run was resumed from 1 s: 200 W x 1 s; the step of -1 s is none
    assert summary.energy.wh == pytest.approx(400 / 3600)
    assert summary.energy.seconds == 3.0


def test_a_file_without_seconds_is_refused_by_naming_what_it_has(output):
    with pytest.raises(ValueError, match=r"found the columns \['epoch', 'wer'\], expected 'seconds'"):
        read_usage(write(output, "epoch,wer\n1,2\n")).summary()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "No columns to parse"),
        (b"\xff\xfe\x00", "codec can't decode"),
        (b"seconds,host_cpu_percent\n1,full\n", "could not convert string to float: 'full'"),
        (b"seconds,host_cpu_percent\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_is_refused_by_name_in_one_line(output, content, said):
    output.write_bytes(content)
    with pytest.raises(ValueError, match=said) as refused:
        read_usage(output).summary()
    assert str(refused.value).startswith(f"{output}: ") and "\n" not in str(refused.value)


def test_a_torn_last_row_costs_no_more_than_itself(output):
    whole = read_usage(write(output, TWO_GPUS)).summary()
    output.write_text(output.read_text() + "6,4")
    assert read_usage(output).summary().samples == whole.samples + 1
    assert read_usage(output).summary().energy.wh == whole.energy.wh
    assert read_usage(output).summary(end_s=4) == whole


def test_mean_power_is_that_over_time_and_not_over_samples(output):
    """Three samples a second at 100 W, then one after 9 s at 20 W: the means over samples would say 80 W."""
    text = """
        seconds,gpu0_util_percent,gpu0_power_w,gpu1_util_percent,gpu1_power_w
        0,90,100,0,10
        1,90,100,0,10
        2,90,100,0,10
        11,0,20,0,10
    """
    usage = read_usage(write(output, text))
    # 100 J + 100 J + (100 + 20) / 2 x 9 s = 740 J over 11 s
    assert usage.energy(["gpu0"]).mean_w == pytest.approx(740 / 11)
    assert usage.energy(["gpu0"]).wh == pytest.approx(740 / 3600)
    assert usage.energy(["gpu0", "gpu1"]).mean_w == pytest.approx((740 + 110) / 11)
    assert read_usage(write(output, "seconds,host_cpu_percent\n0,10\n1,20\n")).energy(["gpu0"]).mean_w is None


def test_one_impossible_value_changes_no_mean_and_no_maximum(output):
    rows = "".join(f"{n},{4294967295 if n == 2 else 40},{4294967295 if n == 2 else 900},55\n" for n in range(5))
    header = "seconds,gpu0_util_percent,gpu0_memory_mib,host_memory_mib\n"
    (gpu,) = read_usage(write(output, header + rows)).summary().gpus
    assert (gpu.util_percent_mean, gpu.memory_mib_max) == (40, 900)


def test_a_lost_gpus_mean_is_said_to_be_of_a_part_and_its_mean_power_is_none(output):
    """Of 20 samples GPU 1 was read in two, and GPU 2 in 19."""
    header = "seconds," + ",".join(f"gpu{n}_util_percent,gpu{n}_power_w" for n in range(3)) + "\n"
    rows = "".join(f"{n},90,100,{'88,100' if n < 2 else ','},{'87,100' if n < 19 else ','}\n" for n in range(20))
    usage = read_usage(write(output, header + rows))
    assert [(gpu.util_percent_mean, gpu.partly) for gpu in usage.summary().gpus] == [
        (90, ""), (88, " (of 10% of the samples)"), (87, " (of 95% of the samples)"),
    ]  # fmt: skip
    assert [usage.energy([gpu]).mean_w for gpu in usage.gpus] == [100, None, 100]


def test_a_gpu_that_was_never_read_is_of_no_part(output):
    (gpu,) = read_usage(write(output, "seconds,gpu0_util_percent\n0,\n1,\n")).summary().gpus
    assert (gpu.util_percent_mean, gpu.partly) == (None, "")


def test_other_load_is_what_the_host_did_and_the_run_did_not(output):
    text = "seconds,process_cpu_percent,host_cpu_percent\n0,100,75\n1,140,65\n2,,90\n"
    # The host had (75 + 65) / 2 = 70% of its cores busy, the run 120 / 4 = 30% of four: others 40%.
    assert read_usage(write(output, text)).other_load(cores=4) == pytest.approx(0.4)
    assert read_usage(write(output, "seconds,host_cpu_percent\n0,10\n")).other_load(cores=4) is None


@pytest.mark.parametrize("watts", ["-5", "inf", "1e30"])
def test_power_that_cannot_be_is_not_counted(output, watts):
    rows = "".join(f"{second},50,{watts if second == 2 else 100}\n" for second in range(5))
    usage = read_usage(write(output, "seconds,gpu0_util_percent,gpu0_power_w\n" + rows))
    assert usage.energy(["gpu0"]).mean_w == pytest.approx(100)
