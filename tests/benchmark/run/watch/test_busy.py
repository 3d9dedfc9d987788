from benchmark.run.watch.busy import Busy

HEADER = "seconds,process_cpu_percent,gpu0_util_percent,gpu1_util_percent\n"


def test_the_means_of_the_last_seconds_are_said(tmp_path):
    path = tmp_path / "utilisation.csv"
    path.write_text(HEADER + "1.0,900,1,1\n" + "10.0,100,80,90\n12.0,300,90,\n13.0,9")  # the last is not whole
    # over 5 s until 12.0: (100 + 300) / 2 = 200% are 2 cores; GPU 0 (80 + 90) / 2 = 85, GPU 1 90: 87.5 on average
    assert str(Busy(path)) == "2.0 cores, GPUs 88% (85 to 90)"


def test_one_gpu_and_none_are_said_so_and_what_is_not_there_is_nothing(tmp_path):
    path = tmp_path / "utilisation.csv"
    assert str(Busy(path)) == ""
    path.write_text("seconds,process_cpu_percent,gpu0_util_percent\n1.0,150,93\n")
    assert str(Busy(path)) == "1.5 cores, GPU 93%"
    path.write_text("seconds,process_cpu_percent\n1.0,150\n")
    assert str(Busy(path)) == "1.5 cores"
    path.write_text("seconds,process_cpu_percent\n")
    assert str(Busy(path)) == ""


def test_the_file_is_read_once_a_second(tmp_path):
    path, now = tmp_path / "utilisation.csv", iter([0.0, 0.0, 0.5, 1.5, 1.5])
    busy = Busy(path, now=lambda: next(now))
    path.write_text("seconds,process_cpu_percent\n1.0,100\n")
    assert str(busy) == "1.0 cores"
    path.write_text("seconds,process_cpu_percent\n1.0,100\n9.0,200\n")
    assert [str(busy), str(busy)] == ["1.0 cores", "2.0 cores"]  # at 0.5 s, at 1.5 s


def test_only_the_end_of_a_long_file_is_read(tmp_path):
    path = tmp_path / "utilisation.csv"
    path.write_text("seconds,process_cpu_percent\n" + "".join(f"{n / 10},{n % 7 * 100}\n" for n in range(100_000)))
    # the last 50 samples begin with 99950 % 7 = 4: seven rounds of 0 to 6, which sum to 21, and a 4: 151 / 50 = 3.02
    assert str(Busy(path)) == "3.0 cores"
