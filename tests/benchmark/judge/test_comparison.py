"""Verdicts on pairs of rigs: what may be said, what may not, and what would settle it."""

import pytest
from journals import make_run, write

from benchmark.compare import main
from benchmark.judge.comparison import halves
from benchmark.record import Run


def save(folder, platform: str, *epochs: int, train_s=100.0, **identity) -> None:
    for n, count in enumerate(epochs, start=1):
        errors = [90] * (count - 2) + [30, 30]
        name = f"{platform}{n}"
        record = make_run(errors, train_s=train_s + n / 10, platform=platform, run=name, seed=n, **identity)
        write(folder / f"{platform}-{n}.csv", record)


def compared(capsys, *arguments) -> tuple[int, str, str]:
    status = main([*map(str, arguments), "--level", "30"])
    shown = capsys.readouterr()
    return status, " ".join(shown.out.split()), shown.err


def test_a_clear_difference_is_said_with_its_interval(tmp_path, capsys):
    save(tmp_path, "slow", 8, 9, 8, 9, train_s=190)
    save(tmp_path, "fast", 8, 9, 8, 9, train_s=90)
    status, shown, _ = compared(capsys, "slow", "fast", "--results", tmp_path)
    # (30 + n * 100) / (30 + n * 200): 49.1% less time
    assert status == 0 and "fast is faster than slow to WER 30: 49.1% less time (" in shown
    assert "p = " in shown


def test_what_chance_may_have_done_is_not_distinguishable_and_it_says_how_many_runs_would_do(tmp_path, capsys):
    save(tmp_path, "a", 6, 9, 12)
    save(tmp_path, "b", 7, 9, 11)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "a and b are not distinguishable at WER 30: ratio" in shown
    assert "more runs each would resolve 5%" in shown and "faster" not in shown


def test_single_runs_tell_nothing_of_chance(tmp_path, capsys):
    save(tmp_path, "a", 6)
    save(tmp_path, "b", 12)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "single runs, or runs all alike, tell nothing of chance" in shown and "faster" not in shown


def test_p_is_adjusted_over_all_pairs(tmp_path, capsys):
    from benchmark.judge import Question, compare, judge
    from benchmark.record.journal import read

    for name, epochs in {"a": (6, 7, 6), "b": (7, 8, 7), "c": (8, 9, 8)}.items():
        save(tmp_path, name, *epochs)
    groups = judge([read(path) for path in sorted(tmp_path.glob("*.csv"))], Question(metrics=("wer",), levels=(30.0,)))
    pairs = compare(groups)
    raw = [pair.ratios["time"].p for pair in pairs]
    smallest = min(raw)
    assert len(pairs) == 3 and [p for p, own in zip(pairs, raw, strict=True) if own == smallest][0].p == 3 * smallest
    assert all(pair.p >= own for pair, own in zip(pairs, raw, strict=True))


def test_emulated_rigs_are_called_so_and_warned_of(tmp_path, capsys):
    save(tmp_path, "slow", 8, 9, 8, 9, train_s=190, emulated=True)
    save(tmp_path, "fast", 8, 9, 8, 9, train_s=90, emulated=True)
    _, shown, _ = compared(capsys, "slow", "fast", "--results", tmp_path)
    assert "fast (emulated) is faster than slow (emulated)" in shown and "say nothing about the rig" in shown


def test_a_run_is_not_compared_with_itself(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 8)
    status, _, err = compared(capsys, f"all={tmp_path}/*.csv", f"some={tmp_path}/a-1.csv")
    assert status == 2 and "expected each run once" in err


def test_an_aa_check_that_finds_a_difference_ends_with_1(tmp_path, capsys):
    save(tmp_path, "a", 6, 12, 6, 12, 6, 12, 6, 12)  # by turns, as no seeds would
    status, shown, _ = compared(capsys, "a", "--aa", "--results", tmp_path)
    assert status == 1 and "a, half 1 is faster than a, half 2" in shown


def test_two_halves_of_one_platform_do_not_differ(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 9, 8, 7, 6)
    status, shown, _ = compared(capsys, "a", "--aa", "--results", tmp_path)
    assert status == 0 and "not distinguishable" in shown


def test_halves_take_turns_in_the_order_of_seeds():
    first, second = halves([Run(make_run([30], seed=seed)) for seed in (4, 1, 3, 2, 5)])
    assert [r.identity.seed for r in first] == [1, 3, 5] and [r.identity.seed for r in second] == [2, 4]


def test_groups_may_be_files_with_names_of_their_own(tmp_path, capsys):
    save(tmp_path, "old", 6, 7, 6)
    save(tmp_path, "new", 6, 7, 6, code="other")
    _, shown, _ = compared(capsys, f"before={tmp_path}/old-*.csv", f"after={tmp_path}/new-*.csv")
    assert "before and after are not distinguishable" in shown


def test_by_default_the_hardest_level_that_all_reached_is_compared(tmp_path, capsys):
    save(tmp_path, "a", 6, 7)
    save(tmp_path, "b", 6, 8)
    assert main(["a", "b", "--results", str(tmp_path), "--level", "20"]) == 0
    assert "no comparison: a reached it in 0 of 2 runs" in " ".join(capsys.readouterr().out.split())
    for n in (1, 2):  # levels of the runs: 50 and 30 were reached, 20 not
        for name in ("a", "b"):
            (tmp_path / f"{name}-{n}").mkdir()
            (tmp_path / f"{name}-{n}" / "run.json").write_text(
                '{"schema": 3, "plan": {"targets": {"wer": [50, 30, 20]}}}'
            )
    assert main(["a", "b", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "WER 30: first over second" in shown and "WER 20" not in shown.split("Warnings")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a"], "expected two platforms or more, or one with --aa"),
        (["a", "b", "--aa"], "expected two platforms or more, or one with --aa"),
        (["a", "absent"], "no runs of platform 'absent'"),
        (["a", "x=nowhere*.csv"], "no file matches nowhere*.csv"),
        (["a", "--aa"], "2 runs; expected at least 4"),
        (["a", "emulated"], "emulated is 'False' and 'True'"),
        (["a", "other"], "workload is 'mini' and 'speech'"),
    ],
)
def test_bad_questions_get_one_line(tmp_path, capsys, arguments, said):
    save(tmp_path, "a", 6, 7)
    save(tmp_path, "b", 6, 7)
    save(tmp_path, "emulated", 6, 7, emulated=True)
    save(tmp_path, "other", 6, 7, workload="speech")
    status, _, err = compared(capsys, *arguments, "--results", tmp_path)
    assert status == 2 and said in err and err.count("\n") == 1
