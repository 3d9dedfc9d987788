"""Which version of the suite this is, without loading anything: for --version.

said()                      # "speech-tta 0.1.0, commit 141f96c5 with changes, Python 3.11.2"
add_version(parser)         # the option
"""

from __future__ import annotations

import re
import sys
from argparse import Action, ArgumentParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAME = "speech-tta"


class _Say(Action):
    """Prints the version and ends: looked up only where it is asked for."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        print(said(), flush=True)
        parser.exit()


def add_version(parser: ArgumentParser) -> None:
    """Add --version to a command, unless it has one."""
    if "--version" not in parser._option_string_actions:
        parser.add_argument("--version", action=_Say, nargs=0, help="print version, commit and Python, and stop")


def said() -> str:
    """Return name, version, commit and Python in a line; a checkout's version is that of its setup.cfg."""
    commit = _commit()
    python = ".".join(map(str, sys.version_info[:3]))
    return ", ".join(filter(None, (f"{NAME} {_version()}", commit, f"Python {python}")))


def _version() -> str:
    metadata = ROOT / "setup.cfg"
    if metadata.is_file() and (found := re.search(r"^version = (.+)$", metadata.read_text("utf-8"), re.MULTILINE)):
        return found[1]
    import importlib.metadata  # here, not above: it loads `email`

    try:
        return importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return "of no known version"


def _commit() -> str:
    """Return "commit 141f96c5", and whether files differ from it; "" if this is no checkout."""
    if not (ROOT / "setup.cfg").is_file() or not (found := _git("rev-parse", "--short=8", "HEAD")):
        return ""
    return f"commit {found}" + " with changes" * bool(_git("status", "--porcelain", "--untracked-files=no"))


def _git(*words: str) -> str:
    import subprocess  # here, not above: every command has the option, and few are asked

    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
