"""Long journals read by a C parser: the values of the plain way to the digit, its errors, or nothing at all."""

import random
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journals import make_run

from benchmark.record import bulk
from benchmark.record.columns import COLUMNS, KINDS, READABLE, VARYING, JournalError, write_row
from benchmark.record.table import Table, read_table

MARKS = settings(max_examples=300, deadline=None)


@pytest.fixture(autouse=True)
def as_it_was():
    """Put back what a test changes: which way is taken, and how many much was read."""
    kept, read = bulk.worth_it, bulk._read["characters"]
    yield
    bulk.worth_it, bulk._read["characters"] = kept, read


def read_both_ways(text: str) -> tuple[Table | str, Table | str, bool]:
    """Return what the plain way and the C parser make of a text, tables or errors, and whether the latter took it."""
    found, taken, parse = [], [], bulk.read_columns

    def watched(data, kinds, **known):
        columns = parse(data, kinds, **known)
        taken.append(columns is not None)
        return columns

    bulk.read_columns = watched
    for large in (False, True):
        bulk.worth_it = lambda characters, large=large: large
        try:
            found.append(read_table("r.csv", text.encode()))
        except JournalError as error:
            found.append(str(error))
    bulk.read_columns = parse
    return found[0], found[1], any(taken)


def assert_same(text: str) -> bool:
    """Hold that both ways agree in every bit; return whether the C parser took the text."""
    one, other, taken = read_both_ways(text)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return taken
    assert one.identity == other.identity and list(one.columns) == list(other.columns)
    for name, values in one.columns.items():
        assert values.dtype == other.columns[name].dtype and values.tobytes() == other.columns[name].tobytes(), name
        assert other.columns[name].flags.writeable and other.columns[name].flags.c_contiguous
    assert one.rows() == other.rows()
    return taken


def text_of(run, columns=COLUMNS) -> str:
    return "".join([",".join(columns) + "\n", *(write_row(row, columns) for row in run.rows)])


RUN = make_run([50.0, 40.0, 30.0], train_s=0.1 + 0.2)


@pytest.mark.parametrize("columns", [COLUMNS, READABLE[4]])
def test_a_journal_is_read_in_bulk_to_the_bit(columns):
    assert assert_same(text_of(RUN, columns)), "the C parser took it"


def test_a_resumed_run_a_quoted_name_and_the_line_ends_of_windows_are_read_in_bulk():
    assert assert_same(text_of(RUN).replace("\n", "\r\n"))
    assert assert_same(text_of(make_run([50.0, 40.0], devices='CPU, "old"')))
    text = text_of(RUN)
    header, *lines = text.splitlines(keepends=True)
    later = [line.replace("4,r1,1,", "4,r1,2,", 1) for line in lines[-2:]]
    assert later != lines[-2:] and assert_same("".join([header, *lines[:-2], *later]))


NUMBERS = st.one_of(
    st.floats(min_value=0, max_value=2**53, allow_nan=False).map(repr),
    st.integers(0, 2**53).map(str),
    st.tuples(st.integers(0, 10**19), st.integers(-30, 10)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
    st.text("0123456789.", min_size=1, max_size=40),
)
ODD = st.one_of(
    NUMBERS,
    st.sampled_from(
        ["", "nan", "NaN", "-nan", "inf", "Infinity", "-1", "+5", " 5", "5 ", "5.", ".5", "1_0", "0x1p3", "1e400"]
        + ["5.0", "1d5", "1e-400", "\u0665", "1,5", '"5"', "5\0", "\r5", "NA", "None", "true", "1" * 400, "007", "1"]
        + ["9007199254740993", "1,1", "train", "done", "Train"]
    ),
    st.text(max_size=4),
)  # fmt: skip


@MARKS
@given(st.lists(st.tuples(st.integers(0, 10), st.sampled_from(VARYING), ODD), min_size=1, max_size=3))
@example([(0, "epoch", "0.0")])
@example([(1, "step", "10.0")])
@example([(1, "utterances", "10.0")])
@example([(0, "utterances", "9007199254740993")])  # 2**53 + 1, which float64 has not
@example([(0, "audio_s", "true")])
@example([(0, "audio_s", "nan")])
def test_any_field_is_the_same_or_the_same_error(edits):
    header, *lines = text_of(RUN).splitlines()
    fields = [line.split(",") for line in lines]
    for place, name, value in edits:
        fields[place % len(fields)][COLUMNS.index(name)] = value
    assert_same("\n".join([header, *map(",".join, fields)]) + "\n")


@MARKS
@given(st.data())
def test_any_damage_is_the_same_error(data):
    """Characters put in or taken out anywhere below the header: commas, line breaks, quotation marks, digits."""
    text = text_of(RUN)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(text.index("\n"), len(text)))
        put = data.draw(st.sampled_from(["", ",", "\n", '"', "1", ".", ",1\n", " ", "\n\n", ",,", "e"]))
        text = text[:place] + put + text[place + data.draw(st.integers(0, 2)) :]
    assert_same(text)


@MARKS
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_any_numbers_are_those_of_python(texts):
    """Oracle: float() of each."""
    kinds = {"phase": KINDS["phase"], "loss": KINDS["loss"]}
    found = bulk.read_columns("\n".join(f"train,{text}" for text in texts).encode(), kinds)
    try:
        expected = [float(text) for text in texts]
    except ValueError:
        assert found is None
        return
    assert found is None or found["loss"].tobytes() == np.array(expected).tobytes()
    if max(map(abs, expected)) <= 2**53:
        assert found is not None


def test_ten_thousand_random_floats_are_those_of_python():
    random.seed(2)
    texts = [repr(random.uniform(0, 1) * 10 ** random.randint(-12, 12)) for _ in range(10_000)]
    lines = "\n".join(f"train,{text}" for text in texts).encode()
    found = bulk.read_columns(lines, {name: KINDS[name] for name in ("phase", "loss")})
    assert found["loss"].tolist() == list(map(float, texts))


def test_a_line_that_is_short_beside_one_that_is_long_is_no_pair_of_lines():
    kinds = {name: KINDS[name] for name in ("phase", "wer", "cer")}
    assert bulk.read_columns(b"train,1,2\ntrain,,3", kinds) is not None
    for lines in (["train,1", "train,1,2,3"], ["train,1", "train,1,2,"], ["train,1,2,1", "train,1"], ["train,1,2,1"]):
        assert bulk.read_columns("\n".join(lines).encode(), kinds) is None
        assert bulk.read_columns("\n".join(f"4,r,{line}" for line in lines).encode(), kinds, prefix="4,r,") is None


def test_a_line_that_begins_otherwise_is_not_taken():
    kinds = {name: KINDS[name] for name in ("phase", "wer")}
    assert bulk.read_columns(b"head\n4,r,train,1\n4,r,train,2\n", kinds, prefix="4,r,", start=5)["wer"].tolist() == [
        1,
        2,
    ]
    for second in ("4,s,train,2", "4,r,1,train,2", "4,train,2", "5,r,train,2"):
        assert bulk.read_columns(f"4,r,train,1\n{second}".encode(), kinds, prefix="4,r,") is None


def test_few_rows_are_read_without_arrow_and_many_in_one_process_with_it(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "pyarrow.csv", raising=False)
    bulk._read["characters"] = 0
    said = [bulk.worth_it(600_000) for _ in range(7)]
    assert said == [False] * 5 + [True] * 2  # 3.6 million characters are more than 3
    bulk._read["characters"] = 0
    assert bulk.worth_it(10_000_000)
    bulk._read["characters"] = 0
    (tmp_path / "one").write_bytes(b"x" * 3_000_000)
    bulk.expect([tmp_path / "one", tmp_path / "none"])
    assert bulk.worth_it(1), "as more is to come"
    monkeypatch.setitem(sys.modules, "pyarrow.csv", sys)
    bulk._read["characters"] = 0
    assert bulk.worth_it(30_000) and not bulk.worth_it(10_000)
