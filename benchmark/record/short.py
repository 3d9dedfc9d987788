"""Columns of short journals without NumPy: lists with its operators, and those of its functions that columns need.

    if TYPE_CHECKING:
        import numpy as np
    else:
        from benchmark.record.short import np       # NumPy once it is loaded; until then the functions below

    steps = np.array([0, 50, 100], dtype=np.int64)
    np.flatnonzero(steps > 40).tolist()             # [1, 2], of either kind

Formulas are written once, for both kinds. NumPy's import takes as long as all else that a small table needs
(docs/speed.md, "The start"): `benchmark.record.bulk` loads it where more is read than that is worth. Columns of one
kind take those of the other as operands, and both give the same figures to the last digit.

Only what columns need is here: one dimension, and no NaN among values that are ordered.
"""

from __future__ import annotations

import operator
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import accumulate, chain, repeat
from typing import Any

float64, int64 = float, int
EIGHT, PAIRWISE = 8, 128
"""NumPy adds up to 128 floats in eight sums, and halves more."""


class Column(list):
    """A list whose operators work on each value; a list on their right has to be as long."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Column(list.__getitem__(self, key))
        if not hasattr(key, "__len__"):
            return list.__getitem__(self, key)
        places = key.tolist() if hasattr(key, "tolist") else key
        if places and isinstance(places[0], bool):
            return Column(value for value, chosen in zip(self, places, strict=True) if chosen)
        return Column(map(super().__getitem__, places))

    def __neg__(self) -> Column:
        return Column(map(operator.neg, self))

    def __invert__(self) -> Column:
        return Column(map(operator.not_, self))

    def __rsub__(self, other: Any) -> Column:
        return Column(other - value for value in self)

    __iadd__ = __imul__ = None  # type: ignore[assignment]  # a list's would make it longer

    def astype(self, kind: Callable) -> Column:
        return Column(map(kind, self))

    def tolist(self) -> list:
        return list(self)

    def any(self) -> bool:
        return any(self)

    def all(self) -> bool:
        return all(self)

    def min(self) -> Any:
        return min(self)

    def max(self, **initial: Any) -> Any:
        return max([*initial.values(), *self])

    def sum(self) -> Any:
        return _sum(list(self)) if self and isinstance(self[0], float) else sum(self)


def _sum(values: list[float]) -> float:
    """Add floats in NumPy's order, as in another the last digit is another."""
    if len(values) > PAIRWISE:
        half = len(values) // 2 - len(values) // 2 % EIGHT
        return _sum(values[:half]) + _sum(values[half:])
    whole = len(values) - len(values) % EIGHT
    sums = [reduce(operator.add, values[first:whole:EIGHT], 0.0) for first in range(EIGHT)]
    while len(sums) > 1:
        sums = [one + other for one, other in zip(sums[::2], sums[1::2], strict=True)]
    return reduce(operator.add, values[whole:], sums[0])


def _on_each(function: Callable) -> Callable:
    def applied(self: Column, other: Any) -> Column:
        if not isinstance(other, Column) and hasattr(other, "tolist"):
            return NotImplemented  # NumPy's operator takes both
        return Column(map(function, self, _as_many(other, len(self))))

    return applied


def _as_many(values: Any, count: int) -> Iterable:
    """Return so many values: those of a list, or one for all places."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        return repeat(values, count)
    if len(values) != count:
        raise ValueError(f"{len(values)} values for a column of {count}")
    return values


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "lt", "le", "gt", "ge", "eq", "ne", "and_", "or_"):
    setattr(Column, f"__{_name.strip('_')}__", _on_each(getattr(operator, _name)))


# --- NumPy's functions -----------------------------------------------------------------------------------------------


def array(values: Iterable, dtype: Any = None) -> Column:
    return Column(map(dtype, values) if dtype in (int, float, bool) else values)


def zeros(count: int, dtype: Any = float) -> Column:
    return Column([dtype(0)] * count)


def ones(count: int, dtype: Any = float) -> Column:
    return Column([dtype(1)] * count)


def full(count: int, value: Any) -> Column:
    return Column([value] * count)


def arange(start: int, *end: int) -> Column:
    return Column(range(start, *end))


def concatenate(parts: Iterable[Iterable]) -> Column:
    return Column(chain.from_iterable(parts))


def isnan(values: Iterable[float]) -> Column:
    return Column(value != value for value in values)


def isin(values: Iterable, among: Iterable) -> Column:
    return Column(map(frozenset(among).__contains__, values))


def flatnonzero(values: Iterable) -> Column:
    return Column(place for place, value in enumerate(values) if value)


def where(condition: Sequence, this: Any, other: Any) -> Column:
    count = len(condition)
    chosen = zip(condition, _as_many(this, count), _as_many(other, count), strict=True)
    return Column(one if true else another for true, one, another in chosen)


def diff(values: Sequence, **prepend: Any) -> Column:
    values = [*prepend.values(), *values]
    return Column(map(operator.sub, values[1:], values))


def cumsum(values: Iterable) -> Column:
    return Column(accumulate(map(int, values)))


def unique(values: Iterable) -> Column:
    return Column(sorted(set(values)))


def lexsort(keys: Sequence[Sequence]) -> Column:
    """Return the order of several columns; the last comes first."""
    rows = list(zip(*reversed(keys), strict=True))
    return Column(sorted(range(len(rows)), key=rows.__getitem__))


def searchsorted(values: Sequence, sought: Iterable, side: str = "left") -> Column:
    find = bisect_left if side == "left" else bisect_right
    return Column(find(values, value) for value in sought)


class _Extreme:
    """The smaller or larger of two values in each place, and the smallest or largest so far."""

    def __init__(self, of: Callable) -> None:
        self.of = of

    def __call__(self, values: Sequence, others: Any) -> Column:
        return Column(map(self.of, values, _as_many(others, len(values))))

    def accumulate(self, values: Iterable) -> Column:
        return Column(accumulate(values, self.of))


minimum, maximum = _Extreme(min), _Extreme(max)


class _Functions:
    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules.get("numpy", sys.modules[__name__]), name)


np = _Functions()
