"""How fast a machine reads what training reads: our own shards, cold, by one reader and by many; each value a Fact.

    found = storage(place, Path("data"), readers=8, seconds=2)
    found["one_reader_mb_per_s"], found["readers_mb_per_s"], found["readers_utterances_per_s"]
    found["storage"], found["storage_gib"], found["free_gib"]

Without shards under the folder a scratch file is written there, and is gone afterwards. A file's pages are given back
(posix_fadvise DONTNEED after fsync), and the kernel's count of bytes that came from the storage
(/proc/self/io, read_bytes) tells whether that worked: in memory (tmpfs) it cannot. A hypervisor's, a controller's or
a file server's memory cannot be emptied from here, so a rate beyond any drive's is said to be memory's.
MB are 10^6 bytes, GiB 2^30.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice, repeat
from pathlib import Path

from benchmark.rig.place import Fact, Place
from features.shards import manifest

BLOCK = 1 << 20  # bytes of one read
SCRATCH_BYTES = 64 << 20
SCRATCH_S = 3.0  # after which no more is written
MOST_BYTES = 1 << 30  # that are read of shards
MOST_FILES = 64
FEW_BYTES = 16 << 20  # below which a rate says little
SHARDS = ("*.tfrecord", "*/*.tfrecord", "features/*/*.tfrecord")
"""Where shards are looked for below a folder: not everywhere, as corpora lie beside them, of very many files."""
COLD_SHARE = 0.9  # of the bytes read that must have come from the storage
LARGEST_MB_PER_S = 15_750.0  # of PCIe 5.0 x4: 4 lanes of 32 GT/s, 128 of 130 bits (PCI-SIG)
RATES = ("one_reader_mb_per_s", "readers_mb_per_s", "readers_utterances_per_s")
MEMORY = ("tmpfs", "ramfs")
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "lustre", "ceph", "beegfs", "gpfs", "9p", "virtiofs", "fuse.sshfs", "afs")
GIB = 2**30


@dataclass(frozen=True)
class Piece:
    """A part of an open file that one reader takes at a time."""

    file: int
    start: int
    length: int


@dataclass(frozen=True)
class Source:
    """What is read: its pieces, in words, and how many utterances a byte holds; None if that is not known."""

    pieces: tuple[Piece, ...]
    words: str
    utterances_per_byte: float | None = None


def storage(place: Place, folder: Path, *, readers: int, seconds: float = 2.0) -> dict[str, Fact]:
    """Return the facts of the storage that holds a folder; each rate takes `seconds` at most."""
    there = existing(folder)
    with contextlib.ExitStack() as stack:
        try:
            source: Source | OSError = stack.enter_context(_source(folder, there, readers))
        except OSError as error:
            source = error
        one, many = (rate(place, source, there, readers=n, seconds=seconds) for n in (1, readers))
    utterances = Fact(why_not="no manifest of shards says how many utterances they hold")
    if isinstance(source, Source) and source.utterances_per_byte:
        utterances = many.then(lambda rate: rate * 1e6 * source.utterances_per_byte)
    return {
        "storage": kind(place, there),
        "storage_gib": capacity_gib(there),
        "free_gib": _space(there, lambda found: found.f_bavail * found.f_frsize / GIB),
        "one_reader_mb_per_s": one,
        "readers_mb_per_s": many,
        "readers_utterances_per_s": utterances,
    }


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    if os.path.isdir(folder):
        return folder
    folder = Path(os.path.abspath(folder))
    return next((each for each in (folder, *folder.parents) if os.path.isdir(each)), Path("/"))


# --- rates -----------------------------------------------------------------------------------------------------------


def rate(place: Place, source: Source | OSError, folder: Path, *, readers: int, seconds: float) -> Fact:
    """Return how many MB/s so many readers take together, over as many passes as fit into the time, one at least."""
    if isinstance(source, OSError):
        return Fact(why_not=f"{source.filename or folder}: {source.strerror}, so that nothing can be read there")
    readers = min(readers, len(source.pieces))
    shares = [source.pieces[n::readers] for n in range(readers)]
    before, until, total, spent, passes = _from_storage(place), 0.0, 0, 0.0, 0
    try:
        with ThreadPoolExecutor(readers) as pool:
            while not passes or time.monotonic() < until:
                _forget({piece.file for piece in source.pieces})
                start = time.monotonic()
                until = until or start + seconds  # files that were just written take a while to forget
                total += sum(pool.map(_read, shares, repeat(until)))
                spent, passes = spent + time.monotonic() - start, passes + 1
                if not total:
                    return Fact(why_not=f"{source.words} are empty")
    except OSError as error:
        return Fact(why_not=f"{folder}: {error.strerror} while it was read")
    found, after = total / 1e6 / spent, _from_storage(place)
    share = (after - before) / total if before is not None and after is not None else None
    again = f", {passes} times" if passes > 1 else ""
    return Fact(found, f"{source.words}{again}, {_readers(readers)}{_doubts(place, folder, total, share, found)}")


def _forget(files: set[int]) -> None:
    """Give back the pages of open files, so that they are read from the storage again."""
    for file in files:
        with contextlib.suppress(OSError):
            os.fsync(file)  # pages that are not written yet cannot be given back
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _readers(count: int) -> str:
    return "one reader" if count == 1 else f"{count} readers"


def _doubts(place: Place, folder: Path, total: int, share: float | None, mb_per_s: float) -> str:
    """Say whether the bytes came from the storage, as far as can be told, and what else makes the rate doubtful."""
    system = mount(place, folder).system
    if system in MEMORY:
        doubts = f"; {system} is memory: never cold"
    elif share is None:
        doubts = "; whether cold is not known: /proc/self/io does not tell read_bytes"
    elif share < COLD_SHARE:
        doubts = f"; not cold: {max(0.0, share):.0%} of it came from the storage, the rest from memory"
    else:
        doubts = ", cold"
    if mb_per_s > LARGEST_MB_PER_S and system not in MEMORY:
        doubts += f"; faster than one drive at PCIe 5.0 x4 ({LARGEST_MB_PER_S:,.0f} MB/s): memory's, or of several"
    return doubts + (f"; only {total / 1e6:.0f} MB" if total < FEW_BYTES else "")


def _read(pieces: tuple[Piece, ...], until: float) -> int:
    """Read pieces one after another until a moment of time.monotonic(), a block at least; return how many bytes."""
    buffer, total = bytearray(BLOCK), 0
    for piece in pieces:
        at, end = piece.start, piece.start + piece.length
        while at < end and not (total and time.monotonic() >= until):
            got = os.preadv(piece.file, [memoryview(buffer)[: min(BLOCK, end - at)]], at)
            if not got:
                break
            at += got
            total += got
    return total


def _from_storage(place: Place) -> int | None:
    """Return how many bytes this process had fetched from the storage so far."""
    found = re.search(r"^read_bytes: (\d+)", place.text("/proc/self/io").value or "", re.MULTILINE)
    return int(found.group(1)) if found else None


@contextlib.contextmanager
def _source(folder: Path, there: Path, readers: int) -> Iterator[Source]:
    """Open shards of the folder, or a scratch file in it if it has none, and close them at the end."""
    files = list(islice(_shards(folder), MOST_FILES))
    with contextlib.ExitStack() as stack:
        if not files:
            scratch = stack.enter_context(tempfile.TemporaryFile(dir=there))
            written = _fill(scratch.fileno())
            length = -(-written // readers)
            pieces = tuple(Piece(scratch.fileno(), n * length, length) for n in range(readers))
            why = f"no shards in {folder}" if os.path.isdir(folder) else f"{folder} is no folder"
            yield Source(pieces, f"a scratch file of {written >> 20} MiB in {there} ({why})")
            return
        opened: list[Piece] = []
        for path in files:
            file = os.open(path, os.O_RDONLY)
            stack.callback(os.close, file)
            opened.append(Piece(file, 0, os.fstat(file).st_size))
            if sum(piece.length for piece in opened) >= MOST_BYTES:
                break
        size, folders = sum(piece.length for piece in opened), sorted({path.parent for path in files[: len(opened)]})
        shards = f"{len(opened)} shards" if len(opened) > 1 else "1 shard"
        words = f"{shards} of {size / 1e6:.0f} MB in {', '.join(map(str, folders[:3]))}"
        yield Source(tuple(opened), words, _utterances_per_byte(files[: len(opened)]))


def _shards(folder: Path) -> Iterator[Path]:
    """Yield shards, those of the folder with the most first."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(path for pattern in SHARDS for path in folder.glob(pattern)):
        if os.path.isfile(path):
            by_folder.setdefault(path.parent, []).append(path)
    for _, paths in sorted(by_folder.items(), key=lambda item: -len(item[1])):
        yield from paths


def _utterances_per_byte(paths: list[Path]) -> float | None:
    utterances = size = 0
    for folder in {path.parent for path in paths}:
        try:
            shards = {shard.file: shard for shard in manifest.load(folder).shards}
        except (ValueError, OSError):
            return None
        for path in paths:
            if path.parent == folder and path.name in shards:
                utterances += len(shards[path.name].frames)
                size += shards[path.name].bytes
    return utterances / size if utterances and size else None


def _fill(file: int) -> int:
    """Write a scratch file, of bytes that cannot be compressed, and have them on the storage; return how many."""
    until = time.monotonic() + SCRATCH_S
    for written in count(BLOCK, BLOCK):
        os.write(file, os.urandom(BLOCK))
        if not written % (8 * BLOCK):
            os.fsync(file)
        if written >= SCRATCH_BYTES or time.monotonic() > until:
            os.fsync(file)
            return os.fstat(file).st_size
    raise AssertionError


# --- what kind -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mount:
    """A mounted file system: its type ("ext4"), what is mounted ("/dev/sda1"), the device's number ("8:1")."""

    system: str = ""
    what: str = ""
    device: str = ""


def mount(place: Place, folder: Path) -> Mount:
    """Return the file system that holds a folder, by /proc/self/mountinfo (its format: proc(5))."""
    found, longest, real = Mount(), -1, Path(os.path.realpath(folder))
    for line in (place.text("/proc/self/mountinfo").value or "").splitlines():
        mounted, _, rest = line.partition(" - ")
        fields, kinds = mounted.split(), rest.split()
        if len(fields) < 5 or len(kinds) < 2:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
        if len(point) >= longest and real.is_relative_to(point):  # of equal ones the last is on top
            found, longest = Mount(kinds[0], kinds[1], fields[2]), len(point)
    return found


def kind(place: Place, folder: Path) -> Fact:
    """Return the kind of storage: "NVMe SSD", "SSD", "disk", "memory (tmpfs)", "network (nfs4)"."""
    on = mount(place, folder)
    if not on.system:
        return Fact(why_not="/proc/self/mountinfo does not tell what is mounted")
    if on.system in MEMORY or on.system in NETWORK:
        what = "memory" if on.system in MEMORY else "network"
        return Fact(f"{what} ({on.system})", "/proc/self/mountinfo")
    device = place.path(f"/sys/dev/block/{on.device}").resolve()
    if not device.is_dir() and on.what.startswith("/dev/"):  # btrfs and others have device numbers of their own
        device = place.path(f"/sys/class/block/{on.what.removeprefix('/dev/')}").resolve()
    if not device.is_dir():
        return Fact(why_not=f"/sys/dev/block has no {on.device}: {on.system} on {on.what}")
    return _of_device(device)


def _of_device(device: Path) -> Fact:
    """Return the kind of a block device, of a partition, or of what several devices make up."""
    if not (device / "queue").is_dir():
        device = device.parent  # a partition is a folder in that of its device
    if parts := sorted((device / "slaves").glob("*")):
        found = [_of_device(part.resolve()) for part in parts]
        if not all(fact.known for fact in found):
            return next(fact for fact in found if not fact.known)
        return Fact(" + ".join(sorted({fact.value for fact in found})), f"/sys/block/{device.name}/slaves")
    where = f"/sys/block/{device.name}/queue/rotational"
    try:
        turns = (device / "queue" / "rotational").read_text().strip()
    except OSError as error:
        return Fact(why_not=f"{where}: {error.strerror}")
    if turns not in ("0", "1"):
        return Fact(why_not=f"{where}: {turns!r:.20}; expected 0 or 1")
    name = "NVMe SSD" if device.name.startswith("nvme") else "SSD" if turns == "0" else "disk"
    if device.name.startswith(("vd", "xvd")):
        return Fact(f"virtual {name}", f"{where}, as the hypervisor says")
    return Fact(name, where)


def capacity_gib(folder: Path) -> Fact:
    """Return the size of the file system that holds a folder."""
    return _space(folder, lambda found: found.f_blocks * found.f_frsize / GIB)


def _space(folder: Path, size: Callable[[os.statvfs_result], float]) -> Fact:
    try:
        return Fact(size(os.statvfs(folder)), f"statvfs of {folder}")
    except OSError as error:
        return Fact(why_not=f"{folder}: {error.strerror}")
