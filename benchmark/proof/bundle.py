"""The form of a sealed run: one zip file, whose members have fixed names, and whose bytes follow from them alone.

    write_bundle(path, [Member("journal.csv", ...), ...])   # sealing twice gives the same bytes
    with opened(path) as bundle:                            # BundleError for what is no such file, in one line
        bundle.names, bundle.text("run/run.json")
        bundle.sha256("run/checkpoints/ckpt-21.weights")

Members stand in the order of their names, with the date 1980-01-01, without extra fields. Texts are deflated at level
6, and checkpoints stored as they are, since weights do not get smaller. Level 6 of another zlib may give other bytes:
what is sealed are the members, by their SHA-256, and not the zip around them.

A reader trusts nothing: only names that a sealed run can have, each once; no links, encryption, comment or other
compression; no bytes before, between or after the members; sizes and ratios within LIMITS. Nothing is unpacked to find
that out, and nothing is ever written to where a member's name says.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

ENDING = ".tta.zip"
DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can hold
LEVEL = 6
PIECE_BYTES = 1 << 20
MIB, GIB = 1 << 20, 1 << 30

SEAL, SIGNATURE = "seal.json", "seal.json.sig"
JOURNAL, FOLDER = "journal.csv", "run/"
MANIFEST = "features/manifest.json"
SAID = "features/said.json"
CHECKPOINT = re.compile(r"run/checkpoints/ckpt-(\d{1,12})\.(index|weights|data-00000-of-00001)")

LIMITS = {
    r"seal\.json": 64 * MIB,
    r"seal\.json\.sig": MIB // 16,
    r"journal\.csv": 256 * MIB,
    r"run/run(-attempt-\d{1,4})?\.json": 4 * MIB,
    r"run/end\.json": MIB,
    r"run/(utilisation(-rank\d{1,4})?|hosts)\.csv": 512 * MIB,
    r"run/(sentences|hypotheses)\.jsonl": 512 * MIB,
    r"run/words\.txt": 64 * MIB,
    r"features/(manifest|said)\.json": 256 * MIB,
    r"run/checkpoints/ckpt-\d{1,12}\.index": 16 * MIB,
    r"run/checkpoints/ckpt-\d{1,12}\.(weights|data-00000-of-00001)": 64 * GIB,
}
"""The names that a member may have, and the most bytes that it may be unpacked."""

MOST_MEMBERS = 1000
MOST_RATIO = 200  # unpacked / packed; sentences that repeat one word come to some 50
SMALL = MIB  # of less any ratio will do
LOCAL_HEADER, DIRECTORY_HEADER, DIRECTORY_END = 30, 46, 22  # bytes, without names


class BundleError(ValueError):
    """A file that is no sealed run, or one that is not taken; the message is one line."""


@dataclass(frozen=True)
class Member:
    """A file of a sealed run: its name, and what opens its bytes."""

    name: str
    open: Callable[[], BinaryIO]

    @property
    def is_stored(self) -> bool:
        """Whether it is not compressed."""
        match = CHECKPOINT.fullmatch(self.name)
        return bool(match) and match[2] != "index"

    def digest(self) -> tuple[int, str]:
        """Return its size in bytes and its SHA-256."""
        size, found = 0, hashlib.sha256()
        with self.open() as stream:
            while piece := stream.read(PIECE_BYTES):
                size += len(piece)
                found.update(piece)
        return size, found.hexdigest()


def write_bundle(path: Path, members: Sequence[Member]) -> None:
    """Write a bundle, whole or not at all; one of the same bytes that is there already is left as it is.

    Raises:
        BundleError: another file is there.
        OSError: it cannot be written.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(beside, "w", allowZip64=True) as archive:
            for member in sorted(members, key=lambda each: each.name):
                _write(archive, member)
        if path.exists() and not _same(path, beside):
            raise BundleError(f"{path}: another file is there already; choose another -o")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write(archive: zipfile.ZipFile, member: Member) -> None:
    info = zipfile.ZipInfo(member.name, DATE)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16  # of Unix, wherever it is made
    info.compress_type = zipfile.ZIP_STORED if member.is_stored else zipfile.ZIP_DEFLATED
    info._compresslevel = LEVEL  # type: ignore[attr-defined]  # Python 3.13 names it compress_level, and takes both
    size, _ = member.digest()
    info.file_size = size  # so that large ones alone get the fields of zip64
    with member.open() as stream, archive.open(info, "w") as written:
        while piece := stream.read(PIECE_BYTES):
            written.write(piece)


def _same(path: Path, other: Path) -> bool:
    one, two = (Member(each.name, lambda each=each: each.open("rb")).digest() for each in (path, other))  # type: ignore[misc]
    return one == two


# --- reading ---------------------------------------------------------------------------------------------------------


class Bundle:
    """An open bundle, whose members' names, sizes and places have been checked; their bytes have not."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(info.filename for info in self._archive.infolist())

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def size(self, name: str) -> int:
        return self._archive.getinfo(name).file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes in pieces. Raises BundleError where they cannot be unpacked, or are too many."""
        left = self.size(name)
        with _refusing(self.path), self._archive.open(name) as stream:
            while piece := stream.read(PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise BundleError(f"{self.path}: {name} has more bytes than it says: not unpacked")
                yield piece
        if left:
            raise BundleError(f"{self.path}: {name} has fewer bytes than it says; expected a whole file")

    def bytes(self, name: str) -> bytes:
        return b"".join(self.pieces(name))

    def sha256(self, name: str) -> str:
        found = hashlib.sha256()
        for piece in self.pieces(name):
            found.update(piece)
        return found.hexdigest()

    def unpack(self, name: str, path: Path) -> None:
        """Write a member's bytes to a file that is ours to name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for piece in self.pieces(name):
                file.write(piece)

    @property
    def checkpoints(self) -> dict[int, bool]:
        """The checkpoints by the batches trained, and whether they are whole: with the optimiser's state."""
        found = (CHECKPOINT.fullmatch(name) for name in self.names)
        return {int(match[1]): match[2] != "weights" for match in found if match and match[2] != "index"}


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle and check its form. Raises BundleError for what is none, or is not taken."""
    with _refusing(path):
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():  # a pipe would be waited for
            raise BundleError(f"{path}: no plain file; expected a sealed run ({ENDING})")
        archive = zipfile.ZipFile(path)
    with archive:
        with _refusing(path):
            if problem := _problem(archive, os.stat(path).st_size):
                raise BundleError(f"{path}: {problem}; expected a sealed run, as python -m benchmark.seal writes it")
        yield Bundle(path, archive)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn everything that a hostile file makes zipfile raise into one line."""
    try:
        yield
    except BundleError:
        raise
    except FileNotFoundError:
        raise BundleError(f"{path}: no such file; expected a sealed run ({ENDING})") from None
    except IsADirectoryError:
        raise BundleError(f"{path}: a folder; expected a sealed run ({ENDING})") from None
    except zipfile.BadZipFile as error:
        why = str(error).splitlines()[0][:100]
        raise BundleError(f"{path}: no whole zip file ({why}); expected a sealed run ({ENDING})") from None
    except (zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError, OverflowError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BundleError(f"{path}: cannot be read as a zip file ({why!r}); expected a sealed run ({ENDING})") from None
    except MemoryError:
        raise BundleError(f"{path}: says that it is larger than memory; expected a sealed run ({ENDING})") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from None


def _problem(archive: zipfile.ZipFile, size: int) -> str:
    """Say what is wrong with a zip file's form; "" if nothing is."""
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        return f"{len(infos)} members; at most {MOST_MEMBERS} are read"
    for info in infos:
        if problem := _problem_of(info):
            return problem
    names = [info.filename for info in infos]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"{twice} is in it twice"
    if SEAL not in names:
        return f"a zip file without {SEAL}"
    return _problem_of_places(archive, infos, size)


def _problem_of(info: zipfile.ZipInfo) -> str:
    shown = repr(info.orig_filename[:80])
    most = next((limit for pattern, limit in LIMITS.items() if re.fullmatch(pattern, info.orig_filename)), None)
    if most is None:
        return f"found {shown}, which a sealed run has not"
    if info.flag_bits & 0x1:
        return f"{shown} is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"{shown} is compressed by method {info.compress_type}, which a sealed run is not"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return f"{shown} is no plain file but a link, folder or device"
    if info.file_size > most:
        return f"{shown} would be {info.file_size} bytes unpacked; at most {most} are read"
    if info.file_size > SMALL and info.file_size > MOST_RATIO * info.compress_size:
        return f"{shown} would be unpacked to more than {MOST_RATIO} times its size"
    return ""


def _problem_of_places(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], size: int) -> str:
    """Say where bytes belong to no member or to two: what is before, between or after them nobody has sealed."""
    if archive.comment:
        return "a comment at its end"
    place, directory = 0, 0
    for info in sorted(infos, key=lambda each: each.header_offset):
        named = len(info.orig_filename.encode())
        if info.header_offset != place:
            return "bytes before or between its members, or members that share some"
        place += LOCAL_HEADER + named + info.compress_size + _local_extra(archive, info)
        directory += DIRECTORY_HEADER + named + len(info.extra) + len(info.comment)
    end = place + directory + DIRECTORY_END
    zip64 = 56 + 20  # the end of a directory with zip64 fields, and its locator
    if archive.start_dir != place or size not in (end, end + zip64):
        return "bytes between its members and its directory, or after it"
    return ""


def _local_extra(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return the bytes of a member's extra field before its data."""
    file = archive.fp
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER)
    if len(header) < LOCAL_HEADER:
        raise zipfile.BadZipFile("a member's header is cut off")
    _, extra = struct.unpack("<HH", header[26:30])
    return extra
