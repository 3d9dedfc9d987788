"""Room for checkpoints and features, and how fast it is: the folders results/ and data/ of the folder at hand.

A scratch file of 64 MiB is written into the nearest folder that is there, read and removed.
"""

from __future__ import annotations

import errno
import io
import os
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.rig.checks.check import Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Fact, Place

GIB, MIB = 2**30, 2**20
FOLDERS = ("results", "data")
LEAST_GIB, GOOD_GIB = 1, 10
LIBRISPEECH = "LibriSpeech's 960 hours take 190"
SCRATCH_MIB = 64
SYNCS = 8
SLOW_SYNC_MS = 100
SLOW_READ_MB_S = 100  # 64 GB of features, an epoch of LibriSpeech, are then read in 11 minutes
COLD_SHARE = 0.9  # of the bytes read, that the kernel must have fetched from the storage
IN_MEMORY = ("tmpfs", "ramfs")
OF_WINDOWS = ("9p", "drvfs", "v9fs")
FAR = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone")
REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "it may not be written to",
    errno.EFBIG: "files may not be so large (ulimit -f)",
}


def nearest(folder: str) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    path = Path(folder).absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def space(place: Place) -> Finding:  # noqa: ARG001 - it asks the folder at hand
    told, least = [], float("inf")
    for name in FOLDERS:
        room = os.statvfs(nearest(name))
        free = room.f_bavail * room.f_frsize / GIB
        least = min(least, free)
        told.append(f"{free:.1f} GiB for {name}/")
        if room.f_files and room.f_favail < 1000:
            told[-1] += f", {room.f_favail} inodes"
            least = 0.0
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit not in (resource.RLIM_INFINITY, -1) and limit < GIB:
        told.append(f"files of at most {limit / MIB:.0f} MiB (ulimit -f)")
        least = 0.0
    found, way_out = "; ".join(told), "remove what is not needed, or begin elsewhere: --results and --data name folders"
    if least < LEAST_GIB:
        return fail(found, expected=f"{LEAST_GIB} GiB for `mini`; {LIBRISPEECH}", way_out=way_out)
    if least < GOOD_GIB:
        return warn(found, expected=f"{GOOD_GIB} GiB for studies; {LIBRISPEECH}", way_out=way_out)
    return ok(found)


def kind(place: Place) -> Finding:
    mounts = place.text("/proc/mounts")
    if not mounts.known:
        return unknown(mounts)
    told, bad = [], []
    for name in FOLDERS:
        system = file_system(mounts.value, nearest(name))
        told.append(f"{system or 'not known'} for {name}/")
        if system in IN_MEMORY:
            bad.append("a restart empties it, and it takes memory")
        elif system in OF_WINDOWS:
            bad.append("Windows' files are slow from here")
        elif system in FAR and name == "results":
            bad.append("checkpoints go over the network, inside the clock")
    if bad:
        return warn(f"{', '.join(told)}: {bad[0]}", expected="a disk of its own", way_out="begin in a folder on a disk")
    return ok(", ".join(told))


def file_system(mounts: str, folder: Path) -> str | None:
    """Return the kind of file system of a folder, by the longest mount point above it; None is not known."""
    fields = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    above = [(len(at), kind) for at, kind in fields if folder.is_relative_to(at.replace("\\040", " "))]
    return max(above, default=(0, None))[1]


def write(place: Place) -> Finding:  # noqa: ARG001 - it asks the folder at hand
    folder = nearest(FOLDERS[0])
    try:
        with _scratch(folder) as file:
            times_ms = _syncs(file)
    except OSError as error:
        reason = REASONS.get(error.errno, error.strerror or type(error).__name__)
        return fail(
            f"{SCRATCH_MIB} MiB could not be written to {folder.name or folder}/: {reason}",
            expected="a folder that takes checkpoints",
            way_out="make room, or begin in a folder that may be written to",
        )
    usual = statistics.median(times_ms)
    told = f"{usual:.1f} ms to keep a small write (fsync, median of {SYNCS}, at most {max(times_ms):.1f})"
    if usual > SLOW_SYNC_MS:
        return warn(told, expected=f"at most {SLOW_SYNC_MS} ms", way_out="a local disk, or end what writes to this one")
    return ok(told)


def read(place: Place) -> Finding:
    folder = nearest(FOLDERS[1])
    try:
        with _scratch(folder) as file:
            before = _from_storage(place)
            rate = _read_mb_s(file)
            after = _from_storage(place)
    except OSError as error:
        return unknown(f"no scratch file in {folder.name or folder}/: {error.strerror}")
    if not before.known or not after.known:
        return unknown(f"{rate:.0f} MB/s, from memory or not ({before.why_not or after.why_not})")
    if after.value - before.value < COLD_SHARE * SCRATCH_MIB * MIB:
        return unknown(f"{rate:.0f} MB/s, and not from the storage: the kernel had it in memory")
    told = f"{rate:.0f} MB/s, one reader, {SCRATCH_MIB} MiB not in the page cache"
    if rate < SLOW_READ_MB_S:
        return warn(
            told, expected=f"at least {SLOW_READ_MB_S} MB/s", way_out="a faster disk, or memory that holds the features"
        )
    return ok(told)


@contextmanager
def _scratch(folder: Path) -> Iterator[io.FileIO]:
    """Write a file without a name that no file system compresses, and keep it on the disk for sure."""
    block = os.urandom(MIB)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SCRATCH_MIB):
            file.write(block)
        os.fsync(file.fileno())
        yield file


def _syncs(file: io.FileIO) -> list[float]:
    """Return the milliseconds that small writes take until they are on the disk."""
    times_ms = []
    for _ in range(SYNCS):
        began_s = time.monotonic()
        file.write(b"a row of a journal\n")
        os.fsync(file.fileno())
        times_ms.append(1000 * (time.monotonic() - began_s))
    return times_ms


def _from_storage(place: Place) -> Fact:
    """Return how many bytes the kernel has fetched from storage for this process."""
    found = place.text("/proc/self/io").then(lambda text: re.search(r"^read_bytes: (\d+)", text, re.MULTILINE))
    return found.then(lambda match: int(match.group(1)))


def _read_mb_s(file: io.FileIO) -> float:
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    file.seek(0)
    began_s, count, buffer = time.monotonic(), 0, bytearray(MIB)
    while got := file.readinto(buffer):
        count += got
    return count / 1e6 / max(1e-6, time.monotonic() - began_s)


CHECKS = (
    Check(name="disk.space", asks="is there room for checkpoints and features?", look=space),
    Check(name="disk.kind", asks="are they on a disk of this machine?", look=kind),
    Check(name="disk.write", asks="can checkpoints be written, and kept?", look=write, limit_s=60),
    Check(name="disk.read", asks="how fast are features read?", look=read, limit_s=60),
)
