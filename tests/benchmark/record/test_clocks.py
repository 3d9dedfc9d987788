"""The clock is given its time and its device here: a list of readings, and a device that takes three seconds."""

import math
import time

import pytest

from benchmark.record.clocks import Clock, Span


class FakeTime:
    """A clock's time in seconds, moved by hand, and a device that is busy for a while when it is waited for."""

    def __init__(self, now_s: float = 100.0, busy_s: float = 0.0) -> None:
        self.now_s, self.busy_s, self.waits = now_s, busy_s, 0

    def now(self) -> float:
        return self.now_s

    def sync(self) -> None:
        self.waits += 1
        self.now_s += self.busy_s


def test_time_counts_from_creation_not_from_the_machines_start():
    fake = FakeTime(now_s=100.0)
    clock = Clock(now=fake.now)
    fake.now_s = 107.5
    assert clock.elapsed() == 7.5  # 107.5 - 100


def test_a_resumed_clock_goes_on_where_the_last_attempt_ended():
    fake = FakeTime(now_s=500.0)
    clock = Clock(now=fake.now, already_s=40.0)
    fake.now_s = 502.0
    assert clock.elapsed() == 42.0  # 40 before, 2 now
    assert clock.origin == 460.0  # what the monitor is given: 500 - 40


def test_a_span_knows_its_start_its_length_and_its_end():
    fake = FakeTime(now_s=100.0)
    clock = Clock(now=fake.now)
    fake.now_s = 110.0
    with clock.span() as span:
        fake.now_s = 114.0
    assert (span.started_s, span.seconds, span.ended_s) == (10.0, 4.0, 14.0)


def test_a_span_waits_for_the_device_at_both_ends():
    fake = FakeTime(now_s=0.0, busy_s=3.0)
    clock = Clock(now=fake.now, sync=fake.sync)
    with clock.span() as span:
        assert fake.waits == 1
        fake.now_s += 1.0
    assert fake.waits == 2
    # Waiting for earlier work (3 s) is before the span; waiting for its own work (3 s) is in it: 1 + 3.
    assert (span.started_s, span.seconds) == (3.0, 4.0)


def test_a_span_has_no_length_while_it_runs():
    with Clock().span() as span:
        assert math.isnan(span.seconds)
        assert math.isnan(span.ended_s)


def test_a_phase_that_fails_leaves_a_span_without_length():
    clock, kept = Clock(), []
    with pytest.raises(KeyboardInterrupt), clock.span() as span:
        kept.append(span)
        raise KeyboardInterrupt
    assert math.isnan(kept[0].seconds)


def test_spans_one_after_the_other_do_not_overlap():
    clock = Clock()
    spans: list[Span] = []
    for _ in range(100):
        with clock.span() as span:
            pass
        spans.append(span)
    assert all(a.ended_s <= b.started_s + 1e-9 for a, b in zip(spans, spans[1:], strict=False))


def test_the_clock_is_monotonic_and_ignores_the_calendar(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the calendar's clock was asked"))
    before_s = time.monotonic()
    clock = Clock()
    assert before_s <= clock.origin <= time.monotonic()
    assert clock.elapsed() >= 0
