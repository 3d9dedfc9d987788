"""LibriSpeech and its language models by HTTP: resumable, md5-checked, safely unpacked.

    python -m features.download DEST --subsets dev-clean train-clean-100
    python -m features.download DEST --language-models 3-gram.pruned.1e-7    # a language model, and no subset

    DEST/SUBSET/SPEAKER/CHAPTER/...    a whole subset: DEST is the corpus root
    DEST/MODEL.arpa                    a whole language model, in lower case
    DEST/SUBSET.tar.gz, MODEL.arpa.gz  archives with the right md5 (.part: not whole yet; .bad: wrong md5)
    DEST/.SUBSET|MODEL.unpacking       a subset or model being unpacked; removed when that fails

A name is a state: files and folders get their final name by one rename, after the last check. So whatever fails,
the same command goes on from there. Exit status: 0 all asked for is there, 2 not (the last line on standard error
says why), 130 stopped by Ctrl-C.

The models are published in UPPER CASE, and our transcripts are in lower case: to a decoder all our words would be
unknown. So a model is lower-cased while it is unpacked; of ARPA's own words only <UNK> changes, and 1e-3 means 1E-3.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import re
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from features.jobs.progress import progress
from features.jobs.streams import one_line, parse, reported

BASE_URL = "https://www.openslr.org/resources"
TRIES, TIMEOUT_S, BLOCK = 5, 60.0, 1 << 18  # tries in a row without a new byte; bytes read at once
BOMB_FACTOR, BOMB_FLOOR = 2, 1 << 20  # unpacked, at most twice the archive and some room for tar's padding
ARPA_BOMB_FACTOR = 12  # text and digits: gzip makes them three to four times smaller
AGAIN = "run the same command again to fetch it afresh, or from another server with --url"


@dataclass(frozen=True)
class Archive:
    """One subset's archive. The size is exact, so that a wrong file is noticed before it is downloaded."""

    name: str
    md5: str
    size: int  # bytes

    resource: ClassVar[int] = 12  # OpenSLR's number: the archive is at BASE/12/NAME.tar.gz
    suffix: ClassVar[str] = ".tar.gz"
    growth: ClassVar[float] = 1.05  # bytes unpacked per byte of archive: FLAC does not compress further

    def is_in(self, dest: Path) -> bool:
        return any((dest / self.name).glob("*"))

    def unpack(self, path: Path, dest: Path) -> Path:
        return unpack(path, dest, subset=self.name)


@dataclass(frozen=True)
class LanguageModel(Archive):
    """One n-gram model's archive: ARPA text, gzipped. The larger the number behind "pruned", the smaller the model."""

    resource: ClassVar[int] = 11
    suffix: ClassVar[str] = ".arpa.gz"
    growth: ClassVar[float] = 3.5  # an estimate: the unpacked sizes are not published

    def is_in(self, dest: Path) -> bool:
        return (dest / f"{self.name}.arpa").is_file()

    def unpack(self, path: Path, dest: Path) -> Path:
        return unpack_model(path, dest, name=self.name)


LIBRISPEECH = (
    Archive("dev-clean", "42e2234ba48799c1f50f24a7926300a1", 337_926_286),
    Archive("dev-other", "c8d0bcc9cca99d4f8b62fcc847357931", 314_305_928),
    Archive("test-clean", "32fa31d27d2e1cad72775fee3f4849a9", 346_663_984),
    Archive("test-other", "fb5a50374b501bb3bac4815ee91d3135", 328_757_843),
    Archive("train-clean-100", "2a93770f6d5c6c964bc36631d331a522", 6_387_309_499),
    Archive("train-clean-360", "c0e676e450a7ff2f54aeade5171606fa", 23_049_477_885),
    Archive("train-other-500", "d1a0fd59409feb2c614ce4d30c387708", 30_593_501_606),
)
LANGUAGE_MODELS = (
    LanguageModel("3-gram", "74cbb837e582378c26c602e1c8cbcb9c", 759_636_181),
    LanguageModel("3-gram.pruned.1e-7", "9a0f1325bcaf3a0f7b7be4be10823c2a", 34_094_057),
    LanguageModel("3-gram.pruned.3e-7", "8f67ec741827742eee05799ab7605b50", 13_654_242),
    LanguageModel("4-gram", "6abdcd5b055bd482e4f9defe91d40408", 1_355_172_078),
)


class DownloadError(ValueError):
    """A download that cannot be done; the message says what was found, what was expected, and the way out."""


def download(archive: Archive, folder: Path, *, base_url: str = BASE_URL, sleep: Callable = time.sleep) -> Path:
    """Download what an archive lacks, check its md5 and return its path; one that is there is only checked."""
    if not re.fullmatch(r"https?://(\[[\da-f:]+\]|[^/:\s]+)(:\d+)?(/\S*)?", base_url):
        raise DownloadError(f"--url: found {base_url!r}, expected an address as in {BASE_URL}")
    final = folder / f"{archive.name}{archive.suffix}"
    path = final if final.exists() else Path(f"{final}.part")
    if path != final:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(f"{base_url.rstrip('/')}/{archive.resource}/{final.name}", path, size=archive.size, sleep=sleep)
    if (found := _md5(path)) != archive.md5:
        bad = path.replace(f"{final}.bad")
        raise DownloadError(f"{path}: found md5 {found}, expected {archive.md5}. Delete {bad} and {AGAIN}")
    return path.replace(final)


def _fetch(url: str, part: Path, *, size: int, sleep: Callable) -> None:
    """Request until `part` has `size` bytes. Raises ConnectionError for what another try may mend."""
    failures, farthest = 0, _size(part)
    while _size(part) != size:  # a whole part is never asked for: the server would answer 416
        try:
            _receive(url, part, size=size)
        except ConnectionError as broken:
            # Only bytes never had before count, or a server that restarts and breaks would be asked for ever.
            failures = 0 if _size(part) > farthest else failures + 1
            farthest = max(farthest, _size(part))
            if failures == TRIES:
                raise DownloadError(f"{url}: {broken}; {TRIES} tries in vain. Try later or another --url") from broken
            _say(f"{url}: {broken}; trying again in {2**failures} s")
            sleep(2.0**failures)


def _receive(url: str, part: Path, *, size: int) -> None:
    """Make one request for the bytes that `part` lacks of `size`."""
    start = _size(part) if _size(part) < size else 0
    with _ask(url, start=start) as answer:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        begin, total = (int(span[1]), span[2]) if span else (0, answer.headers.get("Content-Length"))
        if total not in (None, "*", str(size)):
            raise DownloadError(f"{url}: found {total} bytes, expected {size}. Try another server with --url")
        if begin not in (0, start):
            part.unlink(missing_ok=True)  # this server cannot resume it, so the next try starts from zero
            raise ConnectionError(f"found {answer.headers.get('Content-Range')!r}, expected bytes from {start} on")
        if begin < start:
            _say(f"{url}: the server does not resume; starting from zero")
        with (
            part.open("ab" if begin else "wb") as file,
            progress(f"download {part.stem}", total=size - begin, unit="bytes") as advance,
        ):
            for block in _blocks(answer, at_most=size - begin):
                file.write(block)
                advance(len(block))
    if _size(part) < size:
        raise ConnectionError(f"the connection ended at byte {_size(part)} of {size}")


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https only; urllib would follow them to ftp too."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.HTTPError(req.full_url, code, f"{msg} to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _ask(url: str, *, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "features.download"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        asked = urllib.request.Request(url, headers=headers)
        return urllib.request.build_opener(_WebOnly).open(asked, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        reason = str(error.reason).partition("\n")[0]
        found = f"found HTTP {error.code} {reason}, expected the file from byte {start} on"
        if error.code in (408, 425, 429) or error.code >= 500:
            raise ConnectionError(found) from error
        raise DownloadError(f"{url}: {found}. Check the address, or give another with --url") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: led to what is no address
        raise ConnectionError(f"no connection ({getattr(error, 'reason', error)})") from error


def _blocks(answer: http.client.HTTPResponse, *, at_most: int) -> Iterator[bytes]:
    """Yield the body as it comes in. Only reading is guarded here: a full disk is no broken connection."""
    try:
        while block := answer.read1(min(BLOCK, at_most)):  # read() would lose what came in before a reset
            at_most -= len(block)
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"the connection broke ({error})") from error


def _md5(path: Path) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file, progress(f"check {path.name}", total=_size(path), unit="bytes") as advance:
        while block := file.read(BLOCK):
            md5.update(block)
            advance(len(block))
    return md5.hexdigest()


def unpack(archive_path: Path, dest: Path, *, subset: str) -> Path:
    """Unpack an archive's subset as DEST/SUBSET, whole or not at all; return its path. An existing one stays."""
    final, work = dest / subset, dest / f".{subset}.unpacking"  # the dot hides it from read_corpus
    if any(final.glob("*")):
        return final
    shutil.rmtree(work, ignore_errors=True)  # left by a killed process
    work.mkdir(parents=True)
    try:
        with _blamed(archive_path):
            _extract(archive_path, work)
            if not any((work / subset).glob("*")):
                raise DownloadError(f"found nothing in LibriSpeech/{subset}, expected the subset")
        for text in work.glob("*.TXT"):
            text.replace(dest / text.name)  # the same in every archive
        return (work / subset).rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _blamed(archive_path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into one sentence about it. Other errors, such as a full disk, pass."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        found = f"found a member twice, or as file and folder ({Path(error.filename).name}), expected each once"
        raise DownloadError(f"{archive_path}: {found}; nothing unpacked. Delete it and {AGAIN}") from error
    except (ValueError, OverflowError, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DownloadError(f"{archive_path}: {error}; nothing unpacked. Delete it and {AGAIN}") from error


def _extract(archive_path: Path, folder: Path) -> None:
    size = _size(archive_path)
    # GzipFile under a plain tar, for tarfile's own "r|gz" checks no CRC and takes a cut file for whole.
    with gzip.open(archive_path) as plain, progress(f"unpack {archive_path.name}", total=size, unit="bytes") as advance:
        with tarfile.open(fileobj=plain, mode="r|", bufsize=BLOCK) as tar:
            for member in tar:
                _extract_member(tar, member, folder, limit=size * BOMB_FACTOR + BOMB_FLOOR)
                advance(member.size)  # together about the archive's size, as FLAC hardly compresses
        while plain.read(BLOCK):  # the CRC stands at the very end
            pass


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, *, limit: int) -> None:
    """Extract a member after checking its path: not every Python 3.11 has tarfile's own filters."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("LibriSpeech",):
        raise DownloadError(f"found member {member.name!r}, expected names under LibriSpeech/ only")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise DownloadError(f"found link or special file {member.name!r}, expected plain files and folders")
    if (end := member.offset_data + member.size) > limit:
        raise DownloadError(f"member {member.name!r} ends at byte {end}, expected at most {limit} here")
    target = folder.joinpath(*path.parts[1:])
    (target if member.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
    if member.isreg():
        with target.open("xb") as file:
            shutil.copyfileobj(tar.extractfile(member), file, BLOCK)


def unpack_model(archive_path: Path, dest: Path, *, name: str) -> Path:
    """Unpack DEST/NAME.arpa in lower case, whole or not at all; return its path. An existing one stays."""
    final, work = dest / f"{name}.arpa", dest / f".{name}.unpacking"
    if final.is_file():
        return final
    dest.mkdir(parents=True, exist_ok=True)
    try:
        with _blamed(archive_path):
            _lower_case(archive_path, work)
        return work.replace(final)
    finally:
        work.unlink(missing_ok=True)


def _lower_case(archive_path: Path, target: Path) -> None:
    size, last = _size(archive_path), b""
    limit = size * ARPA_BOMB_FACTOR + BOMB_FLOOR
    with (
        archive_path.open("rb") as packed,
        gzip.open(packed) as plain,
        target.open("wb") as file,
        progress(f"unpack {archive_path.name}", total=size, unit="bytes") as advance,
    ):
        before = 0
        while block := plain.read(BLOCK).lower():  # ASCII only; the read that finds the end checks the CRC
            if not last and (first := block.lstrip().partition(b"\n")[0].rstrip()) != b"\\data\\":
                raise DownloadError(f"found first line {first[:40]!r}, expected \\data\\ as in every ARPA file")
            if (end := file.tell() + len(block)) > limit:
                raise DownloadError(f"found text to byte {end} at least, expected at most {limit} here")
            file.write(block)
            last = (last + block)[-1000:]
            advance(packed.tell() - before)
            before = packed.tell()
    if (found := last.rstrip().rpartition(b"\n")[2]) != b"\\end\\":
        raise DownloadError(f"found last line {found[-40:]!r}, expected \\end\\ as in every ARPA file")


def main(
    argv: Sequence[str] | None = None,
    *,
    archives: Sequence[Archive] = LIBRISPEECH,
    models: Sequence[LanguageModel] = LANGUAGE_MODELS,
    free_bytes: Callable = lambda folder: shutil.disk_usage(folder).free,
    sleep: Callable = time.sleep,
) -> int:
    options = _parse(argv, archives, models)
    try:
        for archive in _plan(options, (*archives, *models), free_bytes=free_bytes):
            path = download(archive, options.dest, base_url=options.url, sleep=sleep)
            unpacked = archive.unpack(path, options.dest)
            with reported("features.download"):
                print(unpacked)
            if not options.keep:
                path.unlink()
        return 0
    except KeyboardInterrupt:
        parts = ", ".join(str(part) for part in sorted(options.dest.glob("*.part")))
        _say(f"stopped; {parts or 'what is whole'} stays, and the same command goes on from there")
        return 130
    except ValueError as error:
        _say(str(error))
        return 2
    except OSError as error:  # a full disk names no file
        _say(f"{error.filename or options.dest}: {error.strerror or error}; mend that, and the same command goes on")
        return 2


def _plan(options: argparse.Namespace, archives: Sequence[Archive], *, free_bytes: Callable) -> list[Archive]:
    """Return the archives whose content is not there yet. Says what disk they need; raises if there is less."""
    dest, wanted = options.dest, [a for a in archives if a.name in (*options.subsets, *options.models)]
    dest.mkdir(parents=True, exist_ok=True)
    missing = [archive for archive in wanted if not archive.is_in(dest)]
    here = (max(_size(dest / f"{a.name}{a.suffix}{end}") for end in ("", ".part")) for a in missing)
    to_come = [max(0, archive.size - size) for archive, size in zip(missing, here, strict=True)]
    need = (sum if options.keep else max)(to_come or [0])  # discarded archives are there one at a time
    need += sum(int(archive.growth * archive.size) for archive in missing)
    free = free_bytes(dest)
    plan = (
        f"{dest}: {len(missing)} of {len(wanted)} subsets and language models to fetch; that takes {need / 1e9:.2f} GB "
        f"of disk, archives and unpacked files together; {free / 1e9:.2f} GB are free"
    )
    if need > free:
        raise DownloadError(f"{plan}. Make room, name fewer of them, or use --discard-archives")
    _say(plan)
    return missing


def _parse(argv: Sequence[str] | None, archives: Sequence[Archive], models: Sequence[Archive]) -> argparse.Namespace:
    gigabytes = ", ".join(f"{archive.name} {archive.size / 1e9:.2f} GB" for archive in archives)
    megabytes = ", ".join(f"{model.name} {model.size / 1e6:.0f} MB" for model in models)
    subset_names, model_names = ([archive.name for archive in table] for table in (archives, models))
    parser = argparse.ArgumentParser(
        prog="python -m features.download",
        epilog=f"Subsets and their archives: {gigabytes}. Unpacked 5% more. "
        f"Language models and their archives: {megabytes}. Unpacked about 3.5 times that.",
        description="Download LibriSpeech, check it, unpack it. After a break the same command goes on.",
    )
    add = parser.add_argument
    add("dest", metavar="DEST", type=Path, help="corpus root; subsets become DEST/SUBSET, models DEST/MODEL.arpa")
    which = "which of its subsets, by name (default: all; with --language-models, none)"
    add("--subsets", metavar="SUBSET", nargs="+", choices=subset_names, help=which)
    which = "language models too, by name; unpacked in lower case, as our transcripts are (default: none)"
    add("--language-models", metavar="MODEL", nargs="+", choices=model_names, default=[], dest="models", help=which)
    url = "server that has BASE/12/SUBSET.tar.gz and BASE/11/MODEL.arpa.gz (default: %(default)s)"
    add("--url", metavar="BASE", default=BASE_URL, help=url)
    add("--keep-archives", dest="keep", action="store_true", default=True, help="leave the .gz files in DEST (default)")
    add("--discard-archives", dest="keep", action="store_false", help="delete each archive once it is unpacked")
    options = parse(parser, argv)
    options.subsets = options.subsets or ([] if options.models else subset_names)
    return options


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _say(sentence: str) -> None:
    print(f"features.download: {one_line(sentence)}", file=sys.stderr, flush=True)
