"""Runs that do not compare: kept apart, said, and no reason to show nothing."""

import csv
import io

from journals import make_run, write

from benchmark.compare import main as compare
from benchmark.judge import Question, judge
from benchmark.judge.ranking import answer
from benchmark.price import main as price
from benchmark.tta import main as tta

AT_30 = Question(metrics=("wer",), levels=(30.0,))


def run(platform: str, number: int, epochs: int = 8, **identity):
    name = f"{platform}{number}"
    return make_run(
        [90] * (epochs - 2) + [30, 30], platform=platform, run=name, seed=number, source=f"{name}.csv", **identity
    )


def test_runs_that_differ_in_what_must_agree_are_kept_apart_and_named():
    runs = [run("sys1", 1), run("sys1", 2, precision="tf32"), run("sys1", 3, 9)]
    judged = judge(runs, AT_30)
    assert [(group.label, len(group.runs)) for group in judged] == [
        ("sys1 precision=tf32", 1), ("sys1 precision=float32", 2)
    ]  # fmt: skip
    assert judged.warnings[0] == (
        "runs of one platform differ in precision: they are kept apart, and not pooled: sys1, mini ('float32' in "
        "sys11.csv and 'tf32' in sys12.csv); leave some out, or ask for --by precision"
    )
    asked = judge(runs, Question(metrics=("wer",), by=("precision",)))
    assert len(asked) == 2 and not any("kept apart" in text for text in asked.warnings)


def test_fields_are_kept_apart_by_as_little_as_it_takes():
    both = [run("sys1", 1), run("sys1", 2, precision="tf32", code="ef56")]
    assert judge(both).question.by == ("precision",)
    assert judge([*both, run("sys1", 3, code="ef56")]).question.by == ("precision", "code")


def test_runs_on_other_devices_do_not_pool_under_one_platforms_name():
    judged = judge([run("sys1", 1), run("sys1", 2, devices="2 x NVIDIA H200")], AT_30)
    assert len(judged) == 2 and "differ in devices" in judged.warnings[0] and "'2 x NVIDIA H200'" in judged.warnings[0]


def test_many_platforms_are_counted():
    runs = [run(f"sys{n}", m, features=f"f{m}") for n in range(5) for m in range(2)]
    (text,) = [text for text in judge(runs).warnings if "kept apart" in text]
    assert "sys2, mini (" in text and "sys3, mini" not in text and " and 2 more; leave some out" in text


def test_rigs_that_learn_the_same_are_ranked_though_one_run_beside_them_does_not():
    runs = [run(name, n, features="ab12") for name in ("a", "b") for n in (1, 2, 3)] + [run("a", 4, features="other")]
    text = " ".join(answer(judge(runs, AT_30).groups, AT_30).sentences)
    assert "No rig is certain to be the soonest" in text and "the least of 2" in text
    assert "Not ranked with these, as they do not learn the same (features): a features=other." in text
    equal = judge([*runs, run("b", 5, features="other")], AT_30)
    assert answer(equal.groups, AT_30).startswith(
        "Not ranked: these rigs do not learn the same, they differ in features; what of their times"
    )


def test_tta_shows_a_folder_though_one_run_has_other_features(tmp_path, capsys):
    for n, features in enumerate(("ab12", "ab12", "cd34")):
        write(tmp_path / f"{n}.csv", run("sys1", n, features=features))
    assert tta([str(tmp_path), "--level", "30"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "sys1 features=ab12 2 2 2" in shown and "sys1 features=cd34 1 1 1" in shown
    assert "runs of one platform differ in features: they are kept apart, and not pooled" in shown
    assert price([str(tmp_path), "--level", "30"]) == 0
    assert "sys1 features=cd34" in capsys.readouterr().out


def test_compare_compares_those_that_learn_the_same_and_names_the_others(tmp_path, capsys):
    for n, (name, features) in enumerate((("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", "x"))):
        write(tmp_path / f"{n}.csv", run(name, n, 8 + n % 2, features=features))
    asked = ["a", "b", "--results", str(tmp_path), "--level", "30", "--format", "csv"]
    assert compare(asked) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["first"], row["second"], row["first_n"]) for row in rows] == [("a features=x", "b", "2")]
    assert "a features=y: left out, as no other learns the same" in err and "a: runs of one platform differ in" in err
    write(tmp_path / "5.csv", run("b", 5, 8, features="y"))
    assert compare(asked) == 0
    out, err = capsys.readouterr()
    pairs = sorted((row["first"], row["second"]) for row in csv.DictReader(io.StringIO(out)))
    assert pairs == [("a features=x", "b features=x"), ("a features=y", "b features=y")]
    assert "they differ in features: only those that learn the same are compared" in err


def test_halves_of_runs_that_do_not_compare_are_refused(tmp_path, capsys):
    for n in range(4):
        write(tmp_path / f"{n}.csv", run("a", n, features="xxxy"[n]))
    assert compare(["a", "--aa", "--results", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "differ in features" in err and err.endswith("expected runs alike for two halves\n")


def test_a_folder_stands_for_the_journals_in_it_and_a_runs_own_folder_for_its_journal(tmp_path, capsys):
    for name in ("a", "b"):
        for n in (1, 2):
            folder = tmp_path / name / f"{name}{n}"
            folder.mkdir(parents=True)
            (folder / "utilisation.csv").write_text("time\n")
            write(folder.with_suffix(".csv"), run(name, n))
    assert tta([str(tmp_path / "a"), str(tmp_path / "b" / "b1"), "--level", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line[:2] in ("a ", "b ")][:2] == [["a", "2"], ["b", "1"]]
    assert compare([f"{tmp_path}/a", f"new={tmp_path}/b", "--level", "30"]) == 0
    (tmp_path / "none").mkdir()
    assert tta([str(tmp_path / "none")]) == 2
    assert "a folder without CSV files; expected those of runs in it" in capsys.readouterr().err
