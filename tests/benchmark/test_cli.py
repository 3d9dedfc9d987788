"""What tta, compare and price have in common: --format, --brief, -o and -q."""

import csv
import json
import os

import pytest
from journals import make_run, write

from benchmark import compare, final, price, tta

DOORS = {"tta": tta, "compare": compare, "price": price}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Two rigs with two runs each in results/; arguments of a door that asks for WER 30."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for n, (platform, train_s) in enumerate([("sys1", 60), ("sys1", 61), ("sys2", 90), ("sys2", 91)]):
        record = make_run([50.0, 40.0, 30.0 - n, 20.0], run=f"r{n}", platform=platform, train_s=train_s, seed=n + 1)
        write(tmp_path / "results" / f"r{n}.csv", record)
    level = ("--level", "40", "--metric", "wer")
    return {"tta": ["results", *level], "price": ["results", *level], "compare": ["sys1", "sys2", *level]}


@pytest.mark.parametrize("door", DOORS)
def test_a_brief_answer_is_sentences_and_says_how_many_warnings_it_leaves_out(door, given, capsys):
    assert DOORS[door].main(given[door]) == 0
    whole = capsys.readouterr().out
    assert DOORS[door].main([*given[door], "--brief"]) == 0
    out, err = capsys.readouterr()
    *answer, counted = out.rstrip().split("\n\n")
    assert err == "" and all(part in whole for part in answer)  # the words are the same
    warnings = whole.partition("Warnings:\n")[2].count("\n- ") + 1
    assert counted == f"{warnings} warnings: without --brief they are shown." and "Warnings:" not in out
    assert len(out) < len(whole) / 2


@pytest.mark.parametrize("door", DOORS)
def test_a_file_gets_what_would_be_printed_by_its_ending_and_is_never_overwritten(door, given, capsys, tmp_path):
    assert DOORS[door].main(given[door]) == 0
    table = capsys.readouterr().out
    for name in ("out/a.txt", "a.csv", "a.json"):
        assert DOORS[door].main([*given[door], "-o", name]) == 0
        out, err = capsys.readouterr()
        assert out == "" and err.endswith(f"benchmark.{door}: written: {name}\n")
    assert (tmp_path / "out" / "a.txt").read_text() == table
    with open("a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in json.loads((tmp_path / "a.json").read_text())] == [list(row) for row in rows]
    before = (tmp_path / "a.csv").read_bytes()
    assert DOORS[door].main([*given[door], "-o", "a.csv"]) == 2
    assert "a.csv is there already and nothing is overwritten; choose another -o" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_bytes() == before


@pytest.mark.parametrize("door", DOORS)
def test_quiet_leaves_nothing_on_standard_error_but_errors(door, given, capsys):
    assert DOORS[door].main([*given[door], "--format", "csv"]) == 0
    loud = capsys.readouterr()
    assert DOORS[door].main([*given[door], "--format", "csv", "-q"]) == 0
    quiet = capsys.readouterr()
    assert loud.err and quiet.err == "" and loud.out == quiet.out
    assert DOORS[door].main([*given[door], "--brief", "--format", "json", "-q"]) == 2
    assert "--brief and rows as json; expected one of them" in capsys.readouterr().err


def test_compare_without_platforms_lists_what_there_is(given, capsys, monkeypatch):
    assert compare.main([]) == 2
    listed = "no platforms given; results has sys1 (2 runs), sys2 (2 runs); expected two or more:"
    assert capsys.readouterr().err == f"benchmark.compare: {listed} python -m benchmark.compare sys1 sys2\n"
    monkeypatch.setenv("SPEECH_TTA_MAKE", "1")
    monkeypatch.setattr("benchmark.cli.obey_parent", lambda: None)
    assert compare.main([]) == 2
    assert capsys.readouterr().err.endswith('expected two or more: make compare RUNS="sys1 sys2"\n')
    assert compare.main(["--results", "nowhere"]) == 2
    assert "no platforms given, and no runs in nowhere; make bench makes them" in capsys.readouterr().err


def test_final_without_a_run_lists_those_with_checkpoints_the_newest_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert final.main([]) == 2
    assert "no run given, and none with checkpoints in results; python -m benchmark makes" in capsys.readouterr().err
    for age, name in enumerate(("newest", "older", "empty")):
        (tmp_path / "results" / name / "checkpoints").mkdir(parents=True)
        if name != "empty":
            (tmp_path / "results" / name / "checkpoints" / "ckpt-5.index").touch()
        os.utime(tmp_path / "results" / name, (1000 - age, 1000 - age))
    assert final.main([]) == 2
    listed = "no run given; results has newest, older, the newest first: python -m benchmark.final results/newest"
    assert capsys.readouterr().err == f"benchmark.final: {listed}\n"
