"""What is said of a run without saying whose it is: paths, host names and user names are taken out of its files.

    told, left_out = cleaned("run.json", content)       # a copy of the JSON, and what was taken out of it
    named_in("platform gpu7", names())                  # "gpu7": this machine's name, where it cannot be taken out

What is left out is listed in the bundle by file and key, never by value. The name of a run and of a platform are in
every row of the journal, which is sealed as it was written: they are asked for instead (`--keep-names`).
"""

from __future__ import annotations

import contextlib
import getpass
import re
import socket
from collections.abc import Collection, Mapping
from typing import Any

PATH, HOST, USER = "(path)", "(host)", "(user)"
A_PATH = re.compile(r"""(?<![^\s"'=:,;(\[])(?:file://)?(?:~|\.{1,2})?/(?!/)[^\s"',:;)\]]+|\b[A-Za-z]:\\[^\s"']+""")
"""A word that begins like a path: /data/x, ~/x, ./x, C:\\x; "edits / words" and "utterances/s" are none."""

WHOLE_PATHS = ("features.folder", "decoder.language_model", "first_weights.weights")
"""Keys of run.json that are paths, which may hold spaces; what begins with them is left out as a whole."""

LISTS_OF_HOSTS = ("devices.hosts",)
HOSTS_OPTIONS = ("--hosts",)
COMMON = frozenset({"localhost", "root", "user", "users", "admin", "home", "test", "data", "ubuntu", "debian", "host"})
"""Names that say nothing of anybody, and words of other things."""
SHORTEST = 3


def names() -> dict[str, str]:
    """Return the names of this machine and of who is logged in, and what is written in their place."""
    found = {}
    host = socket.gethostname()
    for name in (host, host.partition(".")[0], socket.getfqdn() if "." in host else ""):
        found[name] = HOST
    with contextlib.suppress(OSError, KeyError, ImportError):  # a user without a name, as in containers
        found[getpass.getuser()] = USER
    return {name: word for name, word in found.items() if len(name) >= SHORTEST and name.lower() not in COMMON}


def named_in(text: str, known: Collection[str]) -> str | None:
    """Return the first of the names that a text has as a word; None if it has none."""
    return next((name for name in known if _word(name).search(text)), None)


def cleaned(content: Any, known: Mapping[str, str]) -> tuple[Any, list[str]]:
    """Return a JSON value without paths and names, and the keys at which something was left out."""
    left_out: list[str] = []
    return _cleaned(content, "", known, left_out), left_out


def _cleaned(value: Any, key: str, known: Mapping[str, str], left_out: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(each, f"{key}.{name}".lstrip("."), known, left_out) for name, each in value.items()}
    if isinstance(value, list):
        if key in LISTS_OF_HOSTS and value:
            left_out.append(key)
            return [f"host {number}" for number in range(len(value))]
        found = [_cleaned(each, key, known, left_out) for each in value]
        return _without_hosts(found, key, left_out) if key == "command.arguments" else found
    if not isinstance(value, str):
        return value
    told = _without_paths(value, key)
    for name, word in known.items():
        told = _word(name).sub(word, told)
    if told != value and key not in left_out:
        left_out.append(key)
    return told


def _without_paths(value: str, key: str) -> str:
    if key in WHOLE_PATHS and ("/" in value or "\\" in value):
        return PATH
    if key == "command.arguments" and re.match(r"(~|\.{1,2})?/|[A-Za-z]:\\", value):
        return PATH  # to its end: a folder's name may hold spaces
    if key == "command.arguments" and (option := re.match(r"(--[\w-]+=)(~|\.{0,2}/)", value)):
        return option[1] + PATH
    if key == "command.arguments" and re.fullmatch(r"[^\s-][^\s]*/[^\s]*", value):
        return PATH  # data/mine
    return A_PATH.sub(PATH, value)


def _without_hosts(arguments: list[str], key: str, left_out: list[str]) -> list[str]:
    """Take the addresses of --hosts out of a command."""
    found = list(arguments)
    for number, (option, value) in enumerate(zip(found, [*found[1:], ""], strict=True)):
        if option in HOSTS_OPTIONS and value:
            found[number + 1] = HOST
        elif option.partition("=")[0] in HOSTS_OPTIONS and "=" in option:
            found[number] = f"{option.partition('=')[0]}={HOST}"
    if found != arguments and key not in left_out:
        left_out.append(key)
    return found


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
