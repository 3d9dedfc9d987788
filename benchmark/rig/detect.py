"""Write a platform file that says what this machine is: GPUs, links, processor, cores, memory.

    python -m benchmark.rig detect mine             # platforms/mine.toml; of an installed package ./mine.toml
    python -m benchmark.rig detect -o rigs/a.toml --data /data --seconds 5

Every value stands beside where it was read, or is left out with the reason. Links are read while a child process
copies to all GPUs, since they fall asleep without work; storage is read where --data is. The price is the owner's to
fill in. Nothing is overwritten without --force. A machine whose GPUs are there and cannot be used is refused: it would
be taken for one without; --cpu leaves them out on purpose.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import platforms
from benchmark.record.command import by_make
from benchmark.rig.gpus import Gpus, gpus, links, remarks_on
from benchmark.rig.host import host
from benchmark.rig.place import Fact, Place
from benchmark.rig.platform_file import Rig, platform_text, readers, shown
from benchmark.rig.storage import RATES, existing, kind, storage
from benchmark.tables import WIDTH
from features.jobs.files import write_whole
from features.jobs.parent import obey_parent
from features.jobs.streams import one_line, parse, reported, say
from platforms import Platform, PlatformError, machine

PROG = "python -m benchmark.rig detect"
BAD_INPUT, INTERRUPTED = 2, 130
SECONDS = 2.0
MOST_SECONDS = 600
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class DetectError(ValueError):
    """A platform file that cannot be written; the message says why, and the way out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and show what it says; return the exit status, 2 after one line about what is wrong."""
    options = parse(_parser(), argv)
    if by_make():
        obey_parent()
    try:
        text = _detected(options)
    except (ValueError, OSError) as error:
        say(f"{PROG}: {one_line(error)}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say(f"\n{PROG}: interrupted")
        return INTERRUPTED
    with reported(PROG):
        print(text)
    return 0


def _detected(options: argparse.Namespace) -> str:
    """Write the file; return what is to be shown."""
    name, path = _target(options)
    place = Place.here()
    found = gpus(place, None if options.cpu else machine.cuda_devices())
    if found.broken:
        raise DetectError(
            f"{one_line(found.broken)}: {_doctor()} says more; mend it, or write a platform of the processor alone "
            f"with --cpu"
        )
    rig = _rig(place, found, options.data, options.seconds)
    remarks = [*found.remarks, *remarks_on(found.shown, rig.links), *_remarks(rig)]
    command = f"make bench PLATFORM={_called(name, path)}"
    text = platform_text(name, rig, command=command, today=date.today(), remarks=remarks)
    if missing := _missing(text):
        remarks.append(f"the file cannot be used before it is filled in: {missing}")
    _write(path, text, force=options.force)
    if options.format == "json":
        return json.dumps(_document(rig, path, remarks, name), indent=1)
    return "\n".join(_shown(rig, path, remarks, name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", nargs="?", help="the platform's name: letters, digits, - and _")
    add("-o", "--out", metavar="PATH", help="the file, NAME.toml, or its folder; default: platforms/, or here")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="where shards are read; default: data")
    words = "how long copies to the GPUs, and each reading of the storage, go on; 0: neither; default: %(default)g"
    add("--seconds", type=_seconds, default=SECONDS, metavar="N", help=words)
    add("--cpu", action="store_true", help="leave GPUs out")
    add("--force", action="store_true", help="overwrite the file")
    add("--format", choices=("table", "json"), default="table", help="default: table")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected seconds, from 0 to {MOST_SECONDS}")
    return seconds


def _target(options: argparse.Namespace) -> tuple[str, Path]:
    """Return the platform's name and its file."""
    name, out = options.name, options.out
    path = Path(out) if out else _folder() / f"{name}.toml"
    if not name and not out:
        way = "make platform NAME=mine" if by_make() else "python -m benchmark.rig detect mine"
        raise DetectError(f"no name; expected one for the platform: {way}")
    if out and (path.is_dir() or out.endswith("/")):
        if not name:
            raise DetectError(f"{out} is a folder, and no name is given; expected a name, or a file that ends in .toml")
        path = path / f"{name}.toml"
    if path.suffix != ".toml":
        raise DetectError(f"{one_line(path)}: expected a file that ends in .toml")
    name = name or path.stem
    if not NAME.fullmatch(name):
        raise DetectError(f"the name is {name[:80]!r}; expected letters, digits, - and _")
    if path.stem != name:
        raise DetectError(f"{one_line(path)}: expected {name}.toml, as a platform is called as its file is: {name}")
    _check_place(path, force=options.force)  # before seconds are spent on measuring
    return name, path


def _folder() -> Path:
    """Return the platforms' folder in a checkout; of an installed package the folder that one is in."""
    if not (platforms.FOLDER.parent / "Makefile").is_file():
        return Path()
    here = Path.cwd()
    return platforms.FOLDER.relative_to(here) if platforms.FOLDER.is_relative_to(here) else platforms.FOLDER


def _called(name: str, path: Path) -> str:
    """Return how a benchmark names the platform: by its name where it comes with the suite, else by its path."""
    if path.parent.resolve() == platforms.FOLDER.resolve():
        return name
    return str(path) if path.is_absolute() or path.parent != Path() else f"./{path}"


def _rig(place: Place, found: Gpus, data: Path, seconds: float) -> Rig:
    facts = host(place)
    if seconds:
        stored = storage(place, data, readers=readers(facts), seconds=seconds)
    else:
        stored = {"storage": kind(place, existing(data)), **dict.fromkeys(RATES, Fact(why_not="--seconds 0"))}
    return Rig(host=facts, storage=stored, gpus=found, links=links(place, found.shown, seconds=seconds))


def _remarks(rig: Rig) -> Iterator[str]:
    """Say what of the machine this process may not use."""
    cores, usable, ram = (rig.host[name] for name in ("logical_cores", "usable_cores", "ram_gib"))
    if cores.known and usable.known and usable.value < cores.value:
        yield f"of {cores.value} logical cores this process may keep {usable.value} busy ({usable.source})"
    if ram.known and "limit" in ram.source:
        yield f"of the memory this process may use {ram.value:.1f} GiB ({ram.source})"


def _missing(text: str) -> str:
    """Return what is wrong with a platform file; "" if it can be used."""
    try:
        Platform.from_dict(tomllib.loads(text))
    except PlatformError as error:
        return str(error)
    return ""


def _check_place(path: Path, *, force: bool) -> None:
    if not path.parent.is_dir():
        raise DetectError(f"{one_line(path)}: there is no folder {one_line(path.parent)}; make it, or choose another")
    if not force and path.exists():
        raise DetectError(f"{one_line(path)} is there already; choose another name, or overwrite it with --force")


def _write(path: Path, text: str, *, force: bool) -> None:
    _check_place(path, force=force)  # again: something may have come meanwhile
    try:
        write_whole(path, text)
    except OSError as error:
        raise DetectError(f"{one_line(path)}: cannot be written ({error.strerror}); choose another place: -o") from None


# --- what is shown ---------------------------------------------------------------------------------------------------


def _facts(rig: Rig) -> dict[str, Fact]:
    """Return everything that was found out, by name; of GPUs one entry each."""
    of_gpus: dict[str, Fact] = {}
    for gpu, link in zip(rig.gpus.shown, rig.links, strict=True):
        of_gpus |= {f"gpu{gpu.number}": gpu.name, f"gpu{gpu.number} link": link.text}
    return {
        **rig.hardware,
        **of_gpus,
        **{name: fact for name, fact in rig.host.items() if name not in ("cpu", "frequency_mhz", "caches")},
        **rig.storage,
    }


def _shown(rig: Rig, path: Path, remarks: Sequence[str], name: str) -> Iterator[str]:
    facts = _facts(rig)
    rows = [(key, shown(key, fact.value) if fact.known else "unknown", fact) for key, fact in facts.items()]
    first = max(len(key) for key, _, _ in rows)
    second = min(26, max(len(value) for _, value, _ in rows))
    rows = [("field", "value", Fact("", "source, or the reason why not")), *rows]
    for key, value, fact in rows:
        start = f"{key:<{first}}  {one_line(value):<{second}}  "
        why = one_line(fact.source or fact.why_not)
        rest = textwrap.wrap(why, WIDTH - first - second - 4, break_long_words=False, break_on_hyphens=False)
        if len(start) > first + second + 4:
            yield start.rstrip()
            start = " " * (first + second + 4)
        yield f"{start}{rest[0]}".rstrip()
        yield from (" " * (first + second + 4) + line for line in rest[1:])
    for remark in remarks:
        yield from ["", *textwrap.wrap(f"- {one_line(remark)}", WIDTH, subsequent_indent="  ")]
    yield from ["", f"written: {one_line(path)}", *textwrap.wrap(_next(name, path), WIDTH, break_on_hyphens=False)]


def _doctor() -> str:
    return "make doctor" if by_make() else "python -m benchmark.rig doctor"


def _next(name: str, path: Path) -> str:
    called = _called(name, path)
    bench = f"make bench PLATFORM={called}" if by_make() else f"python -m benchmark --platform {called}"
    return (
        f"Next: {_doctor()} sees whether anything is wrong with it; {bench} trains and judges; what it cost goes into "
        f"[price] of the file, for python -m benchmark.price."
    )


def _document(rig: Rig, path: Path, remarks: Sequence[str], name: str) -> dict[str, object]:
    facts = {key: asdict(fact) for key, fact in _facts(rig).items()}
    return {"written": str(path), "facts": facts, "remarks": list(remarks), "next": _next(name, path)}


if __name__ == "__main__":
    sys.exit(main())
