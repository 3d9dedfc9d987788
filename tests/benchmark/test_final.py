"""The final table: of a run made here, from its folder, its journal or a checkpoint; and the published rows."""

import csv
import json
from pathlib import Path

import pytest

from benchmark import final
from benchmark.accuracy import ErrorRates
from benchmark.final import FinalError, Result, Run, chosen_subsets, load_run, published_rows, tables
from benchmark.journal import RunRecord
from benchmark.tables import plain
from benchmark.workloads import load

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "paper_final_wer.csv"
RUN = Run(
    folder=Path("results/r"),
    record=RunRecord(),
    workload=load("librispeech"),
    precision="float32",
    batch=4,
    features=None,
)


def result(subset: str, wer: float, **changes) -> Result:
    rates = ErrorRates(wer=wer, cer=wer / 2, wer_mean=wer + 1, cer_paper=wer / 2 + 1)
    usual = {"checkpoint": "best", "step": 10, "epoch": 2, "decoder": "dictionary-512", "utterances": 5}
    return Result(
        **{**usual, "audio_s": 9.0, "forward_s": 1.0, "decoding_s": 0.5, **changes}, subset=subset, rates=rates
    )


def test_the_published_rows_are_the_papers_table_4():
    if not REFERENCE.is_file():
        pytest.skip("the reference is not here")
    with REFERENCE.open(newline="") as file:
        rows = list(csv.reader(file))
    names = {
        "clean_validation": "dev-clean",
        "clean_test": "test-clean",
        "other_validation": "dev-other",
        "other_test": "test-other",
    }
    header, published = published_rows()
    assert header == [names[name] for name in rows[0][1:]]
    assert published == [(row[0], dict(zip(header, row[1:], strict=True))) for row in rows[1:]]


def test_librispeech_subsets_stand_over_the_published_rows():
    shown = plain(tables(RUN, [result("dev-clean", 20.0), result("test-clean", 21.0)]))
    (ours,) = [line for line in shown.splitlines() if "20.00" in line and "best (epoch 2)" in line]
    assert ours.split()[-2:] == ["20.00", "21.00"]
    (mean,) = [line for line in shown.splitlines() if line.startswith("best (epoch 2)") and "22.00" in line]  # 21 + 1
    (paper,) = [line for line in shown.splitlines() if "Sys1$ (published)" in line]
    assert paper.split()[-4:] == ["17.90", "17.32", "41.85", "45.04"]
    assert "not this corpus" not in shown


def test_other_corpora_get_the_published_rows_in_a_table_of_their_own():
    shown = plain(tables(RUN, [result("dev-an4", 20.0)]))
    assert "Published, on LibriSpeech (not this corpus)" in shown and "Sys10$ " in shown


def test_every_dev_and_test_subset_is_evaluated_or_those_asked_for():
    there = ["train-a", "test-b", "dev-c", "dev-a", "test-b"]
    assert chosen_subsets(there, []) == ["dev-a", "dev-c", "test-b"]
    assert chosen_subsets(there, ["dev"]) == ["dev-a", "dev-c"]
    assert chosen_subsets(there, ["test-b"]) == ["test-b"]
    for asked in (["train-a"], ["absent"]):
        with pytest.raises(FinalError, match="there are dev-a, dev-c, test-b"):
            chosen_subsets(there, asked)


@pytest.mark.parametrize("path", ["results/absent", "results/absent.csv", "results/absent/checkpoints/ckpt-3"])
def test_where_no_run_is_it_says_what_was_expected(path):
    with pytest.raises(FinalError, match=r"no run is there .*expected results/RUN, its journal"):
        load_run(Path(path))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"workload": {"name": "x"}}'])
def test_a_run_json_that_is_none_is_named(tmp_path, text):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text(text)
    with pytest.raises(FinalError, match=r"run.json: cannot be used"):
        load_run(tmp_path / "r")


def test_a_checkpoints_name_must_have_a_number(tmp_path):
    with pytest.raises(FinalError, match="expected a checkpoint's name such as ckpt-1000"):
        load_run(tmp_path / "checkpoints" / "ckpt-x")


def test_a_result_is_flat_in_csv():
    (row,) = list(csv.DictReader(final.to_csv([result("dev-a", 12.5)]).splitlines()))
    assert row["subset"] == "dev-a" and row["wer"] == "12.5" and row["cer_paper"] == "7.25"
    assert json.dumps(row)
