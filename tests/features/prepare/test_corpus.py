"""The command, from a source to a corpus that the suite reads."""

import json

import numpy as np
import pytest
from tones import write_tone

from features.corpus.layout import read_corpus
from features.corpus.prepared import normaliser_of
from features.prepare.__main__ import main
from features.shards import manifest
from features.shards.extraction import extract_corpus


@pytest.fixture
def table(tmp_path):
    """Six speakers with four recordings each, and no subsets."""
    lines = ["path,text,speaker"]
    for speaker in range(6):
        for number in range(4):
            name = f"s{speaker}-{number}.wav"
            write_tone(tmp_path / name, seconds=1.0, seed=10 * speaker + number)
            lines.append(f"{name},Two birds. It’s {'one' * (number == 1)},spk {speaker}")
    path = tmp_path / "all.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_becomes_a_corpus(table, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    utterances, problems = read_corpus(out)
    assert not problems and len(utterances) == 24 and utterances.subsets == ["dev", "test", "train"]
    assert {each.sentence for each in utterances} == {"two birds it's", "two birds it's one"}
    speakers = [{each.speaker for each in utterances if each.subset == name} for name in utterances.subsets]
    assert [len(each) for each in speakers] == [1, 1, 4] and len(set.union(*speakers)) == 6
    said = capsys.readouterr()
    assert "english-1" in said.out and "24 of 24 sentences: capitals" in said.out
    assert said.out.rstrip().endswith(f"make bench WORKLOAD=speech CORPUS={out}")
    assert json.loads((out / "prepared.json").read_text())["subsets"]["train"] == {"utterances": 16, "hours": 0.0044}


def test_features_and_their_manifest_say_which_normaliser_it_was(table, tmp_path):
    assert main([str(table), str(tmp_path / "out"), "--jobs", "1", "--accents", "refuse"]) == 0
    assert normaliser_of(tmp_path / "out") == "english-1+accents-refuse"
    made = extract_corpus(tmp_path / "out", tmp_path / "features", jobs=1)
    assert made.normaliser == "english-1+accents-refuse"
    assert manifest.load(tmp_path / "features").normaliser == "english-1+accents-refuse"
    assert normaliser_of(tmp_path) == ""
    assert "normaliser" not in manifest.Manifest(settings=made.settings, shards=()).to_json()


def test_the_same_command_goes_on_and_another_is_refused(table, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    (audio := sorted(out.rglob("*.wav"))[3]).unlink()
    times = {each: each.stat().st_mtime_ns for each in out.rglob("*.wav")}
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    assert audio.exists() and all(each.stat().st_mtime_ns == then for each, then in times.items())
    assert main([str(table), str(out), "--jobs", "1", "--seed", "2"]) == 2
    assert "holds something else; expected an empty folder" in capsys.readouterr().err


def test_a_log_that_was_cut_short_is_gone_on_from(table, tmp_path):
    out = tmp_path / "out"
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    log = out / ".prepared.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    assert main([str(table), str(out), "--jobs", "1"]) == 0
    assert len(read_corpus(out)[0]) == 24


def test_problems_of_texts_are_all_named_before_audio_is_touched(table, tmp_path, capsys):
    table.write_text(table.read_text().replace("It’s one,spk 3", "5 of R&B,spk 3") + "s0-0.wav,Привет,spk 0\n")
    assert main([str(table), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "all.csv:15: found the number '5'" in said and "all.csv:26: found 'в'" in said and "--skip-bad" in said
    assert not (tmp_path / "out").exists()
    assert main([str(table), str(tmp_path / "out"), "--skip-bad", "--jobs", "1"]) == 0
    assert "2 left out:" in capsys.readouterr().out


def test_broken_audio_stops_with_its_line_or_is_left_out(table, tmp_path, capsys):
    (tmp_path / "s2-1.wav").write_bytes(b"RIFF")
    assert main([str(table), str(tmp_path / "out"), "--jobs", "1"]) == 2
    assert "all.csv:11: " in capsys.readouterr().err
    assert main([str(table), str(tmp_path / "out"), "--jobs", "1", "--skip-bad"]) == 0
    assert len(read_corpus(tmp_path / "out")[0]) == 23 and "1 left out:" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(table, tmp_path, capsys):
    assert main([str(table), str(tmp_path / "out"), "--dry-run"]) == 0
    assert "utterances: train 16, dev 4, test 4" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_one_speaker_is_shared_by_utterances_and_said(table, tmp_path, capsys):
    text = table.read_text()
    for number in range(6):
        text = text.replace(f"spk {number}", "anna")
    table.write_text(text)
    assert main([str(table), str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert "dev and test may have voices of training" in capsys.readouterr().out
    assert read_corpus(tmp_path / "out")[0].subsets == ["dev", "test", "train"]


def test_ids_that_name_no_file_or_come_twice_are_given_others(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_tone(tmp_path / folder / "x y.wav", seconds=0.6)
    rows = ["path,text,speaker,split", "a/x y.wav,one,,train", "b/x y.wav,two,../ben,train", "a/x y.wav,one,c,dev"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    assert main([str(tmp_path / "t.csv"), str(tmp_path / "out"), "--jobs", "1"]) == 0
    utterances, problems = read_corpus(tmp_path / "out")
    assert not problems
    assert {(each.id, each.speaker) for each in utterances} == {("x-y", "unknown"), ("x-y-2", "ben"), ("x-y-3", "c")}


def test_telephone_speech_is_said(tmp_path, capsys):
    import soundfile

    rng = np.random.default_rng(2)
    rows = ["path,text,split"]
    for number, split in enumerate(("train", "train", "dev")):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(8000), 8000)
        rows.append(f"{number}.wav,one,{split}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    assert main([str(tmp_path / "t.csv"), str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert "3 of 3 recordings have nothing above 5 kHz" in capsys.readouterr().out
