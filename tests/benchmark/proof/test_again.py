"""Weights evaluated again and an epoch trained again, of a run that was trained for seconds: to the last digit.

The first test takes recordings, and processes as a user's command begins them; the others take the run's features, and
fork theirs (forked.py).
"""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import in_process
from forked import Forked
from sealed import bundle, members_of
from tones import write_chapter
from trained import trained

from benchmark import seal
from benchmark.proof import child
from benchmark.proof.verify import Ask, verify


@pytest.fixture(scope="module")
def runs(tone_corpus, tone_data, tmp_path_factory):
    """Two sealed runs of other seeds, the second of one epoch."""
    folder = tmp_path_factory.mktemp("again")
    found = []
    for seed, epochs in ((1, 2), (2, 1)):
        more = ("--max-epochs", epochs, "--seed", seed)
        run = trained(folder / f"seed{seed}", tone_corpus, tone_data, recipe="paper", options=more)
        path = run.parent / "paper.tta.zip"
        done = in_process(folder, seal.main, run, "-o", path, "--whole", "--corpus", tone_corpus)
        assert done.returncode == 0, done.stderr
        found.append(path)
    return found


@pytest.fixture
def features(runs):
    """The folder of the features on which the runs were trained. Read only."""
    return Path(json.loads((runs[0].parent / "paper" / "run.json").read_text())["features"]["folder"])


class Verifying:
    """Stands in for subprocess.Popen: the process of a verification, forked."""

    def __init__(self, command: list[str], *, env: dict[str, str], **_: object) -> None:
        assert command[1:] == ["-m", "benchmark.proof.again"]
        self.env = env

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None: ...

    def communicate(self, asked: str) -> tuple[str, str]:
        process = Forked("benchmark.proof.again", [], cwd=Path.cwd(), env=self.env, given=asked)
        try:
            return process.communicate(timeout=300)
        finally:
            process.kill()
            self.returncode = process.returncode


def fork(monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """Have processes of verifications forked; `after` so many that are begun as always."""
    begun = []

    def process(*command, **options):
        begun.append(command)
        return (Verifying if len(begun) > after else subprocess.Popen)(*command, **options)

    monkeypatch.setattr(child, "subprocess", SimpleNamespace(Popen=process, PIPE=subprocess.PIPE))


@pytest.mark.slow
def test_weights_and_both_epochs_are_the_same_to_the_last_digit(runs, tone_corpus, monkeypatch):
    fork(monkeypatch, after=2)  # the weights and the first epoch are computed by processes of their own
    report = verify(runs[0], Ask(level="replay", corpus=tone_corpus, epochs=(1, 2)))
    assert (report.status, report.level) == (0, "replay"), report.sentence
    assert all(said.endswith("to the last digit") for said in (*report.done["weights"], *report.done["replay"]))
    assert len(report.done["weights"]) == 2 and "and the weights of its checkpoint" in report.done["replay"][1]


@pytest.mark.slow
def test_another_loss_is_seen_by_a_replay(runs, features, tmp_path, monkeypatch):
    fork(monkeypatch)
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
    report = verify(path, Ask(level="replay", corpus=features))
    assert report.refuted_at == "replay" and report.difference.startswith("the loss of the row after batch")


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_seen_by_the_weights(runs, features, tmp_path, monkeypatch):
    fork(monkeypatch)
    files, others = members_of(runs[0]), members_of(runs[1])
    files.pop("seal.json")
    last = next(name for name in files if name.endswith(".weights"))
    theirs = next(name for name in others if name.endswith(".weights"))
    changed = {**files, last: others[theirs]}
    report = verify(bundle(tmp_path / "a.tta.zip", changed, run="paper"), Ask(level="figures"))
    assert report.status == 0
    report = verify(tmp_path / "a.tta.zip", Ask(level="weights", corpus=features))
    assert report.refuted_at == "weights" and "expected a checkpoint of this run's model" in report.difference
    index, of_theirs = (name.replace(".weights", ".index") for name in (last, theirs))
    whole = {**changed, index: others[of_theirs]}  # with its checksums it is whole, and only other figures tell it
    both = bundle(tmp_path / "b.tta.zip", whole, run="paper")
    report = verify(both, Ask(level="replay", corpus=features))
    assert report.refuted_at in ("weights", "replay"), report.sentence  # models this small may hear the same


@pytest.mark.slow
def test_another_corpus_and_another_code_cannot_be_used(runs, features, tmp_path, monkeypatch):
    fork(monkeypatch)
    write_chapter(tmp_path / "other", "train-tones", 1, ["one two", "two three"])
    write_chapter(tmp_path / "other", "dev-tones", 3, ["one", "two"])
    report = verify(runs[0], Ask(level="weights", corpus=tmp_path / "other"))
    assert (report.status, report.level) == (2, "figures") and "the corpus that was trained on" in report.cannot
    files = {name: data.replace(b",0.1.0+", b",0.0.9+") if name == "journal.csv" else data
             for name, data in members_of(runs[0]).items() if name != "seal.json"}  # fmt: skip
    path = bundle(tmp_path / "a.tta.zip", files, run="paper")
    report = verify(path, Ask(level="replay", corpus=features))
    assert (report.status, report.level) == (2, "weights") and "which trained it" in report.cannot
