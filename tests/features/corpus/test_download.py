"""Downloads are resumed, checked and unpacked safely. The only server asked is one on 127.0.0.1, made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import re
import socket
import struct
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from features.corpus import download as module
from features.corpus.download import (
    LANGUAGE_MODELS,
    LIBRISPEECH,
    TRIES,
    Archive,
    DownloadError,
    LanguageModel,
    download,
    main,
    unpack,
    unpack_model,
)
from features.corpus.layout import read_corpus

SOUND = random.Random(0).randbytes(200_000)  # no more compressible than FLAC
TRANSCRIPT = b"84-121123-0000 GO DO YOU HEAR\n"
ARPA = (
    b"\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t-1.5E-2\n-1.2\t</s>\n-2\t<UNK>\n-1.1\tHEAR\t-0.5\n\n"
    b"\\2-grams:\n-0.3\t<s> HEAR\n\n\\end\\\n"
)
LOWER_ARPA = (
    b"\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t-1.5e-2\n-1.2\t</s>\n-2\t<unk>\n-1.1\thear\t-0.5\n\n"
    b"\\2-grams:\n-0.3\t<s> hear\n\n\\end\\\n"
)


RANGED = ("serve", "drop", "reset", "stall")


class Server(ThreadingHTTPServer):
    """Serves `files`; takes each answer's manner from `manners`, "serve" when there are none left.

    serve        the whole file, or 206 from where the Range asks
    drop         as serve, but the connection ends halfway through the body
    no-ranges    200 and the whole file, whatever is asked
    drop-whole   as no-ranges, but the connection ends halfway
    lie          206, from 7 bytes after where the Range asks
    busy         503
    unmeasured   200 without a Content-Length, ending halfway
    endless      200 without a Content-Length, the file and then as many bytes again
    reset        as drop, but by a TCP reset, which is an error to the reader
    stall        as drop, but the connection stays open and silent
    to ADDRESS   a redirect
    raw BYTES    these, whatever they are, and the end of the connection
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.manners: list[str | tuple[str, str | bytes]] = []
        self.asked: list[str | None] = []  # the Range header of every request
        self.sent: list[int] = []  # body bytes of every answer
        self.over = threading.Event()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up early is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        manner = self.server.manners.pop(0) if self.server.manners else "serve"
        if isinstance(manner, tuple):
            self.mislead(*manner)
            return
        content = self.server.files.get(self.path)
        if content is None or manner == "busy":
            self.send_error(404 if content is None else 503)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(content) and manner in RANGED:
            self.send_error(416)
            return
        self.answer(manner, content, start)

    def answer(self, manner: str, content: bytes, start: int) -> None:
        first = {"lie": start + 7}.get(manner, start if manner in RANGED else 0)
        partial = first > 0 or manner == "lie"
        body = content[first:]
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if manner not in ("unmeasured", "endless"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if manner in ("drop", "drop-whole", "unmeasured", "reset", "stall"):
            body = body[: len(body) // 2]
        elif manner == "endless":
            body = body + body
        self.server.sent.append(len(body))
        self.wfile.write(body)
        if manner == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif manner == "stall":
            self.server.over.wait(5)

    def mislead(self, manner: str, what: str | bytes) -> None:
        if manner == "raw":
            self.wfile.write(what)
            self.close_connection = True
            return
        self.send_response(302)
        self.send_header("Location", what)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def member(name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def tar_gz(*members: tuple) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def subset_tar_gz(subset: str = "dev-clean", *more: tuple) -> bytes:
    chapter = f"LibriSpeech/{subset}/84/121123"
    return tar_gz(
        member("LibriSpeech", kind=tarfile.DIRTYPE),
        member("LibriSpeech/README.TXT", b"about"),
        member(f"{chapter}/84-121123.trans.txt", TRANSCRIPT),
        member(f"{chapter}/84-121123-0000.flac", SOUND),
        *more,
    )


def serve(server: Server, content: bytes, *, name: str = "dev-clean") -> Archive:
    """Put an archive on the server; its record as the module would list it."""
    server.files[f"/12/{name}.tar.gz"] = content
    return Archive(name, hashlib.md5(content).hexdigest(), len(content))


def serve_model(server: Server, content: bytes, *, name: str = "3-gram.pruned.1e-7") -> LanguageModel:
    server.files[f"/11/{name}.arpa.gz"] = content
    return LanguageModel(name, hashlib.md5(content).hexdigest(), len(content))


def fetch(server: Server, archive: Archive, folder: Path, *, pauses: list[float] | None = None) -> Path:
    return download(archive, folder, base_url=server.url, sleep=[].append if pauses is None else pauses.append)


def run(
    server: Server, dest: Path, *table: Archive, free: int = 10**12, more: tuple[str, ...] = (), sleep=lambda _: None
) -> int:
    """The command, as if `table` were all that is published."""
    models = [archive for archive in table if isinstance(archive, LanguageModel)]
    archives = [archive for archive in table if archive not in models]
    argv = [str(dest), "--url", server.url, *more]
    return main(argv, archives=archives, models=models, free_bytes=lambda _: free, sleep=sleep)


def content_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The table


def test_the_table_holds_the_seven_archives_with_the_published_sizes():
    published_mb = {
        "dev-clean": 337,
        "dev-other": 314,
        "test-clean": 346,
        "test-other": 328,
        "train-clean-100": 6_387,
        "train-clean-360": 23_049,
        "train-other-500": 30_593,
    }
    assert {archive.name: archive.size // 10**6 for archive in LIBRISPEECH} == published_mb
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in LIBRISPEECH)


def test_the_table_holds_the_four_language_models_with_the_published_sizes():
    published_kb = {
        "3-gram": 759_636,
        "3-gram.pruned.1e-7": 34_094,
        "3-gram.pruned.3e-7": 13_654,
        "4-gram": 1_355_172,
    }
    assert {model.name: model.size // 10**3 for model in LANGUAGE_MODELS} == published_kb
    assert all(len(bytes.fromhex(model.md5)) == 16 for model in LANGUAGE_MODELS)


# Downloading


def test_a_fresh_download_is_one_request_and_ends_under_its_final_name(server, tmp_path):
    content = subset_tar_gz()
    path = fetch(server, serve(server, content), tmp_path / "new")
    assert path == tmp_path / "new" / "dev-clean.tar.gz"
    assert path.read_bytes() == content
    assert server.asked == [None]
    assert content_names(tmp_path / "new") == ["dev-clean.tar.gz"]


def test_after_a_break_only_the_missing_bytes_are_asked_for_and_sent(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = ["drop"]
    path = fetch(server, archive, tmp_path)
    half = len(content) // 2
    assert path.read_bytes() == content
    assert server.asked == [None, f"bytes={half}-"]
    assert server.sent == [half, len(content) - half]  # no byte twice


def test_a_part_left_by_an_earlier_start_is_gone_on_with(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content[:1000])
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == ["bytes=1000-"]


def test_a_server_that_ignores_the_range_makes_it_start_from_zero(server, tmp_path, capsys):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(b"x" * 1000)
    server.manners = ["no-ranges"]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.sent == [len(content)]
    assert "starting from zero" in capsys.readouterr().err


def test_a_range_that_does_not_begin_where_asked_is_not_appended(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content[:1000])
    server.manners = ["lie"]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == ["bytes=1000-", None]  # given up resuming: the second request is for the whole


def test_a_part_that_is_whole_is_checked_and_not_asked_for(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content)
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == []


def test_a_part_longer_than_the_archive_is_fetched_afresh(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content + b"more")
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == [None]


def test_an_archive_that_is_there_is_checked_and_not_fetched_again(server, tmp_path):
    archive = serve(server, subset_tar_gz())
    fetch(server, archive, tmp_path)
    fetch(server, archive, tmp_path)
    assert server.asked == [None]
    (tmp_path / "dev-clean.tar.gz").write_bytes(b"spoiled since")
    with pytest.raises(DownloadError, match="found md5"):
        fetch(server, archive, tmp_path)


def test_five_tries_without_a_new_byte_are_enough_and_each_waits_longer(server, tmp_path):
    archive = serve(server, subset_tar_gz())
    server.manners = ["busy"] * 9
    pauses: list[float] = []
    with pytest.raises(DownloadError, match="503.*5 tries"):
        fetch(server, archive, tmp_path, pauses=pauses)
    assert len(server.asked) == TRIES == 5
    assert pauses == [2, 4, 8, 16]  # none after the last try


def test_a_try_that_made_progress_resets_the_count(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = ["busy"] * 4 + ["drop"] + ["busy"] * 4
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert len(server.asked) == 4 + 1 + 4 + 1


def test_a_server_that_restarts_and_breaks_at_the_same_byte_is_not_asked_for_ever(server, tmp_path):
    archive = serve(server, subset_tar_gz())
    server.manners = ["drop-whole"] * 20
    with pytest.raises(DownloadError, match="the connection ended at byte"):
        fetch(server, archive, tmp_path)
    assert len(server.asked) == 1 + TRIES  # the first brought new bytes


def test_a_refused_connection_is_tried_again_and_told_in_one_sentence(server, tmp_path):
    archive = serve(server, subset_tar_gz())
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="no connection.*refused") as error:
        fetch(server, archive, tmp_path)
    assert "\n" not in str(error.value)
    assert content_names(tmp_path) == []  # no empty part


def test_a_file_that_is_not_on_the_server_is_asked_for_once(server, tmp_path):
    with pytest.raises(DownloadError, match="found HTTP 404.*--url"):
        fetch(server, Archive("dev-clean", "0" * 32, 5), tmp_path)
    assert len(server.asked) == 1


def test_a_body_of_unknown_length_that_ends_early_is_resumed(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = ["unmeasured"]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == [None, f"bytes={len(content) // 2}-"]


@pytest.mark.parametrize(("manner", "reason"), [("reset", "reset by peer"), ("stall", "timed out")])
def test_a_connection_that_is_reset_or_falls_silent_is_tried_again(
    server, tmp_path, monkeypatch, capsys, manner, reason
):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = [manner]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert len(server.asked) == 2
    assert reason in capsys.readouterr().err


def test_no_more_bytes_are_taken_than_the_archive_has(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = ["endless"]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == [None]


def test_a_file_of_another_size_is_refused_before_the_part_is_touched(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.files["/12/dev-clean.tar.gz"] = content[:-1]  # the server's copy is cut short
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content[:1000])
    with pytest.raises(DownloadError, match=f"found {len(content) - 1} bytes, expected {len(content)}"):
        fetch(server, archive, tmp_path)
    assert (tmp_path / "dev-clean.tar.gz.part").read_bytes() == content[:1000]


def test_a_wrong_md5_moves_the_file_away_and_names_file_found_expected_and_way_out(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    spoiled = content[:-1] + bytes([content[-1] ^ 1])
    server.files["/12/dev-clean.tar.gz"] = spoiled
    with pytest.raises(DownloadError) as error:
        fetch(server, archive, tmp_path)
    for part in ("dev-clean.tar.gz", hashlib.md5(spoiled).hexdigest(), archive.md5, "--url"):
        assert part in str(error.value)
    assert content_names(tmp_path) == ["dev-clean.tar.gz.bad"]
    server.files["/12/dev-clean.tar.gz"] = content
    assert fetch(server, archive, tmp_path).read_bytes() == content  # the way out works


def test_a_redirect_is_followed_and_what_is_missing_asked_for_there(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content[:1000])
    server.manners = [("to", f"{server.url}/12/dev-clean.tar.gz")]
    assert fetch(server, archive, tmp_path).read_bytes() == content
    assert server.asked == ["bytes=1000-"] * 2


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1:1/x", "gopher://x"])
def test_a_redirect_away_from_the_web_is_not_followed(server, tmp_path, address):
    archive = serve(server, subset_tar_gz())
    server.manners = [("to", address)]
    with pytest.raises(DownloadError, match=f"found HTTP 302 Found.*{address}.*, expected the file"):
        fetch(server, archive, tmp_path)
    assert len(server.asked) == 1 and content_names(tmp_path) == []


def test_a_redirect_to_what_is_no_address_is_tried_again(server, tmp_path):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = [("to", "http://[bad"), ("to", "http://b\xfc..example/")]
    assert fetch(server, archive, tmp_path).read_bytes() == content


def test_a_redirect_in_a_circle_is_one_line(server, tmp_path):
    archive = serve(server, subset_tar_gz())
    server.manners = [("to", f"{server.url}/12/dev-clean.tar.gz")] * 20
    with pytest.raises(DownloadError, match="found HTTP 302 .*infinite loop") as error:
        fetch(server, archive, tmp_path)
    assert "\n" not in str(error.value) and len(server.asked) < 12


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff garbage",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    ],
)
def test_an_answer_that_is_no_http_is_tried_again(server, tmp_path, answer):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = [("raw", answer)]
    assert fetch(server, archive, tmp_path).read_bytes() == content


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (b"200 OK\r\nContent-Length: 99999999999", "99999999999"),
        (b"200 OK\r\nContent-Length: pears", "pears"),
        (b"206 OK\r\nContent-Length: 3", "3"),  # no range: not known what it is
        (b"206 OK\r\nContent-Range: bytes 1000-1002/77\r\nContent-Length: 3", "77"),
    ],
)
def test_an_answer_of_another_length_is_refused_and_the_part_kept(server, tmp_path, headers, found):
    content = subset_tar_gz()
    archive = serve(server, content)
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(content[:1000])
    server.manners = [("raw", b"HTTP/1.1 " + headers + b"\r\n\r\nabc")]
    with pytest.raises(DownloadError, match=f"found {found} bytes, expected {len(content)}"):
        fetch(server, archive, tmp_path)
    assert (tmp_path / "dev-clean.tar.gz.part").read_bytes() == content[:1000]


def test_a_servers_words_are_printed_without_a_terminals_escapes(server, tmp_path, capsys):
    archive = serve(server, subset_tar_gz())
    server.manners = [("raw", b"HTTP/1.1 404 \x1b[31mNo\r\n\r\n")]
    assert run(server, tmp_path, archive) == 2
    assert r"404 \x1b[31mNo" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["openslr.org/resources", "ftp://openslr.org", "http://a b", "http://host:port"])
def test_an_address_that_cannot_be_one_is_refused_before_any_try(url, tmp_path):
    with pytest.raises(DownloadError, match="--url: found .* expected an address"):
        download(LIBRISPEECH[0], tmp_path, base_url=url, sleep=lambda _: pytest.fail("tried"))
    assert content_names(tmp_path) == []


# Unpacking


DEV_CLEAN, TRIGRAM = Archive("dev-clean", "", 0), LanguageModel("3-gram", "", 0)


def refused(tmp_path: Path, content: bytes, *, archive: Archive = DEV_CLEAN) -> str:
    """Unpacking must refuse this archive in one line and leave nothing but the archive. Why it did is returned."""
    dest = tmp_path / "corpus"
    dest.mkdir()
    path = dest / f"{archive.name}{archive.suffix}"
    path.write_bytes(content)
    with pytest.raises(DownloadError) as error:
        archive.unpack(path, dest)
    named, why, way_out = re.fullmatch("(.*?): (.*); nothing unpacked. (Delete it and .*)", str(error.value)).groups()
    assert named == str(path) and way_out.endswith("--url")
    assert content_names(dest) == [path.name]
    assert content_names(tmp_path) == ["corpus"]
    return why


def test_unpacking_strips_the_top_folder_and_the_result_is_a_corpus(tmp_path):
    archive = tmp_path / "dev-clean.tar.gz"
    archive.write_bytes(subset_tar_gz())
    assert unpack(archive, tmp_path / "corpus", subset="dev-clean") == tmp_path / "corpus" / "dev-clean"
    assert content_names(tmp_path / "corpus") == ["README.TXT", "dev-clean"]
    utterances, problems = read_corpus(tmp_path / "corpus")
    assert [(u.id, u.sentence) for u in utterances] == [("84-121123-0000", "go do you hear")]
    assert problems == []
    assert utterances[0].audio.read_bytes() == SOUND


def test_a_subset_that_is_there_is_left_alone(tmp_path):
    archive = tmp_path / "dev-clean.tar.gz"
    archive.write_bytes(b"never read")
    (tmp_path / "dev-clean" / "84").mkdir(parents=True)
    unpack(archive, tmp_path, subset="dev-clean")
    assert content_names(tmp_path / "dev-clean") == ["84"]


def test_what_a_killed_process_left_half_unpacked_is_not_taken_for_whole(tmp_path):
    archive = tmp_path / "dev-clean.tar.gz"
    archive.write_bytes(subset_tar_gz())
    left = tmp_path / ".dev-clean.unpacking" / "dev-clean" / "99"
    left.mkdir(parents=True)
    unpack(archive, tmp_path, subset="dev-clean")
    assert content_names(tmp_path / "dev-clean") == ["84"]
    assert not left.exists()


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.9999])
def test_an_archive_cut_short_is_refused_wherever_it_is_cut(keep, tmp_path):
    content = subset_tar_gz()
    assert re.search(
        "ended before the end-of-stream|unexpected end", refused(tmp_path, content[: int(len(content) * keep)])
    )


@pytest.mark.parametrize("padding", [0, 1 << 20])  # the end of the archive in tar's last read, or behind it
def test_an_archive_cut_short_behind_its_last_file_is_refused(padding, tmp_path):
    content = gzip.compress(gzip.decompress(subset_tar_gz()) + bytes(padding))
    assert "end-of-stream" in refused(tmp_path, content[:-8])  # only gzip's CRC and length are missing


def test_a_flipped_bit_is_refused(tmp_path):
    content = bytearray(subset_tar_gz())
    content[len(content) // 2] ^= 1  # in incompressible data, which gzip stores: only the CRC can tell
    assert re.search("CRC|invalid|decompressing", refused(tmp_path, bytes(content)))


def test_what_is_no_archive_is_refused(tmp_path):
    assert "not a gzipped file" in refused(tmp_path, b"<html>please log in</html>").lower()


@pytest.mark.parametrize(
    "name",
    ["LibriSpeech/../../out.txt", "../out.txt", "LibriSpeech/dev-clean/../../../out.txt", "elsewhere/out.txt", ".."],
)
def test_a_name_that_leads_out_is_refused(name, tmp_path):
    why = refused(tmp_path, subset_tar_gz("dev-clean", member(name, b"x")))
    assert why == f"found member {name!r}, expected names under LibriSpeech/ only"


def test_an_absolute_name_is_refused(tmp_path):
    out = tmp_path / "corpus" / "out.txt"
    why = refused(tmp_path, subset_tar_gz("dev-clean", member(str(out), b"x")))
    assert why == f"found member {str(out)!r}, expected names under LibriSpeech/ only"


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_special_files_are_refused(kind, tmp_path):
    strange = member("LibriSpeech/dev-clean/link", kind=kind, link="84/121123/84-121123.trans.txt")
    assert "special file 'LibriSpeech/dev-clean/link'" in refused(tmp_path, subset_tar_gz("dev-clean", strange))


def test_a_file_is_not_written_through_a_link_that_came_before_it(tmp_path):
    bait = member("LibriSpeech/dev-clean/door", kind=tarfile.SYMTYPE, link=str(tmp_path))
    content = tar_gz(bait, member("LibriSpeech/dev-clean/door/out.txt", b"x"))
    assert "found link or special file 'LibriSpeech/dev-clean/door'" in refused(tmp_path, content)
    assert not (tmp_path / "out.txt").exists()


def test_a_bomb_is_refused_by_its_declared_size_before_it_is_written(tmp_path, monkeypatch):
    bomb = member("LibriSpeech/dev-clean/zeros.flac", bytes(8 << 20))
    content = tar_gz(bomb)
    assert len(content) < 20_000  # 8 MiB of zeros; twice the archive and 1 MiB are allowed
    monkeypatch.setattr(module.shutil, "copyfileobj", lambda *_: pytest.fail("written"))
    assert "zeros.flac' ends at byte 8389120, expected at most" in refused(tmp_path, content)  # 8 MiB, header of 512


def test_many_small_files_add_up_to_a_bomb(tmp_path):
    many = [member(f"LibriSpeech/dev-clean/{n}.flac", bytes(64 << 10)) for n in range(32)]
    assert "expected at most" in refused(tmp_path, tar_gz(*many))  # 32 x 64 KiB = 2 MiB, more than the 1 MiB of room


@pytest.mark.parametrize(
    "more",
    [
        [member("LibriSpeech/dev-clean/84/121123/84-121123-0000.flac", b"another")],
        [member("LibriSpeech/dev-clean/x", b"a file"), member("LibriSpeech/dev-clean/x/y", b"in it")],
        [member("LibriSpeech/dev-clean/84", b"a folder so far")],
        [member("LibriSpeech", b"the top itself")],
    ],
)
def test_what_is_there_twice_or_as_file_and_folder_is_refused(more, tmp_path):
    why = refused(tmp_path, subset_tar_gz("dev-clean", *more))
    assert why.startswith("found a member twice, or as file and folder (") and why.endswith("), expected each once")


def test_a_name_with_a_nul_in_it_is_refused(tmp_path):
    info, content = member("LibriSpeech/dev-clean/x", b"x")
    info.pax_headers = {"path": "LibriSpeech/dev-clean/a\0b"}
    assert refused(tmp_path, subset_tar_gz("dev-clean", (info, content))) == "embedded null byte"


@pytest.mark.parametrize("size", ["99999999999999", "-5", "pears"])
def test_a_size_that_is_a_lie_is_refused_or_comes_to_nothing(size, tmp_path):
    info, content = member("LibriSpeech/dev-clean/x", b"x")
    info.pax_headers = {"size": size}
    (tmp_path / "dev-clean.tar.gz").write_bytes(subset_tar_gz("dev-clean", (info, content)))
    try:
        unpack(tmp_path / "dev-clean.tar.gz", tmp_path, subset="dev-clean")
    except DownloadError:
        assert content_names(tmp_path) == ["dev-clean.tar.gz"]
    else:
        found = tmp_path / "dev-clean" / "x"
        assert not found.exists() or found.stat().st_size <= 1


def test_an_archive_of_another_subset_is_refused(tmp_path):
    why = refused(tmp_path, subset_tar_gz("dev-other"))
    assert why == "found nothing in LibriSpeech/dev-clean, expected the subset"


def test_modes_in_the_archive_are_not_taken_over(tmp_path):
    strange = member("LibriSpeech/dev-clean/run.flac", b"x")
    strange[0].mode = 0o6777
    (tmp_path / "dev-clean.tar.gz").write_bytes(tar_gz(strange))
    unpack(tmp_path / "dev-clean.tar.gz", tmp_path, subset="dev-clean")
    assert (tmp_path / "dev-clean" / "run.flac").stat().st_mode & 0o7111 == 0


# Unpacking a language model


def unpacked(folder: Path, text: bytes) -> bytes:
    """What becomes of this ARPA text; its archive is removed, so that nothing but the model may be left."""
    (folder / "3-gram.arpa.gz").write_bytes(gzip.compress(text))
    path = unpack_model(folder / "3-gram.arpa.gz", folder, name="3-gram")
    (folder / "3-gram.arpa.gz").unlink()
    assert content_names(folder) == ["3-gram.arpa"] and path == folder / "3-gram.arpa"
    return path.read_bytes()


def test_a_language_model_is_lower_cased_and_otherwise_the_same(tmp_path):
    assert unpacked(tmp_path, ARPA) == LOWER_ARPA


@pytest.mark.parametrize("block", [len(ARPA) - 3, 16, 1 << 18])  # a boundary in \end\, many, none
def test_block_boundaries_leave_no_trace_in_a_model(block, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    assert unpacked(tmp_path, ARPA) == LOWER_ARPA


def test_blank_lines_around_a_model_and_letters_beyond_ascii_are_left_as_they_are(tmp_path):
    text = b"\n \r\n" + ARPA.replace(b"HEAR", b"H\xc3\x84R") + b"\n\n"
    assert unpacked(tmp_path, text) == b"\n \r\n" + LOWER_ARPA.replace(b"hear", b"h\xc3\x84r") + b"\n\n"


def test_a_model_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "3-gram.arpa").write_bytes(b"my own")
    assert unpacked(tmp_path, ARPA) == b"my own"


def test_what_a_killed_process_left_of_a_model_is_not_taken_for_whole(tmp_path):
    (tmp_path / ".3-gram.unpacking").write_bytes(LOWER_ARPA * 2)
    assert unpacked(tmp_path, ARPA) == LOWER_ARPA


@pytest.mark.parametrize("cut", [1, 8, 40])  # in gzip's length, before its CRC, in the text
def test_a_model_cut_short_is_refused_even_if_only_the_crc_is_missing(cut, tmp_path):
    assert "end-of-stream" in refused(tmp_path, gzip.compress(ARPA)[:-cut], archive=TRIGRAM)


def test_a_model_with_a_wrong_crc_is_refused(tmp_path):
    content = bytearray(gzip.compress(ARPA))
    content[-8] ^= 1
    assert "CRC" in refused(tmp_path, bytes(content), archive=TRIGRAM)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"<html>please log in</html>", r"found first line b'<html>please log in</html>', expected \data\ "),
        (b"ngram 1=4\n" + ARPA, r"found first line b'ngram 1=4', expected \data\ "),
        (b"\\data\\ngram\n\\end\\\n", r"found first line b'\\data\\ngram', expected \data\ "),
        (b"\n\n", r"found first line b'', expected \data\ "),
        (b"", r"found last line b'', expected \end\ "),
        (ARPA[:-7], r"found last line b'-0.3\t<s> hear', expected \end\ "),  # whole gzip, cut ARPA
        (ARPA + b"-1\tMORE\n", r"found last line b'-1\tmore', expected \end\ "),
        (ARPA.replace(b"\n\\end", b" \\end"), r"found last line b' \\end\\', expected \end\ "),
    ],
)
def test_what_does_not_begin_with_data_and_finish_with_end_is_no_model(text, why, tmp_path):
    assert refused(tmp_path, gzip.compress(text), archive=TRIGRAM).startswith(why)


def test_a_model_that_is_not_gzipped_is_refused(tmp_path):
    assert "not a gzipped file" in refused(tmp_path, ARPA, archive=TRIGRAM).lower()


def test_a_model_that_unpacks_to_a_bomb_is_refused_before_the_bytes_beyond_the_limit_are_written(tmp_path):
    bomb = gzip.compress(ARPA + bytes(8 << 20))
    limit = 12 * len(bomb) + (1 << 20)
    # 1 MiB of room is four blocks of 256 KiB, and 12 times these 8 kB are less than another one: the fifth is refused.
    assert refused(tmp_path, bomb, archive=TRIGRAM) == (
        f"found text to byte {5 << 18} at least, expected at most {limit} here"
    )


def test_a_model_may_be_more_compressible_than_sound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BOMB_FLOOR", 0)
    rng = random.Random(0)
    lines = b"".join(b"-%d\tTHE\tTHE\tTHE\tTHE\n" % rng.randrange(9999) for _ in range(1000))
    text = ARPA.replace(b"\n\n\\2", b"\n" + lines + b"\n\\2")
    assert 4 < len(text) / len(gzip.compress(text)) < 12  # the published models: about 3.5
    assert unpacked(tmp_path, text) == text.lower()


# The command


def test_the_command_fetches_and_unpacks_all_and_does_nothing_the_second_time(server, tmp_path, capsys):
    archives = [serve(server, subset_tar_gz(name), name=name) for name in ("dev-clean", "dev-other")]
    assert run(server, tmp_path, *archives) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "dev-clean"), str(tmp_path / "dev-other")]
    assert content_names(tmp_path) == ["README.TXT", "dev-clean", "dev-clean.tar.gz", "dev-other", "dev-other.tar.gz"]
    assert run(server, tmp_path, *archives) == 0
    assert len(server.asked) == 2
    assert "0 of 2 subsets and language models to fetch" in capsys.readouterr().err


def test_only_the_subsets_asked_for_are_fetched_and_archives_can_be_discarded(server, tmp_path):
    archives = [serve(server, subset_tar_gz(name), name=name) for name in ("dev-clean", "dev-other")]
    assert run(server, tmp_path, *archives, more=("--discard-archives", "--subsets", "dev-other")) == 0
    assert content_names(tmp_path) == ["README.TXT", "dev-other"]


def test_a_language_model_is_fetched_by_name_without_any_subset(server, tmp_path, capsys):
    subset = serve(server, subset_tar_gz())
    small, large = (serve_model(server, gzip.compress(ARPA), name=name) for name in ("3-gram", "4-gram"))
    asks = ("--language-models", "3-gram")
    assert run(server, tmp_path, subset, small, large, more=asks) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / '3-gram.arpa'}\n"
    assert "1 of 1 subsets and language models to fetch" in printed.err
    assert content_names(tmp_path) == ["3-gram.arpa", "3-gram.arpa.gz"]
    assert (tmp_path / "3-gram.arpa").read_bytes() == LOWER_ARPA
    assert run(server, tmp_path, subset, small, large, more=asks) == 0  # does nothing the second time
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("more", "there"),
    [
        ((), ["README.TXT", "dev-clean", "dev-other"]),
        (("--language-models", "4-gram", "3-gram"), ["3-gram.arpa", "4-gram.arpa"]),
        (("--language-models", "4-gram", "--subsets", "dev-other"), ["4-gram.arpa", "README.TXT", "dev-other"]),
    ],
)
def test_the_default_is_all_subsets_and_no_model_and_what_is_named_is_all_there_is(server, tmp_path, more, there):
    subsets = [serve(server, subset_tar_gz(name), name=name) for name in ("dev-clean", "dev-other")]
    models = [serve_model(server, gzip.compress(ARPA), name=name) for name in ("3-gram", "4-gram")]
    assert run(server, tmp_path, *subsets, *models, more=("--discard-archives", *more)) == 0
    assert content_names(tmp_path) == there


def test_a_model_is_resumed_where_the_connection_broke(server, tmp_path):
    content = gzip.compress(ARPA)
    model = serve_model(server, content)
    server.manners = ["drop"]
    assert run(server, tmp_path, model, more=("--language-models", model.name)) == 0
    assert server.asked == [None, f"bytes={len(content) // 2}-"]
    assert (tmp_path / "3-gram.pruned.1e-7.arpa").read_bytes() == LOWER_ARPA


def test_a_model_with_a_wrong_md5_is_not_unpacked(server, tmp_path, capsys):
    model = serve_model(server, gzip.compress(ARPA))
    other = gzip.compress(ARPA, compresslevel=0)[: model.size].ljust(model.size)
    server.files["/11/3-gram.pruned.1e-7.arpa.gz"] = other
    assert run(server, tmp_path, model, more=("--language-models", model.name)) == 2
    assert f"found md5 {hashlib.md5(other).hexdigest()}, expected {model.md5}" in capsys.readouterr().err
    assert content_names(tmp_path) == ["3-gram.pruned.1e-7.arpa.gz.bad"]


def test_a_full_disk_while_unpacking_a_model_leaves_its_archive_and_blames_the_disk(
    server, tmp_path, capsys, monkeypatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    model = serve_model(server, gzip.compress(ARPA))
    monkeypatch.setattr(module, "_lower_case", full)
    assert run(server, tmp_path, model, more=("--language-models", model.name, "--discard-archives")) == 2
    assert content_names(tmp_path) == ["3-gram.pruned.1e-7.arpa.gz"]
    error = capsys.readouterr().err
    assert "No space left" in error and "Delete it" not in error


GB = 10**9


@pytest.mark.parametrize(
    ("keep", "part", "need"),
    [
        ("--keep-archives", 0, 83_025_000_000),  # archives 10 + 30 + .5 GB; unpacked 1.05 times as much, 42.525 GB
        ("--discard-archives", 0, 72_525_000_000),  # the largest archive, 30 GB, beside all that is unpacked
        ("--keep-archives", 1000, 83_024_999_000),  # a part that is there needs no more room
    ],
)
def test_a_disk_too_small_by_one_byte_stops_before_anything_is_asked(server, tmp_path, capsys, keep, part, need):
    archives = [
        Archive(name, "0" * 32, size)
        for name, size in (("dev-clean", 10 * GB), ("dev-other", 30 * GB), ("test-clean", GB // 2))
    ]
    (tmp_path / "dev-other.tar.gz.part").write_bytes(bytes(part))
    assert run(server, tmp_path, *archives, free=need - 1, more=(keep,)) == 2
    assert server.asked == []
    error = capsys.readouterr().err
    assert f"takes {need / GB:.2f} GB" in error and "are free. Make room" in error
    assert run(server, tmp_path, *archives, free=need, more=(keep,)) == 2  # goes on, to a server without files
    assert len(server.asked) == 1


def test_the_disk_needed_is_stated_before_the_download_starts(server, tmp_path, capsys):
    assert run(server, tmp_path, Archive("dev-clean", "0" * 32, GB), free=3 * GB) == 2
    first, *_, last = capsys.readouterr().err.splitlines()
    assert "takes 2.05 GB of disk" in first and "3.00 GB are free" in first
    assert "404" in last


@pytest.mark.parametrize(
    ("keep", "need"), [("--keep-archives", 11_050_000_000), ("--discard-archives", 10_050_000_000)]
)
def test_the_disk_needed_counts_a_models_text_as_three_and_a_half_archives(server, tmp_path, capsys, keep, need):
    table = [Archive("dev-clean", "0" * 32, GB), LanguageModel("4-gram", "0" * 32, 2 * GB)]
    more = ("--subsets", "dev-clean", "--language-models", "4-gram", keep)
    # Unpacked 1.05 + 2 * 3.5 GB; archives 1 + 2 GB when kept, else the larger one alone.
    assert run(server, tmp_path, *table, free=need - 1, more=more) == 2
    assert f"takes {need / GB:.2f} GB" in capsys.readouterr().err and server.asked == []
    assert run(server, tmp_path, *table, free=need, more=more) == 2  # goes on, to a server without files
    assert len(server.asked) == 1


def test_ctrl_c_keeps_the_part_says_so_and_the_next_start_goes_on(server, tmp_path, capsys):
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    content = subset_tar_gz()
    archive = serve(server, content)
    server.manners = ["drop"]
    part = tmp_path / "dev-clean.tar.gz.part"
    assert run(server, tmp_path, archive, sleep=interrupted) == 130
    assert part.read_bytes() == content[: len(content) // 2]
    assert f"stopped; {part} stays" in capsys.readouterr().err
    assert run(server, tmp_path, archive) == 0
    assert server.asked[1] == f"bytes={len(content) // 2}-"


def test_ctrl_c_while_unpacking_leaves_no_subset(server, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    archive = serve(server, subset_tar_gz())
    monkeypatch.setattr(module.shutil, "copyfileobj", interrupted)
    assert run(server, tmp_path, archive) == 130
    assert content_names(tmp_path) == ["dev-clean.tar.gz"]


def test_a_full_disk_is_no_broken_connection(server, tmp_path, capsys, monkeypatch):
    @contextmanager
    def full(*_: object, **__: object):
        def advance(_: int) -> None:
            raise OSError(28, "No space left on device")

        yield advance

    archive = serve(server, subset_tar_gz())
    monkeypatch.setattr(module, "progress", full)  # called beside file.write()
    assert run(server, tmp_path, archive) == 2
    assert len(server.asked) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(f"{tmp_path}: No space left on device; mend that, and the same command goes on")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1] + b"!",  # wrong md5
        lambda content: content[:1000],  # cut short
    ],
)
def test_users_see_one_line_and_no_traceback(server, tmp_path, capsys, spoil):
    content = subset_tar_gz()
    archive = serve(server, content)
    server.files["/12/dev-clean.tar.gz"] = spoil(content)
    assert run(server, tmp_path, archive) == 2
    plan, error = capsys.readouterr().err.splitlines()
    assert plan.startswith("features.download: ") and error.startswith("features.download: ")


def test_a_destination_that_is_a_file_is_one_line_too(server, tmp_path, capsys):
    (tmp_path / "corpus").write_text("a file")
    assert run(server, tmp_path / "corpus", Archive("dev-clean", "0" * 32, 5)) == 2
    assert str(tmp_path / "corpus") in capsys.readouterr().err


def test_help_names_subsets_and_models_with_their_sizes(capsys):
    with pytest.raises(SystemExit) as helped:
        main(["--help"])
    assert helped.value.code == 0
    shown = capsys.readouterr().out
    assert all(archive.name in shown for archive in (*LIBRISPEECH, *LANGUAGE_MODELS))
    assert "30.59 GB" in shown and "1355 MB" in shown


@pytest.mark.parametrize("wrong", [("--subsets", "train-clean-9000"), ("--language-models", "5-gram")])
def test_a_name_that_is_not_published_is_a_usage_error(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        main(["somewhere", *wrong])
    assert error.value.code == 2
    assert wrong[1] in capsys.readouterr().err
