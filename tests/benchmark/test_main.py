from pathlib import Path

import pytest
from journals import make_run, write

from benchmark import __main__ as command
from benchmark import tta, workloads
from benchmark.record import Run, RunRecord, read_run


def job(*arguments: str) -> command.Job:
    return command._job(command._parser().parse_args(list(arguments)))


def test_the_default_is_mini_on_the_cpu_and_a_corpus_makes_it_speech():
    assert (job().platform.name, job().workload.name, job().seed) == ("cpu", "mini", 1)
    assert job("--corpus", "somewhere").workload.name == "speech"


def test_librispeech_needs_its_features_and_the_gpus(tf, tmp_path):
    (tmp_path / "features" / "librispeech").mkdir(parents=True)
    (tmp_path / "features" / "librispeech" / "manifest.json").write_text("{}")
    for platform in ("cpu", "sys1"):  # there are no GPUs in a test
        assert job("--platform", platform, "--data", str(tmp_path)).workload.name == "mini"


def test_knobs_on_the_command_line_change_the_platform_and_the_workload():
    asked = job("--batch", "8", "--readers", "3", "--precision", "mixed_bfloat16", "--max-epochs", "2")
    assert (asked.platform.input.batch, asked.platform.input.readers) == (8, 3)
    assert asked.platform.training.precision == "mixed_bfloat16" and asked.workload.max_epochs == 2


def test_what_trains_differently_is_a_variant_of_the_workload():
    assert job("--augment", "specaugment", "--synthetic").workload.variant == "specaugment+synthetic"
    assert job("--augment", "specaugment").name.startswith("cpu-mini+specaugment-seed1-")
    assert job("--padding", "bucket").workload.label == "mini"  # as it is anyway
    assert job("--recipe", "authors").workload.normalisation == "frame-l2"
    assert job("--recipe", "modern").workload.label == "mini"  # the recipe has a column of its own
    assert job("--recipe", "modern", "--accumulation", "2").workload.variant == ""  # no batch statistics
    assert job("--accumulation", "2").workload.variant == "accumulation-2"
    part = job("--samples", "500", "--max-steps", "90", "--patience", "4", "--label-noise", "0.1", "--no-targets")
    assert part.workload.variant == "500-samples+90-steps+patience-4+noise-0.1" and part.workload.targets == {}


def test_targets_are_added_to_the_workload_s_or_take_their_place():
    assert job("--target", "cer=20", "--target", "WER=40").workload.targets == {
        "cer": (45.0, 35.0, 30.0, 20.0),
        "wer": (75.0, 65.0, 55.0, 40.0),
    }
    alone = job("--no-targets", "--target", "wer=12.5").workload
    assert alone.targets == {"wer": (12.5,)} and alone.variant == ""  # it trains as the others do
    assert job("--target", "cer=30").workload.targets == job().workload.targets


@pytest.mark.parametrize("wrong", ["40", "wer", "wer=", "wer=-1", "loss=3", "wer=nan", "wer=inf"])
def test_a_target_that_is_none_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        job("--target", wrong)
    assert f"{wrong!r}; expected wer or cer" in capsys.readouterr().err


def test_parts_of_speakers_and_parts_of_utterances_are_no_runs_of_one_kind():
    assert job("--samples", "50").workload.variant == "50-samples"
    assert job("--samples", "50", "--select", "speakers").workload.variant == "50-samples+by-speakers"
    assert job("--select", "speakers").workload.variant == ""  # all are trained on, whatever chose them


def test_where_the_learning_rate_falls_to_a_known_end_the_end_is_part_of_the_recipe():
    """At batch 151 of 2 epochs AdamW's rate is another one than at batch 151 of 6; AdaDelta's knows no end."""
    of_two, usual = (
        job("--workload", "whisper", "--corpus", "x", "--weights", "random", *more).workload.variant
        for more in (["--max-epochs", "2"], [])
    )
    assert (of_two, usual) == ("2-epochs+random-weights", "random-weights")
    assert job("--max-epochs", "2").workload.variant == ""


def test_the_embedded_corpus_s_workload_with_another_corpus_is_another_workload():
    assert job("--workload", "mini", "--corpus", "own").workload.label == "mini+own-corpus"
    assert job("--workload", "mini", "--corpus", "own").name.startswith("cpu-mini+own-corpus-seed1-")
    assert job("--workload", "speech", "--corpus", "own").workload.label == "speech"  # it names none
    assert job("--workload", "librispeech", "--corpus", "LibriSpeech").workload.label == "librispeech"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--samples", "-1"], "samples is -1; expected a count"),
        (["--label-noise", "2"], "label_noise is 2.0; expected a share of words"),
        (["--evaluate-every", "-5"], "evaluate_every is -5"),
        (["--from", "nowhere"], "no run is there"),
    ],
)
def test_changes_that_make_no_sense_are_refused_at_once(arguments, said):
    with pytest.raises(ValueError, match=said):
        job(*arguments)


def test_a_name_is_made_of_platform_workload_seed_and_time():
    assert job("--seed", "7").name.startswith("cpu-mini-seed7-20")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "../x"])
def test_a_name_must_name_files(name):
    with pytest.raises(ValueError, match="cannot name files"):
        job("--name", name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "not sampled"),
        ("seconds,process_cpu_percent,process_memory_mib,host_cpu_percent\n", "no samples"),
        ("something,else\n1,2\n", "found the columns"),
        (
            (
                "seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,gpu0_util_percent,gpu0_power_w,"
                "gpu0_memory_mib\n1,100,2048,50,90,,\n2,200,1024,50,80,,\n"
            ),
            "1.5 cores, 2.0 GiB of memory at most, GPU 0 85%",  # (100 + 200) / 2, max(2048, 1024), (90 + 80) / 2
        ),
        (
            (
                "seconds,process_cpu_percent,process_memory_mib,gpu0_util_percent,gpu1_util_percent\n"
                "1,100,2048,90,88\n2,200,1024,80,\n"
            ),
            "GPU 0 85%, GPU 1 88% (of 50% of the samples)",
        ),
    ],
)
def test_utilisation_is_one_line_and_never_fails_a_run(tmp_path: Path, text, said):
    (tmp_path / "r").mkdir()
    if text is not None:
        (tmp_path / "r" / "utilisation.csv").write_text(text)
    assert said in command._utilisation(Run(RunRecord(source=str(tmp_path / "r.csv"))))


def test_the_epilogue_of_help_names_every_workload(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in workloads.names()) and "sys10" in shown


def test_a_run_ends_with_the_answer_with_which_tta_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for n, (platform, train_s) in enumerate([("cpu", 60.0), ("cpu", 61.0), ("other", 90.0), ("other", 91.0)]):
        record = make_run([50.0, 40.0, 30.0 - n, 20.0], run=f"r{n}", platform=platform, train_s=train_s, seed=n + 1)
        write(tmp_path / "results" / f"r{n}.csv", record)
    command._show(read_run("results/r0.csv"), Path("results"), say=lambda _: None)
    shown = capsys.readouterr().out
    assert tta.main(["results"]) == 0
    answer = capsys.readouterr().out.partition("\n\n")[0]
    assert answer.startswith("mini:\n- Soonest: cpu takes") and shown.endswith(f"\n\n{answer}\n")
    assert "r1" not in shown.rpartition("\n\nmini:")[0].partition("Warnings:")[0]  # the tables are of this run alone


def test_a_run_beside_a_file_that_is_none_ends_with_its_own_answer_and_says_why(tmp_path, capsys):
    write(tmp_path / "r0.csv", make_run([50.0, 40.0, 30.0, 20.0], run="r0", platform="cpu"))
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    command._show(read_run(tmp_path / "r0.csv"), tmp_path, say=lambda _: None)
    answer, why = capsys.readouterr().out.rstrip().split("\n\n")[-2:]
    assert answer.startswith("mini:\n- cpu takes")
    assert why.startswith("Without the other runs:") and "broken.csv" in why


def test_quiet_says_warnings_alone(capsys):
    for sentence in ("platform cpu", "WARNING: busy", "EMULATED: sys1"):
        command._warn(sentence)
    command._hush("where the run is")
    assert capsys.readouterr().err.splitlines() == ["WARNING: busy", "EMULATED: sys1"]
    assert job("-q").quiet and not job().quiet
