"""Tuples of results that pandas can take: `to_frame()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from pandas import DataFrame


class HasFields(Protocol):
    """Something that can be a row."""

    def fields(self) -> dict[str, object]: ...


Item = TypeVar("Item", bound=HasFields)


class Listing(tuple[Item, ...]):
    """A tuple of results whose fields are the columns of a table."""

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with a row for each result; what is not known is missing."""
        import pandas  # here: it takes longer to import than a judgement

        return pandas.DataFrame([item.fields() for item in self])
