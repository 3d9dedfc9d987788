import errno
import os
import re
import tempfile
from pathlib import Path

import pytest
import trees

from benchmark.rig import storage as module
from benchmark.rig.place import Place
from benchmark.rig.storage import RATES, kind, storage

HERE = Place(why_no_nvml="not asked")


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "data" / "features" / "mini"
    folder.mkdir(parents=True)
    for n in range(3):
        (folder / f"train-{n:05d}.tfrecord").write_bytes(os.urandom(1 << 20))
    return tmp_path / "data"


def test_our_own_shards_are_read_by_one_and_by_many(shards):
    found = storage(HERE, shards, readers=2, seconds=0.05)
    for name, readers in zip(RATES[:2], ("one reader", "2 readers"), strict=True):
        assert found[name].value > 0
        words = re.escape(f"3 shards of 3 MB in {shards}/features/mini")
        assert re.match(rf"{words}(, \d+ times)?, {readers}", found[name].source)
    assert found["readers_utterances_per_s"].why_not.startswith("no manifest of shards")
    assert 0 < found["free_gib"].value < found["storage_gib"].value
    assert sorted(path.name for path in shards.rglob("*") if path.is_file()) == [
        f"train-{n:05d}.tfrecord" for n in range(3)
    ]


def test_utterances_follow_from_the_manifest(shards, monkeypatch):
    """30 utterances in 3 MiB: 10 for each 2^20 bytes."""

    class Shard:
        def __init__(self, n):
            self.file, self.frames, self.bytes = f"train-{n:05d}.tfrecord", [100] * 10, 1 << 20

    class Manifest:
        shards = tuple(map(Shard, range(3)))

    monkeypatch.setattr(module.manifest, "load", lambda folder: Manifest)
    found = storage(HERE, shards, readers=2, seconds=0.05)
    bytes_per_s = found["readers_mb_per_s"].value * 1e6
    assert found["readers_utterances_per_s"].value == pytest.approx(bytes_per_s * 10 / 2**20)


@pytest.mark.parametrize("there", [True, False])
def test_without_shards_a_scratch_file_is_read_and_nothing_is_left(tmp_path, monkeypatch, there):
    monkeypatch.setattr(module, "SCRATCH_BYTES", 2 << 20)
    folder = tmp_path / "data"
    if there:
        folder.mkdir()
    found = storage(HERE, folder, readers=3, seconds=0.05)
    where, why = (folder, f"no shards in {folder}") if there else (tmp_path, f"{folder} is no folder")
    assert found["one_reader_mb_per_s"].source.startswith(f"a scratch file of 2 MiB in {where} ({why}), ")
    assert found["readers_mb_per_s"].value > 0
    assert list(tmp_path.rglob("*")) == ([folder] if there else [])


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(tempfile, "TemporaryFile", errno.EROFS), (tempfile, "TemporaryFile", errno.EACCES), (os, "write", errno.ENOSPC)],
)
def test_a_full_or_read_only_folder_is_a_reason(tmp_path, monkeypatch, owner, name, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(owner, name, fail)
    found = storage(HERE, tmp_path, readers=2, seconds=0.05)
    assert (
        found["one_reader_mb_per_s"].why_not == f"{tmp_path}: {os.strerror(number)}, so that nothing can be read there"
    )
    assert found["storage_gib"].known and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_full_while_it_is_written_to_is_a_reason(tmp_path, monkeypatch):
    """/dev/full fails every write with ENOSPC, as a full disk does."""
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    assert "No space left on device" in storage(HERE, tmp_path, readers=1, seconds=0.05)["one_reader_mb_per_s"].why_not


def test_what_may_not_be_looked_into_is_a_reason(tmp_path):
    (tmp_path / "data").symlink_to(tmp_path / "data")  # in a circle
    assert storage(HERE, tmp_path / "data", readers=1, seconds=0.05)["one_reader_mb_per_s"].known  # of the folder above
    (tmp_path / "x" / "mini").mkdir(parents=True)
    (tmp_path / "x" / "mini" / "a.tfrecord").write_bytes(b"x")
    (tmp_path / "x" / "mini" / "a.tfrecord").chmod(0)
    found = storage(HERE, tmp_path / "x", readers=1, seconds=0.05)["one_reader_mb_per_s"]
    assert os.geteuid() == 0 or found.why_not.endswith("Permission denied, so that nothing can be read there")


def test_a_small_corpus_is_read_again_and_again_and_a_large_one_until_the_time_is_over(shards):
    """Three shards of 2^20 bytes: in no time one pass, of which a block of 2^20 bytes is read."""
    source = storage(HERE, shards, readers=1, seconds=0.2)["one_reader_mb_per_s"].source
    assert int(re.search(r", (\d+) times,", source).group(1)) > 1
    source = storage(HERE, shards, readers=1, seconds=1e-9)["one_reader_mb_per_s"].source
    assert "times" not in source and source.endswith("; only 1 MB")


def test_no_more_readers_are_told_than_there_are_shards(shards):
    assert "3 MB in" in (source := storage(HERE, shards, readers=16, seconds=0.05)["readers_mb_per_s"].source)
    assert ", 3 readers" in source


def test_what_came_from_memory_is_not_called_cold(shards, tmp_path):
    """The kernel's count stands still: nothing came from the storage."""
    place = trees.root(tmp_path / "root", {"/proc/self/io": "rchar: 5\nread_bytes: 4096\n"})
    found = storage(place, shards, readers=1, seconds=0.05)["one_reader_mb_per_s"]
    assert "; not cold: 0% of it came from the storage, the rest from memory" in found.source
    found = storage(trees.root(tmp_path / "none", {}), shards, readers=1, seconds=0.05)["one_reader_mb_per_s"]
    assert "; whether cold is not known" in found.source


@pytest.mark.skipif(kind(HERE, Path("/dev/shm")).value != "memory (tmpfs)", reason="/dev/shm is no tmpfs here")
def test_what_lies_in_memory_is_never_cold(monkeypatch):
    monkeypatch.setattr(module, "SCRATCH_BYTES", 1 << 20)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = storage(HERE, Path(folder), readers=1, seconds=0.05)["one_reader_mb_per_s"]
    assert "one reader; tmpfs is memory: never cold" in found.source


def test_a_rate_beyond_any_drives_is_said_to_be_memorys():
    said = module._doubts(Place(root=Path("/nowhere"), why_no_nvml="-"), Path("/"), 2**30, 1.0, 15_751)
    assert said == ", cold; faster than one drive at PCIe 5.0 x4 (15,750 MB/s): memory's, or of several"
    assert int(4 * 32e9 * 128 / 130 / 8 / 1e6) - 3 == 15_750  # 15,753.8 MB/s


MOUNTS = """\
22 27 0:21 / /proc rw - proc proc rw
27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
28 27 259:2 / /data rw - ext4 /dev/nvme0n1p2 rw
29 28 0:30 / /data/ram rw - tmpfs tmpfs rw
30 27 0:31 / /srv rw - nfs4 server:/export rw
31 27 0:32 / /pool rw - btrfs /dev/sdb rw
32 27 253:0 / /raid rw - xfs /dev/dm-0 rw
33 27 254:0 / /my\\040disk rw - ext4 /dev/vda rw
34 27 0:33 / /box rw - overlay overlay rw
"""


def disks(folder: Path) -> Place:
    block = "/sys/devices/block"
    turning = {"sda": 0, "sdb": 1, "nvme0n1": 0, "vda": 1, "dm-0": 0}
    place = trees.root(
        folder,
        {f"{block}/{name}/queue/rotational": f"{turns}\n" for name, turns in turning.items()}
        | {f"{block}/sda/sda1/partition": "1", f"{block}/nvme0n1/nvme0n1p2/partition": "2"}
        | {"/proc/self/mountinfo": MOUNTS},
    )
    numbers = {"8:1": "sda/sda1", "259:2": "nvme0n1/nvme0n1p2", "253:0": "dm-0", "254:0": "vda"}
    for where, links in (("dev/block", numbers), ("class/block", {"sdb": "sdb"})):
        (folder / "sys" / where).mkdir(parents=True)
        for name, target in links.items():
            (folder / "sys" / where / name).symlink_to(folder / block.lstrip("/") / target)
    (folder / block.lstrip("/") / "dm-0" / "slaves").mkdir()
    for name in ("sda", "sdb"):
        (folder / block.lstrip("/") / "dm-0" / "slaves" / name).symlink_to(folder / block.lstrip("/") / name)
    return place


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("/home", "SSD"),
        ("/data/features", "NVMe SSD"),
        ("/data/ram/features", "memory (tmpfs)"),
        ("/database", "SSD"),  # not below /data
        ("/srv/data", "network (nfs4)"),
        ("/pool/data", "disk"),
        ("/raid", "SSD + disk"),
        ("/my disk/data", "virtual disk"),
    ],
)
def test_the_kind_of_storage_is_that_of_the_device_below_the_folder(tmp_path, folder, value):
    assert kind(disks(tmp_path), Path(folder)).value == value


def test_what_a_containers_layers_lie_on_is_not_known(tmp_path):
    place = disks(tmp_path)
    assert kind(place, Path("/box")).why_not == "/sys/dev/block has no 0:33: overlay on overlay"
    (tmp_path / "proc/self/mountinfo").unlink()
    assert kind(place, Path("/box")).why_not == "/proc/self/mountinfo does not tell what is mounted"
