"""How many phases an epoch has."""

from benchmark.record.phases import Plan
from benchmark.rig.estimate.work import phases_of_an_epoch


def plan(**changes) -> Plan:
    return Plan(
        **{"batches_per_epoch": 138, "max_epochs": 1, "max_seconds": 1.0, "targets": {"wer": (99.5,)}, **changes}
    )


def test_phases_are_those_of_the_batches_after_the_first_epoch():
    found = phases_of_an_epoch(plan())
    # batches 139 to 828 have 150, 200, ..., 800: 14 generations in five epochs
    assert found["generate"] == 14 / 5
    # 250, 500 and 750, and the ends of five epochs
    assert found["checkpoint"] == 8 / 5
    assert found["evaluate"] == 1
    assert "swap" not in found and "create" not in found


def test_a_swap_is_two_phases_and_a_probe_within_an_epoch_is_one():
    assert phases_of_an_epoch(plan(evaluation="swap"))["swap"] == 2
    assert phases_of_an_epoch(plan(batches_per_epoch=100, evaluate_every=40))["probe"] == 2
    # of batches 101 to 600 multiples of 40: 120, ..., 600: 13, of which 200, 400 and 600 are ends of epochs
    assert phases_of_an_epoch(plan(evaluation="overlap")) == phases_of_an_epoch(plan())
