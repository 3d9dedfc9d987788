"""The final table: of a run made here, from its folder, its journal or a checkpoint; and the published rows."""

import csv
import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from journals import make_run, write

import platforms
from benchmark import final
from benchmark.final import tables
from benchmark.metrics import METRICS, Errors
from benchmark.record.facts import SCHEMA, FactsError
from benchmark.record.finals import FinalsError, read_finals
from benchmark.record.history import RunRecord
from benchmark.run.evaluate.accuracy import edits
from benchmark.run.evaluate.final import Result, _found, chosen_subsets, to_csv, utterances_to_csv
from benchmark.run.evaluate.final import write as write_finals
from benchmark.run.prepare.trained import FinalError, Trained, load_trained
from benchmark.tables import plain
from benchmark.workloads import load

ROOT = Path(__file__).parents[4]
REFERENCE = ROOT.parent / "shared" / "reference" / "paper_final_wer.csv"
RUN = Trained(
    folder=Path("results/r"),
    record=RunRecord(),
    workload=load("librispeech"),
    precision="float32",
    batch=4,
    features=None,
)


def result(subset: str, wer: float, **changes) -> Result:
    errors = Errors(wer=wer, cer=wer / 2, wer_mean=wer + 1, cer_paper=wer / 2 + 1)
    usual = {"checkpoint": "best", "step": 10, "epoch": 2, "decoder": "dictionary-512", "utterances": 5}
    return Result(
        **{**usual, "audio_s": 9.0, "forward_s": 1.0, "decoding_s": 0.5, **changes}, subset=subset, errors=errors
    )


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


@pytest.mark.parametrize(
    "path", ["results/absent", "results/absent.csv", "results/absent/checkpoints/ckpt-3", f"{__file__}/checkpoints/x"]
)
def test_where_no_run_is_it_says_what_was_expected(path):
    with pytest.raises(FinalError, match=r"no run is there .*expected results/RUN, its journal"):
        load_trained(Path(path))


FACTS = {
    "schema": SCHEMA,
    "platform": platforms.load("sys1").to_dict(),
    "workload": load("mini").to_dict(),
    "devices": {"replicas": 4},
    "features": {"folder": "features"},
}


def refusal(folder: Path, run_json: str) -> str:
    """What is said of a run with this run.json."""
    (folder / "r").mkdir()
    (folder / "r" / "run.json").write_text(run_json)
    write(folder / "r.csv", make_run([30]))
    with pytest.raises(FactsError) as refused:
        load_trained(folder / "r")
    return str(refused.value)


def test_a_runs_batch_is_that_of_a_replica(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text(json.dumps(FACTS))
    write(tmp_path / "r.csv", make_run([30]))
    run = load_trained(tmp_path / "r.csv")
    assert run.batch == 24 and run.workload == load("mini") and run.features == Path("features")  # 96 / 4 GPUs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "recursion" if sys.version_info < (3, 14) else "Stack overflow"),
        ("[]", "not a JSON object"),
        ("{}", "schema is 'None'"),
        ('{"schema": 1}', f"schema is '1'; expected {SCHEMA}"),
        (json.dumps({**FACTS, "workload": {"name": "x"}}), "no 'targets'"),
        (json.dumps({**FACTS, "devices": {"replicas": 0}}), "replicas is 0"),
        (json.dumps({**FACTS, "features": []}), "found '[]'; expected an object"),
        (json.dumps({**FACTS, "features": {"folder": 5}}), "folder is 5; expected a path"),
        (json.dumps({**FACTS, "platform": {**FACTS["platform"], "training": {}}}), "[training] reduction is missing"),
    ],
)
def test_a_run_json_that_cannot_be_used_is_named_with_the_reason(tmp_path, text, said):
    shown = refusal(tmp_path, text)
    assert shown.startswith(f"{tmp_path / 'r' / 'run.json'}: ") and said in shown
    assert "expected" in shown and "move it away" in shown and "\n" not in shown and len(shown) < 500


def test_a_run_json_that_is_a_folder_is_named(tmp_path):
    (tmp_path / "r" / "run.json").mkdir(parents=True)
    with pytest.raises(FactsError, match=r"r/run.json: cannot be read \(Is a directory\)"):
        load_trained(tmp_path / "r")


def test_figures_that_cannot_be_written_are_shown_all_the_same(tmp_path, monkeypatch, capsys):
    run = replace(RUN, folder=tmp_path / "gone")
    monkeypatch.setattr(final, "load_trained", lambda path: run)
    monkeypatch.setattr("benchmark.run.evaluate.final.data_of", lambda run, wanted: nullcontext())
    monkeypatch.setattr("benchmark.run.evaluate.final.evaluate", lambda run, wanted, data: [result("dev-clean", 20.0)])
    assert final.main(["gone"]) == 2
    out, err = capsys.readouterr()
    assert "20.00" in out and err.startswith("benchmark.final: ") and "No such file" in err and err.count("\n") == 1


def test_a_checkpoints_name_must_have_a_number(tmp_path):
    with pytest.raises(FinalError, match="expected a checkpoint's name such as ckpt-1000"):
        load_trained(tmp_path / "checkpoints" / "ckpt-x")


def test_a_result_is_flat_in_csv():
    (row,) = list(csv.DictReader(to_csv([result("dev-a", 12.5)]).splitlines()))
    assert row["subset"] == "dev-a" and row["wer"] == "12.5" and row["cer_paper"] == "7.25"
    assert json.dumps(row)


def test_the_edits_of_utterances_sum_to_the_error_rate():
    """1 of 2 and 0 of 3 words: 1 of 5 is 20%."""
    counted = tuple((name, edits(*pair)) for name, pair in (("u1", ("one two", "one ten")), ("u2", ("a b c", "a b c"))))
    one = replace(result("dev-a", 20.0), edits=counted)
    rows = list(csv.DictReader(utterances_to_csv([one]).splitlines()))
    assert [row["utterance"] for row in rows] == ["u1", "u2"] and {row["subset"] for row in rows} == {"dev-a"}
    assert [sum(int(row[name]) for row in rows) for name in ("word_edits", "words")] == [1, 5]
    assert "edits" not in one.fields()


OLD_FINAL = "checkpoint,step,epoch,subset,decoder,utterances,audio_s,forward_s,decoding_s,wer,cer,wer_mean,cer_paper"
OLD_UTTERANCES = "checkpoint,subset,decoder,utterance,word_edits,words,character_edits,characters"


def test_the_columns_of_before_keep_their_places_and_further_ones_follow():
    assert to_csv([result("dev-a", 12.5)]).splitlines()[0].startswith(f"{OLD_FINAL},ser,")
    assert to_csv([result("dev-a", 12.5, features="0a1b")]).splitlines()[1].endswith(",0a1b,,")
    assert utterances_to_csv([result("dev-a", 12.5)]).splitlines()[0].startswith(f"{OLD_UTTERANCES},")


def evaluated(subset: str, *pairs: tuple[str, str], **changes) -> Result:
    """A result whose figures follow from references and hypotheses."""
    counted = tuple((f"u{n}", edits(*pair)) for n, pair in enumerate(pairs))
    errors = Errors.of([edited for _, edited in counted])
    return replace(result(subset, 0.0, **changes), errors=errors, edits=counted)


def column(table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in table.rows]


def test_every_cell_of_the_printed_figures_stands_under_its_name():
    """a b c d -> a x d y: three edits at least, in one way or another; e f -> e f: none. 3 of 6 words, 1 of 2."""
    one = evaluated("dev-a", ("a b c d", "a x d y"), ("e f", "e f"), utterances=2, decoding_s=0.25)
    rates, counts, *_ = tables(RUN, [one])[-3:]
    assert len(rates.header) == len(rates.rows[0]) and len(counts.header) == len(counts.rows[0])
    for name, metric in METRICS.items():
        assert column(rates, metric.label) == [f"{getattr(one.errors, name):.2f}"]
    assert [column(rates, name) for name in ("SER", "decoding s")] == [["50.00"], ["0.25"]]
    kinds = [int(column(counts, name)[0]) for name in ("substitutions", "deletions", "insertions")]
    assert column(rates, "WER") == ["50.00"] and sum(kinds) == 3  # of 6 words
    assert [column(counts, name) for name in ("utterances", "words")] == [["2"], ["6"]]


def test_figures_that_were_not_measured_are_na_and_move_no_other():
    rates = next(part for part in tables(RUN, [result("dev-a", 20.0)]) if getattr(part, "title", "")[:3] == "All")
    assert [column(rates, name) for name in ("WER", "SER", "decoding s")] == [["20.00"], ["NA"], ["0.50"]]


def test_no_table_of_figures_is_split_in_a_pipe():
    one = evaluated("test-clean", ("a b c d", "a x d y"), utterances=2939, decoding_s=1000.25)
    shown = plain(tables(RUN, [one])[-3:])
    assert shown.count("checkpoint") == 2 and max(map(len, shown.splitlines())) <= 100


def test_the_commonest_word_errors_are_those_of_the_first_checkpoint_and_decoder_on_each_subset():
    pairs = [("one two", "one ten"), ("one two", "one ten"), ("three four", "three"), ("five", "oh five")]
    results = [
        evaluated("dev-a", *pairs),
        evaluated("dev-a", ("six", "sex"), decoder="greedy"),
        evaluated("test-a", ("seven", "heaven")),
        evaluated("dev-a", ("eight", "ate"), checkpoint="last"),
    ]
    shown = plain(tables(RUN, results)).partition("Commonest word errors: best, dev-a, dictionary-512\n")[2]
    first = shown.splitlines()
    assert first[0].split() == ["reference", "hypothesis", "times", "deleted", "times", "inserted", "times"]
    assert first[1].split() == ["two", "ten", "2", "four", "1", "oh", "1"]
    assert "Commonest word errors: best, test-a, dictionary-512" in shown and "heaven" in shown
    assert "sex" not in shown and "ate" not in shown
    assert "Commonest" not in plain(tables(RUN, [evaluated("dev-a", ("right", "right"))]))


def decoded(subset: str, *pairs: tuple[str, str], **changes) -> Result:
    """A result as it comes from decoding, with its sentences."""
    made = evaluated(subset, *pairs, **{"utterances": len(pairs), "features": "ab" * 6, "batch": 4, **changes})
    return replace(made, texts=pairs, examples=f"some of {subset}\n")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


PAIRS = (("one two", "one ten"), ('say "three", four', "say three"))


def test_nothing_is_overwritten_by_another_decoder_subset_checkpoint_batch_or_feature_folder(tmp_path):
    run = replace(RUN, folder=tmp_path, record=make_run([30], features="ab" * 6))
    first = decoded("dev-a", *PAIRS)
    assert write_finals(run, [first]) == (tmp_path / "final" / "best-10.dev-a.dictionary-512.csv",)
    before = contents(tmp_path / "final")
    assert len(before) == 3 and before["best-10.dev-a.dictionary-512.sentences.txt"] == "some of dev-a\n"
    others = [{"decoder": "greedy"}, {"subset": "test-a"}, {"checkpoint": "last", "step": 20}, {"batch": 8},
              {"subset": "train", "sample": "5-seed1"}, {"step": 20}]  # fmt: skip
    for n, other in enumerate(others, start=2):
        write_finals(run, [replace(first, **other)])
        assert len(contents(tmp_path / "final")) == 3 * n
    write_finals(run, [replace(first, features="cd" * 6)], features=Path("data/features/other"))
    found = contents(tmp_path / "final")
    assert "best-10.dev-a.dictionary-512.on-other-cdcdcd.csv" in found and before.items() <= found.items()


def test_the_same_decode_is_found_with_its_figures_and_words(tmp_path):
    run = replace(RUN, folder=tmp_path)
    first = decoded("dev-a", *PAIRS)
    (path,) = write_finals(run, [first])
    asked = replace(first, utterances=0, errors=Errors(), edits=(), texts=(), forward_s=0.0, decoding_s=0.0)
    there = read_finals(tmp_path)
    again = _found(there, asked)
    assert again == replace(first, found=path) and write_finals(run, [again]) == ()
    for other in ({"decoder": "greedy"}, {"step": 11}, {"features": "c"}, {"batch": 5}, {"sample": "x"}):
        assert _found(there, replace(asked, **other)) is None
    renamed = _found(there, replace(asked, checkpoint="best and last"))  # the run ended: the best one is the last
    assert renamed.errors == first.errors and renamed.found is None
    assert [path.name for path in write_finals(run, [renamed])] == ["best-and-last-10.dev-a.dictionary-512.csv"]


def test_a_decode_whose_sentences_are_not_whole_is_named_with_a_way_out(tmp_path):
    first = decoded("dev-a", *PAIRS)
    (path,) = write_finals(replace(RUN, folder=tmp_path), [first])
    utterances = path.with_name(path.name.removesuffix(".csv") + ".utterances.csv")
    utterances.write_text("\n".join(utterances.read_text().splitlines()[:2]) + "\n")
    with pytest.raises(FinalsError, match=r"dictionary-512\.csv: not all utterances .* expected 2: move it .*--again"):
        _found(read_finals(tmp_path), first)
