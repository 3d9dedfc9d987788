"""A bundle of a run that adds up is verified; each thing that could not be checked is said, with why."""

import json

import pytest
from sealed import bundle, run_files

from benchmark.proof.verify import Ask, verify
from benchmark.verify import main


@pytest.fixture
def files(tmp_path):
    return run_files(tmp_path / "run")


def test_a_run_that_adds_up_is_verified_at_figures(files, tmp_path, capsys):
    path = bundle(tmp_path / "a.tta.zip", files)
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert "verified at figures by rules 1" in said
    for part in ("8 files are those of seal.json", "10 rows", "rows touch, and end at 17.7 s", "4 utterances of 18",
                 "the sentences are those that the digest", "error rates of 3 evaluations", "0.0273 TFLOP/s, of 0.832",
                 "not checked: who sealed it: it is not signed"):  # fmt: skip
        assert part in said, part


def test_a_level_below_is_enough_if_it_is_asked_for(files, tmp_path):
    report = verify(bundle(tmp_path / "a.tta.zip", files), Ask(level="bytes"))
    assert (report.status, report.level, "figures" in report.done) == (0, "bytes", False)


def test_a_higher_level_than_can_be_is_status_2_and_says_why(files, tmp_path):
    path = bundle(tmp_path / "a.tta.zip", files)
    report = verify(path, Ask(level="weights"))
    assert (report.status, report.level) == (2, "figures")
    assert report.sentence == f"verified at figures by rules 1; cannot go on: {report.cannot}"
    assert report.cannot == "the weights need the corpus, or its features: --corpus DIR"
    assert "no checkpoint of an evaluated epoch" in verify(path, Ask(level="weights", corpus=tmp_path)).cannot


def test_many_bundles_give_the_worst_status_and_a_line_each(files, tmp_path, capsys):
    good = bundle(tmp_path / "a.tta.zip", files)
    bad = bundle(tmp_path / "b.tta.zip", {**files, "run/end.json": b"{}"})
    (tmp_path / "c.tta.zip").write_bytes(b"PK")
    assert main(["-q", str(good)]) == 0
    assert main(["-q", str(good), str(tmp_path / "c.tta.zip")]) == 2
    assert main(["-q", str(good), str(tmp_path / "c.tta.zip"), str(bad)]) == 1
    assert "b.tta.zip: REFUTED at bytes: end.json does not say that the run is over" in capsys.readouterr().out


def test_programs_get_the_verdict_as_json(files, tmp_path, capsys):
    assert main([str(bundle(tmp_path / "a.tta.zip", files)), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["status"], found["level"], found["rules"]) == ("verified", "figures", 1)
    assert found["not_checked"]["weights"] == ["not asked for (--corpus DIR)"]


def test_an_older_run_without_all_sentences_is_verified_with_less_checked(files, tmp_path):
    del files["run/hypotheses.jsonl"]
    report = verify(bundle(tmp_path / "a.tta.zip", files), Ask())
    assert report.status == 0
    assert "error rates by sentences: an older version did not keep all of them" in report.left["figures"]


def test_a_run_whose_sampler_was_off_is_verified_if_run_json_says_so(files, tmp_path):
    del files["run/utilisation.csv"]
    assert verify(bundle(tmp_path / "a.tta.zip", files), Ask()).difference.startswith("there is no utilisation.csv")
    facts = json.loads(files["run/run.json"])
    facts["unavailable"]["sampler"] = "switched off"
    files["run/run.json"] = json.dumps(facts).encode()
    report = verify(bundle(tmp_path / "b.tta.zip", files), Ask())
    assert report.status == 0 and "how busy the machine was: switched off" in report.left["bytes"]


def test_a_pause_that_the_run_noticed_is_no_missing_row(tmp_path):
    files = run_files(tmp_path / "run")
    rows = files["journal.csv"].decode().splitlines()
    index = rows[0].split(",").index("started_s")
    for number in range(5, len(rows)):  # from the second epoch on 3 s later
        fields = rows[number].split(",")
        fields[index] = repr(float(fields[index]) + 3)
        rows[number] = ",".join(fields)
    files["journal.csv"] = ("\n".join(rows) + "\n").encode()
    end = json.loads(files["run/end.json"])
    end |= {"clock_s": end["clock_s"] + 3, "at": "2026-01-31T12:00:22+00:00"}
    files["run/end.json"] = json.dumps(end).encode()
    more = b"".join(f"{n / 10},1,1,1,1\n".encode() for n in range(188, 210))
    files["run/utilisation.csv"] += more
    refuted = verify(bundle(tmp_path / "a.tta.zip", files), Ask())
    assert "line 6 of the journal begins 3.001 s after the row above ended" in refuted.difference
    end["still"] = [[8.2, 3.0, 2]]
    files["run/end.json"] = json.dumps(end).encode()
    assert verify(bundle(tmp_path / "b.tta.zip", files), Ask()).sentence == "verified at figures by rules 1"
