"""Which machine, which knobs: a platform is one TOML file that says what a rig costs, holds and is fed with.

    platform = platforms.load("sys1")           # one of names(), or the path of a file of your own
    platform.price.total                        # 2605.29; price is None for a machine without one
    platform.batch_per_replica                  # 24: a step's 96 utterances, shared by 4 GPUs
    platform.changed(batch=48, readers=4)       # a checked copy with other knobs

A file's keys are the fields of the dataclasses below; README.md explains each. A field carries the `Rule` its
value must meet, checked whenever a record is made, in code as well. A `PlatformError` names the key, what was
found and what would be right, of all mistakes at once; `load` adds the file. This package imports nothing else of
the project; its command, `python -m platforms`, checks a file and says what is in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from platforms.enters import KEY, OPTION, Circumstance, Column, Enters, Harmless, Mark, Option

FOLDER = Path(__file__).parent
REDUCTIONS = ("first-gpu", "nccl", "hierarchical", "ring")
PRECISIONS = ("float32", "tf32", "mixed_bfloat16", "mixed_float16")
PURCHASE = ("total", "storage_included")  # keys of [price] that go together
PARTS = ("gpus", "cpu")  # of a total, if they are known
NEEDED = ("gpu", "gpu_memory_gib")  # keys of [hardware] that a machine with GPUs has, and no other
MOST_LINKS = 1024  # that a shorthand stands for
LARGEST_BYTES = 2**14  # of a file; a parser's time and depth may grow with the square of it
LARGEST = 10**9  # a number beyond it is a slip; also keeps sums of int and float from overflowing


class PlatformError(ValueError):
    """A platform that cannot be used as it is: each of its `mistakes` names the key, what was found and the way out.

    The message has all of them in one line, and begins with the `place` where they are, a file.
    """

    def __init__(self, *mistakes: str, place: str = "") -> None:
        self.mistakes = mistakes
        several = f"{len(mistakes)} mistakes: " * (len(mistakes) > 1)
        listed = [f"({n}) {each}" for n, each in enumerate(mistakes, start=1)] if several else mistakes
        super().__init__(f"{place}: " * bool(place) + several + "; ".join(listed))


class Rule(NamedTuple):
    expected: str  # what the value of a key must be, in words for messages
    holds: Callable[[Any], bool]  # and as a test


def _like(pattern: str, expected: str) -> Rule:
    return Rule(expected, lambda v: _TEXT.holds(v) and re.fullmatch(pattern, v, re.ASCII) is not None)


# type(), not isinstance(): True is an int too. NaN fails every comparison and infinity the upper bound.
_FROM_0 = Rule(f"a number from 0 to {LARGEST}", lambda v: type(v) in (int, float) and 0 <= v <= LARGEST)
_ABOVE_0 = Rule(f"a number above 0, at most {LARGEST}", lambda v: _FROM_0.holds(v) and v > 0)
_COUNT_FROM_0 = Rule(f"a whole number from 0 to {LARGEST}", lambda v: type(v) is int and _FROM_0.holds(v))
_COUNT_FROM_1 = Rule(f"a whole number from 1 to {LARGEST}", lambda v: _COUNT_FROM_0.holds(v) and v > 0)
_TEXT = Rule("one line of text", lambda v: isinstance(v, str) and v.isprintable() and v.strip() != "")
_TEXTS = Rule("a list of texts", lambda v: isinstance(v, tuple) and all(map(_TEXT.holds, v)))
_YES_OR_NO = Rule("true or false", lambda v: isinstance(v, bool))
_MONTH_OR_DAY = r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?"


_CIRCUMSTANCE = Circumstance()


def _key(rule: Rule, enters: Enters = _CIRCUMSTANCE, *, option: Option | None = None, **default: Any) -> Any:
    """Declare a key of a platform file: what its value must be, and how it enters a run's identity.

    A platform's file may be edited between two runs, so its keys are circumstances unless they say otherwise.
    """
    return field(metadata={"rule": rule, KEY: enters, OPTION: option}, **default)


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """Holds each field of a record to its rule; a field whose default is None may be None."""

    def __post_init__(self) -> None:
        values = {key.name: getattr(self, key.name) for key in fields(self)}
        if found := _against_rules(type(self), values) or list(self._conflicts()):
            raise PlatformError(*found)

    def _conflicts(self) -> Iterator[str]:
        """Yield what does not go together, of values that meet their rules."""
        return iter(())


@dataclass(frozen=True, kw_only=True)
class Price(_Checked):
    """The price of one machine, in `currency`, with `gpus` and `cpu` parts of `total`, if known; its rent; or both."""

    total: float | None = _key(_ABOVE_0, default=None)
    gpus: float | None = _key(_FROM_0, default=None)  # all of them together
    cpu: float | None = _key(_ABOVE_0, default=None)  # all sockets together
    currency: str = _key(_like("[A-Z]{3}", 'three capital letters, "USD"'))
    date: str = _key(
        _like(_MONTH_OR_DAY, 'text, a month or a day, "2019-10" or "2019-10-31"'),
        Harmless("prices are compared"),
    )
    source: str = _key(_TEXT, Harmless("prices are compared"))
    storage_included: bool | None = _key(_YES_OR_NO, default=None)
    rent_per_hour: float | None = _key(_ABOVE_0, default=None)

    def _conflicts(self) -> Iterator[str]:
        purchase = {key.name: key for key in fields(self) if key.name in (*PURCHASE, *PARTS)}
        given = [name for name in purchase if getattr(self, name) is not None]
        for name in PURCHASE:
            if name not in given and (given or self.rent_per_hour is None):
                yield _wrong(Price, name, MISSING, purchase[name].metadata["rule"].expected)
        parts = sum(getattr(self, name) or 0 for name in PARTS)
        if self.total is not None and parts > self.total + 0.005:  # half a cent: a sum of floats is not exact
            yield _wrong(Price, "total", self.total, f"at least gpus + cpu, {parts:.2f}")

    def times(self, machines: int) -> Price:
        """Return the price of `machines` machines."""
        sums = {name: getattr(self, name) for name in ("total", "gpus", "cpu", "rent_per_hour")}
        return replace(self, **{name: None if each is None else each * machines for name, each in sums.items()})


@dataclass(frozen=True, kw_only=True)
class Hardware(_Checked):
    """The parts of the machine. None is not said, and without GPUs means: whatever this machine has.

    Of several `machines`, alike and training together, these are the parts of each. `links` has one for each GPU, or
    none; in a file "8 x NVLink 4" or "1 x PCIe 3.0 x16, 3 x PCIe 2.0 x1" is a shorthand.
    """

    gpus: int = _key(_COUNT_FROM_0, Column("replicas"))
    machines: int = _key(_COUNT_FROM_1, Column("machines"), default=1)
    gpu: str | None = _key(_TEXT, default=None)
    gpu_memory_gib: float | None = _key(_ABOVE_0, default=None)  # of one GPU
    links: tuple[str, ...] = _key(_TEXTS, default=())
    cpu: str | None = _key(_TEXT, default=None)
    logical_cores: int | None = _key(_COUNT_FROM_1, default=None)  # of all sockets
    ram_gib: float | None = _key(_ABOVE_0, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "links", listed_links(self.links, self.gpus))  # a tuple keeps the record frozen
        super().__post_init__()

    def _conflicts(self) -> Iterator[str]:
        because = f", as [hardware] gpus is {self.gpus}"
        if self.links and len(self.links) != self.gpus:
            yield _wrong(Hardware, "links", self.links, f"{self.gpus} links, not {len(self.links)}{because}")
        for key in fields(self):
            value = getattr(self, key.name)
            if value is None and self.gpus > 0 and key.name in NEEDED:
                yield _wrong(Hardware, key.name, MISSING, key.metadata["rule"].expected + because)
            if value is not None and self.gpus == 0 and key.name in NEEDED:
                yield _wrong(Hardware, key.name, value, f"no such key{because}")


@dataclass(frozen=True, kw_only=True)
class Input(_Checked):
    """How the machine is fed."""

    batch: int = _key(
        _COUNT_FROM_1, Column("batch"), option=Option(flag="--batch", metavar="N", help="global batch in utterances")
    )
    readers: int = _key(_COUNT_FROM_1, option=Option(flag="--readers", metavar="N", help="number of parallel readers"))
    buffer: int = _key(_COUNT_FROM_1, option=Option(flag="--buffer", metavar="N", help="batches prepared in advance"))
    accumulation: int = _key(
        _COUNT_FROM_1,
        default=1,
        option=Option(
            flag="--accumulation",
            metavar="K",
            help="take a batch in K pieces, one after another, to need less memory",
        ),
    )
    stream: bool = _key(
        _YES_OR_NO,
        Mark("stream"),
        default=False,
        option=Option(
            flag="--stream",
            help="make features of the audio while training, in as many processes as readers, and write none",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Training(_Checked):
    """How gradients are combined, and in which arithmetic."""

    reduction: str = _key(Rule(f"one of {', '.join(REDUCTIONS)}", lambda v: v in REDUCTIONS))
    precision: str = _key(
        Rule(f"one of {', '.join(PRECISIONS)}", lambda v: v in PRECISIONS),
        Column("precision"),
        option=Option(flag="--precision", choices=PRECISIONS, help="arithmetic of the training"),
    )


@dataclass(frozen=True, kw_only=True)
class Power(_Checked):
    """What is known of the power of the place where the machine stands."""

    pue: float = _key(
        Rule("a number from 1 to 10", lambda v: _FROM_0.holds(v) and 1 <= v <= 10),
        Harmless("energy is told with and without it"),
    )
    """Power usage effectiveness: what the place takes, cooling too, over what its machines take."""


TABLES = {"price": Price, "power": Power, "hardware": Hardware, "input": Input, "training": Training}


@dataclass(frozen=True, kw_only=True)
class Platform(_Checked):
    """One rig and its knobs. Without a price its price/performance is NA."""

    name: str = _key(_like("[A-Za-z0-9][A-Za-z0-9_-]*", "letters, digits, - and _"), Column("platform"))
    label: str = _key(_TEXT, Harmless("words"))
    description: str = _key(_TEXT, Harmless("words"))
    price: Price | None = _key(Rule("a table [price]", lambda v: isinstance(v, Price)), default=None)
    power: Power | None = _key(
        Rule("a table [power]", lambda v: isinstance(v, Power)),
        Harmless("energy is told with and without it"),
        default=None,
    )
    hardware: Hardware = _key(Rule("a table [hardware]", lambda v: isinstance(v, Hardware)))
    input: Input = _key(Rule("a table [input]", lambda v: isinstance(v, Input)))
    training: Training = _key(Rule("a table [training]", lambda v: isinstance(v, Training)))

    def _conflicts(self) -> Iterator[str]:
        return _together(self.hardware, self.input, self.training, self.price)

    @classmethod
    def from_dict(cls, keys: Mapping[str, Any]) -> Platform:
        """The platform of a parsed TOML file, or of `to_dict`. Raises PlatformError with all mistakes."""
        made: dict[str, Any] = {}
        found: list[str] = []
        given = {name: kind for name, kind in TABLES.items() if isinstance(keys.get(name), Mapping)}
        for name, kind in given.items():  # what is no table stays as it is, for the rule of its key to refuse
            try:
                made[name] = _made(kind, keys[name])
            except PlatformError as error:
                found += error.mistakes
        broken = [name for name in given if name not in made]
        own = {name: made.get(name, value) for name, value in keys.items() if name not in broken}
        found = [*_mistakes(cls, own, elsewhere=broken), *found]
        if found and {"hardware", "input", "training"} <= {*made}:
            found += _together(made["hardware"], made["input"], made["training"], made.get("price"))
        if found:
            raise PlatformError(*found)
        return cls(**own)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, for JSON."""
        plain = asdict(self)
        plain["hardware"]["links"] = list(self.hardware.links)
        return plain

    @property
    def whole_price(self) -> Price | None:
        """The price of all its machines together; None if it has none."""
        return self.price and self.price.times(self.hardware.machines)

    def changed(self, **knobs: int | bool | str | None) -> Platform:
        """A checked copy with other knobs of [input] and [training], as `batch=48`; None leaves one as it is."""
        given = {knob: value for knob, value in knobs.items() if value is not None}
        of_training = {key.name: given.pop(key.name) for key in fields(Training) if key.name in given}
        tables = {"input": given, "training": of_training}  # an unknown one is refused as one of [input]
        return replace(
            self, **{name: _made(TABLES[name], {**asdict(getattr(self, name)), **own}) for name, own in tables.items()}
        )

    @property
    def replicas(self) -> int:
        """How many take part in training, on all machines."""
        return replicas_of(self.hardware)

    @property
    def batch_per_replica(self) -> int:
        return self.input.batch // self.replicas


def replicas_of(hardware: Hardware) -> int:
    return hardware.machines * max(1, hardware.gpus)


def _together(hardware: Hardware, feeding: Input, training: Training, price: Price | None) -> Iterator[str]:
    """Yield what does not go together of a platform's tables."""
    gpus, machines, replicas, batch = hardware.gpus, hardware.machines, replicas_of(hardware), feeding.batch
    share, over = divmod(batch, replicas)
    if over:
        near = " or ".join(str(n) for n in (batch - over, batch - over + replicas) if n > 0)
        of = f"[hardware] gpus, {gpus}" if machines == 1 else f"the {replicas} replicas of {machines} machines"
        yield _wrong(Input, "batch", batch, f"a multiple of {of}: {near}")
    elif share % feeding.accumulation:
        pieces = f"a divisor of the {share} utterances that a replica takes of a batch"
        yield _wrong(Input, "accumulation", feeding.accumulation, pieces)
    fitting = ("nccl", "ring") if machines > 1 else ("first-gpu", "nccl", "hierarchical")
    if training.reduction not in fitting:
        fit = f"{' or '.join(fitting)}, as [hardware] machines is {machines}"
        yield _wrong(Training, "reduction", training.reduction, fit)
    elif training.reduction == "hierarchical" and gpus % 2 and gpus > 1:
        # TensorFlow's halves the devices, and would leave the last one's gradients out.
        yield _wrong(Training, "reduction", "hierarchical", f"first-gpu or nccl with {gpus} GPUs: it needs pairs")
    if price and gpus > 0 and price.gpus == 0:
        yield _wrong(Price, "gpus", price.gpus, f"what the {gpus} GPUs of [hardware] gpus cost")


def listed_links(links: Any, gpus: int) -> Any:
    """Return links one by one: "8 x NVLink 4" is eight, and a text without a number is that of every GPU.

    Several kinds are separated by commas. What is neither a text nor a list is returned as it is.
    """
    if isinstance(links, list):  # an array of TOML or JSON
        return tuple(links)
    if not isinstance(links, str):
        return links
    kinds, found = links.split(","), []
    alone = gpus if len(kinds) == 1 and type(gpus) is int and 0 < gpus <= MOST_LINKS else 1
    for each in kinds:
        count, what = re.fullmatch(r"(?:(\d{1,4}) *[x×] +)?(.*)", each.strip(), re.DOTALL).groups()
        found += [what] * min(int(count or alone), MOST_LINKS)
    return tuple(found)


VARIANTS = {"TI", "SUPER"}


def is_other_gpu(gpu: str | None, device: str) -> bool:
    """Tell whether a device's name is not that of a platform's GPU, going by the number of its model ("2070", "V100").

    The number is a word: an A100 is no A10. So are Ti and Super after it. Without such a number in `gpu`, and for CPUs,
    there is no telling: False.
    """
    words = [word for word in (gpu or "").upper().split() if re.fullmatch(r"[A-Z]*\d{2,4}[A-Z]*", word)]
    models = [word for word in words if not re.fullmatch(r"\d{1,3}(GB|GIB)?", word)]
    if not models or device.upper().startswith("CPU"):
        return False
    variants = VARIANTS & set((gpu or "").upper().split())
    boards = [set(re.findall(r"[A-Z0-9]+", each)) for each in re.split(r"[,+;]", device.upper())]
    return not any(models[0] in board and VARIANTS & board == variants for board in boards)


def names() -> list[str]:
    """The platforms that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name_or_path: str | os.PathLike[str]) -> Platform:
    """Read a platform by its name, or by a path: whatever ends in .toml or has a path separator in it."""
    path, other = _path_of(name_or_path), []
    try:
        keys = _read(path)
        if keys.get("name") != path.stem and not _against_rules(Platform, {"name": keys.get("name")}):
            other = [_wrong(Platform, "name", keys["name"], f"{path.stem!r}, as the file is called {path.name}")]
        platform = Platform.from_dict(keys)
    except PlatformError as error:
        raise PlatformError(*other, *error.mistakes, place=str(path)) from error.__cause__
    if other:
        raise PlatformError(*other, place=str(path))
    return platform


def _path_of(name_or_path: str | os.PathLike[str]) -> Path:
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or text.endswith(".toml") or {"/", os.sep} & set(text):
        return Path(text)
    if text in names():
        return FOLDER / f"{text}.toml"
    raise PlatformError(f"unknown platform {_shown(text)}; {_choices(text, names())}, or a path, ./mine.toml")


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # here, not above: run.json has the platforms of runs that are judged

    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"it has more than {LARGEST_BYTES} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors begin a file with a mark
    except OSError as error:
        raise PlatformError(f"{error.strerror}; expected a file, or one of {', '.join(names())}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of 5000 digits; [[[[...
        raise PlatformError(f"is not TOML: {error}; expected lines of key = value, as in cpu.toml") from error


def _made(owner: type, keys: Mapping[str, Any]) -> Any:
    if found := _mistakes(owner, keys):
        raise PlatformError(*found)
    return owner(**keys)


def _mistakes(owner: type, keys: Mapping[str, Any], *, elsewhere: Collection[str] = ()) -> list[str]:
    """Return what is wrong with keys, each by itself; those `elsewhere` are there, and not missing."""
    known = {key.name: key for key in fields(owner)}
    unknown = [name for name in keys if name not in known]
    meant = {close for name in unknown if (close := _close(name, known))}  # a misspelt key is missing too
    found = [f"unknown key {_label(owner, n)} = {_shown(keys[n])}; {_choices(n, known)}" for n in unknown]
    found += [
        _wrong(owner, name, MISSING, key.metadata["rule"].expected)
        for name, key in known.items()
        if key.default is MISSING and name not in {*keys, *elsewhere, *meant}
    ]
    return found + _against_rules(owner, keys)


def _against_rules(owner: type, values: Mapping[str, Any]) -> list[str]:
    """Return which values do not meet the rules of their keys; a key whose default is None may be None."""
    found = []
    for key in fields(owner):
        rule, value = key.metadata["rule"], values.get(key.name, MISSING)
        if key.name == "links":
            value = listed_links(value, values.get("gpus", 0))
        if value is not MISSING and not (value is None and key.default is None) and not rule.holds(value):
            found.append(_wrong(owner, key.name, value, rule.expected))
    return found


def _wrong(owner: type, key: str, value: Any, expected: str) -> str:
    found = "is missing" if value is MISSING else f"= {_shown(value)}"
    return f"{_label(owner, key)} {found}; expected {expected}"


def _label(owner: type, key: str) -> str:
    return key if owner is Platform else f"[{owner.__name__.lower()}] {key}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of 5000 hex digits; a.a.a... a thousand keys deep
        text = "a value too large to print"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _choices(word: str, known: Iterable[str]) -> str:
    close = _close(word, known)
    return (f"did you mean {close!r}? " if close else "") + f"known are {', '.join(known)}"


def _close(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), known, n=1)), "")
