"""Whatever is in a corpus, a manifest, a shard or an archive: a value, or the one error that is promised.

FUZZ_EXAMPLES=10000 pytest tests/fuzz tries so many a parser, anew each time; without it 100, the same each time. What
takes tens of milliseconds, as TensorFlow's readers and trees of files, is tried a tenth as often.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tones import write_chapter, write_tone

from features.corpus.audio import frame_count, promised_frames, read_audio
from features.corpus.download import DownloadError, unpack
from features.corpus.layout import CorpusError, read_corpus
from features.jobs.streams import one_line
from features.shards import account, extraction, manifest, records
from features.shards.manifest import LeftOut, Manifest, ManifestError, Settings, Shard

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
slowly_fuzzed = settings(fuzzed, max_examples=max(EXAMPLES // 10, 50))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@st.composite
def spoilt(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` with stretches overwritten, cut out or put in, or cut short."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)) | st.integers(0, min(len(content), 64)))  # headers are at the start
        cut = draw(st.sampled_from([0, 1, 4, len(content)]))
        content = content[:start] + draw(st.binary(max_size=8)) + content[start + cut :]
    return content


@st.composite
def respelt(draw: st.DrawFn, fields: object) -> object:
    """JSON `fields` with one value, somewhere in them, replaced or gone."""
    if isinstance(fields, dict | list) and fields and draw(st.integers(0, 5)):
        keys = list(fields) if isinstance(fields, dict) else list(range(len(fields)))
        key, copy = draw(st.sampled_from(keys)), fields.copy()
        if draw(st.integers(0, 5)):
            copy[key] = draw(respelt(fields[key]))
        else:
            del copy[key]
        return copy
    return draw(JSON | st.just({}) | st.sampled_from([0, -1, 1 << 70, "..", "\0", "train-", "a/b.tfrecord"]))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed") / "corpus"
    write_chapter(root, "train-a", 1, ["one two", "cool", "three"], seconds=0.3)
    return root


IDENTITIES = st.sampled_from(["1-1-0000", "1-1-0001", "1-1-0009", "..", "", "\ufeff1-1-0000"]) | st.text(max_size=9)
SPACES = st.sampled_from([" ", "", "\t", "  ", "\0", "\u2028"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "", "\n\n", "\x85"])
LINES = st.lists(st.tuples(IDENTITIES, SPACES, st.sampled_from(["ONE", "IT'S", "5", ""]) | st.text(), ENDS), max_size=5)
TRANSCRIPTS = st.binary(max_size=200) | LINES.map(
    lambda lines: "".join("".join(line) for line in lines).encode("utf-8", "surrogatepass")
)


@given(content=TRANSCRIPTS)
@fuzzed
@example(content=b"\xef\xbb\xbf1-1-0000 ONE\r\n")
def test_any_transcript_gives_utterances_and_problems(corpus, content):
    (corpus / "train-a" / "1" / "1" / "1-1.trans.txt").write_bytes(content)
    utterances, problems = read_corpus(corpus)
    assert len(utterances) <= 3 and (problems or len(utterances) == 3)  # three recordings: each is spoken of, or not
    for problem in problems:
        assert one_line(problem).isprintable() and len(problem.reason) < 1000


NAMES = st.sampled_from(["train-a", "dev", "1", "1-1.trans.txt", "1-1-0000.flac", "x.wav"]) | st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=5
).filter(lambda name: name not in (".", ".."))
KINDS = st.sampled_from(["file", "folder", "up", "dangling", "itself"])


@given(tree=st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=5), KINDS), max_size=8))
@slowly_fuzzed
def test_any_tree_gives_utterances_and_problems_or_a_corpus_error(tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "corpus"
        root.mkdir()
        for names, kind in tree:
            _plant(root.joinpath(*names), kind, root)
        try:
            utterances, problems = read_corpus(root)
        except CorpusError as error:
            assert str(root) in str(error)
        else:
            assert utterances or problems


def _plant(path: Path, kind: str, root: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            path.mkdir()
        elif kind == "file":
            path.write_text("1-1-0000 ONE\n")
        else:
            path.symlink_to({"up": root, "dangling": root.parent / "no" / "where", "itself": path}[kind])
    except OSError:
        pass  # another one's file is where this one's folder should be


SHARDS = tuple(
    Shard(file=f"{subset}-00000.tfrecord", subset=subset, frames=(50, 60), content="1" * 64, sha256="0" * 64, bytes=9)
    for subset in ("train-a", "dev-b")
)
LOST = LeftOut(where="1-1-0001", subset="dev-b", kind="too long", reason="why", seconds=17.5)
WHOLE = Manifest(
    settings=Settings(), shards=SHARDS, words=("a",), unknown={"dev-b": (1, 4)}, left_out=(LOST,), notes={"mixed": 1}
)
MANIFESTS = st.one_of(
    st.binary(max_size=300),
    JSON.map(lambda value: json.dumps(value).encode()),
    respelt(json.loads(WHOLE.to_json())).map(lambda value: json.dumps(value).encode()),
    spoilt(WHOLE.to_json().encode()),
)


@given(content=MANIFESTS)
@fuzzed
def test_any_manifest_can_be_used_or_is_a_manifest_error(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp()
    (folder / "manifest.json").write_bytes(content)
    try:
        found = manifest.load(folder)
    except ManifestError as error:
        assert str(error).startswith(str(folder / "manifest.json")) and "again" in str(error)
        return
    assert all((folder / shard.file).resolve().parent == folder.resolve() for shard in found.shards)
    assert len(found.digest) == 64 and all(found.seconds(subset) >= 0 for subset in found.subsets)
    assert "\n".join(map(one_line, account.describe(found))) is not None
    assert len(manifest.damaged(folder, found)) == len(found.shards)
    if found.shards:
        with pytest.raises(ManifestError):
            manifest.check_sizes(folder, found)


@pytest.fixture(scope="module")
def written(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> records.ShardPlan:
    """A shard and its record, once made."""
    audio, out = corpus.parent / "1-1-0000.flac", tmp_path_factory.mktemp("shards")
    write_tone(audio, seconds=0.3)
    spoken = records.Utterance(id="1-1-0000", subset="train-a", speaker="1", audio=audio, sentence="one")
    plan = records.ShardPlan(
        path=out / "train-a-00000.tfrecord",
        subset="train-a",
        utterances=(spoken,) * 3,
        settings=Settings(),
        skip_bad=False,
    )
    records.write_shard(plan)
    return plan


@given(data=st.data())
@slowly_fuzzed
def test_any_record_of_a_shard_is_one_or_none(written, data):
    path = records.outcome_path(written.path)
    whole = path.read_bytes()
    try:
        fields = respelt(json.loads(whole)).map(lambda value: json.dumps(value).encode())
        path.write_bytes(data.draw(fields | spoilt(whole) | st.binary()))
        if found := records.finished(written):
            gathered = extraction.Gathered()
            gathered.add(found)
            gathered.manifest([written], [], Path())
            assert found.brief == written.brief or (found.brief, found.key) == ("", written.key)
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@slowly_fuzzed
def test_any_bytes_are_an_example_or_tensorflows_error(tf, written, data):
    (whole, *_) = (raw.numpy() for raw in records.open_shard(str(written.path), Settings()))
    raw = data.draw(spoilt(whole) | st.binary(max_size=100))
    try:
        parsed = records.parse(tf.constant(raw), Settings())
    except (tf.errors.OpError, UnicodeDecodeError):  # its message may quote bytes, which TensorFlow trips over
        return
    assert parsed["features"].shape[1] == 93 and int(parsed["frames"]) == len(parsed["features"])


@given(data=st.data())
@slowly_fuzzed
def test_any_shard_is_read_or_is_tensorflows_error_and_damage_is_found(tf, written, data):
    whole = written.path.read_bytes()
    shard = Shard(**asdict(records.finished(written).shard))
    listed = Manifest(settings=Settings(), shards=(shard,))
    content = data.draw(spoilt(whole))
    path = written.path.with_name("spoilt") / shard.file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert bool(manifest.damaged(path.parent, listed)) == (content != whole)
    try:
        list(records.open_shard(str(path), Settings()))
    except tf.errors.OpError:
        assert content != whole


def _audio(suffix: str) -> Callable[[], bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_tone(Path(folder) / f"x{suffix}", seconds=0.1)
        return (Path(folder) / f"x{suffix}").read_bytes()


@given(content=spoilt(_audio(".flac")) | spoilt(_audio(".wav")) | st.binary())
@fuzzed
def test_any_audio_is_samples_or_a_value_error_that_names_it(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "x.flac"
    path.write_bytes(content)
    try:
        audio = read_audio(path, max_frames=1670)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert 0 < frame_count(len(audio.samples)) <= 1670
    assert promised_frames(path) >= 0


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("a.trans.txt", "a.flac"):
            info = tarfile.TarInfo(f"LibriSpeech/dev-clean/1/1/{name}")
            info.size = 9
            info.pax_headers = {"comment": "x" * 20}
            tar.addfile(info, io.BytesIO(b"123456789"))
    return packed.getvalue()


@given(content=st.one_of(spoilt(_tar()).map(gzip.compress), spoilt(gzip.compress(_tar())), st.binary()))
@slowly_fuzzed
def test_any_archive_is_unpacked_or_is_a_download_error_and_leaves_nothing(content):
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "dev-clean.tar.gz"
        archive.write_bytes(content)
        try:
            with redirect_stderr(io.StringIO()):
                unpack(archive, Path(folder) / "corpus", subset="dev-clean")
        except DownloadError as error:
            assert str(error).startswith(f"{archive}: ") and not list((Path(folder) / "corpus").iterdir())
        else:
            assert list((Path(folder) / "corpus" / "dev-clean").iterdir())
        assert {path.name for path in Path(folder).iterdir()} == {"corpus", archive.name}
