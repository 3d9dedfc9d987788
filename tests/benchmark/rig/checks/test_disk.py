import errno
import io
import os
import resource
from pathlib import Path

import pytest

from benchmark.rig.checks import disk
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Fact, Place


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Place(root=tmp_path, why_no_nvml="none")


class Full(io.FileIO):
    """A file on a disk with no room, as /dev/full is."""

    number = errno.ENOSPC

    def write(self, _):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the quota is used up"), (errno.EIO, "Input/output error")],
)
def test_a_disk_that_takes_nothing(here, tmp_path, monkeypatch, number, words):
    monkeypatch.setattr(Full, "number", number)
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", lambda **_: Full(tmp_path / "scratch", "w+"))
    found = disk.write(here)
    assert found.status == FAIL and found.found.endswith(words)
    assert disk.read(here).status == UNKNOWN


def test_a_folder_that_may_not_be_written_to(here, tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    assert disk.write(here).found.endswith("the file system is read-only")


def test_files_that_may_not_be_so_large(here):
    """ulimit -f: the kernel refuses the write itself."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, former[1]))
    try:
        written, space = disk.write(here), disk.space(here)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert written.status == FAIL and "ulimit -f" in written.found
    assert space.status == FAIL and "files of at most 1 MiB" in space.found


def test_a_disk_that_is_well_is_written_and_read_and_nothing_is_left(here, tmp_path):
    assert disk.write(here).status in (OK, WARN) and " ms " in disk.write(here).found
    assert " MB/s" in disk.read(here).found
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_folder_is_asked(here, tmp_path):
    assert disk.nearest("results/deep") == tmp_path
    (tmp_path / "results").mkdir()
    assert disk.nearest("results") == tmp_path / "results"


@pytest.mark.parametrize(
    ("gib", "inodes", "status"), [(0.5, 9999, FAIL), (5, 9999, WARN), (50, 9999, OK), (50, 10, FAIL), (50, 0, OK)]
)
def test_room(here, monkeypatch, gib, inodes, status):
    """A file system without a number of inodes, as btrfs, tells 0 of 0."""

    class Room:
        f_bavail, f_frsize, f_files, f_favail = int(gib * 2**30 / 4096), 4096, 10**6 if inodes else 0, inodes

    monkeypatch.setattr(disk.os, "statvfs", lambda _: Room)
    assert disk.space(here).status == status


def test_slow_writes_and_reads(here, monkeypatch):
    monkeypatch.setattr(disk, "_syncs", lambda _: [150.0, 200.0, 900.0])
    assert disk.write(here).status == WARN and disk.write(here).found.startswith("200.0 ms")
    for rate, mib, status in ((40.0, 64, WARN), (400.0, 64, OK), (9000.0, 0, UNKNOWN), (9000.0, None, UNKNOWN)):
        fetched = iter([Fact(0, "io"), Fact(mib * 2**20, "io")] if mib is not None else 2 * [Fact(why_not="no io")])
        monkeypatch.setattr(disk, "_from_storage", lambda _, fetched=fetched: next(fetched))
        monkeypatch.setattr(disk, "_read_mb_s", lambda _, rate=rate: rate)
        assert disk.read(here).status == status


@pytest.mark.parametrize(
    ("mount", "status"), [("ext4", OK), ("tmpfs", WARN), ("9p", WARN), ("nfs4", WARN), ("overlay", OK)]
)
def test_kinds_of_file_systems(here, tmp_path, mount, status):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mounts").write_text(f"/dev/vda / xfs rw 0 0\nnone {tmp_path} {mount} rw 0 0\n")
    assert disk.kind(here).status == status and mount in disk.kind(here).found


def test_the_longest_mount_point_above_a_folder_is_its_own():
    mounts = "/dev/a / ext4 rw\nb /mnt/c 9p rw\nc /mnt/c\\040d nfs rw"
    kinds = [disk.file_system(mounts, Path(path)) for path in ("/mnt", "/mnt/c/x", "/mnt/cc", "/mnt/c d/x")]
    assert kinds == ["ext4", "9p", "ext4", "nfs"]
    assert disk.file_system("", Path("/x")) is None
