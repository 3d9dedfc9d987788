"""What runs differ in beyond their journals, as run.json and end.json say it."""

import json
from dataclasses import replace

import pytest
from journals import make_run, write

import platforms
from benchmark import compare, price, tta, workloads
from benchmark.judge import Question, judge, read_runs
from benchmark.judge.circumstances import data_table, machine_name, value_of
from benchmark.judge.summary import report_parts
from benchmark.record.clocks import Span
from benchmark.record.columns import Outcome
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase
from benchmark.tables import Table

HOST = {"cpu": "EPYC", "logical_cores": 4, "usable_cores": 4, "gpus": [], "python": "3.11.7", "system": "Linux 6"}
VERSIONS = {"tensorflow": "2.21.0"}


def run_of(
    folder,
    name,
    *,
    host=None,
    versions=None,
    loaded=None,
    features=None,
    end=None,
    targets=None,
    command=None,
    knobs=None,
    workload=None,
    system=None,
    wers=(30, 29, 28),
    **identity,
):
    """A journal with its run.json, of a machine and data as given."""
    path = write(folder / f"{name}.csv", make_run(wers, run=name, **{"platform": "cpu", "replicas": 1, **identity}))
    (folder / name).mkdir()
    facts = {"schema": 3, "host": {**HOST, **(host or {})}, "versions": {**VERSIONS, **(versions or {})}}
    facts |= {"features": features or {}, "plan": {"targets": targets or {"wer": [30]}}}
    facts |= {"command": command} if command else {}
    facts |= {"loaded": loaded} if loaded else {}
    facts |= {"platform": platforms.load("cpu").changed(**knobs).to_dict()} if knobs is not None else {}
    facts |= {"workload": workload.to_dict()} if workload else {}
    facts |= {"system": system} if system else {}
    (folder / name / "run.json").write_text(json.dumps(facts))
    if end:
        (folder / name / "end.json").write_text(json.dumps({"status": "finished", **end}))
    return path


def warnings_of(folder, **question):
    return judge(read_runs(f"{folder}/*.csv"), Question(**question)).warnings


def test_runs_of_one_machine_are_not_warned_of(tmp_path):
    for seed in (1, 2, 3):
        run_of(tmp_path, f"r{seed}", seed=seed)
    assert not [text for text in warnings_of(tmp_path) if "machine" in text]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": {"cpu": "Xeon"}}, "processor is EPYC in {0} and Xeon in {1}"),
        ({"host": {"usable_cores": 1}}, "usable cores is 4 in {0} and 1 in {1}"),
        ({"host": {"cpu_quota": 1.5}}, ""),  # the first run.json does not know it
        ({"host": {"gpus": ["V100", "V100"]}}, "GPUs is none in {0} and 2 x V100 in {1}"),
        ({"host": {"intra_op_threads": 1}}, ""),
        ({"versions": {"tensorflow": "2.20.0"}}, "tensorflow is 2.21.0 in {0} and 2.20.0 in {1}"),
    ],
)
def test_machines_that_differ_are_named_with_field_and_values(tmp_path, change, words):
    first, second = run_of(tmp_path, "a", seed=1), run_of(tmp_path, "b", seed=2, **change)
    found = [text for text in warnings_of(tmp_path) if "different machines" in text]
    assert len(found) == bool(words)
    assert words.format(first, second) in "".join(found)
    assert not words or "keep them apart with --by machine" in found[0]


def test_machines_that_differ_in_memory_storage_or_links_are_named_once(tmp_path):
    common = {"host_processor_model_name": "EPYC", "host_storage_capacity": "9 GiB", "host_memory_capacity": "24 GiB"}
    first = run_of(tmp_path, "a", seed=1, system={**common, "accelerator_host_interconnect": "PCIe 3.0 x16"})
    other = {**common, "host_processor_model_name": "Xeon", "host_storage_capacity": "8 GiB"}
    second = run_of(tmp_path, "b", seed=2, system={**other, "accelerator_host_interconnect": "PCIe 3.0 x1"})
    run_of(tmp_path, "c", seed=3)  # of an older version, which does not say
    [found] = [text for text in warnings_of(tmp_path) if "different machines" in text]
    links = f"accelerator host interconnect is PCIe 3.0 x16 in {first} and PCIe 3.0 x1 in {second}"
    assert f": runs of different machines or software are pooled: {links}: their times" in found  # and nothing else


def goes_on(folder, name, **changes):
    """Give a run a second attempt, whose run-attempt-2.json differs."""
    path = folder / f"{name}.csv"
    record = read(path)
    journal = Journal(path, record.identity, record, attempt=2)
    last = record.rows[-1]
    journal.append(Phase.CREATE, Span(last.ended_s, 10.0), Outcome(step=last.step, epoch=last.epoch))
    journal.close()
    facts = json.loads((folder / name / "run.json").read_text())
    for part, values in changes.items():
        facts[part] = {**facts[part], **values}
    (folder / name / "run-attempt-2.json").write_text(json.dumps(facts))
    return path


def test_a_run_that_went_on_elsewhere_is_named_with_both_values(tmp_path):
    run_of(tmp_path, "a", seed=1, knobs={})
    assert not [text for text in warnings_of(tmp_path) if "went on" in text]
    readers = {"input": {**platforms.load("cpu").to_dict()["input"], "readers": 7}}
    path = goes_on(tmp_path, "a", host={"cpu": "Xeon"}, platform=readers)
    (found,) = [text for text in warnings_of(tmp_path) if "went on" in text]
    assert f"{path} went on with another machine, software or setting than it began with: " in found
    assert "processor is EPYC from attempt 1 and Xeon from attempt 2; readers is 2 from attempt 1 and 7 from" in found
    (run,) = read_runs(str(path))
    assert machine_name(run).startswith("EPYC, then Xeon")
    assert value_of(run, "readers") == "2, then 7"


def test_an_attempt_that_has_no_row_says_nothing(tmp_path):
    path = run_of(tmp_path, "a", seed=1)
    facts = json.loads((tmp_path / "a" / "run.json").read_text())
    (tmp_path / "a" / "run-attempt-2.json").write_text(json.dumps({**facts, "host": {**HOST, "cpu": "Xeon"}}))
    assert not [text for text in warnings_of(tmp_path) if "went on" in text]
    assert machine_name(read_runs(str(path))[0]).startswith("EPYC, ")


def test_rigs_that_differ_in_knobs_or_kernels_are_warned_of_with_values(tmp_path):
    for name, knobs in (("a", {"accumulation": 1}), ("b", {"accumulation": 8, "readers": 4})):
        run_of(tmp_path, name, platform=name, knobs=knobs)
        facts = json.loads((tmp_path / name / "run.json").read_text())
        facts["kernels"] = {"lstm": {"a": "llvm", "b": "xla"}[name]}
        (tmp_path / name / "run.json").write_text(json.dumps(facts))
    found = " ".join(warnings_of(tmp_path))
    for said in ("accumulation too (1: a; 8: b)", "readers too (2: a; 4: b)", "lstm kernel too (llvm: a; xla: b)"):
        assert f"the rigs differ in {said}: a difference in time may be of that, not of the hardware" in found


def test_knobs_that_differ_are_named_with_field_and_values_and_by_keeps_them_apart(tmp_path):
    first = run_of(tmp_path, "a", seed=1, knobs={"readers": 2, "buffer": 8})
    second = run_of(tmp_path, "b", seed=2, knobs={"readers": 5, "buffer": 8})
    found = [text for text in warnings_of(tmp_path) if "other settings of one platform" in text]
    assert len(found) == 1 and f"readers is 2 in {first} and 5 in {second}: a difference" in found[0]
    assert "buffer" not in found[0] and "--by readers" in found[0]
    judged = judge(read_runs(f"{tmp_path}/*.csv"), Question(by=("readers",)))
    assert sorted(group.label for group in judged.groups) == ["cpu readers=2", "cpu readers=5"]
    assert not [text for text in judged.warnings if "other settings" in text]


def test_other_parts_of_the_same_size_are_named(tmp_path):
    """`--samples 50 --subset-seed 1` and `2` learn from other utterances."""
    for seed in (1, 2):
        part = replace(workloads.load("mini"), samples=50, subset_seed=seed)
        run_of(tmp_path, f"r{seed}", seed=seed, workload=part, variant="50-samples")
    assert any("subset_seed is 1 in" in text for text in warnings_of(tmp_path))


def test_the_data_of_a_run_on_a_part_are_that_part(tmp_path):
    use = {"train-a": {"utterances": 100, "hours": 1.0}, "train-b": {"utterances": 6, "hours": 0.1}}
    use["dev"] = {"utterances": 20, "hours": 0.2, "words": 9, "unknown_words": 0}
    features = {"subsets": use, "validation": "dev", "trained": {"utterances": 50, "hours": 0.4}}
    path = run_of(tmp_path, "a", seed=1, features=features)
    (table,) = [data_table("mini", read_runs(str(path)))]
    assert [row[:3] for row in table.rows] == [
        ("dev", "20", "0.20"),
        ("50 of 106 of train-a and train-b", "50", "0.40"),
    ]


LOADED = {"cuda": "12.5", "cuda_driver": "13.0", "cudnn": "9.3.0"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loaded": {"cudnn": "9.14.0"}}, "cuDNN is 9.3.0 in {0} and 9.14.0 in {1}"),
        ({"loaded": {"cuda": "12.8"}}, "CUDA is 12.5 in {0} and 12.8 in {1}"),
        ({"loaded": {"cuda_driver": "12.6"}}, "CUDA driver is 13.0 in {0} and 12.6 in {1}"),
        ({"host": {"nvidia_driver": "560.35.03"}}, "NVIDIA driver is 580.95.05 in {0} and 560.35.03 in {1}"),
    ],
)
def test_what_was_loaded_tells_machines_and_rigs_apart_under_one_tensorflow(tmp_path, change, words):
    usual = {"host": {"nvidia_driver": "580.95.05"}, "loaded": LOADED}
    other = {part: {**values, **change.get(part, {})} for part, values in usual.items()}
    first, second = run_of(tmp_path, "a", seed=1, **usual), run_of(tmp_path, "b", seed=2, **other)
    assert words.format(first, second) in " ".join(warnings_of(tmp_path))
    names = {machine_name(run) for run in read_runs(f"{tmp_path}/*.csv")}
    assert (len(names) == 2) == ("cuda_driver" not in change.get("loaded", {}))  # it goes with the driver
    third = run_of(tmp_path, "c", seed=3, platform="rig", **usual)
    name, values = words.split(" is ")[0], words.split(" is ")[1].split(" in ")[0]
    said = " ".join(judge(read_runs([second, third]), Question()).warnings)
    assert f"the rigs differ in {name} too" in said and f"{values}: rig" in said


def test_what_tensorflow_was_built_for_is_not_taken_for_what_was_loaded(tmp_path):
    """An older run.json has only the build's versions: it differs from no other one in what was loaded."""
    run_of(tmp_path, "a", seed=1, loaded=LOADED)
    old = run_of(tmp_path, "b", seed=2)
    path = tmp_path / "b" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cuda": "12.5.1", "cudnn": "9"}))
    assert not [text for text in warnings_of(tmp_path) if "different machines" in text]
    assert read_runs([old])[0].facts.versions == {**VERSIONS, "CUDA build": "12.5.1", "cuDNN build": "9"}


def test_by_machine_keeps_them_apart(tmp_path):
    run_of(tmp_path, "a", seed=1)
    run_of(tmp_path, "b", seed=2, host={"usable_cores": 1})
    judgement = judge(read_runs(f"{tmp_path}/*.csv"), Question(by=("machine",)))
    assert sorted(group.label for group in judgement) == [
        "cpu machine=EPYC, 1 cores, tensorflow 2.21.0",
        "cpu machine=EPYC, 4 cores, tensorflow 2.21.0",
    ]
    assert not [text for text in judgement.warnings if "different machines" in text]
    assert machine_name(judgement[0].runs[0]) in judgement[0].label


@pytest.mark.parametrize("command", ["tta", "compare", "price"])
def test_every_command_says_so(tmp_path, capsys, command):
    for name in ("a", "b", "c", "d"):
        run_of(tmp_path, name, seed=ord(name), host={"usable_cores": 1 + (name == "d")})
    paths = [str(path) for path in sorted(tmp_path.glob("*.csv"))]
    asked = {
        "tta": lambda: tta.main(paths),
        "compare": lambda: compare.main([f"one={tmp_path}/[ab].csv", f"two={tmp_path}/[cd].csv"]),
        "price": lambda: price.main(paths),
    }
    assert asked[command]() == 0
    assert "usable cores is 1 in" in " ".join(capsys.readouterr().out.split())


def test_a_journal_without_its_folder_among_others_is_said_to_be_of_an_unknown_machine(tmp_path):
    run_of(tmp_path, "a", seed=1)
    bare = write(tmp_path / "bare.csv", make_run([30, 29, 28], run="bare", seed=2, platform="cpu", replicas=1))
    assert f"{bare}: no run.json says on which machine" in " ".join(warnings_of(tmp_path))


# What to do next


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (True, "make bench WORKLOAD=speech CORPUS=here SEED=4"),
        (False, "python -m benchmark --workload speech --corpus here --seed 4"),
    ],
)
def test_the_command_that_was_given_is_advised_with_the_next_free_seed(tmp_path, make, advice):
    arguments = ["--workload", "speech", "--corpus", "here", "--seed", "3", "--name", "c"]
    for name, seed in (("a", 1), ("b", 2)):
        run_of(tmp_path, name, seed=seed)
    run_of(tmp_path, "other", seed=4, platform="sys1")  # another rig's seed is free for this one
    path = run_of(tmp_path, "c", seed=3, command={"arguments": arguments, "make": make})
    assert f"each with its own seed: {advice}" in " ".join(judge(read_runs([path]), Question()).warnings)


# Rigs side by side


def test_rigs_that_differ_in_batch_precision_or_software_are_said_to(tmp_path):
    run_of(tmp_path, "a", platform="one", batch=16)
    run_of(tmp_path, "b", platform="two", batch=96, precision="mixed_float16", versions={"tensorflow": "2.20.0"})
    found = " ".join(warnings_of(tmp_path))
    assert "the rigs differ in batch too (16: one; 96: two)" in found or "(96: two; 16: one)" in found
    assert "differ in precision too" in found and "differ in tensorflow too" in found
    assert "differ in replicas" not in found
    (table,) = [part for part in report_parts(judge(read_runs(f"{tmp_path}/*.csv"))) if ": the runs" in title_of(part)]
    assert table.header[:4] == ("platform", "batch", "precision", "utterances/s")
    assert {row[:3] for row in table.rows} == {("one", "16", "float32"), ("two", "96", "mixed_float16")}


def title_of(part) -> str:
    return part.title if isinstance(part, Table) else ""


def test_where_rigs_share_no_pool_of_epochs_it_is_said_why(tmp_path):
    run_of(tmp_path, "a", platform="one", batch=16)
    run_of(tmp_path, "b", platform="two", batch=96)
    text = " ".join(part for part in report_parts(judge(read_runs(f"{tmp_path}/*.csv"))) if isinstance(part, str))
    assert "no factored time: epochs are pooled over rigs that agree, and these differ in batch (16, 96)" in text


# Data


FEATURES = {
    "validation": "dev-a",
    "subsets": {
        "train-a": {"utterances": 60, "hours": 0.5, "left_out": {"too long": {"utterances": 20, "hours": 0.25}}},
        "dev-a": {
            "utterances": 5,
            "hours": 0.01,
            "left_out": {"too long": {"utterances": 15, "hours": 0.1}},
            "words": 100,
            "unknown_words": 26,
        },
        "dev-b": {"utterances": 9, "hours": 0.02, "left_out": {}},
    },
}


def test_a_dev_set_of_which_much_is_left_out_is_warned_of(tmp_path):
    run_of(tmp_path, "a", features=FEATURES)
    found = " ".join(warnings_of(tmp_path))
    assert "75% of the utterances of dev-a are left out (too long): error rates are of the other 5" in found


@pytest.mark.parametrize(("lost", "warned"), [(1, True), (0, False)])
def test_from_five_percent_on(tmp_path, lost, warned):
    use = {"utterances": 19, "hours": 1.0, "left_out": {"too long": {"utterances": lost}} if lost else {}}
    run_of(tmp_path, "a", features={"validation": "dev", "subsets": {"dev-a": use}})
    assert any("are left out" in text for text in warnings_of(tmp_path)) is warned


def test_targets_below_the_share_of_words_that_cannot_be_spelt_are_warned_of(tmp_path):
    run_of(tmp_path, "a", features=FEATURES, decoder="dictionary-256", targets={"wer": [30, 25, 22]})
    found = " ".join(warnings_of(tmp_path))
    assert "26.0% of the 100 words of dev-a are not among the training words" in found
    assert "WER 25, 22 cannot be reached" in found


def test_a_greedy_decoder_is_held_to_no_word(tmp_path):
    run_of(tmp_path, "a", features=FEATURES, decoder="greedy", targets={"wer": [30, 25]})
    assert "cannot be reached" not in " ".join(warnings_of(tmp_path))


def test_the_data_are_a_table_of_what_is_used_and_left_out(tmp_path, capsys):
    path = run_of(tmp_path, "a", features=FEATURES)
    assert tta.main([path]) == 0
    lines = capsys.readouterr().out.split("mini: the data\n")[1].splitlines()[:4]
    assert lines[1].split() == ["train-a", "60", "0.50", "20", "20", "too", "long", "(0.25", "h)"]
    assert lines[2].split() == ["dev-a", "5", "0.01", "15", "15", "too", "long", "(0.10", "h)", "26.0%"]
    assert lines[3].split() == ["dev-b", "9", "0.02", "0"]


# Power


@pytest.mark.parametrize(
    ("share", "watts", "said"),
    [
        (0.107, None, "; its energy is not known;"),
        (0.952, 500.0, "; its mean power is that of this part"),
        (1.0, 500, ""),
    ],
)
def test_a_run_of_which_a_part_has_no_power_is_named(tmp_path, share, watts, said):
    note = f"gpu2 was last read at 61.3 s: power is known for {share:.1%} of the run"
    path = run_of(tmp_path, "a", end={"gpu_power_w": watts, "gpu_power_share": share, "gpu_power_note": note})
    found = [text for text in warnings_of(tmp_path) if "power" in text]
    assert len(found) == bool(said)
    assert not said or f"{path}: {note}{said}" in found[0]


# Other load


@pytest.mark.parametrize(("load", "warned"), [(0.31, True), (0.02, False), (None, False)])
def test_other_load_during_a_run_is_warned_of(tmp_path, load, warned):
    path = run_of(tmp_path, "a", end={"other_load": load})
    found = " ".join(warnings_of(tmp_path))
    words = f"1 of 1 run shared the machine: other processes took 31% of its CPUs' time during {path}"
    assert (words in found) is warned
