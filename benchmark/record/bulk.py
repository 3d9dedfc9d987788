"""Journals of many rows: their numbers are read by a C parser, to the same digit, or not at all.

    bulk.expect(paths)                          # before several are read
    bulk.worth_it(len(text))                    # False until as much was read as the parser's import costs
    bulk.read_columns(lines, kinds)             # {"phase": U10 [rows], "step": int64 [rows], ...}, or None

The parser is pandas' with its exact conversion of floats, which is the one that Python's float() uses. Whatever is not
plainly as a run writes it (a field too many, quotation marks, "nan", 5.0 for a whole number, a number out of range)
gives None: the caller then reads it in the plain way, which says what is wrong.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.record.phases import Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

END = ",1\n"  # a field that no line has: where it is found, all before it are
NUMBERS = b"0123456789.,+-eE\n"  # what numbers are written with, and what parts them
OF_NUMBERS = re.compile("[eE]")  # of these, what names of phases have too
FEW = "category"  # the type of columns that have few distinct texts
OF_IMPORT = 9_000_000
"""Characters, 50,000 rows, that the plain way reads while pandas is imported: they are read before it is."""
OF_NUMPY = 1_500_000
"""Characters, 10,000 rows, that are read and judged without NumPy while it is imported: it is, for more than these."""
WORTH_A_CALL = 20_000  # characters

_read = {"characters": 0}


def expect(paths: Iterable[str | Path]) -> None:
    """Count files that are about to be read as read: where they are large together, the first is read in bulk too."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            _read["characters"] += os.stat(path).st_size


def worth_it(characters: int) -> bool:
    """Return whether so many more characters should be read in bulk; those read before in this process count."""
    _read["characters"] += characters
    if _read["characters"] > OF_NUMPY:
        import numpy as np  # noqa: F401 - columns are then of its arrays
    return "pandas" in sys.modules and characters > WORTH_A_CALL or _read["characters"] > OF_IMPORT


def without_prefix(text: str, prefix: str) -> list[str] | None:
    """Return the lines of a text without the prefix that all of them have; None if one has another."""
    before, *lines = ("\n" + text).split("\n" + prefix)
    return None if before or text.count("\n") != len(lines) - 1 else lines


def read_columns(lines: Sequence[str], kinds: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Parse lines of fields, one for each of `kinds` in order (`benchmark.record.columns.Kind`); None if not sure.

    Phases are text [rows], whole numbers that are never empty int64 [rows], all others float64 [rows], NaN where a
    field is empty.
    """
    data = END.join([*lines, ""]).encode()
    if data.count(b",") != len(lines) * len(kinds):  # with END's; and each line has END after its last field
        return None
    try:
        columns = _parsed(data, kinds)
    except (ValueError, OverflowError, TypeError, KeyError, Warning):  # what is no number, or too large for one
        return None
    for name, values in columns.items():
        kind = kinds[name]
        if kind.type in (int, float) and not (kind.within(values) | (np.isnan(values) & kind.optional)).all():
            return None
    phases = columns["phase"]
    of_phases = sum(len(OF_NUMBERS.sub("", name)) * int((phases == name).sum()) for name in Phase)
    odd = len(data.translate(None, NUMBERS)) - of_phases  # as of "nan" and "true", which pandas takes for numbers
    return columns if len(phases) == len(lines) and not odd else None


def _parsed(data: bytes, kinds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import pandas

    version = tuple(map(int, pandas.__version__.split(".")[:2]))
    exact: Any = {} if version >= (3, 1) else {"float_precision": "round_trip"}  # from 3.1 on it is the only one
    types = {name: "float64" if kind.type is float else FEW for name, kind in kinds.items()}
    types = {name: kept_as for name, kept_as in types.items() if kinds[name].type is not int or kinds[name].optional}
    with warnings.catch_warnings(action="error"):  # as of a line with more fields: it is cut, and warned of
        frame = pandas.read_csv(
            io.BytesIO(data),
            header=None,
            names=[*kinds, "end"],
            index_col=False,
            dtype={**types, "end": "float64"},
            **exact,
            quoting=csv.QUOTE_NONE,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            low_memory=False,
            engine="c",
        )
    if not (frame["end"] == 1).all():
        raise ValueError("a line with more fields or fewer")
    return {
        name: _of_category(frame[name].array, kind) if types.get(name) == FEW else _of_numbers(frame[name], kind)
        for name, kind in kinds.items()
    }


def _of_numbers(column: Any, kind: Any) -> np.ndarray:
    """Return a column as an array of its own. pandas finds out which columns have whole numbers: 5.0 is none."""
    if column.dtype != (np.int64 if kind.type is int else np.float64):
        raise ValueError("no whole numbers")
    return np.array(column)


def _of_category(values: Any, kind: Any) -> np.ndarray:
    """Return a column of few distinct values. Raises ValueError for those that a run does not write."""
    found, places = values.categories, np.asarray(values.codes)  # places are -1 where a field is empty
    if not kind.optional:
        if (places < 0).any():
            raise ValueError("an empty field")
        return np.array([kind.parse(text).value for text in found], "U10")[places]
    if len(found) and found.dtype != np.int64:
        raise ValueError("no whole numbers")
    return np.array([*found, math.nan], np.float64)[places]
