"""A platform in lines for people: what the machine is, what it costs, how it trains, and what its file leaves out.

print("\\n".join(summary(platforms.load("./mine.toml"), named="./mine.toml")))
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from platforms import Hardware, Platform, Price

WIDEST, NARROWEST = 100, 40  # characters of a line
NEEDLESS = ("cpu", "logical_cores", "ram_gib", "links")
"""Keys of [hardware] that nothing needs."""


def summary(platform: Platform, *, named: str, width: int = WIDEST) -> list[str]:
    """Return the lines; `named` is what PLATFORM= takes, and `width` the characters of a line."""
    rows = [
        ("machine", "; ".join(_machine(platform.hardware))),
        ("price", _price(platform.price, machines=platform.hardware.machines)),
        ("a step", _step(platform)),
        ("input", _input(platform)),
        ("training", f"{platform.training.precision}; gradients by {platform.training.reduction}"),
        ("left out", "; ".join(_left_out(platform))),
        ("run it", f"make bench PLATFORM={shlex.quote(named)}"),
    ]
    head = [f"{platform.name}: {platform.label}", *_wrapped(platform.description, "  ", width)]
    return head + [line for name, words in rows if words for line in entry(f"  {name}", words, width, indent=12)]


def entry(name: str, words: str, width: int, *, indent: int = 15) -> list[str]:
    """Return a name and what is said of it, as lines of at most `width` characters; the words begin at `indent`."""
    first, *more = _wrapped(words, " " * indent, width)
    return [name.ljust(indent) + first[indent:], *more]


def _wrapped(words: str, indent: str, width: int) -> list[str]:
    room = max(NARROWEST, min(WIDEST, width))
    return textwrap.wrap(
        words, room, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _machine(hardware: Hardware) -> Iterator[str]:
    if hardware.machines > 1:
        yield f"{hardware.machines} machines, alike; of each"
    if hardware.gpus:
        yield f"{hardware.gpus} x {hardware.gpu}, {hardware.gpu_memory_gib:g} GiB each"
    else:
        yield "no GPU: one replica on the CPU"
    if hardware.links:
        counts = {link: hardware.links.count(link) for link in hardware.links}
        yield "links: " + ", ".join(f"{count} x {link}" for link, count in counts.items())
    if hardware.cpu:
        yield hardware.cpu
    if hardware.logical_cores:
        yield f"{hardware.logical_cores} logical cores"
    if hardware.ram_gib:
        yield f"{hardware.ram_gib:g} GiB of memory"


def _price(price: Price | None, *, machines: int) -> str:
    if price is None:
        return ""
    found = []
    if price.total is not None:
        storage = "with" if price.storage_included else "without"
        parts = [f"{name} {value:,.2f}" for name, value in (("GPUs", price.gpus), ("CPU", price.cpu)) if value]
        of = f", of it {' and '.join(parts)}" if parts else ""
        found.append(f"{price.total:,.2f} {price.currency} to buy{of}, {storage} storage")
    if price.rent_per_hour is not None:
        found.append(f"{price.rent_per_hour:,.2f} {price.currency} an hour to rent")
    of_one = " for one machine" * (machines > 1)
    return f"{'; '.join(found)}{of_one} ({price.source}, {price.date})"


def _step(platform: Platform) -> str:
    each = f", {platform.batch_per_replica} on each of {platform.replicas} replicas" * (platform.replicas > 1)
    pieces = platform.input.accumulation
    return f"{platform.input.batch} utterances{each}" + f", in {pieces} pieces" * (pieces > 1)


def _input(platform: Platform) -> str:
    feeding = platform.input
    what = "features made of the audio while training" if feeding.stream else "shards"
    batches = f"{feeding.buffer} {'batches' if feeding.buffer > 1 else 'batch'} ahead"
    return f"{feeding.readers} {'readers' if feeding.readers > 1 else 'reader'} of {what}, {batches}"


def _left_out(platform: Platform) -> Iterator[str]:
    if platform.price is None:
        yield "[price]: a price/performance is NA, unless prices are given when judging (--offer, --offers)"
    names = [name for name in NEEDLESS if getattr(platform.hardware, name) in (None, ())]
    if names and platform.hardware.gpus:
        yield f"{', '.join(names)}: nothing needs {'them' if len(names) > 1 else 'it'}"
