"""Speed by the number of machines, from journals made by hand."""

import pytest
from journals import make_run

from benchmark.judge.judgement import judge
from benchmark.judge.scaling import scalings
from benchmark.judge.summary import report


def on(machines, *, train_s, batch=96, devices="4 x RTX 2070", **identity):
    """A run of 1,000 utterances an epoch, of which train_s seconds are training: 1000 / train_s utterances a second."""
    words = f"{machines} machines of {devices}" if machines > 1 else devices
    name = f"m{machines}-{batch}"
    return make_run(
        [40, 30, 20], train_s=train_s, run=name, platform=name, source=f"{name}.csv", machines=machines,
        replicas=4 * machines, batch=batch, devices=words, **identity,
    )  # fmt: skip


def test_efficiency_is_throughput_a_machine_over_that_of_one():
    (scaling,) = scalings(judge([on(4, train_s=40), on(1, train_s=100), on(2, train_s=50)]))
    assert [step.machines for step in scaling.steps] == [1, 2, 4] and scaling.devices == "4 x RTX 2070"
    assert [scaling.speedup(step) for step in scaling.steps] == pytest.approx([1, 2, 2.5])  # 10, 20, 25 a second
    assert [scaling.efficiency(step) for step in scaling.steps] == pytest.approx([1, 1, 0.625])  # 2.5 / 4


def test_without_one_machine_the_fewest_are_the_measure():
    (scaling,) = scalings(judge([on(2, train_s=50), on(8, train_s=25, batch=384)]))
    assert scaling.efficiency(scaling.steps[1]) == pytest.approx(0.5)  # 40 / 20 on four times the machines
    rows = scaling.table("mini").rows
    assert [row[2] for row in rows] == ["96", "384"] and "against 2 machines of 4 x RTX 2070" in scaling.table("").title


@pytest.mark.parametrize(
    "other",
    [
        on(2, train_s=50, devices="8 x RTX 2070"),
        on(2, train_s=50, precision="tf32"),
        on(1, train_s=50, batch=48),
        on(2, train_s=50, emulated=True),
    ],
)
def test_what_is_not_alike_is_not_put_in_one_line(other):
    assert scalings(judge([on(1, train_s=100), other])) == []


def test_the_judgement_shows_the_table():
    text = report([on(1, train_s=100), on(2, train_s=62.5)])
    assert "mini: more machines; efficiency against 1 machine of 4 x RTX 2070" in text
    assert "m2-96            2     96          16.0        72.5   1.60         80%" in text  # 62.5 + 10 s an epoch
