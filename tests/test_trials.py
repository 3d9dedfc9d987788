"""The trials can be asked what they do, the cheap one does it, and that of GPUs survives checks that do not."""

import importlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from standin import asked

TRIALS = sorted(path.stem for path in (Path(__file__).parent / "trials").glob("[a-z]*.py") if path.stem != "common")


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_says_what_question_it_answers_and_where_its_figures_stand(name, capsys):
    trial = importlib.import_module(f"tests.trials.{name}")
    with pytest.raises(SystemExit) as stopped:
        trial.main(["--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and f"python -m tests.trials.{name}" in shown
    assert "docs/" in shown and "take" in trial.__doc__ and shown.count("?") >= 1


def test_all_trials_are_listed():
    import tests.trials

    assert all(f"    {name} " in tests.trials.__doc__ for name in TRIALS)


def test_a_bigram_model_spreads_all_probability_over_the_words_that_followed_and_the_rest(tmp_path, capsys):
    from tests.trials.bigram import main

    folder = tmp_path / "train-x" / "1" / "1"
    folder.mkdir(parents=True)
    (folder / "1-1.trans.txt").write_text("1-1-0 A B\n1-1-1 A C\n")
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["\\data\\", "ngram 1=6", "ngram 2=5"]  # a b c </s>, <s>, <unk>; 5 pairs of words
    # P(b | a) = (1 + 2 * 1/7) / (2 + 2): a was followed twice, by two kinds; b is 1 of 6 + 1 words
    assert next(line for line in lines if line.endswith("a b")).startswith("-0.4929")  # log10(.3214)


def test_a_folder_without_transcripts_is_refused_in_a_line(tmp_path, capsys):
    from tests.trials.bigram import main

    assert main([str(tmp_path)]) == 2
    assert "no transcripts; expected a corpus" in capsys.readouterr().err


# --- the trial of GPUs -----------------------------------------------------------------------------------------------

HEADER = {
    "rehearsal": False,
    "machine": {"cpu": "X"},
    "platform": {"hardware": {"gpu": "Y"}},
    "begun": "Z",
    "command": [],
}

SAY = """
import os, pathlib
from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.session import FINDINGS
findings = Findings(pathlib.Path(os.environ[FINDINGS]))
"""


def session_of(folder, **header):
    from functools import partial

    from tests.trials.on_gpu import page
    from tests.trials.on_gpu.session import Session

    return Session(folder, header=HEADER | header, environment={}, page=partial(page.render, out=folder))


def check(name, code, *, limit_s=60.0, **more):
    from tests.trials.on_gpu.session import Check

    return Check(name=name, asks="?", limit_s=limit_s, command=(sys.executable, "-u", "-c", code), **more)


def lines(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()[1:]]


@pytest.mark.slow
def test_a_check_that_hangs_is_ended_with_all_that_it_started_and_what_it_found_is_kept(tmp_path, capsys):
    hang = f"""{SAY}
import subprocess, sys, time
own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
findings.told("started", str(own.pid))
time.sleep(600)
"""
    began_s = time.monotonic()
    assert not session_of(tmp_path).do([check("hang", hang, limit_s=3.0)], budget_s=100)
    (result,) = lines(tmp_path)
    assert result["status"] == "timed out" and "ended after 3 s; it said last: started: " in result["why"]
    assert not psutil.pid_exists(int(result["figures"][0]["found"]))
    assert time.monotonic() - began_s < 60 and "hang: timed out, " in capsys.readouterr().out


def test_a_check_that_is_interrupted_is_ended_and_written_down(tmp_path, monkeypatch):
    from tests.trials.on_gpu import session

    begun = []

    def interrupted(process, _):
        begun.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session_of(tmp_path).do([check("one", "import time; time.sleep(600)")], budget_s=100)
    assert begun[0].poll() is not None and [each["status"] for each in lines(tmp_path)] == ["interrupted"]


def test_the_next_check_runs_after_one_that_crashed_and_finds_its_result_written_down(tmp_path):
    crash = "print('before'); raise RuntimeError('CUDA_ERROR_ILLEGAL_ADDRESS')"
    look = f"""{SAY}
written = [pathlib.Path({str(tmp_path)!r}, name).read_text() for name in ("results.jsonl", "gpu.md")]
assert all("ILLEGAL_ADDRESS" in text for text in written)
findings.judged("written", "yes", expected="yes", right=True)
"""
    checks = [check("crash", crash), check("look", look)]
    assert not session_of(tmp_path).do(checks, budget_s=100)
    crashed, looked = lines(tmp_path)
    assert (crashed["status"], crashed["why"]) == ("failed", "status 1: RuntimeError: CUDA_ERROR_ILLEGAL_ADDRESS")
    assert (looked["status"], looked["why"]) == ("ok", "")
    assert "=== crash\nbefore\nTraceback" in (tmp_path / "log.txt").read_text()
    assert "| look | ok |" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        (f"{SAY}findings.judged('loss', '2', expected='1', right=False)", "wrong", "loss"),
        (f"{SAY}findings.left_out('sensors', 'no GPU')", "left out", "no GPU"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "failed", "killed by SIGSEGV: nothing"),
        ("print('done')", "failed", "it found nothing: done"),
        (f"{SAY}findings.told('a', 'b'); findings.path.open('a').write('{{\"wha')", "ok", ""),
    ],
)
def test_what_becomes_of_a_check_is_told_by_its_findings_and_its_status(tmp_path, code, status, why):
    assert session_of(tmp_path).do([check("one", code)], budget_s=100) is (status in ("ok", "left out"))
    (result,) = lines(tmp_path)
    assert (result["status"], result["why"]) == (status, why)


def test_what_the_budget_does_not_reach_is_left_out_and_later_calls_keep_what_there_is(tmp_path):
    said = check("a", f"{SAY}findings.told('a', '1')")
    assert session_of(tmp_path).do([said, replace(said, name="b", limit_s=3000.0)], budget_s=100)
    assert session_of(tmp_path).do([replace(said, name="c", left_out="no GPU")], budget_s=100)
    assert [(each["check"], each["status"]) for each in lines(tmp_path)] == [
        ("a", "ok"), ("b", "left out"), ("c", "left out")
    ]  # fmt: skip
    assert "of the budget are left, and it may take 3000" in lines(tmp_path)[1]["why"]
    assert all(f"| {name} | " in (tmp_path / "gpu.md").read_text() for name in "abc")
    with pytest.raises(ValueError, match="results of another machine: .*X.*; here it is .*other.*: give another --out"):
        session_of(tmp_path, machine={"cpu": "other"})


def test_the_page_names_no_path_of_the_machine(tmp_path):
    code = f"{SAY}findings.command([{sys.executable!r}, '-m', 'benchmark', '--data', '{tmp_path}/data'])\n"
    session_of(tmp_path).do([check("one", code + f"findings.told('a|b', '{tmp_path}')")], budget_s=100)
    page = (tmp_path / "gpu.md").read_text()
    assert "    python -m benchmark --data OUT/data\n" in page and "| a\\|b |  | OUT |  |" in page
    assert str(tmp_path) not in page


def machine_without_gpu(**changes):
    from tests.trials.on_gpu.machine import Machine

    known = {"driver": None, "memory_gib": None, "link": None, "cpu": "Some CPU", "logical_cores": 2, "ram_gib": 8.0}
    return Machine(
        **{"gpus": (), "listed": (), **known, "system": "Linux", "python": "3.11", "code": "0.1.0", **changes}
    )


def test_without_a_gpu_the_trial_is_refused_in_a_line_that_says_how_to_rehearse_it(tmp_path, capsys, monkeypatch):
    from tests.trials import gpu

    for listed, said in (((), "the driver lists none"), (("NVIDIA H200",), "the driver lists NVIDIA H200")):
        there = machine_without_gpu(listed=listed)
        monkeypatch.setattr(gpu.machine, "look", lambda _, there=there: there)
        assert gpu.main(["--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "no GPU: TensorFlow can use none" in line and said in line and "--rehearse" in line
        assert not (tmp_path / "out").exists()


def test_unknown_checks_and_platforms_whose_gpus_are_not_here_are_refused(tmp_path, capsys, monkeypatch):
    from tests.trials import gpu

    there = machine_without_gpu(gpus=("NVIDIA GeForce RTX 2070",), memory_gib=8.0)
    monkeypatch.setattr(gpu.machine, "look", lambda _: there)
    for words, said in (
        (["--only", "kernel"], "no check 'kernel'; there are start, kernels"),
        (["--platform", "sys1"], "1 machines with 4 GPUs; expected one machine with 1 to 1"),
        (["--platform", "cpu"], "with 0 GPUs"),
    ):
        assert gpu.main([*words, "--out", str(tmp_path)]) == 2
        assert said in capsys.readouterr().err


def test_every_check_calls_what_there_is_under_a_name_of_its_own(tmp_path):
    from tests.trials.on_gpu.catalogue import FAMILIES, catalogue, chosen
    from tests.trials.on_gpu.setting import Setting

    for rehearse in (False, True):
        checks = catalogue(Setting(out=tmp_path, platform="cpu", rehearse=rehearse))
        names = [each.name for each in checks]
        assert len(set(names)) == len(names) and {name.partition("-")[0] for name in names} == set(FAMILIES)
        for each in checks:
            module, function = each.command[4].split(".")
            assert callable(getattr(importlib.import_module(f"tests.trials.on_gpu.{module}"), function))
    assert [each.name for each in chosen(checks, ["ctc", "kernels-tf32"])] == ["kernels-tf32", "ctc"]


def test_the_platform_that_is_written_can_be_loaded(tmp_path):
    import platforms
    from tests.trials.on_gpu.machine import write_platform

    write_platform(
        machine_without_gpu(gpus=('NVIDIA "X"',), memory_gib=139.8, link="PCIe 5.0 x16"), tmp_path / "gpu.toml"
    )
    hardware = platforms.load(tmp_path / "gpu.toml").hardware
    assert (hardware.gpu, hardware.gpu_memory_gib, hardware.links) == ('NVIDIA "X"', 139.8, ("PCIe 5.0 x16",))
    with pytest.raises(ValueError, match="does not tell the GPU's memory; give a file with --platform"):
        write_platform(machine_without_gpu(gpus=("X",)), tmp_path / "gpu.toml")


def test_the_board_is_that_of_cudas_first_gpu_whatever_nvml_counts_first(nvidia):
    code = "import pynvml\nfrom tests.trials.on_gpu.machine import board, board_facts\n"
    name = asked(code + "print(json.dumps(pynvml.nvmlDeviceGetName(board())))", nvidia, STANDIN="reversed")
    assert name == "Tesla V100-SXM2-32GB"
    facts = asked(code + "print(json.dumps(board_facts()))", nvidia, STANDIN="h200")
    assert facts == {"driver": "580.95.05", "memory_gib": 141.0, "link": "PCIe 5.0 x16"}


@pytest.mark.parametrize(("factor", "right"), [(1.0019, True), (0.9981, True), (1.0021, False), (float("nan"), False)])
def test_mean_losses_that_differ_by_more_than_two_thousandths_are_wrong(tmp_path, factor, right):
    from benchmark.record.phases import Phase
    from tests.trials.on_gpu import findings, training

    def run(*losses):
        rows = [SimpleNamespace(phase=Phase.TRAIN, loss=loss) for loss in losses]
        return SimpleNamespace(record=SimpleNamespace(rows=rows))

    found = findings.Findings(tmp_path / "findings")
    training._compare(found, "losses", run(115.3, 100.4 * factor, 90.0), run(115.3, 100.4), training.LIMIT)
    assert [each["right"] for each in findings.read(found.path)[0]] == [right]


def test_what_is_not_finite_is_infinitely_wrong():
    from tests.trials.on_gpu.start import relative_error

    assert relative_error([3.0, 4.0], [3.0, 0.0]) == pytest.approx(4 / 3)
    assert relative_error([float("nan"), 0.0], [1.0, 0.0]) == float("inf")


@pytest.mark.slow
def test_two_checks_are_rehearsed_without_a_gpu(tmp_path):
    words = ["--rehearse", "--only", "start", "kernels-float32", "oom", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.trials.gpu", *words],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    start, kernels, oom = lines(tmp_path)
    assert [each["status"] for each in (start, kernels, oom)] == ["ok", "ok", "left out"]
    assert {"xla", "xla, peepholes", "llvm"} <= {each["what"] for each in kernels["figures"] if each["right"]}
    assert "## Rehearsed on a CPU" in (tmp_path / "gpu.md").read_text()
