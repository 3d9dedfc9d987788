"""python -m features as a user meets it: full disks, killed workers, two at once, what is left behind."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tones import write_chapter, write_tone

from features import __main__ as command
from features.jobs.parts import Part
from features.jobs.workers import WorkerKilled, spawned
from features.shards import extraction, manifest, records
from features.shards.extraction import extract_corpus
from features.shards.manifest import Settings, check_sizes
from features.shards.records import ShardPlan

HOUSE = Path(__file__).resolve().parents[3]
TWO_SHARDS = ("--jobs", "1", "--shard-utterances", "2")


@pytest.fixture
def corpus(tmp_path):
    write_chapter(tmp_path / "corpus", "train-a", 1, ["one two", "cool", "three"], seconds=0.5)
    return tmp_path / "corpus"


def run(corpus, out, *more, capsys) -> tuple[int, str]:
    """Exit status and the last line on standard error."""
    status = command.main([str(corpus), str(out), *(more or TWO_SHARDS)])
    return status, capsys.readouterr().err.splitlines()[-1]


def planned(corpus, **settings) -> list[ShardPlan]:
    """The corpus in shards of two."""
    settings = Settings(shard_utterances=2, **settings)
    utterances, _ = extraction.read_corpus(corpus)
    return list(extraction.plan_shards(utterances, corpus.parent / "out", settings=settings, skip_bad=False))


def content_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_full_disk_is_one_line_keeps_the_shards_before_and_the_same_command_goes_on(corpus, tmp_path):
    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal would kill
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    _, second = planned(corpus)
    write_tone(second.utterances[0].audio, seconds=4)  # 400 frames of 186 bytes; the first shard has at most 139
    asked = [str(corpus), str(tmp_path / "out"), *TWO_SHARDS]
    python = [sys.executable, "-m", "features"]
    full = subprocess.run([*python, *asked], cwd=HOUSE, preexec_fn=small_disk, capture_output=True, text=True)
    assert full.returncode == 2 and full.stdout == ""
    error = full.stderr.splitlines()[-1]
    assert "train-a-00001.tfrecord.tmp: cannot be written (File too large); make room or mend that, then" in error
    assert content_names(tmp_path / "out") == ["train-a-00000.json", "train-a-00000.tfrecord"]
    kept = (tmp_path / "out" / "train-a-00000.tfrecord").stat().st_mtime_ns
    assert command.main(asked) == 0
    assert (tmp_path / "out" / "train-a-00000.tfrecord").stat().st_mtime_ns == kept
    check_sizes(tmp_path / "out", manifest.load(tmp_path / "out"))


def test_a_disk_clearly_too_small_is_refused_with_both_figures_before_anything_is_written(
    corpus, tmp_path, capsys, monkeypatch
):
    usage = namedtuple("usage", "free")
    # 50 + 63 + 76 = 189 frames of 93 features of 2 bytes are 35,154 bytes.
    monkeypatch.setattr(extraction.shutil, "disk_usage", lambda _: usage(31_000))
    status, error = run(corpus, tmp_path / "out", capsys=capsys)
    assert status == 2 and content_names(tmp_path / "out") == []
    assert error.endswith(
        f"{tmp_path / 'out'}: features of 3 utterances take about 0.04 MB of disk, 0.03 MB are free; "
        f"make room, or give a folder on another disk"
    )
    monkeypatch.setattr(extraction.shutil, "disk_usage", lambda _: usage(32_000))  # not clearly: an estimate
    assert run(corpus, tmp_path / "out", capsys=capsys)[0] == 0


def test_the_disk_needed_is_that_of_the_utterances_that_are_short_enough(corpus):
    folder = corpus / "train-a" / "1" / "1"
    write_tone(folder / "1-1-0000.flac", seconds=17)
    write_tone(folder / "1-1-0001.flac", seconds=2, rate_hz=8000, channels=2)
    write_tone(folder / "1-1-0002.flac", seconds=1)
    assert extraction._needed_bytes(planned(corpus)) == 300 * 93 * 2  # frames of 93 features of 2 bytes
    gzipped = planned(corpus, dtype="float32", compression="gzip")
    assert extraction._needed_bytes(gzipped) == 300 * 93 * 3  # three quarters of 4 bytes


def test_bad_audio_leaves_nothing_that_looks_whole(corpus, tmp_path, capsys):
    (corpus / "train-a" / "1" / "1" / "1-1-0002.flac").write_bytes(b"")
    status, error = run(corpus, tmp_path / "out", "--jobs", "1", capsys=capsys)
    assert status == 2 and content_names(tmp_path / "out") == []
    assert "1-1-0002.flac: cannot be decoded (Format not recognised; 0 bytes); expected a FLAC or WAV file" in error


def test_a_manifest_does_not_outlive_the_shards_it_is_of(corpus, tmp_path, capsys):
    assert run(corpus, tmp_path / "out", capsys=capsys)[0] == 0
    for path in (corpus / "train-a" / "1" / "1").glob("*.flac"):
        path.write_bytes(b"spoilt since")
    assert run(corpus, tmp_path / "out", capsys=capsys)[0] == 2
    assert "manifest.json" not in content_names(tmp_path / "out")


def test_what_killed_processes_left_is_removed(corpus, tmp_path, capsys):
    """Each part is written to a temporary file, a shard's outcome to one with the process's number."""
    (tmp_path / "out").mkdir()
    for name in ("train-a-00000.json.17496.tmp", "train-a-00000.tfrecord.tmp"):
        (tmp_path / "out" / name).touch()
    assert run(corpus, tmp_path / "out", capsys=capsys)[0] == 0
    assert not any(name.endswith(".tmp") for name in content_names(tmp_path / "out"))


def test_a_shard_cut_short_is_made_again_and_one_that_is_whole_is_kept(corpus, tmp_path):
    out, settings = tmp_path / "out", Settings(shard_utterances=2)
    found = extract_corpus(corpus, out, settings=settings, jobs=1)
    cut, kept = (out / shard.file for shard in found.shards)
    whole, before = cut.read_bytes(), kept.stat().st_mtime_ns
    os.truncate(cut, len(whole) - 1)
    assert extract_corpus(corpus, out, settings=settings, jobs=1) == found
    assert cut.read_bytes() == whole
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "content", ["[1]", "[" * 100_000, '{"shard": 5}', '{"key": 1, "shard": {"frames": "x"}}', "\0", ""]
)
def test_what_is_no_shards_record_counts_as_none(corpus, tmp_path, content):
    out = tmp_path / "out"
    extract_corpus(corpus, out, jobs=1)
    (out / "train-a-00000.json").write_text(content)
    extract_corpus(corpus, out, jobs=1)
    assert '"key"' in (out / "train-a-00000.json").read_text()


@pytest.mark.parametrize(
    ("field", "value"), [("words", 5), ("left_out", 5), ("notes", {"x": "y"}), ("words", {"a": "b"})]
)
def test_a_shards_record_with_fields_of_another_kind_counts_as_none(corpus, tmp_path, field, value):
    out = tmp_path / "out"
    found = extract_corpus(corpus, out, jobs=1)
    path = out / "train-a-00000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    assert extract_corpus(corpus, out, jobs=1) == found


def test_where_no_utterance_is_left_there_is_no_manifest(corpus, tmp_path, capsys):
    (corpus / "train-a" / "1" / "1" / "1-1.trans.txt").write_text("")
    status, error = run(corpus, tmp_path / "out", "--skip-bad", capsys=capsys)
    assert status == 2 and not (tmp_path / "out").exists()
    assert f"{corpus}: no usable utterance; {corpus}/train-a/1/1/1-1.trans.txt: holds no line" in error


def test_ten_hours_are_left_out_and_said_so(corpus, tmp_path):
    path = corpus / "train-a" / "1" / "1" / "1-1-0000.flac"
    content = bytearray(path.read_bytes())
    content[21:26] = ((content[21] & 0xF0) << 32 | 36_000 * 16_000).to_bytes(5, "big")  # its header's 36 bits
    path.write_bytes(content)
    found = extract_corpus(corpus, tmp_path / "out", jobs=1)
    assert [each.reason for each in found.left_out] == ["3600000 frames, longer than 1670"]
    assert found.utterances("train") == 2 and found.lost("train-a") == {"too long": (1, 36_000.0)}


def test_an_out_that_is_a_file_is_named(corpus, tmp_path, capsys):
    (tmp_path / "out").write_text("precious")
    status, error = run(corpus, tmp_path / "out", capsys=capsys)
    assert (status, (tmp_path / "out").read_text()) == (2, "precious")
    assert error == f"features: {tmp_path / 'out'}: found a file, expected a folder for the shards; give another name"


@pytest.mark.parametrize("name", ["manifest.json", "train-a-00000.json", "train-a-00000.tfrecord.tmp"])
def test_a_folder_in_a_files_place_is_named_by_the_system_word(corpus, tmp_path, capsys, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    status, error = run(corpus, tmp_path / "out", capsys=capsys)
    assert status == 2 and name in error and "Is a directory" in error and "Errno" not in error
    assert content_names(tmp_path / "out") == [name] or "train-a-00000.tfrecord" in content_names(tmp_path / "out")


def test_a_second_extraction_into_the_same_folder_is_refused(corpus, tmp_path, capsys):
    with extraction._alone(tmp_path / "out"):
        status, error = run(corpus, tmp_path / "out", capsys=capsys)
    assert status == 2 and f"{tmp_path / 'out'}: another process extracts features here; wait for it" in error


def test_a_killed_worker_is_one_line_and_finished_shards_are_kept(corpus, tmp_path, capsys, monkeypatch):
    def killed(work, plans, **_):
        yield work(plans[0])
        raise BrokenProcessPool("killed")

    monkeypatch.setattr(extraction, "spawned", killed)
    status, error = run(corpus, tmp_path / "out", "--jobs", "2", "--shard-utterances", "2", capsys=capsys)
    assert status == 2 and "a worker process was killed (out of memory?); start again" in error
    assert content_names(tmp_path / "out") == ["train-a-00000.json", "train-a-00000.tfrecord"]


def die_once(item: tuple[int, Path]) -> int:
    """Work that kills its process the first time that it is done; one of item 13 does so every time."""
    number, folder = item
    mark = folder / str(number)
    if number == 13 or (number % 3 == 0 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_what_killed_workers_had_in_hand_is_done_again(tmp_path):
    items = [(number, tmp_path) for number in (0, 1, 2, 4, 5, 7, 8)]
    assert sorted(spawned(die_once, items, jobs=2)) == [0, 1, 2, 4, 5, 7, 8]


def test_an_item_that_kills_its_worker_twice_is_named(tmp_path):
    with pytest.raises(WorkerKilled) as error:
        list(spawned(die_once, [(number, tmp_path) for number in (1, 13, 2)], jobs=2))
    assert error.value.item[0] == 13


def test_an_error_of_the_work_is_raised_as_it_is():
    with pytest.raises(ValueError, match="invalid literal"):
        list(spawned(int, ["1", "x"], jobs=2))


def killed_at_train(plan):
    if plan.path.name == "train-a-00001.tfrecord":
        os.kill(os.getpid(), signal.SIGKILL)
    return records.write_shard(plan)


def test_a_shard_that_kills_its_worker_twice_is_named_and_others_are_kept(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(extraction, "write_shard", killed_at_train)
    status, error = run(corpus, tmp_path / "out", "--jobs", "2", "--shard-utterances", "2", capsys=capsys)
    assert status == 2 and "train-a-00001.tfrecord: its worker process was killed time and again" in error
    assert content_names(tmp_path / "out") == ["train-a-00000.json", "train-a-00000.tfrecord"]


# --- parts -----------------------------------------------------------------------------------------------------------


def test_parts_written_at_once_and_merged_are_the_bytes_of_one_extraction(tone_corpus, tmp_path):
    python, environment = [sys.executable, "-m", "features", tone_corpus], os.environ | {"PYTHONPATH": str(HOUSE)}
    usual = ["--shard-utterances", "3", "--jobs", "1"]
    extract_corpus(tone_corpus, tmp_path / "whole", settings=Settings(shard_utterances=3), jobs=1)
    processes = [
        subprocess.Popen(
            [*python, tmp_path / "parts", *usual, "--part", f"{n}/3"],
            env=environment,
            cwd=HOUSE,
            stderr=subprocess.PIPE,
        )
        for n in (1, 2, 3)
    ]
    for process in processes:
        assert process.wait(60) == 0, process.stderr.read()
        process.stderr.close()
    assert not (tmp_path / "parts" / manifest.NAME).exists()
    assert command.main([str(tone_corpus), str(tmp_path / "parts"), *usual[:2], "--merge"]) == 0
    for path in (tmp_path / "whole").iterdir():
        if path.suffix in (".tfrecord", ".json"):  # of a shard's .json all but the times of its audio, which are equal
            assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes(), path.name
    assert content_names(tmp_path / "parts") == content_names(tmp_path / "whole")


def test_merge_says_what_is_missing_and_how_to_make_it(corpus, tmp_path, capsys):
    usual = ("--shard-utterances", "1", "--jobs", "1")
    assert command.main([str(corpus), str(tmp_path / "out"), *usual, "--part", "1/2"]) == 0
    assert "part 1/2: 2 shards are in" in capsys.readouterr().out  # of three
    status, error = run(corpus, tmp_path / "out", *usual, "--merge", capsys=capsys)
    assert status == 2 and "1 of 3 shards are not there, or not of this audio and these settings" in error
    assert "(train-a-00001.tfrecord); give all parts with the same options first" in error
    status, error = run(corpus, tmp_path / "out", "--shard-utterances", "2", "--merge", capsys=capsys)
    assert status == 2 and "2 of 2 shards are not there" in error


def test_merge_refuses_a_shard_with_a_flipped_byte_and_says_how_to_make_it_again(corpus, tmp_path, capsys):
    out = tmp_path / "out"
    assert command.main([str(corpus), str(out), *TWO_SHARDS, "--part", "1/1"]) == 0
    shard = out / "train-a-00001.tfrecord"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    status, error = run(corpus, out, *TWO_SHARDS, "--merge", capsys=capsys)
    assert status == 2 and f"{shard}: found SHA-256 " in error and "delete it, and extracting again" in error
    assert "manifest.json" not in content_names(out)
    shard.write_bytes(whole)
    assert command.main([str(corpus), str(out), *TWO_SHARDS, "--merge"]) == 0


def test_parts_and_the_whole_keep_out_of_each_others_way(corpus, tmp_path, capsys):
    out = tmp_path / "out"
    with extraction._part_alone(out, Part(1, 2)):
        for asked, says in (
            ((), "a process extracts part 1/2 here; wait for it"),
            (("--merge",), "a process extracts part 1/2 here"),
            (("--part", "1/2"), "another process extracts part 1/2 here"),
            (("--part", "2/3"), "a process extracts part 1/2 here"),
        ):
            status, error = run(corpus, out, *TWO_SHARDS, *asked, capsys=capsys)
            assert status == 2 and says in error
        assert command.main([str(corpus), str(out), *TWO_SHARDS, "--part", "2/2"]) == 0
    with extraction._alone(out):
        status, error = run(corpus, out, *TWO_SHARDS, "--part", "1/2", capsys=capsys)
        assert status == 2 and "another process extracts features here" in error


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "1/9999999", "²/3"])
def test_a_part_that_is_none_is_refused(corpus, tmp_path, text, capsys):
    with pytest.raises(SystemExit):
        command.main([str(corpus), str(tmp_path / "out"), "--part", text])
    assert "expected a part and how many there are, such as 3/16" in capsys.readouterr().err


@given(items=st.lists(st.integers()), count=st.integers(1, 20))
def test_parts_hold_everything_once_and_are_alike(items, count):
    parts = [Part(number, count).of(items) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_every_file_gets_the_permissions_that_the_umask_leaves(corpus, tmp_path):
    before = os.umask(0o027)
    try:
        extract_corpus(corpus, tmp_path / "out", jobs=1)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o640}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_a_name_with_a_terminals_escapes_is_printed_without(corpus, tmp_path, capsys):
    speaker = corpus / "train-a" / "1"
    speaker.rename(corpus / "train-a" / "\x1b[2J\n")
    (corpus / "train-a" / "\x1b[2J\n" / "1" / "1-1-0000.flac").unlink()
    status, error = run(corpus, tmp_path / "out", capsys=capsys)
    assert status == 2 and r"train-a/\x1b[2J\n/1/1-1.trans.txt:1: audio file missing" in error


@pytest.mark.parametrize("wrong", [("--jobs", "-3"), ("--jobs", "two"), ("--shard-utterances", "0")])
def test_counts_that_are_none_are_usage_errors(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(["corpus", "out", *wrong])
    assert error.value.code == 2 and f"{wrong[1]!r}; expected a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "abc", "0", "1e9"])
def test_seconds_that_are_none_are_usage_errors(seconds, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(["corpus", "out", "--max-seconds", seconds])
    assert error.value.code == 2 and f"{seconds!r}; expected seconds from 0.11 to 3600" in capsys.readouterr().err


def test_a_shard_made_with_other_settings_is_not_kept(corpus, tmp_path):
    out = tmp_path / "out"
    extract_corpus(corpus, out, settings=Settings(dtype="float32"), jobs=1)
    wide = manifest.load(out).shards[0].bytes
    shutil.copytree(out, tmp_path / "copy")
    narrow = extract_corpus(corpus, out, jobs=1).shards[0].bytes
    assert 0 <= wide - narrow - 189 * 93 * 2 < 99  # 50 + 63 + 76 frames, and longer lengths before them
    shutil.copy(tmp_path / "copy" / "train-a-00000.tfrecord", out)
    with pytest.raises(manifest.ManifestError, match=f"found {wide:,} bytes, expected {narrow:,}"):
        check_sizes(out, manifest.load(out))
