"""Verdicts on pairs of rigs: what may be said, what may not, and what would settle it."""

import csv
import io
import json
from dataclasses import replace

import pytest
from journals import make_run, write

from benchmark.compare import main
from benchmark.judge.comparison import halves
from benchmark.record import Run, RunRecord


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
    # at the geometric mean of 8.49 epochs: (30 + 8.49 * 100.25) / (30 + 8.49 * 200.25) = .5094: 49.1% less time
    assert status == 0 and "fast is a faster machine than slow to WER 30: at equal epochs 49.1% less time (" in shown
    assert "As they were run fast took 49.1% less time (" in shown and "p = " in shown


def test_what_chance_may_have_done_is_not_distinguishable_and_a_plan_says_how_many_runs_would_do(tmp_path, capsys):
    save(tmp_path, "a", 6, 9, 12)
    save(tmp_path, "b", 7, 9, 11)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "a and b are the same machine within 5% to WER 30: at equal epochs ratio 1.000" in shown
    assert "As they were run: not distinguishable: ratio" in shown and "faster" not in shown
    assert "to find 5% four times in five takes" in shown and "fix their number before you look" in shown


def test_the_machine_is_told_apart_where_the_luck_of_epochs_hides_it(tmp_path, capsys):
    """Seconds an epoch are 5% apart, steady to .1%; the epochs, 6 to 12, say the opposite and nothing certain."""
    save(tmp_path, "fast", 9, 12, 9, 12, train_s=95)
    save(tmp_path, "slow", 6, 12, 9, 12, train_s=100)
    _, shown, _ = compared(capsys, "fast", "slow", "--results", tmp_path, "--margin", "2")
    assert "fast is a faster machine than slow" in shown
    assert "As they were run: not distinguishable: ratio 1.0" in shown


def test_machines_whose_epochs_differ_are_compared_as_they_were_run(tmp_path, capsys):
    save(tmp_path, "a", 6, 6, 7, 6)
    save(tmp_path, "b", 16, 17, 16, 16)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "a is faster than b to WER 30" in shown and "their epochs differ (F test, p = " in shown
    save(tmp_path, "c", 6, 7, 6, 6, batch=192)
    _, shown, _ = compared(capsys, "a", "c", "--results", tmp_path)
    assert "Machines are not compared at equal epochs: they differ in batch" in shown


def test_single_runs_are_told_apart_by_the_spread_of_others_and_it_is_said(tmp_path, capsys):
    """Six epochs beside twelve: 30 + 110 i s, of which the last of twelve is 8% and may be one too many."""
    save(tmp_path, "a", 6)
    save(tmp_path, "b", 12)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "a is faster than b to WER 30: 48.9% less time (" in shown  # 690 / 1350 s = .511
    assert "; by the spread of others, Holm-adjusted p = " in shown
    assert "their epochs differ by more than those of single runs (by the spread of others, p = " in shown
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path, "--every-run")
    assert "n = 1 and 1 error curves), tell nothing of chance" in shown and "faster" not in shown
    main(["a", "b", "--results", str(tmp_path), "--level", "30", "--format", "csv"])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["time_spread"], row["time_low"], row["machine_spread"]) == ("others", "NA", "NA")
    assert float(row["time_p"]) < 0.05


def test_single_runs_an_epoch_apart_are_not_told_apart(tmp_path, capsys):
    save(tmp_path, "a", 11)
    save(tmp_path, "b", 12)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "no distinguishable machines at WER 30: at equal epochs ratio 1.000, by the spread of others" in shown
    # 1.153 by chance, over 1 - 110 / 1350 by the step of the slower one: 1.255
    assert "ratio 0.919, and by the spread of others single runs differ by up to 26%" in shown and "faster" not in shown


def test_a_machine_is_faster_by_single_runs_only_with_start_up_and_without_it(tmp_path, capsys):
    """One takes 9% less time an epoch, and 570 s longer to start: which is faster is a matter of start-up."""
    save(tmp_path, "a", 10, train_s=100)
    rows = make_run([90] * 8 + [30, 30], train_s=90.0, platform="b", run="b1").rows
    late = [replace(row, started_s=row.started_s + 570) for row in rows[1:]]
    write(tmp_path / "b-1.csv", RunRecord([replace(rows[0], seconds=600), *late]))
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "no distinguishable machines" in shown and "a faster machine" not in shown


def test_one_run_beside_several_has_their_spread_and_at_least_others(tmp_path, capsys):
    save(tmp_path, "a", 8, 9, 10)
    save(tmp_path, "b", 24)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "a is faster than b to WER 30" in shown and "by the spread of others" in shown
    save(tmp_path, "c", 24, 23)
    _, shown, _ = compared(capsys, "a", "c", "--results", tmp_path)
    assert "a is faster than c to WER 30" in shown and "others" not in shown


def test_runs_of_one_error_curve_are_one_run(tmp_path, capsys):
    """Five timings of one training beside five of another: n = 1 and 1, whatever the epochs."""
    for name, epochs in {"a": 6, "b": 7}.items():
        for n in range(5):
            record = make_run([90] * (epochs - 2) + [30, 30], platform=name, run="once", seed=n, train_s=100 + n / 9)
            write(tmp_path / f"{name}-{n}.csv", record)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "not distinguishable: ratio" in shown and "by the spread of others single runs differ by" in shown
    assert "faster" not in shown


def test_misses_are_compared_by_the_times_that_they_lasted(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 8)
    save(tmp_path, "b", 12, 13)
    write(tmp_path / "b-3.csv", make_run([90] * 20, platform="b", run="b3", seed=3))
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path)
    assert "b reached it in 2 of 3 runs; log-rank p = 0.1" in shown  # 2 of 20 ways to permute are as far apart
    # budget: the latest that was reached, 30 + 13 * 110.2 s; b: 1351, and twice that; a: 691, 801, 912 s
    assert "mean time of runs stopped at 24.4 minutes: 13.4 minutes and 23.8 minutes" in shown


def test_who_looks_after_every_run_gets_a_verdict_that_holds_at_any_time(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 6)
    save(tmp_path, "b", 16, 17, 18)
    _, shown, _ = compared(capsys, "a", "b", "--results", tmp_path, "--every-run")
    assert "e = " in shown and "of 40" in shown and "Holm" not in shown


def test_csv_and_json_have_every_ratio_in_full(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 6)
    save(tmp_path, "b", 7, 8, 7)
    for style in ("csv", "json"):
        assert main(["a", "b", "--results", str(tmp_path), "--level", "30", "--format", style]) == 0
        shown = capsys.readouterr()
        rows = json.loads(shown.out) if style == "json" else list(csv.DictReader(io.StringIO(shown.out)))
        assert float(rows[0]["machine_ratio"]) == pytest.approx(1.0, abs=1e-3) and rows[0]["verdict"]
        assert "benchmark.compare: warning: " in shown.err


def test_one_platform_is_compared_by_a_field_that_keeps_its_runs_apart(tmp_path, capsys):
    save(tmp_path, "a", 6, 7, 6)
    for n in range(3):
        write(tmp_path / f"large-{n}.csv", make_run([90] * (7 + n) + [30, 30], platform="a", run=f"l{n}", batch=192))
    assert main(["a", "--results", str(tmp_path), "--level", "30"]) == 2
    assert "--aa, or one with --by FIELD" in capsys.readouterr().err
    _, shown, _ = compared(capsys, "a", "--by", "batch", "--results", tmp_path)
    assert "a batch=96 is faster than a batch=192 to WER 30" in shown
    assert main(["a", "--by", "seed", "--results", str(tmp_path), "--level", "30", "--by", "batch"]) == 0


def test_a_profile_says_whether_the_order_hangs_on_the_level(tmp_path, capsys):
    """Down to 60 a is first, from 50 on b: every level of the two is asked for."""
    write(tmp_path / "a.csv", make_run([60, 60, 60, 60, 60, 60, 40, 40], platform="a", run="a"))
    write(tmp_path / "b.csv", make_run([90, 90, 60, 60, 40, 40, 40, 40], platform="b", run="b"))
    levels = [part for level in (90, 60, 50, 40) for part in ("--level", str(level))]
    assert main(["a", "b", "--results", str(tmp_path), *levels]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "first at x 1 x 1.02" in shown
        and "The order hangs on the level: " in shown
        and "it changes at WER 50 (b)" in shown
    )


def test_p_is_adjusted_over_all_pairs(tmp_path, capsys):
    from benchmark.judge import Question, compare, judge
    from benchmark.record.journal import read

    for name, epochs in {"a": (6, 7, 6), "b": (7, 8, 7), "c": (8, 9, 8)}.items():
        save(tmp_path, name, *epochs)
    groups = judge([read(path) for path in sorted(tmp_path.glob("*.csv"))], Question(metrics=("wer",), levels=(30.0,)))
    pairs = compare(groups)
    raw = [pair.ratios["time"].p for pair in pairs]
    smallest = min(raw)
    # three pairs, each with a machine and a training: six tests; the machines do not differ
    found = next(pair.training.p for pair, own in zip(pairs, raw, strict=True) if own == smallest)
    assert len(pairs) == 3 and found == pytest.approx(6 * smallest)
    assert all(pair.training.p >= own for pair, own in zip(pairs, raw, strict=True))


def test_emulated_rigs_are_called_so_and_warned_of(tmp_path, capsys):
    save(tmp_path, "slow", 8, 9, 8, 9, train_s=190, emulated=True)
    save(tmp_path, "fast", 8, 9, 8, 9, train_s=90, emulated=True)
    _, shown, _ = compared(capsys, "slow", "fast", "--results", tmp_path)
    assert "fast (emulated) is a faster machine than slow (emulated)" in shown and "say nothing about the rig" in shown


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
    assert "before and after at WER 30: not distinguishable" in shown and "they differ in code" in shown


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


def test_runs_without_targets_are_compared_at_the_hardest_level_that_all_of_them_reached(tmp_path, capsys):
    """Each kind alone would have a level of its own, 30 and 44, and none would be common."""
    for platform, best in (("good", 30), ("bad", 43.5)):
        for seed in (1, 2, 3):
            record = make_run([90, 80, best, best], platform=platform, run=f"{platform}{seed}", seed=seed)
            write(tmp_path / f"{platform}-{seed}.csv", record)
    assert main(["good", "bad", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    told = " ".join((shown.out + shown.err).split())
    assert (
        "WER 44: first over second" in told
        and "they have no target in common: compared at 44%; --level names another" in told
    )
