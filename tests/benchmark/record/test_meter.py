"""A wall plug's log, matched with a run by the time of day; worked out by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from journals import make_run, write

from benchmark.record import RunRecord, read_run
from benchmark.record.meter import MeterError, day_spans, read_meter

BEGAN = "2026-03-01T12:00:00+00:00"
BEGAN_S = 1772366400  # date -d 2026-03-01T12:00:00Z +%s


def run_of(tmp_path, *, created=BEGAN):
    """A run of 250 s: creation 30 s, two epochs of 110."""
    path = write(tmp_path / "r1.csv", make_run([60, 40], run="r1"))
    (tmp_path / "r1").mkdir(exist_ok=True)
    (tmp_path / "r1" / "run.json").write_text(json.dumps({"schema": 3, "created": created}))
    return read_run(path)


def log(tmp_path, text):
    path = tmp_path / "plug.csv"
    path.write_text(text)
    return path


def steady(tmp_path, watts=500.0, *, start_s=-100, end_s=400, step_s=10, column="watts"):
    lines = [f"unix_s,{column}"] + [f"{BEGAN_S + s},{watts}" for s in range(start_s, end_s + 1, step_s)]
    return read_meter(log(tmp_path, "\n".join(lines)))


def test_a_run_takes_what_the_meter_says_of_its_time(tmp_path):
    run = run_of(tmp_path)
    assert day_spans(run) == [(BEGAN_S, BEGAN_S + 250)]
    found = steady(tmp_path).energy(run)
    assert (found.wh, found.share, found.gap) == (pytest.approx(500 * 250 / 3600), 1.0, "")
    assert steady(tmp_path).energy(run, end_s=140.0).wh == pytest.approx(500 * 140 / 3600)


def test_every_attempt_has_its_own_time_of_day():
    """The run's clock stands still between attempts; the night between them is no part of it."""
    first = make_run([60, 40])
    again = [replace(row, attempt=2, started_s=row.started_s + 250) for row in first.rows]
    began = {n: SimpleNamespace(created=datetime.fromtimestamp(BEGAN_S + at, UTC)) for n, at in ((1, 0), (2, 40_000))}
    run = SimpleNamespace(attempts=began, record=RunRecord((*first.rows, *again)))
    assert day_spans(run) == [(BEGAN_S, BEGAN_S + 250), (BEGAN_S + 40_000, BEGAN_S + 40_250)]
    assert day_spans(run, end_s=300.0) == [(BEGAN_S, BEGAN_S + 250), (BEGAN_S + 40_000, BEGAN_S + 40_050)]
    assert day_spans(run, end_s=100.0) == [(BEGAN_S, BEGAN_S + 100)]
    del began[2]
    assert day_spans(run) == []


def test_a_counter_of_kwh_is_as_good_and_may_begin_anew(tmp_path):
    """7,200 W, more than any GPU: .02 kWh every ten seconds; it begins at 0 again after 200 s."""
    rows = [f"{BEGAN_S + s},{0.002 * ((s + 100) % 200)}" for s in range(-100, 401, 10)]
    found = read_meter(log(tmp_path, "\n".join(["time,kwh", *rows]))).energy(run_of(tmp_path))
    # the step from 90 s to 100 s, in which it fell, is not known: 240 of 250 s are
    assert (found.mean_w, found.share) == (pytest.approx(7200), pytest.approx(240 / 250))


def test_times_with_a_zone_are_understood(tmp_path):
    text = "Time,Watts\n2026-03-01T12:59:00+01:00,100\n2026-03-01T12:59:30+01:00,100\n" + "".join(
        f"2026-03-01T13:{minute:02}:{second:02}+01:00,100\n" for minute in range(5) for second in (0, 30)
    )
    assert read_meter(log(tmp_path, text)).energy(run_of(tmp_path)).wh == pytest.approx(100 * 250 / 3600)


def test_a_log_that_ends_early_or_is_of_another_day_gives_no_energy_and_says_why(tmp_path):
    run = run_of(tmp_path)
    early = steady(tmp_path, end_s=100).energy(run)
    assert early.wh is None and "power is known for 40% of the run" in early.gap
    other = steady(tmp_path, start_s=90_000, end_s=91_000).energy(run)
    assert other.wh is None and other.gap.endswith("plug.csv has no readings from the time of the run")


def test_a_run_that_does_not_say_when_it_began_has_none(tmp_path):
    path = write(tmp_path / "r2.csv", make_run([60, 40], run="r2"))
    assert steady(tmp_path).energy(read_run(path)).gap == "the run does not say at what time of day it began"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns none; expected one of time"),
        ("time,volts\n1,2\n", "columns time, volts"),
        ("time,watts\n1,2\n", "1 readings; expected two or more"),
        ("time,watts\n1,2\n2\n", "row 3 has 1 fields; expected 2"),
        ("time,watts\n1,2\n2,-3\n", "row 3: '-3'; expected a number from 0 on"),
        ("time,watts\n1,2\n2,nan\n", "row 3: 'nan'; expected a number"),
        ("time,watts\n2,2\n1,3\n", "row 3 is before the one above it"),
        ("time,watts\n2026-03-01T12:00:00,2\n", "expected one with its zone"),
        ("time,watts\nnoon,2\n", "time 'noon'"),
    ],
)
def test_what_is_no_log_is_refused_with_its_row(text, said, tmp_path):
    with pytest.raises(MeterError, match=r"plug\.csv") as refused:
        read_meter(log(tmp_path, text))
    assert said in str(refused.value)
