"""Which rig to take, what to look at next, and when to stop."""

import math
import random
import statistics

import pytest

from benchmark.judge.beliefs import PROBE, RUN, Evidence, Look, believe
from benchmark.judge.choice import CHEAPER, SOONER, Candidate, Money, Wish, choose, gain_of
from benchmark.judge.question import JudgeError


def rig(name, per_hour=1.0, *, fixed=0.0, currency="USD", **changes):
    evidence = Evidence(**{"name": name, "batch": 96, "paces_s": (60.0,), **changes})
    money = None if per_hour is None else Money(fixed, per_hour, currency)
    return Candidate(evidence=evidence, money=money, no_price="" if money else "nobody offers it")


def test_the_cheapest_and_the_soonest_are_two_rigs():
    rigs = [rig("slow", 1.0, epochs=(10.0,) * 3), rig("fast", 3.0, paces_s=(30.0,))]
    cheap, soon = (choose(rigs, wish=Wish(goal=goal)) for goal in (CHEAPER, SOONER))
    assert (cheap.options[cheap.taken].name, soon.options[soon.taken].name) == ("slow", "fast")
    # 10 epochs of 60 s at 1 an hour; of 30 s at 3 an hour
    assert [option.cost[0] for option in cheap.options] == pytest.approx([1 / 6, 1 / 4], rel=1e-3)
    assert cheap.options[1].p_cheaper < 0.01 and cheap.options[1].p_sooner > 0.99
    assert cheap.p_another == pytest.approx(cheap.options[1].p_cheaper)


def test_the_best_throughput_a_dollar_is_not_taken_where_its_batch_costs_epochs():
    small = rig("small", 1.0, epochs=(10.0,) * 3)
    large = rig("large", 1.0, batch=384, paces_s=(50.0,))  # a fifth faster an epoch; 4^.35 = 1.6 times the epochs
    assert choose([small, large]).taken == 0


def test_equal_rigs_are_each_the_best_half_the_time():
    found = choose([rig("a", epochs=(10.0,) * 5), rig("b", epochs=(10.0,) * 5)])
    assert found.options[0].p_cheapest == pytest.approx(0.5, abs=0.05)
    assert sum(option.p_cheapest for option in found.options) == 1


def test_what_a_look_is_worth_agrees_with_a_simulation():
    """Draw what a run would show, condition on it, choose again: E[min] before less E[min] after."""
    rigs = [rig("a", epochs=(10.0,) * 3), rig("b", 1.0, batch=192, paces_s=(46.0,))]
    beliefs = believe([each.evidence for each in rigs])
    lines, look = [each.money for each in rigs], Look(1, RUN)
    now = [line.of(beliefs.expected_s(n) / 3600) for n, line in enumerate(lines)]
    gain = gain_of(beliefs, look, [0, 1], lines, now.index(min(now)))
    rng, after = random.Random(1), []
    epochs, variance = beliefs.log_epochs(1)
    for _ in range(400):
        seen = math.exp(rng.gauss(epochs, math.sqrt(variance + beliefs.run_variances[1])))
        anew = believe([rigs[0].evidence, Evidence(name="b", batch=192, paces_s=(46.0,), epochs=(seen,))])
        after.append(min(line.of(anew.expected_s(n) / 3600) for n, line in enumerate(lines)))
    simulated, error = min(now) - statistics.fmean(after), statistics.stdev(after) / math.sqrt(400)
    assert gain > 5 * error and gain == pytest.approx(simulated, abs=3 * error)


def test_no_look_is_worth_less_than_nothing_nor_more_than_knowing_all():
    rigs = [rig("a", epochs=(10.0,) * 2), rig("b", batch=192, paces_s=(46.0,)), rig("c", paces_s=(), guess_s=55.0)]
    beliefs = believe([each.evidence for each in rigs])
    lines = [each.money for each in rigs]
    now = [line.of(beliefs.expected_s(n) / 3600) for n, line in enumerate(lines)]
    known = statistics.fmean(min(s / 3600 for s in draw) for draw in beliefs.draws(4000))
    for look in (Look(n, what) for n in range(3) for what in (PROBE, RUN)):
        gain = gain_of(beliefs, look, [0, 1, 2], lines, now.index(min(now)))
        assert 0 <= gain <= 1.05 * (min(now) - known)


def test_one_stops_for_one_training_and_looks_for_a_thousand():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("b", batch=192, paces_s=(46.0,))]
    once, often = (choose(rigs, wish=Wish(trainings=count)) for count in (1, 1000))
    assert once.next is None and 1 < once.nearest.pays_from(CHEAPER) < 1000
    assert often.next is not None and often.next.gain * 1000 > often.next.price(CHEAPER)


def test_a_rig_that_nobody_tried_is_probed_before_it_is_run():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("new", paces_s=(), guess_s=60.0)]
    found = choose(rigs, wish=Wish(trainings=100))
    assert (found.next.look.rig, found.next.look.what) == (1, PROBE)


def test_the_budget_is_for_the_trainings_and_what_is_left_for_looks():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("fast", 9.0, paces_s=(20.0,))]
    # a: .167 a training; fast: .5, but three times as soon
    assert choose(rigs, wish=Wish(goal=SOONER)).taken == 1
    tight = choose(rigs, wish=Wish(goal=SOONER, budget=0.3))
    assert tight.taken == 0 and tight.options[1].too_dear and tight.next is None
    with pytest.raises(JudgeError, match=r"a training cost 0\.16\d+ USD at the least \(on a\), and the budget is 0.1"):
        choose(rigs, wish=Wish(budget=0.1))


def test_the_budget_is_for_all_the_trainings():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("fast", 9.0, paces_s=(20.0,))]
    assert choose(rigs, wish=Wish(goal=SOONER, budget=1.8, trainings=10)).taken == 0  # 1.67 on a, 5 on fast
    with pytest.raises(JudgeError, match="10 trainings cost 1.6"):
        choose(rigs, wish=Wish(budget=1.0, trainings=10))


def test_a_look_that_the_budget_does_not_pay_is_not_proposed():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("b", batch=192, paces_s=(46.0,))]
    rich, poor = (choose(rigs, wish=Wish(trainings=50, budget=budget)) for budget in (1000.0, 8.36))
    assert rich.next.money == pytest.approx(0.165, abs=0.001)  # a run of b, on which a training costs as much
    assert not poor.options[0].too_dear and poor.next is None  # fifty trainings on b leave .1 of 8.36
    assert poor.nearest is None or poor.nearest.money < 0.12


def test_a_rig_without_a_price_may_be_the_soonest_and_not_the_cheapest():
    rigs = [rig("a", epochs=(10.0,) * 3), rig("free", None, paces_s=(30.0,))]
    assert choose(rigs).taken == 0 and choose(rigs).options[1].p_cheapest is None
    assert choose(rigs, wish=Wish(goal=SOONER)).taken == 1


def test_a_look_at_a_rig_without_a_price_is_not_free():
    """Its runs would tell the epochs of both others, and nobody knows what they cost."""
    rigs = [rig("a", epochs=(10.0,) * 3), rig("b", batch=192, paces_s=(46.0,)), rig("free", None, batch=192)]
    found = choose(rigs, wish=Wish(trainings=1000))
    assert found.next.look.rig == 1 and found.next.price(CHEAPER) > 0
    once = choose(rigs, wish=Wish(trainings=1))
    assert once.next is None and once.nearest.look.rig != 2


@pytest.mark.parametrize(
    ("rigs", "wish", "said"),
    [
        ([], Wish(), "no rig to choose among"),
        ([rig("a", None, epochs=(9.0,))], Wish(), r"no rig has a price \(a: nobody offers it\)"),
        ([rig("a", epochs=(9.0,)), rig("b", currency="EUR")], Wish(), "prices are in EUR and USD"),
        ([rig("a"), rig("b", paces_s=(30.0,))], Wish(), r"how many epochs .* is not known; .* \(b has the cheapest"),
        ([rig("a"), rig("b", 3.0)], Wish(goal=SOONER), r"\(a has the shortest epoch"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_refused(rigs, wish, said):
    with pytest.raises(JudgeError, match=said):
        choose(rigs, wish=wish)
