import copy
import json
import os
import shutil
from dataclasses import replace

import pytest

from features.frames.kinds import FRONT_ENDS
from features.jobs.files import digest
from features.shards import manifest
from features.shards.manifest import LeftOut, Manifest, ManifestError, Settings, Shard, check_sizes, damaged

SHARD = Shard(
    file="train-a-00000.tfrecord", subset="train-a", frames=(50, 60), content="1" * 64, sha256="0" * 64, bytes=123
)
LOST = LeftOut(where="1-1-0001", subset="train-a", kind="too long", reason="why", seconds=17.5)
WHOLE = Manifest(
    settings=Settings(),
    shards=(SHARD,),
    words=("a",),
    unknown={"dev-a": (1, 4)},
    left_out=(LOST,),
    notes={"mixed": 1},
)


def saying(tmp_path, change) -> str:
    """What is said of a manifest after `change` to its fields, or "" if it is taken."""
    fields = copy.deepcopy(json.loads(WHOLE.to_json()))
    change(fields)
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    try:
        manifest.load(tmp_path)
    except ManifestError as error:
        assert str(error).startswith(f"{tmp_path / 'manifest.json'}: ") and str(error).endswith("again")
        assert "\n" not in str(error)
        return str(error)
    return ""


def test_a_manifest_that_is_as_it_was_saved_is_taken(tmp_path):
    assert saying(tmp_path, lambda fields: None) == ""
    assert manifest.load(tmp_path) == WHOLE


@pytest.mark.parametrize("file", ["../x.tfrecord", "/etc/x.tfrecord", "a/b.tfrecord", "x", "\0.tfrecord", 5, None])
def test_a_shard_outside_of_the_folder_is_refused(tmp_path, file):
    why = saying(tmp_path, lambda fields: fields["shards"][0].update(file=file))
    assert f"found shard file {file!r}; expected a name that ends in .tfrecord, and no folder" in why


@pytest.mark.parametrize("frames", [None, 5, "12", {}, [1.5], [0], [-1], [True], ["1"], [1 << 60], [[1]]])
def test_frames_that_are_no_counts_are_refused(tmp_path, frames):
    assert "; expected " in saying(tmp_path, lambda fields: fields["shards"][0].update(frames=frames))


def test_more_frames_than_the_settings_allow_are_refused(tmp_path):
    why = saying(tmp_path, lambda fields: fields["shards"][0].update(frames=[1671]))
    assert "found 1671 frames; expected at most max_frames, 1670" in why


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "x"),
        ("content", "x"),
        ("content", None),
        ("sha256", None),
        ("subset", "elsewhere"),
        ("subset", []),
        ("bytes", "5"),
        ("bytes", -1),
    ],
)
def test_a_shards_fields_of_another_kind_are_refused_by_name(tmp_path, field, value):
    assert f"{field} is {value!r}; expected" in saying(tmp_path, lambda f: f["shards"][0].update({field: value}))


@pytest.mark.parametrize("value", [None, 7, "x", [1], {"a": []}, True])
@pytest.mark.parametrize(
    "field", ["shards", "words", "unknown", "left_out", "notes", "settings", "schema", "unheard-of"]
)
def test_fields_of_another_kind_are_refused(tmp_path, field, value):
    assert saying(tmp_path, lambda fields: fields.update({field: value}))


@pytest.mark.parametrize(("size", "named"), [(93, "mfcc13-logmel80"), (80, "logmel80-normalised")])
def test_a_manifest_of_before_front_ends_had_names_is_read_and_keeps_its_digest(tmp_path, size, named):
    """Schema 4 said how many features a frame has; the digest of runs is made of that still."""
    whole = replace(WHOLE, settings=Settings(front_end=named))
    fields = json.loads(whole.to_json())
    assert fields["settings"].pop("front_end") == named
    fields["settings"]["features"], fields["schema"] = size, 4
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    found = manifest.load(tmp_path)
    assert found.settings == whole.settings and found.digest == whole.digest
    assert found.settings.identity["features"] == size and "front_end" not in found.settings.identity
    fields["settings"]["features"] = 40
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(ManifestError, match="features is 40; expected 93 or 80 of a frame"):
        manifest.load(tmp_path)


def test_a_front_end_that_its_size_does_not_tell_is_in_the_digest(monkeypatch):
    monkeypatch.setitem(FRONT_ENDS, "new", replace(FRONT_ENDS["mfcc13-logmel80"]))
    assert Settings(front_end="new").identity["front_end"] == "new"
    assert replace(WHOLE, settings=Settings(front_end="new")).digest != WHOLE.digest


@pytest.mark.parametrize("field", ["shards", "words", "settings", "schema"])
def test_a_missing_field_is_refused(tmp_path, field):
    assert field in saying(tmp_path, lambda fields: fields.pop(field))


@pytest.mark.parametrize("field", ["dtype", "compression", "max_frames", "shard_utterances", "front_end"])
@pytest.mark.parametrize("value", [None, "x", [], 1.5, True, 0])
def test_settings_of_another_kind_are_refused(tmp_path, field, value):
    assert f"{field}" in saying(tmp_path, lambda fields: fields["settings"].update({field: value}))


def test_a_shard_listed_twice_is_refused(tmp_path):
    why = saying(tmp_path, lambda fields: fields["shards"].append(fields["shards"][0]))
    assert "train-a-00000.tfrecord is listed twice" in why


@pytest.mark.parametrize("content", [b"", b"\0" * 9, b"\xff\xfe", b"[" * 200_000, b"1" * 5000, b'{"schema": NaN}'])
def test_what_is_no_manifest_at_all_is_one_sentence(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest.json: (not JSON|schema nan).*again$"):
        manifest.load(tmp_path)


def test_a_manifest_of_gigabytes_is_not_read(tmp_path):
    (tmp_path / "manifest.json").touch()
    os.truncate(tmp_path / "manifest.json", 3 << 30)
    with pytest.raises(ManifestError, match="3,221,225,472 bytes, expected at most 268,435,456"):
        manifest.load(tmp_path)


def test_a_manifest_that_is_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ManifestError, match=r"manifest.json: cannot be read \(Is a directory\)"):
        manifest.load(tmp_path)


# Shards against their manifest


@pytest.fixture
def copied(tone_features, tmp_path):
    """Folder and manifest, to be spoilt."""
    folder = tmp_path / "features"
    shutil.copytree(tone_features, folder)
    return folder, manifest.load(folder)


def test_whole_shards_have_nothing_to_be_said_of(copied):
    check_sizes(*copied)
    assert damaged(*copied) == []


@pytest.mark.parametrize("size", [lambda size: size - 1, lambda size: size // 2, lambda size: 0, lambda size: size + 1])
def test_a_shard_of_another_size_is_named_with_both(copied, size):
    folder, found = copied
    shard = found.shards[1]
    os.truncate(folder / shard.file, size(shard.bytes))
    expected = f"{folder / shard.file}: found {size(shard.bytes):,} bytes, expected {shard.bytes:,}; extracting again"
    with pytest.raises(ManifestError) as error:
        check_sizes(folder, found)
    assert str(error.value).startswith(expected)
    (sentence,) = damaged(folder, found)
    assert sentence.startswith(expected)


def test_missing_shards_are_named_by_the_first_and_counted(copied):
    folder, found = copied
    for shard in found.shards[:3]:
        (folder / shard.file).unlink()
    with pytest.raises(ManifestError, match=rf"{found.shards[0].file}: in the manifest but not.*\(and 2 more shards\)"):
        check_sizes(folder, found)
    assert len(damaged(folder, found)) == 3


def test_a_flipped_bit_is_found_and_named_where_the_size_says_nothing(copied):
    folder, found = copied
    path = folder / found.shards[2].file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    check_sizes(folder, found)
    (sentence,) = damaged(folder, found)
    assert sentence.startswith(f"{path}: found SHA-256 {digest(path)}, expected {found.shards[2].sha256}")
    assert "delete it, and extracting again" in sentence


def test_tensorflow_may_take_a_shard_cut_short_for_whole_which_is_why_sizes_are_looked_at(copied, tf):
    from features.shards.records import open_shard

    folder, found = copied
    path, shard = folder / found.shards[0].file, found.shards[0]
    first = int.from_bytes(path.read_bytes()[:8], "little") + 16  # 8 of length, 4 and 4 of CRC
    os.truncate(path, first)
    assert sum(1 for _ in open_shard(str(path), found.settings)) == 1 < len(shard.frames)  # no error
    with pytest.raises(ManifestError):
        check_sizes(folder, found)


# Writing


def test_a_write_that_fails_names_the_file_and_leaves_what_was_there(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    manifest.save(WHOLE, tmp_path)
    monkeypatch.setattr(manifest.Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as error:
        manifest.save(Manifest(settings=Settings(), shards=()), tmp_path)
    assert error.value.errno == 28 and error.value.filename == str(tmp_path / "manifest.json")
    assert manifest.load(tmp_path) == WHOLE and [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
