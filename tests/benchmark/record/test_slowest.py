"""Which host is slow: the arithmetic on a few rows, and how often chance alone names one."""

import math

import numpy as np
import pytest

from benchmark.record.host_times import HostRow
from benchmark.record.phases import Phase
from benchmark.record.slowest import ALPHA, evidence, independent, slow_hosts, times_of, works_of

NAMES = ("host 0 (a:2222)", "host 1 (b:2222)", "host 2 (c:2222)")


def rows_of(part: str, *own, phase: Phase = Phase.TRAIN, seconds: float = 10.0) -> list[HostRow]:
    """A row of the journal for each of `own`, of 10 s each."""
    return [
        HostRow(phase=phase, part=part, epoch=1, step=50 * n, started_s=10.0 * n, seconds=seconds, own=tuple(each))
        for n, each in enumerate(own)
    ]


def trained(*own) -> list[HostRow]:
    """Train rows in which hosts waited for input for 0.1 s."""
    return rows_of("gradients", *own) + rows_of("input", *([0.1] * len(each) for each in own))


def test_a_host_that_takes_longest_in_every_row_is_slow_and_by_how_much_is_said():
    rows = trained(*[(5.9, 6.1, 7.9)] * 8)
    (slow,) = slow_hosts(rows)
    assert (slow.name, slow.slowest, slow.longest, slow.rows) == ("train", 2, 8, 8)
    assert slow.medians_s == pytest.approx((6.0, 6.2, 8.0))  # gradients and 0.1 s of input
    assert slow.ratio == pytest.approx(8.0 / 6.1)  # the median of 6.0 and 6.2
    assert slow.share == pytest.approx(0.19)  # (8.0 - 6.1) / 10
    assert slow.said(NAMES) == (
        "host 2 (c:2222) takes 1.31 times as long as the median of the others in train; the difference is 19% of that "
        "time (longest in 8 of 8 rows)"
    )


def test_of_two_hosts_one_is_compared_with_the_other():
    (slow,) = slow_hosts(trained(*[(8.9, 5.9)] * 11))
    assert slow.said(NAMES).startswith("host 0 (a:2222) takes 1.50 times as long as the other in train")  # 9 / 6


@pytest.mark.parametrize(("rows", "is_slow"), [(10, False), (11, True)])
def test_two_hosts_need_eleven_rows_before_chance_is_ruled_out(rows, is_slow):
    """2^n / (n + 1) over half of the range of p, of which nearly all counts: twice that, against 2 / 0.01 = 200."""
    assert evidence(rows, rows, 2) == pytest.approx(2 * 2**rows / (rows + 1), rel=1e-3)  # 186 and 341
    assert bool(slow_hosts(trained(*[(6.0, 8.0)] * rows))) is is_slow


def test_rows_of_unlike_length_count_alike():
    """A last segment of few batches: ratios are taken row by row."""
    (work, _) = works_of(trained((6.0, 9.05), (6.0, 9.05), (0.6, 0.95)))
    assert work.ratio == pytest.approx(9.15 / 6.1) and work.longest == 3


def test_a_difference_that_does_not_matter_is_not_named_however_sure_it_is():
    assert not slow_hosts(trained(*[(6.0, 6.2)] * 100))  # 6.3 / 6.1 is 1.03
    waits = rows_of("input", *[(0.01, 0.1)] * 100)  # ten times, but 0.09 s of 10
    (work,) = works_of(waits)
    assert work.ratio == pytest.approx(10) and work.evidence == math.inf or work.evidence > 1e20
    assert work.share == pytest.approx(0.009) and not work.is_slow


def test_waiting_for_input_alone_is_judged_where_gradients_are_not_known():
    rows = rows_of("input", *[(0.1, 3.1)] * 12)
    (slow,) = slow_hosts(rows)
    assert slow.name == "reading input" and slow.share == pytest.approx(0.3)  # 3 s of 10
    assert [work.name for work in works_of(rows)] == ["reading input"]


def test_a_row_of_which_a_host_is_not_known_is_left_out():
    assert not works_of(rows_of("input", (0.1, None), (None, 0.1)))
    (work,) = works_of(rows_of("input", (0.1, None), (0.2, 0.1)))
    assert work.rows == 1


def test_decoding_is_by_the_utterance_and_its_difference_has_to_be_large():
    """Host 1 has twice as many utterances, as the last batches of a length are not full."""
    own, counts = [(10.0, 20.0)] * 12, [(50, 100)] * 12
    rows = rows_of("decoding", *own, phase=Phase.EVALUATE, seconds=30.0)
    rows += rows_of("utterances", *counts, phase=Phase.EVALUATE, seconds=30.0)
    (work,) = works_of(rows)
    assert work.medians_s == (0.2, 0.2) and work.ratio == 1.0 and work.longest == 0
    for own_s, is_slow in ((12.0, False), (13.0, True)):  # 1.2 and 1.3 times: 1.25 may be of what was said
        rows = rows_of("decoding", *[(own_s, 20.0)] * 12, phase=Phase.EVALUATE, seconds=30.0)
        rows += rows_of("utterances", *counts, phase=Phase.EVALUATE, seconds=30.0)
        (work,) = works_of(rows)
        assert work.slowest == 0 and work.is_slow is is_slow
        extra_s = own_s / 50 - 0.2  # an utterance, of which a host has 75 on the average
        assert work.share == pytest.approx(extra_s * 75 / 30)


def test_making_models_is_not_judged_as_hosts_wait_for_one_another_in_it():
    assert not works_of(rows_of("make", *[(1.0, 9.0)] * 99, phase=Phase.CREATE))
    (work,) = works_of(rows_of("restore", *[(1.0, 9.0)] * 2, phase=Phase.CREATE))
    assert work.name == "restore"


def test_probes_count_as_evaluations_and_parts_of_a_later_version_are_passed_over():
    rows = rows_of("forward", (1.0, 2.0), phase=Phase.EVALUATE)
    rows += rows_of("forward", (1.0, 2.0), phase=Phase.PROBE) + rows_of("backward", (1.0, 2.0))
    (work,) = works_of(rows)
    assert (work.name, work.rows) == ("forward passes", 2)


def test_hosts_that_took_no_time_at_all_are_alike():
    (work,) = works_of(rows_of("input", (0.0, 0.0)))
    assert (work.ratio, work.longest, work.share) == (1.0, 0, 0.0)


def test_times_come_with_the_end_of_their_rows():
    (first, second) = times_of("train", trained((5.0, 6.0), (7.0, 8.0)))
    assert (first.ended_s, second.ended_s) == (10.0, 20.0)
    assert second.own_s == pytest.approx((7.1, 8.1))


@pytest.mark.parametrize(("longest", "rows", "hosts"), [(5, 11, 2), (44, 60, 2), (3, 10, 4), (0, 7, 3), (29, 60, 4)])
def test_the_evidence_is_the_mean_of_the_likelihood_ratio(longest, rows, hosts):
    fair = 1 / hosts
    p = fair + (1 - fair) * (np.arange(200_000) + 0.5) / 200_000
    mean = np.mean(p**longest * (1 - p) ** (rows - longest)) / (fair**longest * (1 - fair) ** (rows - longest))
    assert evidence(longest, rows, hosts) == pytest.approx(mean, rel=1e-6)


def test_the_evidence_of_very_many_rows_is_a_number():
    assert evidence(100_000, 100_000, 2) == math.inf
    assert evidence(0, 100_000, 2) < 1e-4 and evidence(500_000, 1_000_000, 2) < 1


@pytest.mark.parametrize(("hosts", "share"), [(2, 0.005), (4, 0.004), (8, 0.007)])
def test_chance_names_a_host_in_fewer_than_a_percent_of_runs_that_are_looked_at_after_every_row(hosts, share):
    """4,000 runs of 400 rows in which each host is slowest alike often. The docstring has these figures."""
    rows = 400
    least = [
        next((k for k in range(n + 1) if evidence(k, n, hosts) >= hosts / ALPHA), n + 1) for n in range(1, rows + 1)
    ]
    slowest = np.random.default_rng(hosts).integers(0, hosts, (4_000, rows))
    named = [(np.cumsum(slowest == host, axis=1) >= least).any(axis=1) for host in range(hosts)]
    assert round(float(np.any(named, axis=0).mean()), 3) == share


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_load_that_stays_for_a_while_is_not_taken_for_a_slow_host(alike):
    """200 runs of 200 rows of two hosts, whose times vary by 10%; `alike` is how much a row is like the one before.

    Taken as independent, 1% of the runs would have a slow host at 0.5, and 24% at 0.9.
    """
    random = np.random.default_rng(1)
    steps = random.normal(size=(200, 200, 2))
    noise = np.empty_like(steps)
    noise[:, 0] = steps[:, 0]
    for row in range(1, 200):
        noise[:, row] = alike * noise[:, row - 1] + math.sqrt(1 - alike**2) * steps[:, row]
    named = [bool(slow_hosts(rows_of("forward", *own, phase=Phase.EVALUATE))) for own in 8 * np.exp(0.1 * noise)]
    assert not any(named)


def test_rows_that_are_like_the_one_before_count_for_less():
    shares = [0.3] * 30 + [0.1] * 30  # mean 0.2, each 0.1 away: r is (58 - 1) / 60, and (1 - r) / (1 + r) is 3 / 117
    assert independent(60, shares) == (1, 1)  # 60 x 3 / 117 is 1.5
    assert independent(50, [0.3, 0.1] * 30) == (50, 60)  # r is below 0: they say no more than independent ones
    assert independent(60, [0.2] * 60) == independent(60, [0.1 + 0.2, 0.3] * 30) == (60, 60)  # alike, to rounding
