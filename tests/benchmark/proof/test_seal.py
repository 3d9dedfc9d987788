"""Sealing a run: what goes in, what is left out, what is refused, and that it is the same twice."""

import json
from pathlib import Path

import pytest
from journals import make_run, write
from sealed import PLAN, features, members_of, write_run

from benchmark.proof.seal import SealError, Wish, seal
from benchmark.seal import main


@pytest.fixture
def journal(tmp_path) -> Path:
    path = write_run(tmp_path / "results")
    folder = tmp_path / "features"
    folder.mkdir()
    (folder / "manifest.json").write_text(features().to_json())
    change(path, features__folder=str(folder))
    (path.parent / "r1" / "lock").touch()
    (path.parent / "r1" / "speech.flac").write_bytes(b"fLaC")
    return path


def change(journal, name="run.json", **changes):
    path = journal.with_suffix("") / name
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    path.write_text(json.dumps(content))


def test_a_run_is_sealed_twice_to_the_same_bytes_and_verifies(journal, tmp_path, capsys):
    for name in ("a", "b"):
        assert main([str(journal.with_suffix("")), "-o", str(tmp_path / f"{name}.tta.zip")]) == 0
    assert (tmp_path / "a.tta.zip").read_bytes() == (tmp_path / "b.tta.zip").read_bytes()
    said = capsys.readouterr()
    assert "left out of run/run.json: features.folder" in said.out and "verified at figures" in said.err


def test_what_proves_the_run_goes_in_and_nothing_else(journal, tmp_path):
    found = seal(journal, tmp_path / "a.tta.zip", Wish())
    names = {"journal.csv", "seal.json", "features/manifest.json"}
    files = ("run.json", "end.json", "utilisation.csv", "hypotheses.jsonl", "words.txt")
    assert members_of(found.path).keys() == names | {f"run/{name}" for name in files}  # no lock, and never audio
    assert members_of(found.path)["journal.csv"] == journal.read_bytes()


def test_no_byte_of_a_bundle_has_a_path_or_a_name(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-box7")
    monkeypatch.setattr("getpass.getuser", lambda: "lovelace")
    change(journal, platform__description="the rig of lovelace, gpu-box7", devices__hosts=["gpu-box7:2222"])
    change(journal, command__arguments=["--corpus", "/data/lovelace speech"])
    change(journal, "end.json", message="no room in /data/lovelace/results")
    found = seal(journal, tmp_path / "a.tta.zip", Wish())
    members = members_of(found.path)
    for name, data in members.items():
        assert not any(word in data for word in (b"lovelace", b"gpu-box7", b"/data", str(tmp_path).encode())), name
    assert found.left_out["run/end.json"] == ["message"]
    assert json.loads(members["seal.json"])["left_out"] == found.left_out
    assert json.loads(members["run/run.json"])["platform"]["description"] == "the rig of (user), (host)"


def test_a_platform_that_has_the_hosts_name_is_asked_about(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "r1")
    monkeypatch.setattr("benchmark.proof.private.SHORTEST", 2)
    with pytest.raises(SealError, match="the run is called 'r1', which has this host's name in it.*--keep-names"):
        seal(journal, tmp_path / "a.tta.zip", Wish())
    assert seal(journal, tmp_path / "a.tta.zip", Wish(keep_names=True)).size


def test_a_run_that_goes_on_and_one_of_another_programs_log_are_refused(journal, tmp_path):
    end = journal.with_suffix("") / "end.json"
    whole = end.read_text()
    change(journal, "end.json", status="interrupted")
    with pytest.raises(SealError, match="under way, or interrupted; expected a run that has ended"):
        seal(journal, tmp_path / "a.tta.zip", Wish())
    end.write_text(whole)
    change(journal, log={"rows": 10})
    with pytest.raises(SealError, match="made of another program's log"):
        seal(journal, tmp_path / "a.tta.zip", Wish())
    bare = write(tmp_path / "bare.csv", make_run([50.0, 40.0]))
    with pytest.raises(SealError, match="no run.json"):
        seal(Path(bare), tmp_path / "a.tta.zip", Wish())
    assert not (tmp_path / "a.tta.zip").exists()


def test_features_of_another_digest_are_refused_and_gone_ones_are_said(journal, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text(features().to_json().replace('"twelve"', '"eleven"'))
    with pytest.raises(SealError, match="has features of digest"):
        seal(journal, tmp_path / "a.tta.zip", Wish(features=other))
    change(journal, features__folder=str(tmp_path / "gone"))
    assert "the features are gone" in seal(journal, tmp_path / "b.tta.zip", Wish()).remarks[0]


def test_checkpoints_that_are_not_there_are_said_or_refused(journal, tmp_path):
    assert "no checkpoints are left" in seal(journal, tmp_path / "a.tta.zip", Wish()).remarks[-1]
    folder = journal.with_suffix("") / "checkpoints"
    folder.mkdir()
    (folder / "ckpt-21.index").write_bytes(b"no index")
    (folder / "ckpt-21.data-00000-of-00001").write_bytes(b"x")
    with pytest.raises(SealError, match="no index of a checkpoint"):
        seal(journal, tmp_path / "b.tta.zip", Wish())
    with pytest.raises(SealError, match="--checkpoints 14: expected first, last or one after 21 batches"):
        seal(journal, tmp_path / "b.tta.zip", Wish(checkpoints=("14",)))
    with pytest.raises(SealError, match="the checkpoint before epoch 3, after batch 14, is not there"):
        seal(journal, tmp_path / "b.tta.zip", Wish(whole=True))
    assert seal(journal, tmp_path / "b.tta.zip", Wish(checkpoints=())).checkpoints == ()


def test_a_run_that_its_own_rows_refute_is_sealed_with_status_1(journal, tmp_path, capsys):
    change(journal, "end.json", at="2026-01-31T12:00:05+00:00")
    assert main([str(journal), "-o", str(tmp_path / "a.tta.zip")]) == 1
    assert "REFUTED at bytes" in capsys.readouterr().err and PLAN.max_epochs == 3


@pytest.mark.parametrize("arguments", [["none"], ["none.csv"], ["r1", "-o", "a.zip"]])
def test_bad_input_is_one_line_and_status_2(arguments, journal, monkeypatch, capsys):
    monkeypatch.chdir(journal.parent)
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
