"""Whatever is in a file that a user hands in: a value, or the error that its parser promises, and no other.

Journals, platform files, run.json and utilisation.csv: any bytes, and right files with something wrong put in. What is
accepted is read back equal after it was written, and every program that reads a journal can do its work with it.
FUZZ_EXAMPLES says how many cases a parser gets; make fuzz takes 10,000.
"""

import contextlib
import csv
import io
import json
import math
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import platforms
from benchmark.export.mllog import mllog
from benchmark.export.runs import Ask, ExportError, load
from benchmark.export.system import system_description
from benchmark.export.tables import as_json, dawnbench
from benchmark.ingest import IngestError, read_log
from benchmark.judge import Group, JudgeError, Question, Terms, judge, rig_costs, slow_hosts
from benchmark.judge.prices import cost_parts as prices
from benchmark.judge.summary import report as table
from benchmark.record import FactsError, JournalError, Row, Run, read_run
from benchmark.record.columns import COLUMNS, to_text
from benchmark.record.facts import SCHEMA
from benchmark.record.host_times import HostLog, HostTimesError, read_host_times
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase
from benchmark.record.slowest import works_of
from benchmark.record.usage import read_usage
from benchmark.report.document import report
from benchmark.report.figures import Shown
from benchmark.report.usage import sampled
from benchmark.run.prepare.trained import FinalError, load_trained
from benchmark.tables import plain
from benchmark.workloads import load as load_workload
from platforms import Platform, PlatformError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
fuzz = settings(
    deadline=None, max_examples=EXAMPLES, database=None, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip
fuzz_slowly = settings(fuzz, max_examples=max(20, EXAMPLES // 20))  # 50 ms a case

NUMBERS = ["0", "-0.0", "-1", "1", "7", "0.5", "5e-324", "1e-7", "1e18", str(2**64), "1e999", "nan", "-inf", 5000 * "9"]
ODD = ["", " ", "x", "=1+1", "</script>", "\0", "\ufeff", "\u2028", "\r", "\n", '"', ",", "1_0", "\u0663", "\x1b[31m"]
odd_texts = st.sampled_from(NUMBERS + ODD) | st.text(max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def one_line(error: Exception, path: Path) -> bool:
    return str(error).startswith(f"{path}") and "\n" not in str(error)


# --- logs of others ---------------------------------------------------------------------------------------------------

KEYS = ("init_start", "run_start", "epoch_start", "epoch_stop", "eval_start", "eval_accuracy", "eval_stop", "run_stop",
        "seed", "global_batch_size", "train_samples", "submission_org", "quality_target", "speech_tta_run")  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=5,
)
log_events = st.fixed_dictionaries(
    {"time_ms": st.integers(0, 10**12) | json_values, "key": st.sampled_from(KEYS) | odd_texts, "value": json_values},
    optional={
        "metadata": st.dictionaries(st.sampled_from(["epoch_num", "at_s", "status", "percent", "x"]), json_values)
    },
)
log_lines = st.builds(lambda event: f":::MLLOG {json.dumps(event)}", log_events) | odd_texts
WHOLE_LOG = [
    {"time_ms": 1000 * at_s, "key": key, "value": value, "metadata": metadata}
    for at_s, key, value, metadata in [
        (0, "init_start", None, {}), (1, "seed", 4, {}), (1, "global_batch_size", 8, {}), (1, "train_samples", 90, {}),
        (2, "run_start", None, {}),
        (3, "epoch_start", None, {"epoch_num": 1}), (9, "epoch_stop", None, {"epoch_num": 1}),
        (9, "eval_start", None, {"epoch_num": 1}), (11, "eval_accuracy", 0.5, {"epoch_num": 1}),
        (11, "eval_stop", None, {"epoch_num": 1}), (12, "epoch_start", None, {"epoch_num": 2}),
        (18, "epoch_stop", None, {"epoch_num": 2}), (18, "eval_start", None, {"epoch_num": 2}),
        (19, "eval_stop", None, {"epoch_num": 2}), (19, "eval_accuracy", 0.05, {"epoch_num": 2}),
        (19, "run_stop", None, {"status": "success"}),
    ]
]  # fmt: skip


@st.composite
def bent_logs(draw) -> bytes:
    """A whole log in which up to three values, times or metadata are others, and lines are lost or come twice."""
    events = [dict(event) for event in WHOLE_LOG]
    for _ in range(draw(st.integers(0, 3))):
        event = draw(st.sampled_from(events))
        event[draw(st.sampled_from(["time_ms", "value", "metadata", "key"]))] = draw(json_values)
    lines = [f":::MLLOG {json.dumps(event)}" for event in events]
    chosen = draw(st.lists(st.integers(0, len(lines) - 1), max_size=4))
    kept = [line for n, line in enumerate(lines) if n not in chosen[:2]] + [lines[n] for n in chosen[2:]]
    return "\n".join(kept).encode("utf-8", "surrogatepass")


logs = st.lists(log_lines, max_size=30).map("\n".join).map(lambda text: text.encode("utf-8", "surrogatepass"))


@fuzz
@given(bent_logs() | logs | st.binary(max_size=300))
def test_any_log_becomes_a_run_that_is_read_back_or_is_refused_by_name(folder, content):
    path = folder / "result_0.txt"
    path.write_bytes(content)
    out = folder / "in"
    try:
        log = read_log(path)
        rows, identity, facts = log.rows, log.identity("r"), json.loads(json.dumps(log.facts()))
    except IngestError as error:
        assert one_line(error, path)
        return
    journal_path = out / f"r{len(list(out.glob('*.csv')))}.csv"
    out.mkdir(exist_ok=True)
    journal = Journal.create(journal_path, identity)
    for phase, span, outcome in rows:
        journal.append(phase, span, outcome)
    journal.close()
    assert len(read_run(journal_path).record) == len(rows) and facts["schema"] and (log.end is None or log.end.status)


# --- journals --------------------------------------------------------------------------------------------------------

IDENTITY = {
    "run": "r1", "platform": "sys1", "workload": "mini", "variant": "", "recipe": "paper", "seed": 1, "replicas": 4,
    "devices": "CPU",
    "emulated": False, "batch": 96, "precision": "float32", "features": "ab12", "decoder": "greedy",
    "evaluation": "resident", "code": "cd34",
}  # fmt: skip


def journal_rows() -> list[list[str]]:
    """A header, creation, and three epochs of three train rows and an evaluation, of 10 s each."""
    rows, started_s = [], 0.0

    def add(phase: Phase, **outcome) -> None:
        nonlocal started_s
        rows.append(Row(**IDENTITY, phase=phase, started_s=started_s, seconds=10.0, **outcome))
        started_s += 10

    add(Phase.CREATE, step=0, epoch=0)
    for epoch in (1, 2, 3):
        for part in (1, 2, 3):
            add(Phase.TRAIN, step=3 * epoch + part, epoch=epoch, utterances=100, loss=9.0, input_s=0.1, tflop=2.0)
        rates = {"wer": 60.0 / epoch, "cer": 30.0 / epoch, "wer_mean": 66.0 / epoch, "cer_paper": 33.0 / epoch}
        add(Phase.EVALUATE, step=3 * epoch + 3, epoch=epoch, utterances=9, **rates)
    return [list(COLUMNS), *([to_text(getattr(row, column)) for column in COLUMNS] for row in rows)]


ROWS = journal_rows()
JOURNAL = "".join(",".join(row) + "\n" for row in ROWS)
places = st.tuples(st.integers(0, len(ROWS) - 1), st.integers(0, len(COLUMNS) - 1), odd_texts)
cuts = st.tuples(st.integers(0, len(JOURNAL)), st.integers(0, 60), odd_texts)


def with_fields(edits) -> bytes:
    rows = [list(row) for row in ROWS]
    for row, column, value in edits:
        rows[row][column] = value
    return "".join(",".join(row) + "\n" for row in rows).encode("utf-8")


def with_columns(edits) -> bytes:
    """The same value in every row: what says whose run it is must agree."""
    return with_fields((row, column, value) for _, column, value in edits for row in range(1, len(ROWS)))


def with_cuts(edits) -> bytes:
    text = JOURNAL
    for start, length, inserted in edits:
        text = text[:start] + inserted + text[start + length :]
    return text.encode("utf-8")


def with_lines(order) -> bytes:
    return "".join(",".join(ROWS[number]) + "\n" for number in order).encode("utf-8")


damaged_journals = (
    st.lists(places, max_size=4).map(with_fields)
    | st.lists(places, max_size=2).map(with_columns)
    | st.lists(cuts, max_size=4).map(with_cuts)
    | st.lists(st.integers(0, len(ROWS) - 1), max_size=20).map(lambda order: with_lines([0, *order]))
)


@fuzz
@given(content=st.binary() | st.text().map(lambda text: text.encode("utf-8")) | damaged_journals)
@example(content=JOURNAL.encode("utf-16"))
@example(content=JOURNAL.encode("utf-8-sig"))
@example(content=b"\0" * 4096)
@example(content=JOURNAL[:-9].encode())
def test_any_journal_is_read_back_equal_or_refused_by_file_and_line(folder, content):
    path = folder / "any.csv"
    path.write_bytes(content)
    try:
        record = read(path)
    except JournalError as error:
        assert one_line(error, f"{path}:"), error
        found = None
    else:
        found = record.rows
        written = io.StringIO()
        lines = [list(COLUMNS), *([to_text(getattr(row, column)) for column in COLUMNS] for row in found)]
        csv.writer(written, lineterminator="\n").writerows(lines)
        path.write_text(written.getvalue(), encoding="utf-8")
        assert read(path).rows == found
    if b"\r" not in content and b'"' not in content:
        path.write_bytes(content.replace(b"\n", b"\r\n"))
        try:
            assert read(path).rows == found
        except JournalError:
            assert found is None


@fuzz_slowly
@given(content=damaged_journals)
@example(content=with_fields([(2, COLUMNS.index("seconds"), "5e-324")]))
@example(content=with_columns([(1, COLUMNS.index("utterances"), str(2**64)), (1, COLUMNS.index("seconds"), "0")]))
def test_every_reader_does_its_work_with_any_journal_that_is_read(folder, content):
    path = folder / "read.csv"
    path.write_bytes(content)
    try:
        record = read(path)
    except JournalError:
        return
    assert "nan" not in table([record]) and "\n" in report([record])
    plain(prices(judge([record], Question()), Terms()))
    with contextlib.suppress(ExportError, JournalError):  # the latter: rows are missing
        run = load(path)
        assert json.loads(as_json(run, Ask()))["schema"] == 1
        assert dawnbench(run, Ask()).startswith("epoch\t")


# --- platform files --------------------------------------------------------------------------------------------------

SYS1 = Path(platforms.__file__).with_name("sys1.toml").read_text(encoding="utf-8")
SCALARS = ["nan", "-inf", "-1", "0", "1e999", "true", '""', "'''", '"\\u0000"', "2019-10-31", "07:32:00"]
NESTED = ["[]", "[[1]]", "{}", "{a.b = 1}", 3000 * "[", "a" + 1200 * ".a"]
HUGE = ["0x" + 5000 * "f", 5000 * "9"]
values = st.sampled_from(SCALARS + NESTED + HUGE) | st.text(max_size=20)


def with_value(line: int, value: str) -> bytes:
    lines = SYS1.splitlines()
    lines[line] = f"{lines[line].partition('=')[0]}= {value}"
    return "\n".join(lines).encode("utf-8")


damaged_platforms = st.builds(with_value, st.integers(0, SYS1.count("\n") - 1), values) | st.builds(
    lambda start, length, inserted: (SYS1[:start] + inserted + SYS1[start + length :]).encode("utf-8"),
    st.integers(0, len(SYS1)),
    st.integers(0, 30),
    values,
)


def toml(platform: Platform) -> str:
    """As a file."""
    keys = platform.to_dict()
    tables = [name for name, value in keys.items() if isinstance(value, dict)]
    lines = [f"{name} = {_toml_value(value)}" for name, value in keys.items() if not isinstance(value, dict | None)]
    for name in tables:
        lines += [f"[{name}]", *(f"{key} = {_toml_value(v)}" for key, v in keys[name].items() if v is not None)]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # of texts, numbers, booleans and lists of texts, TOML's form too


@fuzz
@given(content=st.binary() | st.text().map(lambda text: text.encode("utf-8")) | damaged_platforms)
@example(content=b"\xff")
@example(content=b"[" * 5000)
@example(content=b"name = 0x" + b"f" * 5000)
@example(content=b"a" + b".a" * 8000 + b"=1")
@example(content=b"\xef\xbb\xbf" + SYS1.encode())
def test_any_platform_file_is_read_back_equal_or_refused_by_name(folder, content):
    path = folder / "sys1.toml"
    path.write_bytes(content)
    try:
        platform = platforms.load(path)
    except PlatformError as error:
        assert one_line(error, f"{path}: "), error
    else:
        assert platform.replicas * platform.batch_per_replica == platform.input.batch
        assert Platform.from_dict(json.loads(json.dumps(platform.to_dict()))) == platform
        path.write_text(toml(platform), encoding="utf-8")
        assert platforms.load(path) == platform


@fuzz
@given(name=st.text())
def test_any_name_is_a_platform_or_a_platform_error(name):
    with contextlib.suppress(PlatformError):
        assert isinstance(platforms.load(name), Platform)


# --- run.json --------------------------------------------------------------------------------------------------------

FACTS = {
    "schema": SCHEMA,
    "created": "2026-01-31T12:00:00+00:00",
    "platform": platforms.load("sys1").to_dict(),
    "workload": load_workload("mini").to_dict(),
    "plan": {"targets": {"wer": [50.0, 30.0], "cer": [20.0]}},
    "devices": {"replicas": 4},
    "features": {"folder": "features"},
    "host": {"logical_cores": 8},
    "system": {"number_of_nodes": 1, "host_memory_capacity": "24 GiB"},
    "loaded": {"cuda": "12.5", "cudnn": "9.3.0"},
    "built_for": {"cuda": "12.5.1", "cudnn": "9"},
    "unavailable": {"gpu": "NVML: no driver"},
}


def paths_into(value: object, prefix=()) -> list[tuple]:
    found = [prefix] if prefix else []
    for key, inner in value.items() if isinstance(value, dict) else ():
        found += paths_into(inner, (*prefix, key))
    return found


odd_numbers = st.sampled_from([0, -1, 10**400, 2**64, 1e308, 5e-324, math.nan, math.inf, True])
json_values = st.recursive(
    st.none() | odd_numbers | st.text(max_size=5) | st.sampled_from(["\ud800", "</script>", "nan", "wer", "2019-10"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["wer", "a", "\ud800"]), inner),
    max_leaves=6,
)


def with_fact(path: tuple, value: object) -> bytes:
    facts = json.loads(json.dumps(FACTS))
    *above, last = path
    at = facts
    for key in above:
        at = at[key]
    at[last] = value
    return json.dumps(facts).encode()


facts_files = st.builds(with_fact, st.sampled_from(paths_into(FACTS)), json_values)


@settings(fuzz, max_examples=max(50, EXAMPLES // 5))
@given(content=facts_files | st.binary(max_size=30) | st.text(max_size=30).map(lambda text: text.encode("utf-8")))
@example(content=b"[" * 100_000)
@example(content=str(SCHEMA).encode())
@example(content=b'{"schema": 3, "x": ' + b"9" * 5000 + b"}")
@example(content=with_fact(("devices", "replicas"), 0))
@example(content=with_fact(("plan", "targets", "wer"), [10**400]))
@example(content=with_fact(("plan", "targets", "wer"), ["nan"]))
@example(content=with_fact(("plan", "targets", "wer"), [-5]))
@example(content=with_fact(("features",), []))
@example(content=with_fact(("features", "folder"), 5))
@example(content=with_fact(("host", "logical_cores"), 10**400))
@example(content=with_fact(("unavailable", "gpu"), "\ud800"))
def test_every_reader_of_run_json_uses_it_or_says_which_file_it_is(folder, content):
    path = folder / "made.csv"
    path.write_text(JOURNAL)
    path.with_suffix("").mkdir(exist_ok=True)
    facts = path.with_suffix("") / "run.json"
    facts.write_bytes(content)
    record = read(path)
    for reader in (
        lambda: load_trained(path.with_suffix("")),
        lambda: plain(prices(judge([record], Question()), Terms(kwh_price=0.3))),
        lambda: report([record]).encode(),
        lambda: as_json(load(path), Ask()),
        lambda: mllog(load(path), Ask()),
        lambda: system_description(load(path), Ask()),
    ):
        with contextlib.suppress(FinalError, FactsError, JournalError, JudgeError, ExportError):
            reader()
    try:
        assert load_trained(path.with_suffix("")).batch >= 0
    except (FinalError, FactsError) as error:
        assert one_line(error, facts), error
    with contextlib.suppress(JudgeError):
        groups = judge([record], Question(levels=(30.0,)))
        assert all(cost.cost is None or cost.cost >= 0 for cost in rig_costs(groups, Terms()))


# --- utilisation.csv -------------------------------------------------------------------------------------------------

SAMPLES = (
    "seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,host_memory_mib,gpu0_util_percent,gpu0_power_w,"
    "gpu0_energy_j\n" + "".join(f"{n / 10},150,1000,50,2000,80,200,{5000 + 20 * n}\n" for n in range(20))
)
damaged_samples = st.lists(
    st.tuples(st.integers(0, len(SAMPLES)), st.integers(0, 40), odd_texts), max_size=4
).map(
    lambda edits: _cut(SAMPLES, edits).encode("utf-8"),
)  # fmt: skip


def _cut(text: str, edits) -> str:
    for start, length, inserted in edits:
        text = text[:start] + inserted + text[start + length :]
    return text


@fuzz
@given(content=damaged_samples | st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
@example(content=SAMPLES.encode() + b"inf,1,1,1,1,1,1,1\n")
@example(content=SAMPLES.encode() + b"1e308,1,1,1,1,1,1,1\n-1e308,1,1,1,1,1,1,1e300\n")
@example(content=SAMPLES[:-7].encode())
def test_any_utilisation_is_summed_up_or_refused_by_name_and_shown_with_its_faults(folder, content):
    path = folder / "used" / "utilisation.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    journal = folder / "used.csv"
    journal.write_text(JOURNAL)
    found = sampled(Shown(key="r", name="r", label="r", run=Run(read(journal))))
    assert found.percent or found.absent
    assert all(len(values) == len(found.seconds) for values in found.percent.values())
    try:
        summary = read_usage(path).summary()
        assert asdict(summary)["samples"] >= 0
        assert 0 <= summary.energy.share <= 1 and (summary.energy.wh is None or 0 <= summary.energy.wh < math.inf)
    except ValueError as error:
        assert one_line(error, path), error


# --- hosts.csv -------------------------------------------------------------------------------------------------------

HOST_TIMES = "attempt,phase,part,epoch,step,started_s,seconds,host0,host1,host2\n" + "".join(
    f"{attempt},{phase},{part},{n},{50 * n},{10.5 * n},10.0,{own}\n"
    for attempt, n in ((1, 1), (1, 2), (2, 3))
    for phase, part, own in (
        ("train", "input", "0.1,0.2,"), ("train", "gradients", "9.0,8.0,7.5"), ("swap", "swap", "1,1,1"),
        ("evaluate", "forward", "2.0,2.1,2.2"), ("probe", "decoding", "3.0,3.1,0.0"), ("probe", "utterances", "9,9,0"),
    )
)  # fmt: skip
damaged_host_times = st.lists(
    st.tuples(st.integers(0, len(HOST_TIMES)), st.integers(0, 60), odd_texts), max_size=4
).map(lambda edits: _cut(HOST_TIMES, edits).encode("utf-8"))  # fmt: skip
host_fields = st.lists(
    st.tuples(st.integers(0, HOST_TIMES.count("\n") - 1), st.integers(0, 9), odd_texts), max_size=4
).map(lambda edits: _with_host_fields(edits).encode("utf-8"))  # fmt: skip


def _with_host_fields(edits) -> str:
    lines = [line.split(",") for line in HOST_TIMES.splitlines()]
    for line, column, value in edits:
        lines[line][column] = value
    return "".join(",".join(line) + "\n" for line in lines)


@fuzz
@given(
    content=damaged_host_times
    | host_fields
    | st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8"))
)
@example(content=HOST_TIMES.encode())
@example(content=HOST_TIMES[:-4].encode())
@example(content=HOST_TIMES.replace("\n", "\r\n").encode("utf-8-sig"))
@example(content=HOST_TIMES.replace("10.0", "0").encode())
@example(content=HOST_TIMES.replace("10.0", "5e-324").replace("9.0", str(2**53)).encode())
def test_any_hosts_csv_is_read_gone_on_with_and_judged_or_refused_by_name_and_line(folder, content):
    path = folder / "used" / "hosts.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    (folder / "used.csv").write_text(JOURNAL)
    shown = report([read(folder / "used.csv")]) if content == HOST_TIMES.encode() else "host"
    assert "host" in shown
    try:
        times = read_host_times(path)
    except HostTimesError as error:
        assert one_line(error, f"{path}:"), error
        assert error.args[0] in "".join(slow_hosts.of_group(_group_of(folder)))
        return
    for work in works_of(times.rows):
        assert 0 <= work.slowest < len(times.names) and 0 <= work.longest <= work.rows and not work.ratio < 1
        assert work.said(times.names).startswith("host ") and not math.isnan(work.evidence)
    table = slow_hosts.hosts_table("mini", [_group_of(folder)])
    assert table is None or plain([table])
    if len(times.names) == 3 and content.startswith(HOST_TIMES[:40].encode()) and b"\r" not in content:
        HostLog.open(path, machines=3).close()
        assert read_host_times(path).rows == times.rows  # repaired, and nothing lost


def _group_of(folder: Path) -> Group:
    (group,) = [group for group in judge([read(folder / "used.csv")], Question(levels=(30.0,))).groups if group.runs]
    return group
