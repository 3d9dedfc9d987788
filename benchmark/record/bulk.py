"""Journals of many rows: their numbers are read by a C++ parser, to the same digit, or not at all.

    bulk.expect(paths)                            # before several are read
    bulk.worth_it(len(data))                      # False until as much was read as the parser's import costs
    bulk.read_columns(data, kinds, prefix="4,")   # {"phase": U10 [rows], "step": int64 [rows], ...}, or None

The parser is Arrow's, which rounds floats as Python's float() does. Whatever is not plainly as a run writes it (a field
too many, quotation marks, "nan", 5.0 for a whole number, a number out of range) gives None: the caller then reads it in
the plain way, which says what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.record.columns import LARGEST
from benchmark.record.phases import Phase

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

LENIENTLY = " \txX"  # Arrow leaves blanks out around numbers, and takes 0x10 for one
OF_IMPORT = 3_000_000
"""Characters, 17,000 rows, that the plain way reads while Arrow is imported: they are read before it is."""
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
    return "pyarrow.csv" in sys.modules and characters > WORTH_A_CALL or _read["characters"] > OF_IMPORT


def read_columns(
    data: bytes, kinds: Mapping[str, Any], *, prefix: str = "", start: int = 0
) -> dict[str, np.ndarray] | None:
    """Parse lines of fields, one for each of `kinds` in order (`benchmark.record.columns.Kind`); None if not sure.

    They are those of `data` from `start` on, in UTF-8. Every line begins with `prefix`, whose fields are not parsed.
    Phases are text [rows], whole numbers that are never empty int64 [rows], all others float64 [rows], NaN where a
    field is empty.
    """
    before, last = prefix.encode(), max(start, data.rfind(b"\n", start, -1) + 1)
    if '"' in prefix or not all(data.startswith(before, line) for line in (start, last)):
        return None
    parsed = _parsed(data, kinds, before=prefix.count(","), start=start)
    if parsed is None:
        return None
    rows, columns = parsed
    if data.count(b"\n" + before, start) != rows - 1:  # a line that begins otherwise
        return None
    for name, values in columns.items():
        kind = kinds[name]
        if kind.type in (int, float) and not (kind.within(values) | (np.isnan(values) & kind.optional)).all():
            return None
    lenient = any(data.count(mark.encode(), start) != rows * prefix.count(mark) for mark in LENIENTLY)
    return None if lenient else columns


def _parsed(
    data: bytes, kinds: Mapping[str, Any], *, before: int, start: int
) -> tuple[int, dict[str, np.ndarray]] | None:
    """Return how many lines there are, and the columns that follow `before` others; None if a field does not fit."""
    import pyarrow
    from pyarrow import csv

    types = {Phase: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    try:
        table = csv.read_csv(
            pyarrow.py_buffer(data).slice(start),
            csv.ReadOptions(
                column_names=[*map(str, range(before)), *kinds], block_size=len(data) + 1, use_threads=False
            ),
            csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types={name: types[kind.type] for name, kind in kinds.items()},
                include_columns=list(kinds),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        return len(table), {name: _array(table[name], kind) for name, kind in kinds.items()}
    except (pyarrow.ArrowException, ValueError):  # the second: what no phase is called, an empty field
        return None


def _array(column: Any, kind: Any) -> np.ndarray:
    """Return an Arrow column as an array of its own. Raises ValueError for what a run does not write."""
    if column.null_count and not kind.optional:
        raise ValueError("an empty field")
    if kind.type is Phase:
        coded = column.combine_chunks().dictionary_encode()
        names = [kind.parse(text).value for text in coded.dictionary.to_pylist()]
        return np.array(names, "U10")[coded.indices.to_numpy()]
    of = np.float64 if kind.type is float or kind.optional else np.int64
    values = np.require(column.to_numpy(), of, ["C", "W"])
    if of == np.float64 and np.isnan(values).sum() != column.null_count:
        raise ValueError("nan, which is no number")
    if kind.type is int and of == np.float64 and (values >= LARGEST).any():
        raise ValueError("a whole number that may have been rounded")
    return values
