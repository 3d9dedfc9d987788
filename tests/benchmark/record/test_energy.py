"""The energy of GPUs by counters and by power, and the share of the time of which it is known; worked out by hand."""

import pandas
import pytest

from benchmark.record.energy import BOTH, COUNTERS, NO_POWER, POWER, Energy, energy_of, percent


def samples(*, until_s=100, step_s=1.0, **columns) -> pandas.DataFrame:
    """A sample every `step_s`; a column is a function of the second, None where the sensor was not read."""
    seconds = [n * step_s for n in range(int(until_s / step_s) + 1)]
    readings = {name: [read(second) for second in seconds] for name, read in columns.items()}
    return pandas.DataFrame({"seconds": seconds, **readings}, dtype=float)


def steady(watts):
    return lambda second: watts


def counter(watts, *, start_j=5000.0):
    return lambda second: start_j + watts * second


def until(limit_s, read):
    """The sensor of a GPU that is lost after a second."""
    return lambda second: read(second) if second <= limit_s else None


# The share of the time


def test_the_power_of_a_gpu_that_was_lost_half_way_is_refused_with_the_share_and_the_second():
    lost = samples(until_s=600, gpu0_power_w=steady(100), gpu1_power_w=until(61, steady(300)))
    found = energy_of(lost, ["gpu0", "gpu1"])
    assert (found.wh, found.mean_w, found.seconds, found.share) == (None, None, 61.0, pytest.approx(61 / 600))
    assert found.gap == found.note == "gpu1 was last read at 61.0 s: power is known for 10% of the sampled time"
    assert energy_of(lost, ["gpu0"]).wh == pytest.approx(100 * 600 / 3600)  # the others' is known


@pytest.mark.parametrize(
    ("lost_s", "used", "said"), [(899, False, "89.9%"), (900, True, "90%"), (989, True, "98.9%"), (990, True, "")]
)
def test_from_90_percent_on_it_is_used_and_the_share_is_said(lost_s, used, said):
    """Samples a second apart for 1000 s; of the last 10, as of any missed reading, nothing is said."""
    found = energy_of(samples(until_s=1000, gpu0_power_w=until(lost_s, steady(200))), ["gpu0"])
    assert (found.wh is not None, found.share) == (used, 1.0 if not said else pytest.approx(lost_s / 1000))
    assert f"known for {said} of" in found.gap if said else not found.gap
    if used:
        assert found.mean_w == pytest.approx(200)
        assert found.wh == pytest.approx(200 * lost_s / 3600)  # of the seconds in which it is known


def test_a_share_is_never_rounded_up_to_enough_or_to_all():
    assert [percent(share) for share in (0.107, 0.8999, 0.9, 0.9995, 0.99949)] == [
        "11%",
        "89.9%",
        "90%",
        "99.9%",
        "99.9%",
    ]


def test_a_gpu_that_came_late_or_was_away_is_said_too():
    late = samples(gpu0_power_w=lambda second: 100 if second >= 50 else None)
    assert energy_of(late, ["gpu0"]).gap == "gpu0 was first read at 50.0 s: power is known for 50% of the sampled time"
    away = samples(gpu0_power_w=lambda second: None if 20 < second < 80 else 100)
    assert energy_of(away, ["gpu0"]).gap == "gpu0 was not read for 60.0 s: power is known for 40% of the sampled time"
    one = samples(gpu0_power_w=steady(100), gpu1_power_w=steady(None))
    assert energy_of(one, ["gpu0", "gpu1"]).gap == "the power of gpu1 was never read"
    assert energy_of(one, ["gpu1"]) == energy_of(one, ["gpu7"]) == Energy(gap=NO_POWER)


# The time of a run: its attempts


def test_a_sampler_that_ended_before_the_run_leaves_power_of_a_part():
    found = energy_of(samples(until_s=61, gpu0_power_w=steady(100)), ["gpu0"], spans_s=[(0, 580)])
    assert found.gap == "the last sample is at 61.0 s: power is known for 11% of the run"  # 61 / 580
    assert found.mean_w is None


def test_samples_that_are_missing_inside_an_attempt_count_and_a_pause_between_attempts_does_not():
    table = samples(until_s=300, gpu0_power_w=steady(100))
    hole = table[~table["seconds"].between(101, 199)]  # 100 s without a sample
    # Between two attempts it is no time of the run.
    assert energy_of(hole, ["gpu0"], spans_s=[(0, 100), (200, 300)]).share == 1.0
    assert energy_of(hole, ["gpu0"]).share == 1.0  # without the run's journal it could be a pause
    inside = energy_of(hole, ["gpu0"], spans_s=[(0, 300)])
    assert inside.share == pytest.approx(200 / 300)
    assert inside.gap == "gpu0 was not read for 100.0 s: power is known for 67% of the run"


def test_only_the_time_of_the_run_counts():
    """100 W while the run works, from 10 s to 90 s, and 20 W before and after, in the middle of a step each."""
    table = samples(gpu0_power_w=lambda second: 100 if 10 <= second <= 90 else 20)
    found = energy_of(table, ["gpu0"], spans_s=[(10, 90)])
    assert (found.wh, found.seconds) == (pytest.approx(100 * 80 / 3600), 80)
    half = energy_of(table, ["gpu0"], spans_s=[(9.5, 90)])
    assert half.wh == pytest.approx((100 * 80 + 60 * 0.5) / 3600)  # (20 + 100) / 2 in half a step


def test_a_run_that_was_sampled_rarely_is_not_said_to_lack_its_edges():
    """Every 20 s, a run from 15 s to 95 s: 5 s at either end are outside of all samples, or of a cut step."""
    found = energy_of(samples(step_s=20, until_s=80, gpu0_power_w=steady(100)), ["gpu0"], spans_s=[(15, 95)])
    assert (found.share, found.seconds, found.gap) == (1.0, 65, "")


def test_a_window_of_a_run_is_a_share_of_the_window():
    table = samples(until_s=600, gpu0_power_w=until(61, steady(100)))
    early = energy_of(table, ["gpu0"], spans_s=[(0, 600)], end_s=60)
    assert (early.share, early.wh) == (1.0, pytest.approx(100 * 60 / 3600))
    assert energy_of(table, ["gpu0"], spans_s=[(0, 600)], start_s=100) == Energy(gap=NO_POWER)


# Counters


def test_a_counter_is_taken_before_power_and_the_source_is_said():
    """The counter says 480 W, the power that a sensor shows between its updates 450 W."""
    table = samples(gpu0_energy_j=counter(480), gpu0_power_w=steady(450))
    assert energy_of(table, ["gpu0"]) == Energy(
        wh=pytest.approx(480 * 100 / 3600), seconds=100, share=1.0, source=COUNTERS, ratio=pytest.approx(480 / 450)
    )
    assert energy_of(table.drop(columns="gpu0_energy_j"), ["gpu0"]).source == POWER  # a file of an older version
    assert energy_of(table.drop(columns="gpu0_power_w"), ["gpu0"]).mean_w == pytest.approx(480)


def test_a_counter_survives_gaps_between_samples():
    table = samples(until_s=300, gpu0_energy_j=counter(480), gpu0_power_w=steady(450))
    hole = table[~table["seconds"].between(101, 199)]
    found = energy_of(hole, ["gpu0"], spans_s=[(0, 300)])
    assert (found.share, found.wh, found.source) == (1.0, pytest.approx(480 * 300 / 3600), COUNTERS)
    unread = samples(until_s=300, gpu0_energy_j=lambda second: None if 100 < second < 200 else 5000 + 480 * second)
    assert energy_of(unread, ["gpu0"]).wh == pytest.approx(480 * 300 / 3600)  # there are samples: it is no pause


COUNT_J = 2**32 / 1000  # of a counter of 32 bits, in millijoules


@pytest.mark.parametrize(
    "energy_j",
    [
        lambda second: 5000 + 480.0 * second if second <= 50 else 480.0 * (second - 50),
        lambda second: (COUNT_J - 480 * 50.5 + 480.0 * second) % COUNT_J,
        lambda second: 5000 + 480.0 * second + (second > 50) * 1e6,
    ],
    ids=["a driver that was loaded anew begins at 0", "a counter that wraps", "a jump of 1 MJ in a second"],
)
def test_where_a_counter_falls_or_jumps_power_is_taken_for_that_step(energy_j):
    found = energy_of(samples(gpu0_energy_j=energy_j, gpu0_power_w=steady(450)), ["gpu0"])
    # 99 steps of a second by the counter, one by power
    assert (found.wh, found.share, found.source) == (pytest.approx((480 * 99 + 450) / 3600), 1.0, BOTH)


def test_a_counter_that_moves_in_steps_of_its_own_loses_nothing():
    """Read 100 times a second, and updated every tenth: 48 J at once are 4,800 W in one step, and 0 W in nine."""
    table = samples(until_s=10, step_s=0.01, gpu0_energy_j=lambda second: 48.0 * int(second * 10 + 1e-6))
    assert energy_of(table, ["gpu0"]).mean_w == pytest.approx(480, rel=0.01)
    dear = samples(until_s=10, step_s=0.01, gpu0_energy_j=lambda second: 120.0 * int(second * 10 + 1e-6))
    assert energy_of(dear, ["gpu0"]).mean_w == pytest.approx(1200, rel=0.01)  # 12,000 W in one step


def test_a_counter_that_stands_still_is_none():
    found = energy_of(samples(gpu0_energy_j=steady(0.0), gpu0_power_w=steady(450)), ["gpu0"])
    assert (found.mean_w, found.source) == (pytest.approx(450), POWER)


@pytest.mark.parametrize("again_j", [48_000 + 500_000.0, 0.0])  # it went on counting, or the driver was loaded anew
def test_a_counter_is_not_followed_from_one_attempt_to_the_next(again_j):
    """The run's clock stands still in the pause: 100.0 s are followed by 100.5 s, and 500 kJ."""
    first = samples(gpu0_energy_j=counter(480, start_j=0), gpu0_power_w=steady(450))
    second = samples(until_s=99, gpu0_energy_j=counter(480, start_j=again_j), gpu0_power_w=steady(450))
    second["seconds"] += 100.5
    table = pandas.concat([first, second])
    for spans_s in ([(0, 100), (100.5, 199.5)], [(0, 100), (100, 199.5)], []):
        found = energy_of(table, ["gpu0"], spans_s=spans_s)
        assert found.share == 1.0
        assert found.mean_w == pytest.approx(480, rel=1e-3)


def test_boards_without_a_counter_are_integrated_beside_one_that_has_it():
    table = samples(gpu0_energy_j=counter(480), gpu1_power_w=steady(60), gpu1_energy_j=steady(None))
    found = energy_of(table, ["gpu0", "gpu1"])
    assert (found.mean_w, found.source, found.note) == (pytest.approx(540), BOTH, BOTH)


def test_a_gpu_with_a_counter_that_is_lost_is_refused_as_any_other():
    table = samples(until_s=600, gpu0_energy_j=until(61, counter(480)), gpu0_power_w=until(61, steady(450)))
    found = energy_of(table, ["gpu0"], spans_s=[(0, 600)])
    assert (found.wh, found.gap) == (None, "gpu0 was last read at 61.0 s: power is known for 10% of the run")


# Counters against power


@pytest.mark.parametrize(
    ("counted_w", "refused"), [(450, False), (560, False), (570, True), (362, False), (350, True)]
)  # 1.25 times 450 is 562.5, and 450 / 1.25 is 360
def test_a_counter_and_power_that_differ_by_more_than_a_quarter_are_refused_with_both(counted_w, refused):
    found = energy_of(samples(gpu0_energy_j=counter(counted_w), gpu0_power_w=steady(450)), ["gpu0"])
    assert (found.wh is None) is refused
    assert found.ratio == pytest.approx(counted_w / 450)
    if refused:
        said = f"gpu0's energy counter says {counted_w / 36:.4g} Wh where its power over time says 12.5 Wh"
        assert found.gap.startswith(said) and found.note.endswith("expected 0.8 to 1.25: one of the two is wrong")


def test_a_counter_that_stood_still_for_half_of_the_run_is_found_by_power():
    stuck = samples(gpu0_energy_j=lambda second: 5000 + 480 * min(second, 50), gpu0_power_w=steady(480))
    found = energy_of(stuck, ["gpu0"])
    assert (found.wh, found.ratio) == (None, pytest.approx(0.5))


def test_each_gpu_is_checked_by_itself_and_the_one_at_fault_is_named():
    two = samples(
        gpu0_energy_j=counter(900), gpu0_power_w=steady(450), gpu1_energy_j=counter(450), gpu1_power_w=steady(900)
    )
    assert energy_of(two, ["gpu0", "gpu1"]).gap.startswith("gpu0's energy counter says 25 Wh")
    sound = two.assign(gpu0_power_w=900.0, gpu1_power_w=450.0)
    assert energy_of(sound, ["gpu0", "gpu1"]).ratio == pytest.approx(1)


def test_a_few_seconds_say_nothing_of_the_ratio():
    short = samples(until_s=20, gpu0_energy_j=counter(480), gpu0_power_w=steady(100))
    assert (energy_of(short, ["gpu0"]).mean_w, energy_of(short, ["gpu0"]).ratio) == (pytest.approx(480), None)
