"""NumPy when it is needed, and a median that needs no more of it."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.record import arrays

VALUES = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.integers(-(2**53), 2**53)


def test_names_are_those_of_numpy():
    assert arrays.zeros is numpy.zeros
    with pytest.raises(AttributeError):
        _ = arrays.no_such_function


@given(st.lists(VALUES.filter(lambda value: abs(value) < 1e300 or value != value), min_size=1, max_size=12))
def test_the_median_is_that_of_numpy_to_the_digit(values):
    expected = float(numpy.median(numpy.array(values, float)))
    found = float(arrays.median(numpy.array(values, float)))
    assert found == expected or math.isnan(found) and math.isnan(expected)


@given(st.integers(0, 2**32), st.sampled_from([None, 0, 1, -1]))
def test_the_median_along_an_axis_is_that_of_numpy(seed, axis):
    values = numpy.random.default_rng(seed).integers(0, 9, (5, 4)).astype(float)
    values[0, 0] = math.nan if seed % 2 else 3.0
    numpy.testing.assert_array_equal(arrays.median(values, axis=axis), numpy.median(values, axis=axis))
