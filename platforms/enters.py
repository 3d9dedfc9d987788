"""How a setting enters a run's identity: said where the setting is declared, once.

    samples: int = setting(Mark("{}-samples"), 0, option=Option("--samples", metavar="N", help="train on N utterances"))
    declared(Workload)["samples"]           # what a setting of a record says; KeyError if one says nothing
    options(Workload)["samples"].flag       # the option that changes it for one run

Whoever compares runs asks here: which settings mark a variant, which are warned of, which `--by` can keep apart. The
command line asks here for its options.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

MISSING = object()


@dataclass(frozen=True)
class Column:
    """The setting is a column of the journal, or follows from one; runs that differ in it are not pooled."""

    name: str


@dataclass(frozen=True)
class Mark:
    """A value other than the workload's own stands in the run's variant, in these words; such runs are not pooled.

    `only_with` names a setting without which this one changes nothing. A mark without words is left by somebody else.
    """

    words: str
    only_with: str = ""


@dataclass(frozen=True)
class End(Mark):
    """A limit. It marks a variant where the learning rate knows the end, which is part of the recipe then."""


@dataclass(frozen=True)
class Circumstance:
    """Runs that differ in the setting are pooled with a warning, and kept apart by `--by`."""


@dataclass(frozen=True)
class Harmless:
    """The setting changes neither what is learnt nor how long it takes; it says why."""

    because: str


Enters = Column | Mark | Circumstance | Harmless


@dataclass(frozen=True, kw_only=True)
class Option:
    """The option of a command line that changes a setting for one run.

    `metavar` and `help` are argparse's; the value's type is the setting's. With `choices` it is one of these. A setting
    that is true or false is turned on, and takes no value.
    """

    flag: str
    help: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] | None = None


KEY, OPTION = "enters", "option"


def setting(enters: Enters, default: Any = MISSING, *, option: Option | None = None) -> Any:
    """Declare a field of a record with how it enters a run's identity, and the option that changes it."""
    return field(metadata={KEY: enters, OPTION: option}, **({} if default is MISSING else {"default": default}))


def declared(record: type) -> dict[str, Enters]:
    """Return how each setting of a record enters, in order. Raises KeyError for one that says nothing."""
    return {each.name: each.metadata[KEY] for each in fields(record)}


def options(record: type) -> dict[str, Option]:
    """Return the options of a record's settings, by setting, in order."""
    return {each.name: each.metadata[OPTION] for each in fields(record) if each.metadata.get(OPTION)}


def add_options(group: Any, *records: type) -> None:
    """Add the options of some records' settings to an argparse group; one that is not given is None.

    An option that two records declare is one option: that of the first, with the choices and the help of both.
    """
    found: dict[str, tuple[str, type, Option]] = {}
    for record in records:
        for each in fields(record):
            option = each.metadata.get(OPTION)
            if option and option.flag in found:
                name, kind, first = found[option.flag]
                both = tuple(dict.fromkeys((*(first.choices or ()), *(option.choices or ()))))
                words = "; ".join(dict.fromkeys(filter(None, (first.help, option.help))))
                option = replace(first, choices=both or None, help=words or None)
            if option:
                found[option.flag] = each.name, _kind_of(each), option
    for name, kind, option in found.values():
        shown = {"dest": name, "help": option.help}
        if kind is bool:
            group.add_argument(option.flag, action="store_const", const=True, **shown)
        else:
            group.add_argument(option.flag, type=kind, metavar=option.metavar, choices=option.choices, **shown)


def _kind_of(each: Field) -> type:
    """Return the type of a setting's values, which its annotation says: "float | None"."""
    return {"str": str, "int": int, "float": float, "bool": bool}[str(each.type).split(" ")[0]]


def circumstances(*records: type) -> tuple[str, ...]:
    """Return the settings of some records that are circumstances."""
    return tuple(
        name for record in records for name, enters in declared(record).items() if isinstance(enters, Circumstance)
    )
