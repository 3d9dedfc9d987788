"""Weights evaluated again and an epoch trained again, of a run that was trained for seconds: to the last digit."""

import pytest
from commands import command
from sealed import bundle, members_of
from tones import write_chapter
from trained import trained

from benchmark.proof.verify import Ask, verify


@pytest.fixture(scope="module")
def runs(tone_corpus, tone_data, tmp_path_factory):
    """Two sealed runs of other seeds, as member -> bytes, and the features they were trained on."""
    folder = tmp_path_factory.mktemp("again")
    found = []
    for seed in (1, 2):
        more = ("--max-epochs", 2, "--seed", seed)
        run = trained(folder / f"seed{seed}", tone_corpus, tone_data, recipe="paper", options=more)
        path = run.parent / "paper.tta.zip"
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
    files, others = members_of(runs[0]), members_of(runs[1])
    files.pop("seal.json")
    last = next(name for name in files if name.endswith(".weights"))
    report = verify(bundle(tmp_path / "a.tta.zip", {**files, last: others[last]}, run="paper"), Ask(level="figures"))
    assert report.status == 0
    report = verify(tmp_path / "a.tta.zip", Ask(level="weights", corpus=tone_corpus))
    assert report.refuted_at == "weights" and "expected a checkpoint of this run's model" in report.difference
    index = last.replace(".weights", ".index")  # with its checksums it is whole, and only other figures tell it
    both = bundle(tmp_path / "b.tta.zip", {**files, last: others[last], index: others[index]}, run="paper")
    report = verify(both, Ask(level="replay", corpus=tone_corpus))
    assert report.refuted_at in ("weights", "replay"), report.sentence  # models this small may hear the same


@pytest.mark.slow
def test_another_corpus_and_another_code_cannot_be_used(runs, tone_corpus, tmp_path):
    write_chapter(tmp_path / "other", "train-tones", 1, ["one two", "two three"])
    write_chapter(tmp_path / "other", "dev-tones", 3, ["one", "two"])
    report = verify(runs[0], Ask(level="weights", corpus=tmp_path / "other"))
    assert (report.status, report.level) == (2, "figures") and "the corpus that was trained on" in report.cannot
    files = {name: data.replace(b",0.1.0+", b",0.0.9+") if name == "journal.csv" else data
             for name, data in members_of(runs[0]).items() if name != "seal.json"}  # fmt: skip
    path = bundle(tmp_path / "a.tta.zip", files, run="paper")
    report = verify(path, Ask(level="replay", corpus=tone_corpus))
    assert (report.status, report.level) == (2, "weights") and "which trained it" in report.cannot
