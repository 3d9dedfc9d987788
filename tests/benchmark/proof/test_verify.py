"""A bundle of a run that adds up is verified; each thing that could not be checked is said, with why."""

import json
import sys
from dataclasses import replace

import pytest
from sealed import bundle, run_files

from benchmark.judge.reference import convergence_of
from benchmark.proof.verify import Ask, verify
from benchmark.record import read_run
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


def test_a_run_that_was_killed_and_went_on_is_verified(tmp_path):
    files = run_files(tmp_path / "run", down_s=3600.0)
    report = verify(bundle(tmp_path / "a.tta.zip", files), Ask())
    assert report.status == 0, report.sentence
    assert "11 rows" in report.done["bytes"][1] and "3621 s apart" in report.done["bytes"][2]  # 3,600 of them down
    end = json.loads(files["run/end.json"])
    end["at"] = (
        "2026-01-31T12:00:21+00:00"  # as if it had not been down: fewer seconds than its clock are all that shows
    )
    files["run/end.json"] = json.dumps(end).encode()
    assert verify(bundle(tmp_path / "b.tta.zip", files), Ask()).status == 0


def reference_of(files, tmp_path, *, times: float):
    """Six reference runs of the same training that took so many times the utterances, give or take 2%."""
    (tmp_path / "r1.csv").write_bytes(files["journal.csv"])
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1" / "run.json").write_bytes(files["run/run.json"])
    mine = convergence_of(read_run(tmp_path / "r1.csv"))
    errors = [90.0 * 0.9**n for n in range(60)]
    found = []
    for seed in range(6):
        scale = times * (1 + 0.02 * (seed - 2.5) / 2.5)
        steps = tuple(round(106 * scale * (n + 1) / 10) for n in range(60))
        found.append(replace(mine, seed=100 + seed, run=f"x{seed}", utterances=steps, wer=errors, cer=errors))
    return tuple(found)


@pytest.mark.parametrize(("times", "status"), [(1.0, 0), (3.0, 1)])
def test_epochs_that_no_honest_training_takes_so_few_of_are_refuted(times, status, files, tmp_path, monkeypatch):
    runs = reference_of(files, tmp_path, times=times)
    monkeypatch.setattr("benchmark.judge.guard.read_reference", lambda _: runs)
    report = verify(bundle(tmp_path / "a.tta.zip", files), Ask())
    assert report.status == status, report.sentence
    if status:
        assert report.refuted_at == "figures" and "of honest trainings are as quick" in report.difference
    else:
        assert "beside the reference of convergence" in report.done["figures"][-1]


def test_a_package_that_is_missing_is_said(files, tmp_path, monkeypatch):
    path = bundle(tmp_path / "a.tta.zip", files)
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)  # as where it is not installed
    report = verify(path, Ask())
    assert (report.status, report.level) == (2, "bytes") and "pip install rapidfuzz" in report.cannot
