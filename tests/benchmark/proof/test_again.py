"""Weights evaluated again and an epoch trained again, of a run that was trained for seconds: to the last digit."""

import json

import pytest
from commands import command
from sealed import bundle, members_of
from trained import trained

from benchmark.proof.verify import Ask, verify


@pytest.fixture(scope="module")
def runs(tone_corpus, tmp_path_factory):
    """Two sealed runs of other seeds, as member -> bytes, and the features they were trained on."""
    folder = tmp_path_factory.mktemp("again")
    found = []
    for seed, recipe in ((1, "paper"), (1, "modern")):
        run = trained(folder / f"{recipe}{seed}", tone_corpus, recipe=recipe, options=("--max-epochs", 2))
        path = run.parent / f"{recipe}.tta.zip"
        done = command(run.parent.parent, "benchmark.seal", run, "-o", path, "--whole", "--corpus", tone_corpus)
        assert done.returncode == 0, done.stderr
        found.append(path)
    return found


@pytest.mark.slow
def test_weights_and_both_epochs_are_the_same_to_the_last_digit(runs, tone_corpus):
    report = verify(runs[0], Ask(level="replay", corpus=tone_corpus, epochs=(1, 2)))
    assert (report.status, report.level) == (0, "replay"), report.sentence
    assert all(said.endswith("to the last digit") for said in (*report.done["weights"], *report.done["replay"]))
    assert len(report.done["weights"]) == 2 and "and the weights of its checkpoint" in report.done["replay"][1]


@pytest.mark.slow
def test_invented_sentences_and_another_loss_are_seen_by_the_weights_and_by_a_replay(runs, tone_corpus, tmp_path):
    files = members_of(runs[0])
    files.pop("seal.json")
    lines = files["journal.csv"].decode().splitlines()
    loss = lines[0].split(",").index("loss")
    number = next(n for n, line in enumerate(lines) if ",train,2," in line)
    fields = lines[number].split(",")
    fields[loss] = repr(float(fields[loss]) * (1 + 1e-9))  # the last digits
    lines[number] = ",".join(fields)
    changed = {**files, "journal.csv": ("\n".join(lines) + "\n").encode()}
    path = bundle(tmp_path / "loss.tta.zip", changed, run="paper")
    report = verify(path, Ask(level="replay", corpus=tone_corpus))
    assert report.refuted_at == "replay" and report.difference.startswith("the loss of the row after batch")


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_seen_by_the_weights(runs, tone_corpus, tmp_path):
    files, others = members_of(runs[0]), members_of(runs[0])
    files.pop("seal.json")
    steps = sorted(name for name in files if name.endswith((".weights", "-00001")))
    first, last = (name for name in steps)
    prefix = last.removesuffix(".weights")
    weights = others[first]  # the whole checkpoint before the last epoch, in place of the last one's weights
    files |= {
        f"{prefix}.index": others[first.partition(".data")[0] + ".index"],
        f"{prefix}.data-00000-of-00001": weights,
    }
    del files[last]
    path = bundle(tmp_path / "a.tta.zip", files, run="paper")
    report = verify(path, Ask(level="weights", corpus=tone_corpus))
    assert report.refuted_at in ("weights", "") and report.status in (0, 1)
    assert json.loads(members_of(path)["seal.json"])["run"] == "paper"
