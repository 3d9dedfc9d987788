"""The zip file: the same members give the same bytes, and nothing hostile, cut off or foreign is taken."""

import io
import json
import os
import stat
import struct
import zipfile

import pytest
from sealed import bundle, run_files

from benchmark.proof import bundle as form
from benchmark.proof.bundle import BundleError, Member, opened, write_bundle
from benchmark.verify import main


def member(name, data=b"x"):
    return Member(name, lambda: io.BytesIO(data))


def by_hand(path, *members, comment=b""):
    """A zip file of (name, data, changes of its ZipInfo)."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, data, changes in members:
            info = zipfile.ZipInfo(name, form.DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def refused(path):
    with pytest.raises(BundleError) as error, opened(path) as found:
        for name in found.names:
            found.bytes(name)
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))
    return str(error.value)


def test_the_same_members_give_the_same_bytes_in_whatever_order_they_come(tmp_path):
    members = [member("seal.json", b"{}"), member("journal.csv", b"a,b\n" * 1000), member("run/end.json", b"[]")]
    write_bundle(tmp_path / "a.tta.zip", members)
    write_bundle(tmp_path / "b.tta.zip", members[::-1])
    assert (tmp_path / "a.tta.zip").read_bytes() == (tmp_path / "b.tta.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.tta.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == ["journal.csv", "run/end.json", "seal.json"]
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)} and not any(info.extra for info in infos)


def test_a_file_that_is_there_is_kept_if_it_is_another_and_left_if_it_is_the_same(tmp_path):
    path = tmp_path / "a.tta.zip"
    write_bundle(path, [member("seal.json", b"{}")])
    write_bundle(path, [member("seal.json", b"{}")])
    with pytest.raises(BundleError, match="another file is there already; choose another -o"):
        write_bundle(path, [member("seal.json", b"[]")])
    assert zipfile.ZipFile(path).read("seal.json") == b"{}" and os.listdir(tmp_path) == ["a.tta.zip"]


def test_checkpoints_are_stored_as_they_are(tmp_path):
    path = tmp_path / "a.tta.zip"
    write_bundle(path, [member("seal.json"), member("run/checkpoints/ckpt-7.weights", bytes(1000))])
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("run/checkpoints/ckpt-7.weights").compress_size == 1000  # zeros would be 12 bytes


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "run/../../x", "run\\..\\x", "C:\\x", "run/run.json/", "RUN/run.json", "a" * 300,
     "run/checkpoints/ckpt-7.index ", "run/audio.flac", "seal.json\n", ""],
)  # fmt: skip
def test_a_name_that_no_sealed_run_has_is_refused_and_nothing_is_written(name, tmp_path):
    (tmp_path / "in").mkdir()
    path = by_hand(tmp_path / "in" / "a.tta.zip", ("seal.json", b"{}", {}), (name, b"x", {}))
    before = sorted(tmp_path.rglob("*"))
    assert "which a sealed run has not" in refused(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_an_encrypted_member_and_another_compression_are_refused(tmp_path):
    link = {"create_system": 3, "external_attr": (stat.S_IFLNK | 0o777) << 16}
    seal = ("seal.json", b"{}", {})
    assert "link" in refused(by_hand(tmp_path / "a.zip", seal, ("journal.csv", b"/etc/passwd", link)))
    path = by_hand(tmp_path / "b.zip", seal, ("journal.csv", b"x" * 100, {}))
    data = bytearray(path.read_bytes())
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.rindex(sign) + place
        data[at] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path)
    lzma = {"compress_type": zipfile.ZIP_LZMA}
    assert "method 14" in refused(by_hand(tmp_path / "c.zip", seal, ("journal.csv", b"x" * 100, lzma)))


def test_a_bomb_is_refused_by_its_ratio_before_anything_is_unpacked(tmp_path):
    path = by_hand(tmp_path / "a.zip", ("seal.json", b"{}", {}), ("journal.csv", bytes(30 << 20), {}))
    assert path.stat().st_size < 40_000  # 30 MiB of zeros
    assert "more than 200 times its size" in refused(path)


def test_a_member_that_says_it_is_huge_or_smaller_than_it_is_is_refused(tmp_path):
    path = by_hand(tmp_path / "a.zip", ("journal.csv", b"x" * 100, {}), ("seal.json", b"{}", {}))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # the unpacked size in the directory
    for size, why in ((2**32 - 2, "at most"), (40, "journal.csv|cannot be read|no whole")):
        data[at : at + 4] = struct.pack("<I", size)
        path.write_bytes(data)
        with pytest.raises(BundleError, match=why), opened(path) as found:
            found.bytes("journal.csv")


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = by_hand(tmp_path / "a.zip", ("seal.json", b"{}", {}), ("seal.json", b"[]", {}))
    assert "seal.json is in it twice" in refused(path)


@pytest.mark.parametrize("where", ["before", "between", "after", "comment"])
def test_bytes_that_nobody_sealed_are_refused(where, tmp_path):
    path = by_hand(tmp_path / "a.zip", ("journal.csv", b"x", {}), ("seal.json", b"{}", {}))
    data = path.read_bytes()
    if where == "before":
        path.write_bytes(b"#!/bin/sh\n" + data)
    elif where == "after":
        path.write_bytes(data + b"more")
    elif where == "comment":
        by_hand(path, ("journal.csv", b"x", {}), ("seal.json", b"{}", {}), comment=b"hello")
    else:
        at = data.index(b"PK\x01\x02")
        end = bytearray(data[data.index(b"PK\x05\x06") :])
        end[16:20] = struct.pack("<I", at + 5)
        path.write_bytes(data[:at] + b"12345" + data[at : data.index(b"PK\x05\x06")] + end)
    refused(path)


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    assert "which a sealed run has not" in refused(by_hand(tmp_path / "a.zip", ("word/document.xml", b"<x/>", {})))
    assert "without seal.json" in refused(by_hand(tmp_path / "b.zip", ("journal.csv", b"x", {})))


def test_a_bundle_that_was_cut_off_anywhere_is_refused_in_one_line(tmp_path, capsys):
    data = bundle(tmp_path / "a.tta.zip", run_files(tmp_path / "run")).read_bytes()
    cut = tmp_path / "cut.tta.zip"
    for size in (0, 1, 21, 100, len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:size])
        assert main([str(cut)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1 and "cut.tta.zip" in said.err


def test_a_folder_a_pipe_and_no_file_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "none"):
        refused(tmp_path / name)


@pytest.mark.parametrize(
    "seal", [b"", b"[]", b"{", b'{"format": "x"}', b"[" * 100_000, b'{"a": 1, "a": 2}', b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_a_seal_that_no_version_wrote_is_refused_in_one_line(seal, tmp_path, capsys):
    path = bundle(tmp_path / "a.tta.zip", run_files(tmp_path / "run"), seal=seal)
    assert main([str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "seal.json" in said.err


def test_a_run_called_like_a_path_is_refused(tmp_path, capsys):
    files = run_files(tmp_path / "run")
    path = bundle(tmp_path / "a.tta.zip", files, run="../../evil")
    assert main([str(path)]) == 2 and "which cannot name files" in capsys.readouterr().out
    assert json.loads(zipfile.ZipFile(path).read("seal.json"))["run"] == "../../evil"
