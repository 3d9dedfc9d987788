"""Do the README's two commands work on a bare system, from nothing?

    sudo python -m tests.trials.distributions --suites bookworm trixie [--tests "tests/platforms tests/features"]

Builds each suite of Debian as a chroot (debootstrap, from Debian's archive) with git, make, python3-venv and nothing
else, clones this HEAD into it, and runs there as an ordinary user: make bench, make tta, make test. Prints a
table: distribution, Python, what set-up did, seconds, disk, tests. A suite takes a quarter of an hour, and 5 GB while
it is tried. The figures stand in docs/results.md.

It needs root, since a chroot does; what it mounts goes away with it, and nothing outside its folder is written. The
settings of pip and uv that this machine has, and its certificates, are those of the chroot too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.tables import Table, show
from tests.trials import common

ARCHIVE = "http://deb.debian.org/debian"
PACKAGES = ("ca-certificates", "git", "make", "python3-venv")
"""What the README asks for."""
USER, HOME, PLACE = "someone", "/srv/someone", "srv/someone/speech-tta"
CARRIED = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "/etc/xdg/pip/constraints.txt",
    "/etc/ssl/certs/ca-certificates.crt",
)
"""What of this machine decides how packages are got."""
SETTINGS = re.compile(r"(PIP|UV)_\w+|\w+_proxy|SSL_CERT_\w+", re.IGNORECASE)
MAKES = ("bench", "tta", "test")


@dataclass(frozen=True)
class Chroot:
    """A system in a folder."""

    folder: Path

    @classmethod
    def build(cls, folder: Path, suite: str, archive: str, log: Path) -> Chroot:
        """Build a suite of Debian. Raises ValueError if debootstrap is not here or fails."""
        if not shutil.which("debootstrap"):
            raise ValueError("debootstrap is not here; expected it: apt install debootstrap")
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(folder), archive]
        with log.open("ab") as file:
            if subprocess.run(command, stdout=file, stderr=file, check=False).returncode:
                raise ValueError(f"debootstrap {suite}: failed, as the end of {log} says")
        for path in filter(os.path.exists, CARRIED):
            inside = folder / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.unlink(missing_ok=True)  # a link into /run, where nothing is
            shutil.copyfile(path, inside)
        made = cls(folder)
        made.run(f"useradd --create-home --home-dir {HOME} {USER}", log, user="root")
        return made

    def run(self, command: str, log: Path, *, user: str = USER) -> int:
        """Run a shell's command in it; return its exit status. What it printed is in the log."""
        settings = [f"{name}={value}" for name, value in os.environ.items() if SETTINGS.fullmatch(name)]
        there = "/" if user == "root" else f"/{PLACE}"
        home = "/" if user == "root" else HOME
        inside = ["env", "-i", f"HOME={home}", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *settings]
        mounted = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$@"'
        chrooted = [f"--userspec={user}", str(self.folder), *inside, "sh", "-c", f"cd {there} && {command}"]
        # All mounts are of a namespace of its own, and all processes end with the first.
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounted, str(self.folder)]
        with log.open("ab") as file:
            return subprocess.run(
                [*alone, *chrooted], stdout=file, stderr=file, stdin=subprocess.DEVNULL, check=False
            ).returncode

    def checkout(self, log: Path) -> None:
        """Clone the HEAD of this checkout into it, for its user."""
        here = Path(__file__).resolve().parents[2]
        with log.open("ab") as file:
            subprocess.run(
                ["git", "clone", "--quiet", "--no-hardlinks", str(here), str(self.folder / PLACE)],
                stdout=file, stderr=file, check=True,
            )  # fmt: skip
        self.run(f"chown -R {USER}: /{PLACE}", log, user="root")

    def used_gb(self) -> float:
        """Return what the checkout takes of the disk, with all that it installed and wrote."""
        return float(subprocess.check_output(["du", "-s", "-B1", str(self.folder / PLACE)]).split()[0]) / 1e9


def tried(suite: str, options: argparse.Namespace) -> Iterator[str]:
    """Try a suite; give the cells of its row."""
    folder, log = options.folder / suite, options.folder / f"{suite}.log"
    log.write_bytes(b"")
    try:
        system = Chroot.build(folder, suite, options.archive, log)
        release = dict(re.findall(r'(\w+)="?([^"\n]*)', (folder / "etc/os-release").read_text()))
        yield release.get("PRETTY_NAME", suite)
        system.checkout(log)
        ends, seconds = {}, {}
        for name in MAKES:
            if (name == "test" and options.tests == "none") or any(ends.values()):
                continue  # what follows would fail for the same reason
            chosen = f" ARGS='{options.tests}'" if name == "test" and options.tests else ""
            began_s = time.monotonic()
            ends[name] = system.run(f"make {name}{chosen}", log)
            seconds[name] = time.monotonic() - began_s
        yield from cells(log.read_text(errors="replace"), ends, seconds, system.used_gb())
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def cells(said: str, ends: dict[str, int], seconds: dict[str, float], used_gb: float) -> Iterator[str]:
    """Read from what was said the Python, what set-up did, and what the tests say; with seconds and disk."""
    yield next(iter(re.findall(r"Setting up \.venv with Python ([\d.]+)", said)), "NA")
    missing = ", ".join(re.findall(r"(Language-model decoding) is what is missing", said)).lower()
    complete = re.findall(r"\.venv is complete after (\d+) s", said)
    why = re.findall(r"^set-up: (.*)", said, re.MULTILINE)
    done = f"complete after {complete[0]} s{f', without {missing}' if missing else ''}" if complete else ""
    yield done or f"failed: {why[-1] if why else 'see the log'}"
    for name in MAKES[:2]:
        yield "not run" if name not in ends else f"{seconds[name]:.0f}" if ends[name] == 0 else f"status {ends[name]}"
    yield f"{used_gb:.1f}"
    tests = re.findall(r"^=*\s*((?:\d+ \w+, )*\d+ (?:passed|failed)[^=\n]*)", said, re.MULTILINE)
    yield tests[-1].strip() if tests and "test" in ends else "not run"


def trial(options: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise ValueError("a chroot needs root, and this is an ordinary user; expected: sudo python -m ...")
    made = options.folder is None
    options.folder = Path(tempfile.mkdtemp(prefix="speech-tta-")) if made else options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    columns = ("distribution", "Python", "set-up", "make bench, s", "make tta, s", "disk, GB", "make test")
    rows = []
    for suite in options.suites:
        row = list(tried(suite, options))
        rows.append(tuple(row))
        show([Table("The README's two commands, from nothing", columns, tuple(rows))])
    failed = [row for row in rows if "status" in " ".join(row[3:5]) or "failed" in row[2] + row[6]]
    print(f"What was printed: {options.folder}/SUITE.log")
    return 1 if failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("distributions", __doc__)
    parser.add_argument("--suites", nargs="+", default=["bookworm", "trixie"], metavar="NAME", help="of Debian")
    parser.add_argument("--archive", default=ARCHIVE, metavar="URL", help="default: %(default)s")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="for chroots and logs; default: a new one in /tmp")
    parser.add_argument("--keep", action="store_true", help="leave the chroots where they are")
    parser.add_argument("--tests", default="", metavar="ARGS", help="of make test; default: all fast ones; none: none")
    return common.run("distributions", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
