"""What a tuning leaves on disk."""

import csv
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import platforms
from benchmark.rig.tune.__main__ import SUITES_OWN, _as_path
from benchmark.rig.tune.kept import Kept
from benchmark.rig.tune.written import WriteError, tuned_text, write_curve


def test_new_settings_stand_beside_the_old_ones_and_all_else_stays(tmp_path):
    old = (platforms.FOLDER / "sys1.toml").read_text()
    command = "make bench PLATFORM=mine"
    text = tuned_text(old, {"batch": 48, "readers": 4, "buffer": 8}, why="tuned", name="mine", command=command)
    assert "batch = 48  # was 96; tuned" in text and "readers = 4  # was 8; tuned" in text
    (tmp_path / "mine.toml").write_text(text)
    was, now = platforms.load("sys1"), platforms.load(tmp_path / "mine.toml")
    assert (now.name, now.input.batch, now.input.readers, now.input.buffer) == ("mine", 48, 4, 8)
    assert now.hardware == was.hardware and now.price == was.price and now.training == was.training
    changed = [line for line in text.splitlines() if line not in old.splitlines()]
    assert changed == [
        "# Batch:          48 utterances a step; tuned",
        "# Command:        make bench PLATFORM=mine",
        'name = "mine"',
        *(line for line in text.splitlines() if "; tuned" in line and "#" in line[1:]),
    ]


def test_a_second_tuning_says_the_value_of_the_first():
    once = tuned_text("[input]\nbatch = 16 # mine\n", {"batch": 32}, why="tuned 1")
    assert once == "[input]\nbatch = 32  # was 16; tuned 1\n"
    assert tuned_text(once, {"batch": 64}, why="tuned 2") == "[input]\nbatch = 64  # was 32; tuned 2\n"


def test_keys_of_other_tables_are_left_alone_and_missing_ones_named():
    text = "[training]\nbatch = 1\n[input]\nbatch = 2\n"
    assert tuned_text(text, {"batch": 3}, why="x").splitlines()[1] == "batch = 1"
    with pytest.raises(WriteError, match=r"\[input\] has no line of readers"):
        tuned_text(text, {"batch": 3, "readers": 2}, why="x")
    with pytest.raises(WriteError):
        tuned_text("input = {batch = 3}\n", {"batch": 4}, why="x")
    assert tomllib.loads(text)["input"]["batch"] == 2


def test_the_suites_own_platforms_are_known():
    files = subprocess.run(
        ["git", "ls-files", "platforms/*.toml"], cwd=platforms.FOLDER.parent, capture_output=True, text=True
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    assert sorted(SUITES_OWN) == sorted(Path(name).stem for name in files.stdout.split())


def test_the_curve_is_a_table_and_a_figure(tmp_path):
    rows = [
        {"batch": 32, "ran": True, "fits": True, "speed": 90.0, "ratio": 1.0},
        {"batch": 8, "ran": True, "fits": True, "speed": 60.0, "ratio": 0.67},
        {"batch": 64, "ran": False, "fits": False, "ending": "killed"},
    ]
    table, figure = write_curve(tmp_path, rows)
    with table.open() as file:
        assert [row["batch"] for row in csv.DictReader(file)] == ["8", "32", "64"]
    marks = [each for each in ET.parse(figure).iter() if each.tag.endswith("circle")]
    # 8 of 32 is a quarter of the axis from 60 to 580; 60 of 99 of that from 300 up to 60
    assert (float(marks[0].get("cx")), float(marks[0].get("cy"))) == pytest.approx((190, 300 - 240 * 60 / 99), abs=0.1)
    assert len(write_curve(tmp_path / ".", rows[:1])) == 1


def test_what_was_found_is_there_again_unless_it_is_about_something_else(tmp_path):
    kept = Kept(tmp_path, about={"cpu": "a"})
    kept.keep("try", 16, {"ran": True})
    with kept.path.open("a") as file:
        file.write('{"kind": "try", "ke')  # cut short by a kill
    again = Kept(tmp_path, about={"cpu": "a"})
    assert again.find("try", 16) == {"ran": True} and again.find("try", 32) is None and len(again) == 1
    again.keep("try", 32, {"ran": False})
    assert len(Kept(tmp_path, about={"cpu": "a"})) == 2
    kept = Kept(tmp_path, about={"cpu": "b"})
    kept.keep("try", 8, 1)
    assert Kept(tmp_path, about={"cpu": "b"}, fresh=True).find("try", 8) is None


def test_a_path_stays_one_in_the_command_that_is_next():
    assert [_as_path(Path(text)) for text in ("/a/b.toml", "b.toml", "a/b.toml")] == [
        "/a/b.toml",
        "./b.toml",
        "a/b.toml",
    ]
