import pytest

from benchmark.rig.place import Fact, Place


def test_a_fact_is_a_value_or_a_reason():
    for wrong in ({}, {"value": 1, "why_not": "no"}):
        with pytest.raises(ValueError, match="or the reason"):
            Fact(**wrong)
    assert Fact(0, "NVML").known


def test_files_are_read_under_the_root(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.5 0.4 0.3 1/100 7\n")
    (tmp_path / "proc/odd").write_text("many\n")
    place = Place(root=tmp_path)
    assert place.text("/proc/loadavg").then(lambda text: float(text.split()[0])) == Fact(0.5, "/proc/loadavg")
    assert place.number("/proc/odd").why_not == "/proc/odd: could not convert string to float: 'many'"
    assert place.text("/proc/none") == Fact(why_not="/proc/none: No such file or directory")
