"""The table of figures: what each says of some edits, and that a further one is a single entry."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from benchmark.judge.question import AS_THE_PAPER, CORPUS_SUM, PAPER_LEVELS
from benchmark.metrics import COUNTS, FIGURES, METRICS, TARGETS, USUAL, Edits, Errors

ROOT = Path(__file__).resolve().parents[2]

UTTERANCES = (  # 4 words, 1 of each kind; 2 words, none; no words, 1 insertion
    Edits(word_pairs=(("a", "an"), ("b", ""), ("", "x")), words=4, character_edits=4, characters=10, longest=12),
    Edits(word_pairs=(), words=2, character_edits=0, characters=5, longest=5),
    Edits(word_pairs=(("", "y"),), words=0, character_edits=1, characters=0, longest=1),
)


def test_every_figure_follows_from_the_edits():
    found = Errors.of(UTTERANCES)
    assert (found.substitutions, found.deletions, found.insertions) == (1, 1, 2)
    assert found.wer == pytest.approx(100 * 4 / 6)
    assert found.wer == 100 * (found.substitutions + found.deletions + found.insertions) / 6
    assert found.cer == pytest.approx(100 * 5 / 15)
    assert found.wer_mean == pytest.approx(100 * (3 / 4 + 0 + 1) / 3)  # what has no words counts as wholly wrong
    assert found.cer_paper == pytest.approx(100 * (4 / 12 + 0 + 1) / 3)
    assert found.ser == pytest.approx(100 * 2 / 3)


def test_the_names_stand_in_the_order_that_files_have():
    assert list(FIGURES) == [
        "wer", "cer", "wer_mean", "cer_paper", "ser", "substitutions", "deletions", "insertions"
    ]  # fmt: skip
    assert list(METRICS) == ["wer", "cer", "wer_mean", "cer_paper", "ser"]
    assert COUNTS[:4] == ("word_edits", "words", "character_edits", "characters")
    assert (TARGETS, USUAL) == (("wer", "cer", "ser"), ("wer", "cer"))


def test_what_the_paper_says_is_said_of_metrics_that_are_there():
    assert PAPER_LEVELS == {"wer": (22.0, 20.2, 19.2), "cer": (10.0, 8.0, 7.0)}
    assert AS_THE_PAPER == {"wer": "wer_mean", "cer": "cer_paper"} and CORPUS_SUM["cer_paper"] == "cer"
    assert set(AS_THE_PAPER.values()) <= set(METRICS)


def test_figures_are_read_as_people_read_them():
    assert [FIGURES[name].shown(value) for name, value in (("ser", 93.104), ("insertions", 7))] == [
        "SER 93.10%", "7 insertions"
    ]  # fmt: skip
    labels = [figure.label for figure in FIGURES.values()]
    assert labels[:5] == ["WER", "CER", "WER mean", "CER paper", "SER"] and len(set(labels)) == len(labels)


# --- a further figure is one entry -----------------------------------------------------------------------------------

ENTRY = """
    lost: float | None = _figure(
        label="Lost", words="deletions / words of the references", edits="deletions", units="words", target=True
    )
"""

THROUGH_THE_SUITE = """
import csv, io, json, sys
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path

sys.path[:0] = sys.argv[1:]
import benchmark.metrics
from benchmark import final, tta, workloads
from benchmark.export.__main__ import main as export
from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome
from benchmark.record.journal import Journal, read
from benchmark.record.phases import Phase
from benchmark.run.evaluate import final as evaluation
from benchmark.run.evaluate.accuracy import edits
from benchmark.run.state.progress import Progress

found = {"file": benchmark.metrics.__file__}
counted = [edits("a b c d", "a b d"), edits("a b", "a b")]
errors = benchmark.metrics.Errors.of(counted)
found["evaluation"] = errors.lost

identity = Identity(
    run="r", platform="cpu", workload="mini", recipe="paper", seed=1, replicas=1, devices="CPU", emulated=False,
    batch=2, precision="float32", features="ab", decoder="greedy", evaluation="resident", code="c",
)
journal = Journal.create(Path("r.csv"), identity)
journal.append(Phase.CREATE, Span(0.0, 1.0), Outcome(step=0, epoch=0))
journal.append(Phase.TRAIN, Span(1.0, 58.0), Outcome(step=1, epoch=1, utterances=2, loss=1.0))
journal.append(Phase.EVALUATE, Span(59.0, 1.0), Outcome(step=1, epoch=1, **asdict(errors)))
journal.close()
record = read("r.csv")
found["journal"] = record.rows[-1].lost

found["targets"] = list(replace(workloads.load("mini"), targets={"lost": (20.0,)}).targets)
found["lowest"] = Progress.of(record.rows, window=1).lowest["lost"]  # with which targets are compared

result = evaluation.Result(
    checkpoint="best", step=1, epoch=1, subset="dev-a", decoder="greedy", utterances=2, audio_s=1.0, forward_s=1.0,
    decoding_s=1.0, errors=errors, edits=tuple(zip(("u1", "u2"), counted)),
)
found["final.csv"] = list(csv.DictReader(io.StringIO(evaluation.to_csv([result]))))[0]["lost"]
found["words"] = list(csv.DictReader(io.StringIO(evaluation.utterances_to_csv([result]))))[0]["deletions"]
printed = final._rates([result])
found["printed"] = dict(zip(printed.header, printed.rows[0]))["Lost"]

def said(main, *arguments):
    text = io.StringIO()
    with redirect_stdout(text):
        assert main(["r.csv", *arguments]) == 0
    return text.getvalue()

found["tta"] = json.loads(said(tta.main, "--metric", "lost", "--level", "20", "--epochs", "1", "--format", "json"))
found["table"] = said(tta.main, "--metric", "lost", "--level", "20", "--epochs", "1")
found["json"] = json.loads(said(export, "--to", "json"))["evaluations"][0]["lost"]
print(json.dumps(found))
"""


def test_a_further_figure_is_one_entry(tmp_path):
    """One field more in a copy of the suite: 1 of 6 words is deleted. Nothing else of the copy is changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "benchmark", tmp_path / "benchmark", ignore=ignored)
    table = tmp_path / "benchmark" / "metrics.py"
    text = table.read_text(encoding="utf-8")
    assert text.count("\n    @classmethod\n    def of(") == 1  # the end of the fields
    table.write_text(text.replace("\n    @classmethod\n    def of(", f"{ENTRY}\n    @classmethod\n    def of("))
    done = subprocess.run(
        [sys.executable, "-c", THROUGH_THE_SUITE, str(tmp_path), str(ROOT)],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["file"] == str(table)
    for place in ("evaluation", "journal", "lowest", "json"):
        assert found[place] == pytest.approx(100 / 6), place
    assert found["final.csv"] == "16.666667" and found["words"] == "1" and found["printed"] == "16.67"
    (row,) = found["tta"]
    assert (row["metric"], row["level_percent"], row["tta_minutes"]) == ("lost", 20.0, 1.0)  # 60 s
    assert found["targets"] == ["lost"]
    assert "Lost 20" in found["table"]
    assert "lost" not in {f.name for f in fields(Errors)}
