"""What is written is read back; what is damaged is refused with file and line, never with another exception."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmark.metrics import FIGURES, METRICS
from benchmark.record.clocks import Span
from benchmark.record.columns import COLUMNS, POOLED, READABLE, SCHEMA, Identity, JournalError, Outcome, Row, to_text
from benchmark.record.history import RunRecord, differing
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase

IDENTITY = Identity(
    run="sys1-mini-1", platform="sys1", workload="mini", recipe="paper", seed=1, replicas=4, devices="4 x RTX 2070",
    emulated=False, batch=96, precision="float32", features="ab12", decoder="greedy", evaluation="resident",
    code="0.1.0+cd34",
)  # fmt: skip
ERRORS = {"wer": 61.5, "cer": 30.25, "wer_mean": 60.0, "cer_paper": 28.0, "ser": 95.5, "deletions": 7}
STEPS = (
    (Phase.CREATE, Span(0.0, 3.5), Outcome(step=0, epoch=0)),
    (Phase.TRAIN, Span(3.5, 50.0), Outcome(step=50, epoch=1, utterances=4800, audio_s=60000.5, loss=31.25)),
    (Phase.GENERATE, Span(53.5, 1.5), Outcome(step=50, epoch=1, utterances=3)),
    (Phase.CHECKPOINT, Span(55.0, 2.0), Outcome(step=50, epoch=1)),
    (Phase.EVALUATE, Span(57.0, 10.0), Outcome(step=50, epoch=1, utterances=300, audio_s=2000.0, **ERRORS)),
)


def write(path: Path, *, identity: Identity = IDENTITY) -> Path:
    journal = Journal.create(path, identity)
    for step in STEPS:
        journal.append(*step)
    journal.close()
    return path


def make_row(phase: Phase, **changes) -> Row:
    errors = {"wer": 90.0, "cer": 90.0} if phase is Phase.EVALUATE else {}
    usual = {**vars(IDENTITY), "epoch": 0, "step": 0, "started_s": 0.0, "seconds": 1.0, **errors}
    return Row(**{**usual, **changes}, phase=phase)


@pytest.fixture(scope="module")
def valid() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / "run.csv").read_bytes()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.csv"


# --- writing and reading back ----------------------------------------------------------------------------------------


def test_a_journal_is_one_header_and_one_line_for_every_phase(path):
    lines = write(path).read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == 1 + len(STEPS)
    assert lines[2] == (
        "4,sys1-mini-1,1,sys1,mini,,paper,1,1,4,4 x RTX 2070,no,96,float32,ab12,greedy,resident,0.1.0+cd34,"
        "train,1,50,3.5,50.0,4800,60000.5,,,31.25,,,,,,,,,"
    )


def test_a_language_model_of_older_runs_was_pyctcdecodes_and_is_not_the_suites_own(path):
    """Their decoder has another name today: else two figures of unlike searches would have one label."""
    for number, (written, expected) in enumerate(
        [
            ("language-model-256-3-gram-0f1e2d", "pyctcdecode-256-3-gram-0f1e2d"),
            ("lm-256-3-gram-0f1e2d", "lm-256-3-gram-0f1e2d"),
            ("pyctcdecode-64-language-model-0f1e2d", "pyctcdecode-64-language-model-0f1e2d"),
            ("dictionary-256", "dictionary-256"),
        ]
    ):
        file = path.with_name(f"{number}.csv")
        assert read(write(file, identity=replace(IDENTITY, decoder=written))).identity.decoder == expected


def test_what_is_appended_is_read_back_and_is_what_the_run_saw(path):
    journal = Journal.create(path, IDENTITY)
    rows = []
    for step in STEPS:
        rows.append(journal.append(*step))
        assert read(path).rows == tuple(rows)  # flushed: no need to close
    assert read(path).ended_s == 67.0
    journal.close()


def test_a_journal_without_rows_is_a_run_that_has_not_begun(path):
    Journal.create(path, IDENTITY).close()
    record = read(path)
    assert record == RunRecord()
    assert (record.identity, record.attempts, record.ended_s, record.evaluations) == (None, 0, 0.0, ())


def test_nothing_is_overwritten(path):
    before = write(path).read_bytes()
    with pytest.raises(JournalError, match="run.csv: a run of this name is there already; choose another --name"):
        Journal.create(path, IDENTITY)
    assert path.read_bytes() == before


def test_a_resumed_run_goes_on_in_the_same_file_as_another_attempt(path):
    record = read(write(path))
    journal = Journal.resume(path, IDENTITY)
    journal.append(Phase.CREATE, Span(record.ended_s, 1.0), Outcome(step=50, epoch=1))
    journal.close()
    assert [row.attempt for row in read(path).rows] == [1, 1, 1, 1, 1, 2]


texts = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=' ,"'), max_size=12)
numbers = st.floats(0, 1e12)
identities = st.builds(
    Identity, run=texts, platform=texts, workload=texts, variant=texts, recipe=texts, seed=st.integers(-(2**53), 2**53),
    replicas=st.integers(1, 64), devices=texts, emulated=st.booleans(), batch=st.integers(1, 10_000), precision=texts,
    features=texts, decoder=texts, evaluation=texts, code=texts,
)  # fmt: skip
outcomes = st.builds(
    Outcome,
    step=st.integers(0, 2**40), epoch=st.integers(0, 2**20), utterances=st.none() | st.integers(0, 2**40),
    audio_s=st.none() | numbers, loss=st.none() | st.floats(-1e9, 1e9), wer=numbers, cer=numbers,
    wer_mean=st.none() | numbers, cer_paper=st.none() | numbers, ser=st.none() | numbers,
    substitutions=st.none() | st.integers(0, 2**40), deletions=st.none() | st.integers(0, 2**40),
)  # fmt: skip
steps = st.tuples(st.sampled_from([p for p in Phase if p is not Phase.DONE]), st.floats(0, 1e5), outcomes)


@settings(max_examples=60)
@given(identities, st.lists(steps, max_size=6))
def test_any_rows_are_read_back_as_they_were(identity, steps):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "run.csv", identity)
        rows, ended_s = [], 0.0
        for phase, seconds, outcome in steps:
            row = journal.append(phase, Span(ended_s, seconds), outcome)
            rows.append(row)
            ended_s = max(ended_s, row.ended_s)
            assert abs(row.seconds - seconds) <= 5.1e-7  # microseconds are written
            assert all(getattr(row, name) == value for name, value in vars(outcome).items())
        journal.close()
        record = read(journal.path)
    assert record.rows == tuple(rows)
    assert all(getattr(row, name) == value for row in record.rows for name, value in vars(identity).items())


class NumPyFloat(float):
    """Shows itself as numpy.float64 has since NumPy 2."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)})"


def test_the_floats_of_numpy_are_written_as_numbers(path):
    journal = Journal.create(path, IDENTITY)
    journal.append(Phase.TRAIN, Span(0.0, 1.0), Outcome(step=1, epoch=1, loss=NumPyFloat(1.5)))
    journal.close()
    assert read(path).rows[0].loss == 1.5


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ({"loss": math.nan}, "loss is 'nan'; expected a number or nothing that is finite"),
        ({"loss": math.inf}, "loss is 'inf'"),
        ({"utterances": 4800.0}, "utterances is '4800.0'; expected a whole number or nothing"),
        ({"utterances": -1}, "utterances is -1; expected a number of at least 0"),
        ({"step": 10**400}, "step is '1000.*expected a whole number that is finite"),
    ],
)
def test_a_row_that_could_not_be_read_again_is_not_written(path, outcome, message):
    journal = Journal.create(path, IDENTITY)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        journal.append(Phase.TRAIN, Span(0.0, 1.0), Outcome(**{"step": 1, "epoch": 1, **outcome}))
    journal.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["two\nlines", "a\rb", "nul\0", "\ud800", "\u2028"])
def test_text_that_would_tear_a_row_is_refused(text):
    with pytest.raises(ValueError, match="platform is .*; expected text that can be printed"):
        make_row(Phase.TRAIN, platform=text)


@pytest.mark.parametrize(
    ("phase", "changes", "message"),
    [
        (Phase.TRAIN, {"seconds": -0.1}, "seconds is -0.1; expected a number of at least 0"),
        (Phase.TRAIN, {"seconds": math.nan}, "seconds is 'nan'; expected a number that is finite"),
        (Phase.TRAIN, {"started_s": -1.0}, "started_s is -1.0"),
        (Phase.TRAIN, {"epoch": -1}, "epoch is -1"),
        (Phase.EVALUATE, {"wer": -1.0}, "wer is -1.0"),
        (Phase.EVALUATE, {"wer": None, "cer": None}, "an evaluate row without wer and cer; expected one of them"),
        (Phase.DONE, {}, "phase is 'done'; expected a phase that takes time"),
    ],
)
def test_a_row_refuses_nonsense(phase, changes, message):
    with pytest.raises(ValueError, match=message):
        make_row(phase, **changes)


# --- damaged files ---------------------------------------------------------------------------------------------------


def field(line: int, column: str, value: str):
    """A change of one field; `line` as an editor counts, the header is line 1."""

    def change(text: str) -> str:
        lines = text.splitlines()
        values = lines[line - 1].split(",")
        values[COLUMNS.index(column)] = value
        lines[line - 1] = ",".join(values)
        return "\n".join(lines) + "\n"

    return change


def swapped(text: str) -> str:
    lines = text.splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    return "\n".join(lines) + "\n"


DAMAGES = {
    "nothing in it": (lambda text: "", 1, "empty; expected the header schema,run,attempt,platform,"),
    "not a journal": (lambda text: "a,b\n1,2\n", 1, "column 1 of the header is 'a'; expected 'schema'"),
    "a long line of something else": (lambda text: "x" * 500 + "\n", 1, "column 1 of the header is 'xxxx"),
    "another order of columns": (
        lambda text: text.replace("schema,run", "run,schema", 1), 1, "column 1 of the header is 'run'; expected 's"
    ),
    "a column too few": (
        lambda text: text.replace(",down_s,", ",", 1), 1, "column 33 of the header is 'ser'; expected 'down_s'"
    ),
    "a header cut short": (
        lambda text: text.replace(text.splitlines()[0], "schema,run", 1), 1, "column 3 of the header is nothing; expec"
    ),
    "a column too many": (
        lambda text: text.replace(",insertions\n", ",x\n", 1), 1, "37 of the header is 'x'; expected nothing, or one of"
    ),
    "a figure twice": (
        lambda text: text.replace(",insertions\n", ",ser\n", 1), 1, "37 of the header is 'ser'; expected nothing, or on"
    ),
    "figures before the columns of the schema": (
        lambda text: text.replace("loss,wer", "loss,ser,wer", 1), 1, "column 29 of the header is 'ser'; expected 'wer'"
    ),
    "a short line": (lambda text: text[: text.rindex(",")] + "\n", 6, "36 fields; expected 37 (a line cut short?)"),
    "a line cut in its last number": (lambda text: text[:-2], 6, "no line break at its end"),
    "an empty line": (lambda text: text.replace("\n4,", "\n\n4,", 1), 2, "0 fields; expected 37"),
    "a quote never closed": (lambda text: text.replace("\n4,", '\n"4,', 1), 2, "1 fields; expected 37"),
    "a NUL in text": (field(3, "platform", "sy\0s1"), 3, ""),  # Python 3.10's csv says so itself
    "a NUL in a number": (field(3, "step", "5\0"), 3, ""),
    "a huge field": (field(4, "devices", "x" * 200_000), 4, "not CSV (field larger than field limit (131072))"),
    "a huge number": (field(4, "step", "1" * 400), 4, "step is '1111"),
    "more digits than Python reads": (field(4, "step", "1" * 5000), 4, "; expected a whole number"),
    "a huge float": (field(3, "loss", "1e308"), 3, "loss is '1e308'; expected a number or nothing that is finite"),
    "a negative time": (field(3, "started_s", "-3.5"), 3, "started_s is -3.5; expected a number of at least 0"),
    "a negative duration": (field(3, "seconds", "-50.0"), 3, "seconds is -50.0; expected a number of at least 0"),
    "time running backwards": (field(4, "started_s", "53.0"), 4, "started_s is 53.0, before the row above ended (53.5"),
    "rows out of order": (swapped, 3, "started_s is 0.0, before the row above ended (53.500000)"),
    "not a number": (field(3, "seconds", "fifty"), 3, "seconds is 'fifty'; expected a number"),
    "NaN": (field(3, "loss", "nan"), 3, "loss is 'nan'; expected a number or nothing that is finite"),
    "infinity": (field(3, "seconds", "inf"), 3, "seconds is 'inf'; expected a number that is finite"),
    "half a step": (field(3, "step", "50.5"), 3, "step is '50.5'; expected a whole number"),
    "no step": (field(3, "step", ""), 3, "step is ''; expected a whole number"),
    "an unknown phase": (field(3, "phase", "sleep"), 3, "phase is 'sleep'; expected create or train or generate"),
    "the phase that is no row": (field(3, "phase", "done"), 3, "phase is 'done'; expected a phase that takes time"),
    "neither yes nor no": (field(3, "emulated", "True"), 3, "emulated is 'True'; expected yes or no"),
    "an evaluation without its errors": (
        lambda text: field(6, "cer", "")(field(6, "wer", "")(text)),
        6,
        "an evaluate row without wer and cer; expected one of them at least",
    ),
    "rows of another run": (
        field(5, "run", "other"), 5, "run is 'other', but 'sys1-mini-1' above; expected one run a file"
    ),
    "another seed": (field(5, "seed", "2"), 5, "seed is 2, but 1 above; expected one run a file"),
    "semicolons": (lambda text: text.replace(",", ";"), 1, "found semicolons between the columns, as a spreadsheet"),
    "tabs": (lambda text: text.replace(",", "\t"), 1, "found tabs between the columns, as a spreadsheet program saved"),
    "a decimal comma": (field(3, "seconds", '"10,5"'), 3, "found the decimal comma of '10,5', as a spreadsheet"),
    "a date": (field(3, "loss", "31. Jan"), 3, "loss is '31. Jan' (a date, which a spreadsheet program made of a num"),
    "a date of numbers": (field(3, "loss", "2026-01-31"), 3, "(a date, which a spreadsheet program made of a number)"),
    "an attempt before the one above": (field(2, "attempt", "2"), 3, "attempt is 1, but 2 above; expected attempts in"),
    "another schema": (
        field(2, "schema", "1"), 2, "schema is 1; expected 4: read it with the version that wrote it"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_with_file_and_line(path, valid, damage):
    change, line, message = DAMAGES[damage]
    path.write_text(change(valid.decode()))
    with pytest.raises(JournalError) as error:
        read(path)
    assert f"{path}:{line}: " in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 250


def test_bytes_that_are_not_utf_8_are_refused_with_the_line_however_far_down(path, valid):
    lines = valid.splitlines(keepends=True)
    lines[5] = lines[5].replace(b"sys1", b"sys\xff")
    path.write_bytes(lines[0] + b"".join(lines[1:5]) + lines[5])
    with pytest.raises(JournalError, match="run.csv:6: not UTF-8 at byte"):
        read(path)
    path.write_bytes(lines[0] + lines[1] * 1000 + lines[5])  # far beyond one buffer of a file
    with pytest.raises(JournalError, match="run.csv:1002: not UTF-8 at byte"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named_by_its_byte_order_mark(path, valid, encoding):
    path.write_bytes(("\ufeff" + valid.decode()).encode(encoding))
    with pytest.raises(JournalError, match="run.csv:1: found the byte order mark of UTF-16, as a spreadsheet program"):
        read(path)


@pytest.mark.parametrize("end", ["\n", "\n\n  \n", "\r\n", "," * 36 + "\n"])
def test_blank_lines_at_the_end_and_a_byte_order_mark_change_nothing(path, valid, end):
    path.write_bytes(valid)
    before = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + valid + end.encode())
    assert read(path) == before


def test_time_runs_forwards_across_attempts_too(path):
    record = read(write(path))
    journal = Journal(path, IDENTITY, record, attempt=2)  # by a clock that begins anew: its times would be too good
    journal.append(Phase.CREATE, Span(0.0, 1.0), Outcome(step=50, epoch=1))
    journal.close()
    with pytest.raises(JournalError, match=r"run.csv:7: started_s is 0.0, before the row above ended \(67.000000\)"):
        read(path)


def test_an_evaluation_may_overlap_training(path):
    journal = Journal.create(path, IDENTITY)
    journal.append(Phase.TRAIN, Span(0.0, 50.0), Outcome(step=50, epoch=1))
    journal.append(Phase.EVALUATE, Span(20.0, 10.0), Outcome(step=50, epoch=1, **ERRORS))
    journal.close()
    assert read(path).ended_s == 50.0


def test_files_that_are_not_there_or_are_folders_are_refused(tmp_path):
    with pytest.raises(JournalError, match="none.csv: no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(JournalError, match="a folder; expected a run's CSV file"):
        read(tmp_path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_devices_which_have_no_end_are_refused(device):
    with pytest.raises(JournalError, match=f"^{device}: a device; expected a run's CSV file"):
        read(device)


def test_the_line_ends_of_windows_are_read(path, valid):
    path.write_bytes(valid.replace(b"\n", b"\r\n"))
    assert len(read(path).rows) == len(STEPS)


mutations = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=8) | st.sampled_from([b",", b'"', b"\n", b"9"])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(0.96875, 1, b"\r")])
@given(mutations)
def test_any_damage_gives_a_record_or_a_journal_error(tmp_path, valid, mutations):
    data = valid
    for where, length, replacement in mutations:
        start = int(where * len(data))
        data = data[:start] + replacement + data[start + length :]
    path = tmp_path / "mutated.csv"
    path.write_bytes(data)
    try:
        record = read(path)
    except JournalError as error:
        assert str(error).startswith(f"{path}:")
    else:
        assert record.evaluated_epoch >= 0
        for clock in ("wall", "train", "mlperf"):
            assert record.time_to_accuracy_s("wer", 1e9, window=1, clock=clock) is None or record.evaluations


# --- what follows from the rows --------------------------------------------------------------------------------------


def test_a_later_attempt_replaces_what_it_did_again():
    rows = (
        make_row(Phase.TRAIN, step=100, epoch=1),
        make_row(Phase.EVALUATE, step=100, epoch=1, wer=50.0),
        make_row(Phase.CHECKPOINT, step=150, epoch=2),
        make_row(Phase.GENERATE, step=200, epoch=2),
        make_row(Phase.EVALUATE, step=200, epoch=2, wer=40.0),
    )
    crashed = RunRecord(rows)
    assert [row.wer for row in crashed.evaluations] == [50.0, 40.0]
    again = RunRecord((*rows, make_row(Phase.CREATE, step=150, epoch=2, attempt=2)))
    # The model of step 200 is lost: its evaluation and its generation are undone, the checkpoint at 150 holds.
    assert [row.wer for row in again.evaluations] == [50.0]
    assert [row.step for row in again.standing if row.phase is Phase.CHECKPOINT] == [150]
    redone = RunRecord((*again.rows, make_row(Phase.EVALUATE, step=200, epoch=2, attempt=2, wer=45.0)))
    assert [(row.wer, row.attempt) for row in redone.evaluations] == [(50.0, 1), (45.0, 2)]


def test_an_attempt_that_begins_by_training_undoes_what_was_at_its_first_steps():
    rows = (make_row(Phase.TRAIN, step=50), make_row(Phase.GENERATE, step=50), make_row(Phase.TRAIN, step=100))
    again = RunRecord((*rows, make_row(Phase.TRAIN, step=50, attempt=2)))
    assert [(row.step, row.attempt) for row in again.standing] == [(50, 2)]


def test_runs_may_be_pooled_unless_what_must_agree_differs():
    def run(**changes) -> RunRecord:
        return RunRecord((replace(make_row(Phase.TRAIN), **changes),))

    assert differing([run(), run(seed=2, run="other"), RunRecord()]) == []
    assert differing([run(), run(batch=48), run(code="x")]) == [("batch", [48, 96]), ("code", ["0.1.0+cd34", "x"])]
    assert differing([run(), run(batch=48)], ["code"]) == []
    assert set(POOLED) <= {name for name in COLUMNS if name not in METRICS}


def test_clocks_begin_with_model_creation_and_not_with_the_sampler_that_was_started_before():
    rows = tuple(
        replace(make_row(phase), started_s=started_s, seconds=seconds)
        for phase, started_s, seconds in ((Phase.CREATE, 0.5, 2.0), (Phase.TRAIN, 2.5, 10.0))
    )
    record = RunRecord(rows)
    assert record.clock_s(12.5) == 12.0  # 12.5 - 0.5
    assert record.clock_s(12.5, "train") == 10.0  # less 2 of creation
    assert record.clock_s(12.5, "mlperf") == 10.0  # 12.5 - 2.5


def older(text: str, schema: int = 2) -> str:
    """A journal as older schemas had it: no column `machines`; until 2 no `variant`, but one glued onto the workload's
    name; and no figures after the columns of the schema."""
    lines = [line.split(",")[: len(READABLE[SCHEMA])] for line in text.splitlines()]
    place = COLUMNS.index("variant")
    for number, values in enumerate(lines):
        if number:
            values[0] = str(schema)
        del values[COLUMNS.index("machines")]
        if schema == 2:
            values[COLUMNS.index("workload")] += f"+{values[place]}" if number and values[place] else ""
            del values[place]
    return "".join(",".join(values) + "\n" for values in lines)


@pytest.mark.parametrize("schema", [2, 3])
@pytest.mark.parametrize("variant", ["", "specaugment+synthetic"])
def test_journals_of_older_schemas_are_read_with_one_machine_and_their_variant(path, variant, schema):
    written = without(read(write(path, identity=replace(IDENTITY, variant=variant))), FURTHER)
    text = older(path.read_text(), schema)
    assert text.splitlines()[0].split(",") == list(READABLE[schema])
    path.write_text(text)
    assert read(path) == written
    assert (read(path).identity.workload, read(path).identity.variant) == ("mini", variant)


# --- figures that came later -----------------------------------------------------------------------------------------

FURTHER = COLUMNS[len(READABLE[SCHEMA]) :]
"""The figures that follow the columns of the schema."""

any_figures = st.lists(st.sampled_from(FURTHER), unique=True)  # some of them, in any order


def without(record: RunRecord, figures) -> RunRecord:
    """The record as it would be had these figures never been measured."""
    return RunRecord(tuple(replace(row, **dict.fromkeys(figures)) for row in record.rows))


def under(columns, rows) -> str:
    """A file with these columns."""
    lines = [columns, *([to_text(getattr(row, name)) for name in columns] for row in rows)]
    return "".join(",".join(values) + "\n" for values in lines)


def test_the_columns_of_a_schema_stay_and_later_figures_follow():
    assert READABLE[SCHEMA][-7:] == ("tflop", "loss", "wer", "cer", "wer_mean", "cer_paper", "down_s")
    assert FURTHER == ("ser", "substitutions", "deletions", "insertions")
    assert set(FIGURES) <= set(COLUMNS)


@settings(max_examples=60)
@given(any_figures, st.lists(steps, max_size=4))
def test_columns_are_read_by_their_header_and_absent_figures_are_not_measured(figures, steps):
    with tempfile.TemporaryDirectory() as folder:
        path, ended_s = Path(folder) / "run.csv", 0.0
        journal = Journal.create(path, IDENTITY)
        for phase, seconds, outcome in steps:
            ended_s = journal.append(phase, Span(ended_s, seconds), outcome).ended_s
        journal.close()
        whole = read(path)
        path.write_text(under([*READABLE[SCHEMA], *figures], whole.rows))
        assert read(path) == without(whole, set(FURTHER) - set(figures))


@settings(max_examples=30)
@given(any_figures)
def test_a_run_that_an_older_version_began_goes_on_under_its_own_header(figures):
    columns = [*READABLE[SCHEMA], *figures]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "run.csv")
        path.write_text(under(columns, read(path).rows))
        before = path.read_text()
        journal = Journal.resume(path, IDENTITY)
        row = journal.append(Phase.EVALUATE, Span(67.0, 10.0), Outcome(step=100, epoch=2, utterances=300, **ERRORS))
        journal.close()
        assert path.read_text().startswith(before)
        record = read(path)
    assert record.rows[-1] == row and (row.attempt, row.wer) == (2, 61.5)
    assert row.ser == (95.5 if "ser" in figures else None) and row.deletions == (7 if "deletions" in figures else None)
    assert len(record.rows) == len(STEPS) + 1


def test_a_run_whose_header_has_no_row_yet_goes_on_under_it(path):
    path.write_text(under([*READABLE[SCHEMA], "ser"], []))
    journal = Journal.resume(path, IDENTITY)
    journal.append(Phase.EVALUATE, Span(0.0, 1.0), Outcome(step=1, epoch=1, **ERRORS))
    journal.close()
    assert path.read_text().splitlines()[1].endswith(",61.5,30.25,60.0,28.0,,95.5")  # down_s is empty


def test_a_run_of_the_older_schema_does_not_go_on(path):
    write(path)
    path.write_text(older(path.read_text()))
    with pytest.raises(JournalError, match="of an older schema than 4; its run cannot go on"):
        Journal.resume(path, IDENTITY)


def test_commas_and_quotes_in_texts_are_no_fields(path):
    odd = replace(IDENTITY, devices='4 x "RTX", 2070', platform="a,b")
    write(path, identity=odd)
    assert read(path).identity == odd


def test_a_record_is_a_pandas_frame_with_the_journals_columns(path):
    frame = read(write(path)).to_frame()
    assert list(frame.columns) == [name for name in COLUMNS if name != "schema"]
    assert frame[["phase", "step", "seconds"]].iloc[1].tolist() == ["train", 50, 50.0]
    assert frame["platform"].eq("sys1").all() and frame["wer"].isna().tolist() == [True] * 4 + [False]
    assert RunRecord().to_frame().empty
