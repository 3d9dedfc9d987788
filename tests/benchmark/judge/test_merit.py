"""Ratios of times as products: by hand, by SciPy, with misses, and where logs do not say a part."""

import json
import math

import numpy as np
import pytest
from journals import make_run, make_runs, write
from scipy import stats

from benchmark import compare as door
from benchmark.judge import JudgeError, Question, judge, merits
from benchmark.judge.merit import merit_of, merit_table

WER = Question(metrics=("wer",), levels=(50.0,), window=1)


def group(*wers, question=WER, **identity):
    (found,) = judge(make_runs(*wers, **identity), question)
    return found


def falling(epochs, last=50.0, more=()):
    """Error rates that first are at the level after so many epochs; every number of epochs is a curve of its own."""
    return [*(90.0 - n - epochs / 100 for n in range(epochs - 1)), last, *more]


def one(*groups, question=WER):
    (found,) = merits(groups, question)
    return found


def test_time_is_the_product_of_steps_seconds_a_step_and_the_rest():
    fast = group(falling(3), falling(3, 49.0), platform="a")  # 30 steps of 10 s, and 30 + 3 * 10 s more: 360 s
    slow = group(falling(6), falling(6, 49.0), platform="b", train_s=50.0)  # 60 of 5 s, 30 + 6 * 10 s more: 390 s
    found = one(fast, slow)
    assert found.time.ratio.value == pytest.approx(360 / 390)
    assert found.parts["amount"].ratio.value == pytest.approx(30 / 60)
    assert found.parts["pace"].ratio.value == pytest.approx(10 / 5)
    assert found.parts["rest"].ratio.value == pytest.approx((360 / 300) / (390 / 300))
    assert math.prod(part.ratio.value for part in found.parts.values()) == pytest.approx(found.time.ratio.value)
    assert found.sentence.startswith("a is 1.083 times sooner than b to WER 50")
    assert "2.00 times fewer steps" in found.sentence and "each 2.00 times as long" in found.sentence
    assert found.inverse.sentence == found.sentence  # whoever comes first


def test_intervals_are_welchs_on_logarithms():
    epochs = [3, 4, 6], [5, 9, 8, 7]
    groups = [group(*map(falling, each), platform=name) for name, each in zip("ab", epochs, strict=True)]
    ratio = one(*groups).parts["amount"].ratio
    oracle = stats.ttest_ind(*map(np.log, epochs), equal_var=False)
    low, high = np.exp(oracle.confidence_interval())
    assert (ratio.p, ratio.low, ratio.high) == pytest.approx((oracle.pvalue, low, high))


def test_runs_that_took_the_same_epochs_still_have_an_interval_of_the_step_between_evaluations():
    groups = [group(falling(3), falling(3, 49.0), platform="a"), group(falling(6), falling(6, 49.0), platform="b")]
    ratio = one(*groups).parts["amount"].ratio
    squares = [0.03 * (1 / n) ** 2 / 2 for n in (3, 6)]  # one epoch of 3, one of 6; two runs each
    freedom = sum(squares) ** 2 / sum(square**2 / 1 for square in squares)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
    assert ratio.high == pytest.approx(0.5 * math.exp(half))


def test_single_runs_have_parts_and_no_intervals():
    found = one(group(falling(3), platform="a"), group(falling(6), platform="b"))
    assert found.parts["amount"].ratio.value == pytest.approx(0.5) and found.parts["amount"].ratio.low is None
    assert "not told from 1" in found.sentence


def test_batches_that_differ_are_compared_by_utterances():
    found = one(
        group(falling(3), falling(4), platform="a", batch=96), group(falling(3), falling(4), platform="b", batch=48)
    )
    assert found.unit == "utterances" and found.parts["amount"].ratio.value == pytest.approx(2)
    assert found.parts["pace"].ratio.value == pytest.approx(0.5)  # seconds for one: equal steps of twice as many


def test_recipes_may_differ_and_workloads_may_not():
    a, b = group(falling(3), recipe="paper", platform="a"), group(falling(4), recipe="authors", platform="b")
    assert "They differ in recipe." in one(a, b).remarks
    with pytest.raises(JudgeError, match="workload is 'mini' and 'other'"):
        one(a, group(falling(3), workload="other", platform="c"))


@pytest.fixture
def missed(tmp_path):
    """Two runs of b that ended after 4 epochs without the level; all of a's got there in 5 and 6."""

    def made(train_s, name="b"):
        paths = []
        for n, wers in enumerate(([90, 80, 70, 60.5], [91, 81, 71, 61])):
            record = make_run(wers, run=f"{name}{n}", seed=n, platform=name, train_s=train_s)
            path = write(tmp_path / f"{name}{n}.csv", record)
            (tmp_path / f"{name}{n}").mkdir()
            end = {"status": "finished", "step": 40, "epoch": 4, "clock_s": record.ended_s}
            (tmp_path / f"{name}{n}" / "end.json").write_text(json.dumps(end))
            paths.append(path)
        from benchmark.judge import read_runs

        (found,) = judge(read_runs(paths), WER)
        return found

    return made


def test_of_misses_the_steps_have_a_bound_and_the_step_is_known(missed):
    a = group([90, 80, 70, 60, 50], [91, 81, 71, 61, 58, 50], platform="a")
    found = one(a, missed(train_s=400.0))
    amount, pace = found.parts["amount"], found.parts["pace"]
    assert amount.ratio is None and amount.bound.value == pytest.approx(math.sqrt(50 * 60) / 40)
    assert amount.bound.low == 0.0 and amount.cell.startswith("< ")
    assert pace.ratio.value == pytest.approx(10 / 40)
    assert "steps open, at most 1.369 times as many" in found.sentence and "0 of 2 of b got there" in found.sentence
    assert found.sentence.startswith("a is at least ")
    # 54.8 steps of 40 s, and 30 s with 4 evaluations in 40 steps: (1600 + 70) / 40 s each
    assert f"b would take {54.772 * 1670 / 40 / 60:.1f} minutes; its runs ended within" in " ".join(found.remarks)
    # at 40 steps: 60 and 61 against 60.5 and 61
    assert "At 40 steps" in " ".join(found.remarks) and "not told apart" in " ".join(found.remarks)
    assert found.inverse.inverse == found


def test_misses_that_ended_before_the_other_got_there_leave_the_order_open(missed):
    a = group([90, 80, 70, 60, 50], [91, 81, 71, 61, 58, 50], platform="a")
    b = missed(train_s=10.0)
    found = one(a, b)  # 110 s in all, while a took 580 and 690
    assert found.time.leaves_order_open
    assert found.sentence.startswith("Whether a or b is sooner to WER 50 is open: a takes at most ")
    assert one(b, a).sentence.startswith("Whether b or a is sooner to WER 50 is open: b takes at least ")


def test_two_groups_that_both_missed_leave_the_steps_open(missed):
    first, second = missed(train_s=400.0), missed(train_s=100.0, name="c")
    found = one(first, second)
    assert found.parts["amount"].cell == found.time.cell == "open"
    assert found.parts["pace"].ratio.value == pytest.approx(4.0) and "open" in found.sentence


@pytest.mark.parametrize(
    ("knows", "open_parts", "unit"),
    [
        ({"steps": True, "epochs": False, "evaluation": False}, {"rest"}, "steps"),
        ({"steps": False, "epochs": True, "evaluation": True}, set(), "epochs"),
        ({"steps": False, "epochs": False, "evaluation": True}, {"amount", "pace"}, "epochs"),
    ],
)
def test_what_a_log_does_not_say_is_open(tmp_path, knows, open_parts, unit):
    from benchmark.judge import read_runs

    groups = []
    for name, epochs in (("a", 3), ("b", 6)):
        paths = []
        for n in range(2):
            record = make_run(falling(epochs, 49.0 - n), run=f"{name}{n}", seed=n, platform=name)
            paths.append(write(tmp_path / f"{name}{n}.csv", record))
            (tmp_path / f"{name}{n}").mkdir()
            facts = {"schema": 4, "log": {"rows": len(record), "knows": knows}, "plan": {"targets": {"wer": [50]}}}
            (tmp_path / f"{name}{n}" / "run.json").write_text(json.dumps(facts))
        groups += judge(read_runs(paths), WER)
    from benchmark.judge import compare, factor
    from benchmark.judge.checks import warnings

    counted = not knows["epochs"]  # evaluations in place of epochs are pooled with nobody's
    assert all("evaluations are counted" in p.reason for p in factor(groups)) is counted
    assert ("evaluations are counted" in compare(groups)[0].hardware_reason) is counted
    assert ("is an evaluation" in " ".join(warnings((), groups, WER))) is counted
    found = one(*groups)
    assert {name for name, part in found.parts.items() if part.ratio is None} == open_parts
    assert found.unit == unit and all(part.reason for name, part in found.parts.items() if name in open_parts)


def test_the_door_shows_the_product_and_its_sentence(tmp_path, capsys):
    for name, epochs, recipe in (("a", 3, "paper"), ("b", 6, "authors")):
        for n in range(2):
            record = make_run(falling(epochs, 49.0 - n), run=f"{name}{n}", seed=n, platform=name, recipe=recipe)
            write(tmp_path / f"{name}{n}.csv", record)
    asked = ["a", "b", "--results", str(tmp_path), "--merit", "--level", "50", "--epochs", "1"]
    assert door.main(asked) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Whose merit:" in shown and "2.00 times fewer steps" in shown and "They differ in recipe." in shown
    assert door.main([*asked, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["amount_ratio"] == pytest.approx(0.5) and row["unit"] == "steps"
    assert door.main([each for each in asked if each != "--merit"]) == 2  # without it recipes must agree


def test_by_the_train_clock_there_is_no_rest():
    question = Question(metrics=("wer",), levels=(50.0,), window=1, clock="train")
    groups = [group(falling(n), falling(n, 49.0), platform=p, question=question) for n, p in ((3, "a"), (6, "b"))]
    found = one(*groups, question=question)
    assert set(found.parts) == {"amount", "pace"} and found.time.ratio.value == pytest.approx(0.5)
    assert len(merit_table([found]).header) == 5


def test_by_the_train_clock_a_rig_without_an_evaluation_is_open_in_the_table_of_others():
    question = Question(metrics=("wer",), levels=(50.0,), window=1, clock="train")
    groups = [group(falling(n), falling(n, 49.0), platform=p, question=question) for n, p in ((3, "a"), (6, "b"))]
    groups.append(group((), platform="c", question=question))
    merits = [merit_of(groups[0], other, 0, question) for other in groups[1:]]
    assert [row[2] for row in merit_table(merits).rows][1].startswith("open") and len(merit_table(merits).header) == 5
