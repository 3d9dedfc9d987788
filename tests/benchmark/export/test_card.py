"""A model card says what the run's records say: figures against the journal, the front matter against its readers."""

import csv
import json
from pathlib import Path

import pytest
from journals import make_run, write

from benchmark.export.__main__ import main
from benchmark.export.card import card
from benchmark.export.runs import Ask, ExportError, load
from benchmark.workloads import load as load_workload

WERS = (80.0, 60.0, 50.0, 45.0, 48.0)


def facts(**changes) -> dict:
    """A run.json of a run on three hours of speech."""
    workload = load_workload("speech")
    return {
        "schema": 4,
        "created": "2026-01-31T12:00:00+00:00",
        "code": {"version": "0.1.0", "git_commit": "abcdef0123456789", "git_dirty": False},
        "workload": workload.to_dict(),
        "plan": {"targets": {"wer": [60.0, 20.0]}},
        "features": {
            "subsets": {"train-own": {"utterances": 900, "hours": 2.5}, "dev-own": {"utterances": 9, "hours": 0.5}},
            "validation": "dev", "normaliser": "english-1",
        },
        "devices": {"names": ["CPU"]},
        "host": {"cpu": "a CPU", "logical_cores": 4, "usable_cores": 2},
        "versions": {"tensorflow": "2.21.0"},
        **changes,
    }  # fmt: skip


def run_in(folder: Path, *, finals=(), identity=None, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    path = Path(write(folder / "r1.csv", make_run(WERS, **(identity or {}))))
    (folder / "r1" / "final").mkdir(parents=True)
    (folder / "r1" / "run.json").write_text(json.dumps(facts(**changes)))
    for name, row, utterances in finals:
        for end, rows in (("", [row]), (".utterances", utterances)):
            with (folder / "r1" / "final" / f"{name}{end}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
    return path


def card_of(path: Path) -> str:
    return card(load(path), Ask())


def front_matter(text: str) -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text.split("---\n")[1])


def hundred(edits) -> tuple:
    """A final evaluation of 100 utterances of 10 words by one speaker, whose edits repeat."""
    rows = [
        {"utterance": f"1-1-{n:04d}", "word_edits": edits[n % len(edits)], "words": 10,
         "character_edits": 1, "characters": 50}
        for n in range(100)
    ]  # fmt: skip
    row = {"checkpoint": "best", "subset": "test-own", "decoder": "greedy", "step": 40, "wer": 20.0, "cer": 2.0}
    return "best-40.test-own.greedy", row, rows


def test_data_figures_and_machine_are_those_of_the_run(tmp_path):
    text = card_of(run_in(tmp_path))
    assert "| train-own | 900 | 2.5 | 0 |" in text and "the normaliser `english-1`" in text
    assert "| dev-own |" in text and "| 45.00 |" in text and "epoch 4, batch 40, of the lowest WER" in text
    assert "(abcdef01) on 2026-01-31" in text and "| processor | a CPU, 2 of 4 cores |" in text
    assert "not known: no power was measured" in text and "Without intervals" in text
    # the median over 3 epochs is 60 at epoch 3 (80, 60, 50), which ends at 30 + 3 * 110 = 360 s
    assert "| WER 60 | 6.00 | 3 |" in text and "| WER 20 | not reached |  |" in text


def test_a_final_evaluation_has_an_interval_that_its_utterances_give(tmp_path):
    """Rates of 0 and 40% by turns: of 100 their mean is 20%, of standard error 20 / sqrt(100) = 2: 16.0 to 24.0."""
    text = card_of(run_in(tmp_path, finals=[hundred([0, 4])]))
    low, high = text.split("| 20.00 (")[1].split(")")[0].split(" to ")
    assert float(low) == pytest.approx(16.0, abs=0.3) and float(high) == pytest.approx(24.0, abs=0.3)
    assert "(100 utterances redrawn)" in text and "| 2.00 (2.00 to 2.00) |" in text  # 1 of 50 in every utterance
    assert "# of test-own" in text and "      value: 20.00" in text


def test_a_set_that_was_trained_on_is_no_error_rate(tmp_path):
    name, row, rows = hundred([0])
    text = card_of(run_in(tmp_path, finals=[(name.replace("test", "train"), {**row, "subset": "train-own"}, rows)]))
    assert "Without intervals" in text and "leaderboards" not in text


def test_the_front_matter_is_yaml_with_an_index_and_no_licence(tmp_path):
    found = front_matter(card_of(run_in(tmp_path, finals=[hundred([0, 4])])))
    assert "license" not in found and found["pipeline_tag"] == "automatic-speech-recognition"
    results = found["model-index"][0]["results"]
    assert [(each["dataset"]["name"], each["metrics"][0]["value"]) for each in results] == [
        ("test-own", 20.0), ("dev-own", 45.0),
    ]  # fmt: skip


def test_hugging_face_reads_it(tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard(card_of(run_in(tmp_path, finals=[hundred([0, 4])]))).data.eval_results
    assert {(each.dataset_name, each.metric_type, each.metric_value) for each in found} >= {("test-own", "wer", 20.0)}


def test_librispeech_is_called_as_the_hub_calls_it(tmp_path):
    workload = load_workload("librispeech").to_dict()
    assert front_matter(card_of(run_in(tmp_path, workload=workload)))["datasets"] == ["openslr/librispeech_asr"]


def test_what_is_not_known_is_said_and_not_made_up(tmp_path):
    text = card_of(run_in(tmp_path, features={}, host={}, versions={}, code={}, workload={}))
    assert "does not say what it was trained on" in text and "does not say how it was made" in text
    assert "None" not in text and "null" not in text


def test_emulation_is_the_first_thing_said(tmp_path):
    text = card_of(run_in(tmp_path, identity={"emulated": True}))
    assert text.index("**Emulated**") < text.index("## Data") and "(emulated)" in text


def test_a_run_without_its_folder_or_of_a_log_is_refused(tmp_path, capsys):
    path = write(tmp_path / "r1.csv", make_run(WERS))
    assert main([path, "--to", "card"]) == 2
    assert "no run.json in its folder" in capsys.readouterr().err
    with pytest.raises(ExportError, match="another program's log"):
        card_of(run_in(tmp_path / "log", log={"rows": 56}))


def test_it_is_written_as_the_other_texts_are(tmp_path, capsys):
    path = run_in(tmp_path)
    assert main([str(path), "--to", "card", "-o", f"{tmp_path}/out/"]) == 0
    assert (tmp_path / "out" / "r1.md").read_text().startswith("---\n")
    assert "licence is the owner's" in capsys.readouterr().err
