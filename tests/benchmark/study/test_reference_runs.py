"""The runs of the reference: the plan, what is missing, what is made of what is there, and the command itself."""

import json

import pytest
from commands import ROOT, in_process
from journals import write
from references import honest, reference_file, run_to
from trained import tiny

from benchmark import compare, price, reference, tta
from benchmark.export import __main__ as export
from benchmark.judge.reference import read_reference
from benchmark.record import read_run
from benchmark.report import __main__ as report
from benchmark.study import making
from benchmark.study.reference_runs import ReferencePoint, collect, missing, plan_of, train_missing


def finished(folder, record, *, status="finished"):
    """A run on disk that has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    name = record.identity.run
    journal = write(folder / f"{name}.csv", record)
    (folder / name).mkdir()
    (folder / name / "end.json").write_text(json.dumps({"status": status}))
    return journal


def test_a_plan_takes_seed_after_seed_so_that_an_early_stop_leaves_as_many_of_each():
    plan = plan_of("mini", recipes=["paper", "authors"], batches=[16, 96], seeds=2)
    assert [point.name for point in plan] == [
        f"mini-{recipe}-batch{batch}-seed{seed}"
        for seed in (1, 2)
        for recipe in ("paper", "authors")
        for batch in (16, 96)
    ]
    words = plan[-1].training(["--workload", "mini"], "out")
    assert words[:2] == ["--workload", "mini"] and "--no-targets" not in words
    assert {"--recipe": "authors", "--batch": "96", "--seed": "2", "--results": "out"}.items() <= dict(
        zip(words[::2], words[1::2], strict=True)
    ).items()


def test_runs_that_are_over_are_left_alone_and_a_failure_stops_no_other(tmp_path, monkeypatch):
    plan = plan_of("mini", recipes=["paper"], batches=[16], seeds=3)
    finished(tmp_path, run_to(8.0, 1, run=plan[1].name))
    assert missing(plan, tmp_path) == [plan[0], plan[2]]
    statuses, commands, said = iter([2, 0]), [], []

    def wait(command, log, look):
        commands.append(command)
        look()
        return next(statuses)

    monkeypatch.setattr(making, "_wait", wait)
    assert train_missing(plan, shared=["--workload", "mini"], out=tmp_path, say=said.append) == 1
    assert [command[command.index("--name") + 1] for command in commands] == [plan[0].name, plan[2].name]
    assert "seed1: status 2; what it said is in" in said[0] and said[-1].startswith(f"[2/2] {plan[2].name}: done")


def test_the_file_takes_finished_runs_beside_those_that_are_there_and_names_the_others(tmp_path):
    path, said = tmp_path / "r" / "reference.csv", []
    runs = [finished(tmp_path, run) for run in honest(2)]
    other = finished(tmp_path, run_to(9.0, 1, run="spoilt"), status="diverged")
    going = write(tmp_path / "going.csv", run_to(9.0, 2, run="going"))
    emulated = finished(tmp_path, run_to(9.0, 3, run="emulated", emulated=True))
    assert collect([read_run(p) for p in (*runs, other, going, emulated)], path, say=said.append) == 2
    assert ["diverged" in said[0], "no end.json" in said[1], "emulated" in said[2]] == [True] * 3
    assert collect([read_run(finished(tmp_path, run_to(8.0, 9, run="r9")))], path, say=said.append) == 3
    assert [run.run for run in read_reference(str(path))] == ["r9", "r100", "r101"]
    assert collect([read_run(runs[0])], path, say=said.append) == 3, "the same run again is no further one"


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_dry_run_lists_what_would_be_trained_and_writes_nothing(tmp_path):
    found = in_process(
        tmp_path, reference.main, "--dry-run", "--seeds", 1, "--recipes", "paper", "authors", "-o", "ref"
    )
    assert found.returncode == 0 and list(tmp_path.iterdir()) == []
    first, *commands = found.stderr.splitlines()
    assert first == "4 runs of the reference in ref/runs, 4 of them to train"
    assert [word in commands[0] for word in ("--workload mini", "--recipe paper", "--batch 16", "--seed 1")] == [
        True
    ] * 4
    corpus = in_process(tmp_path, reference.main, "--dry-run", "--corpus", "my/an4", "--recipes", "paper")
    assert "5 runs of the reference" in corpus.stderr
    assert "--workload speech --corpus my/an4" in corpus.stderr and "--name an4-paper-batch16-seed5" in corpus.stderr


def test_a_recipe_that_the_model_does_not_have_is_refused_in_a_line(tmp_path):
    found = in_process(tmp_path, reference.main, "--dry-run", "--recipes", "papr")
    assert found.returncode == 2
    assert found.stderr.startswith("benchmark.reference: recipe 'papr'; expected one of deepspeech's: paper")


def test_runs_are_collected_and_shown(tmp_path):
    runs = [finished(tmp_path / "runs", run) for run in honest(3)]
    made = in_process(tmp_path, reference.main, "--collect", *runs, "--reference", "mine.csv")
    assert made.stderr == "mine.csv: 3 runs\n"
    shown = in_process(tmp_path, reference.main, "--show", "--reference", "mine.csv", "--level", 30)
    assert "WER 30" in shown.stdout and "3/3" in shown.stdout
    rows = json.loads(
        in_process(
            tmp_path, reference.main, "--show", "--reference", "mine.csv", "--level", 30, "--format", "json"
        ).stdout
    )
    wer = [row for row in rows if row["metric"] == "wer"]
    assert [row["seed"] for row in wer] == [100, 101, 102]
    for row in wer:
        assert (
            row["epochs"] == row["utterances"] / 1000 <= row["epochs_evaluated"] == row["utterances_evaluated"] / 1000
        )
    asked = in_process(tmp_path, reference.main, "--show", "--reference", "none.csv")
    assert asked.returncode == 2 and "none.csv: cannot be read" in asked.stderr


def test_an_interrupted_plan_writes_what_has_finished(tmp_path, monkeypatch):
    point = ReferencePoint(label="mini", recipe="paper", batch=16, seed=1)
    finished(tmp_path / "runs", run_to(8.0, 1, run=point.name))
    monkeypatch.setattr(making, "_wait", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    words = ("-o", tmp_path, "--seeds", 2, "--recipes", "paper", "--batches", 16)
    assert in_process(tmp_path, reference.main, *words).returncode == 130
    assert [run.run for run in read_reference(str(tmp_path / "reference.csv"))] == [point.name]


@pytest.mark.slow
def test_the_same_command_trains_what_is_missing_and_then_nothing(tmp_path, tone_corpus, tone_data, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the process that trains
    about = ("--workload", tiny(tmp_path), "--corpus", tone_corpus, "--data", tone_data)
    words = ("-o", "ref", *about, "--batches", 8, "--recipes", "paper", "--max-epochs", 2)
    first = in_process(tmp_path, reference.main, *words, "--seeds", 1)
    assert first.returncode == 0 and "[1/1]" in first.stderr, first.stderr
    again = in_process(tmp_path, reference.main, *words, "--seeds", 1)
    assert "1 run of the reference in ref/runs, 0 of them to train" in again.stderr
    (run,) = read_reference(str(tmp_path / "ref" / "reference.csv"))
    assert (run.batch, run.samples, len(run.utterances), run.seed) == (8, 21, 2, 1)
    assert in_process(tmp_path, tta.main, "ref/runs", "--reference", "ref/reference.csv").returncode == 0


# --- the commands that judge by it -----------------------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path):
    """A folder with a reference and three journals that take too few epochs."""
    reference_file(tmp_path / "ref.csv", honest(10))
    for n, epochs in enumerate((6.0, 6.1, 6.2)):
        write(tmp_path / f"a{n}.csv", run_to(epochs, n, run=f"a{n}"))
        write(tmp_path / f"b{n}.csv", run_to(8 + n / 10, n, run=f"b{n}", platform="sys2"))
    return tmp_path


def ask(folder, main, *arguments):
    done = in_process(folder, main, *arguments, "--reference", "ref.csv")
    assert not done.returncode, done.stderr
    return " ".join(done.stdout.split()), " ".join(done.stderr.split())


def test_every_command_that_judges_marks_too_few_epochs(judged):
    journals = [f"{name}{n}.csv" for name in "ab" for n in range(3)]
    marked = "sys1, mini: fewer epochs than the reference of convergence allows: WER 30 after 6.10"
    shown, _ = ask(judged, tta.main, *journals, "--metric", "wer", "--level", 30)
    assert marked in shown and "beside the reference of convergence" in shown and "sys2, mini: fewer" not in shown
    _, said = ask(judged, tta.main, *journals, "--metric", "wer", "--level", 30, "--format", "csv")
    assert marked in said
    shown, _ = ask(judged, compare.main, "a=a*.csv", "b=b*.csv", "--level", 30)
    assert "fewer epochs than the reference of convergence allows: WER 30 after 6.10" in shown
    shown, _ = ask(judged, price.main, *journals, "--metric", "wer", "--level", 30)
    assert marked in shown
    ask(judged, report.main, *journals, "--level", 30, "-o", "page.html")
    page = (judged / "page.html").read_text()
    assert "fewer epochs than the reference of convergence allows" in page and "beside the reference" in page
    out, said = ask(judged, export.main, "a0.csv", "--to", "json", "--level", 30)
    assert "fewer epochs than the reference of convergence allows" in said
    found = json.loads(out)
    (level,) = [each for each in found["levels"] if (each["metric"], each["level_percent"]) == ("wer", 30)]
    assert level["convergence"]["reference_verdict"] == "too few"


def test_a_reference_that_is_none_is_refused_in_a_line(judged):
    (judged / "ref.csv").write_text("a,b\n")
    done = in_process(judged, tta.main, "a0.csv", "--reference", "ref.csv")
    assert done.returncode == 2 and done.stderr.startswith("benchmark.tta: ref.csv: columns a,b; expected those of")
    assert len(done.stderr.splitlines()) == 1
