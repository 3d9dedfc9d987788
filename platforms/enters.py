"""How a setting enters a run's identity: said where the setting is declared, once.

    samples: int = setting(Mark("{}-samples", usual=0))
    declared(Workload)["samples"]           # what a setting of a record says; KeyError if one says nothing

Code that compares runs asks here: which settings mark a variant, which are warned of, which `--by` can keep apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
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
KEY = "enters"


def setting(enters: Enters, default: Any = MISSING) -> Any:
    """Declare a field of a record with how it enters a run's identity."""
    return field(metadata={KEY: enters}, **({} if default is MISSING else {"default": default}))


def declared(record: type) -> dict[str, Enters]:
    """Return how each setting of a record enters, in order. Raises KeyError for one that says nothing."""
    return {each.name: each.metadata[KEY] for each in fields(record)}


def circumstances(*records: type) -> tuple[str, ...]:
    """Return the settings of some records that are circumstances."""
    return tuple(
        name for record in records for name, enters in declared(record).items() if isinstance(enters, Circumstance)
    )
