"""The Dockerfile: what it copies, asks of make and installs is there, and it obeys what set-up reads."""

import json
import re
import shlex
from pathlib import Path

import install

ROOT = Path(__file__).resolve().parents[1]


def instructions():
    """Pairs of an instruction and its arguments, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands():
    """The commands of RUN, and of ENTRYPOINT with CMD, as lists of words."""
    shell = [part for name, rest in instructions() if name == "RUN" for part in rest.split("&&")]
    start = [word for name, rest in instructions() if name in ("ENTRYPOINT", "CMD") for word in json.loads(rest)]
    return [*map(shlex.split, shell), start]


def test_its_instructions_are_dockers_and_begin_with_an_image():
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM"
    assert set(names) <= {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT", "CMD"}


def test_every_command_of_it_exists():
    of_make = [words[1:] for words in commands() if words[0] == "make"]
    assert of_make == [["setup"], ["bench"]]
    assert {target for words in of_make for target in words} <= targets()
    assert {words[0] for words in commands()} <= {"make", "apt-get", "rm"}


def test_it_installs_what_set_up_and_kenlm_need():
    (packages,) = [words for words in commands() if words[:2] == ["apt-get", "install"]]
    assert {"g++", "git", "make", "python3", "python3-dev", "python3-venv", "ca-certificates"} <= set(packages)


def test_its_python_fits_and_its_environment_asks_for_cuda():
    debian = {"debian:trixie-slim": (3, 13), "debian:bookworm-slim": (3, 11)}
    assert debian[dict(instructions())["FROM"]] in install.TENSORFLOW
    assert dict(instructions())["ENV"] == f"{install.FOR_GPU}=1"
