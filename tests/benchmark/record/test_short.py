"""Columns of short journals: NumPy's figures to the last digit, without NumPy."""

import math
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import whole_run

from benchmark.record import short
from benchmark.record.columns import JournalError
from benchmark.record.history import CLOCKS, RunRecord
from benchmark.record.holes import check_rows, check_whole
from benchmark.record.phases import Plan
from benchmark.record.short import Column
from benchmark.record.table import Table

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)
NUMBERS = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


def same(found, expected) -> None:
    numpy.testing.assert_array_equal(numpy.array(found), numpy.array(expected))


@given(st.lists(FLOATS, max_size=600))
def test_a_sum_is_numpys_to_the_last_digit(values):
    assert Column(values).sum() == float(numpy.array(values, float).sum())


def test_sums_of_the_lengths_at_which_numpy_adds_in_another_order():
    values = [math.sqrt(n) / 7 for n in range(3000)]
    for count in (7, 8, 9, 127, 128, 129, 136, 255, 256, 257, 1025, 3000):
        assert Column(values[:count]).sum() == float(numpy.array(values[:count]).sum()), count


OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a // 4, lambda a, b: a % 4,
    lambda a, b: a / 4, lambda a, b: 7 - a, lambda a, b: -a, lambda a, b: a < b, lambda a, b: a <= 2,
    lambda a, b: a >= 2, lambda a, b: a > b, lambda a, b: a == b, lambda a, b: a != 0,
    lambda a, b: (a > 0) & (b > 0), lambda a, b: (a > 0) | (b > 0), lambda a, b: ~(a > b),
    lambda a, b: a[a > 0], lambda a, b: a[1:], lambda a, b: a[::-1], lambda a, b: a[0], lambda a, b: a[[0, -1, 0]],
    lambda a, b: a.min(), lambda a, b: a.max(initial=3), lambda a, b: (a > 0).any(), lambda a, b: (a > 0).all(),
    lambda a, b: (a > 0).sum(), lambda a, b: a.astype(float),
]  # fmt: skip


@given(NUMBERS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operators_are_those_of_numpy_and_take_its_arrays(operation, values):
    others = values[::-1]
    expected = operation(numpy.array(values), numpy.array(others))
    same(operation(Column(values), Column(others)), expected)
    same(operation(Column(values), numpy.array(others)), expected)
    same(operation(numpy.array(values), Column(others)), expected)


FUNCTIONS = [
    lambda np, a, b: np.flatnonzero(a > 0), lambda np, a, b: np.where(a > b, a, b),
    lambda np, a, b: np.where(a > 0, 1, b), lambda np, a, b: np.cumsum(a > 0) - (a > 0),
    lambda np, a, b: np.diff(a), lambda np, a, b: np.diff(a, prepend=0), lambda np, a, b: np.cumsum(a > 0),
    lambda np, a, b: np.concatenate([[0], a, b[:0]]), lambda np, a, b: np.unique(a),
    lambda np, a, b: np.isin(a, [1, 2]),
    lambda np, a, b: np.maximum(a, b), lambda np, a, b: np.minimum(a, 3), lambda np, a, b: np.maximum.accumulate(a),
    lambda np, a, b: np.lexsort((a, b)), lambda np, a, b: np.searchsorted(np.unique(a), b),
    lambda np, a, b: np.searchsorted(np.unique(a), b, side="right"), lambda np, a, b: np.isnan(a / 2),
    lambda np, a, b: np.arange(len(a)) - np.arange(2, len(a) + 2), lambda np, a, b: np.zeros(3, np.int64),
    lambda np, a, b: np.ones(3, bool), lambda np, a, b: np.full(2, 0.5),
    lambda np, a, b: np.array([1, 2], dtype=np.float64),
]  # fmt: skip


@given(NUMBERS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_those_of_numpy(function, values):
    others = values[::-1]
    same(function(short, Column(values), Column(others)), function(numpy, numpy.array(values), numpy.array(others)))


def test_lists_of_other_lengths_are_refused_and_a_column_does_not_grow():
    with pytest.raises(ValueError, match="2 values for a column of 3"):
        Column([1, 2, 3]) + Column([1, 2])
    with pytest.raises(TypeError):
        column = Column([1, 2, 3])
        column += [4]


def test_until_numpy_is_loaded_its_names_are_those_here(monkeypatch):
    assert short.np.zeros is numpy.zeros
    monkeypatch.delitem(sys.modules, "numpy")
    assert short.np.zeros is short.zeros
    with pytest.raises(AttributeError):
        _ = short.np.no_such_function


PLANS = st.builds(
    lambda **given: Plan(max_seconds=1e9, targets={}, **given),
    batches_per_epoch=st.integers(1, 9), max_epochs=st.integers(1, 4), segment=st.integers(1, 4),
    generate_every=st.integers(1, 6), checkpoint_every=st.integers(1, 6),
    evaluation=st.sampled_from(["swap", "resident", "overlap"]), evaluate_every=st.integers(0, 5),
)  # fmt: skip
STOPS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=3)


@settings(deadline=None, max_examples=60)
@given(PLANS, STOPS, st.data())
def test_figures_and_refusals_of_a_run_are_those_of_numpy(plan, stops, data):
    record, end = whole_run(plan, stops=stops, known_after=data.draw(st.integers(0, 4)))
    rows = list(record.rows)
    gone = data.draw(st.integers(-1, len(rows) - 1))
    rows = rows if gone < 0 else rows[:gone] + rows[gone + 1 :]
    expected = _judged(rows, plan, end)
    assert isinstance(Table.of(rows).columns["step"], numpy.ndarray)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(short._Functions, "__getattr__", lambda self, name: getattr(short, name))
        assert isinstance(Table.of(rows).columns["step"], Column)
        assert repr(_judged(rows, plan, end)) == repr(expected)


def _judged(rows, plan, end) -> list:
    """Return figures of a run and what is said against its rows."""
    record = RunRecord(rows)
    found: list = [record.spans_s, record.ended_s, record.throughputs, record.tflop_per_s, record.seconds_per_epoch]
    found += [record.shares, [(row.step, row.phase) for row in record.standing]]
    for one in (record, record.finely):
        found += [one.medians("wer", window=2), one.best_median("wer"), one.crossing_s("wer", 90.0)]
        found += [one.time_to_accuracy_s("wer", 90.0, clock=clock) for clock in CLOCKS]
    for known in (plan, None):
        try:
            check_rows("r.csv", record.table)
            check_whole("r.csv", record.table, plan=known, end=end)
        except JournalError as error:
            found.append(str(error))
    return found
