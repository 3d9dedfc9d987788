"""Studies of data as they stand on disk, made up for tests.

make_point(folder, 800, 1, 35.0)        # a finished run of 800 utterances, seed 1, WER 35 on test
study(folder)                           # five sizes, three seeds, WER 300 n^-0.35
"""

import csv
import json
from pathlib import Path

from journals import make_run, write

FINAL = ("checkpoint", "decoder", "subset", "utterances", "wer", "cer", "wer_mean")


def make_point(
    folder: Path, size: int, seed: int, error: float, *, protocol="target", epochs=3, train=5.0, arm="", test=True,
    decoder="greedy", checkpoint="best", plan=None, machine=None, edits=None, train_s=100.0, **identity
) -> None:  # fmt: skip
    """A run of 10 train rows of 100 utterances an epoch, and its final.csv.

    `plan` has limits for run.json, `machine` is a processor; `edits` are (edits, words) of each test utterance.
    """
    name = f"{protocol}-{size}-seed{seed}" + f"+{arm}" * bool(arm)
    usual = {"platform": "cpu", "batch": 16, **identity}
    run = make_run([error] * epochs, run=name, seed=seed, train_s=train_s, **usual)
    path = Path(write(folder / f"{name}.csv", run))
    own = path.with_suffix("")
    own.mkdir()
    features = {
        "trained": {"utterances": size, "hours": size / 1000},
        "subsets": {name: {"utterances": 100, "hours": 0.1} for name in ("dev-x", *["test-x"] * test)},
    }
    facts = {"schema": 3, "plan": {"targets": {}, **(plan or {})}, "features": features}
    if machine:
        facts |= {"host": {"cpu": machine}, "versions": {}}
    (own / "run.json").write_text(json.dumps(facts))
    (own / "end.json").write_text('{"status": "finished"}')
    with (own / "final.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FINAL)
        for subset, wer in (("dev-x", error + 1), *[("test-x", error)] * test, ("train", train)):
            writer.writerow([checkpoint, decoder, subset, 100, wer, wer / 2, wer])
    if edits:
        header = "checkpoint,subset,decoder,utterance,word_edits,words,character_edits,characters"
        rows = [
            f"best,test-x,greedy,u{n},{wrong},{words},{wrong},{5 * words}" for n, (wrong, words) in enumerate(edits)
        ]
        (own / "final-utterances.csv").write_text("\n".join([header, *rows]) + "\n")


def study(folder: Path, exponent=0.35, **how) -> Path:
    folder.mkdir(exist_ok=True)
    for size in (100, 200, 400, 800, 1600):
        for seed in (1, 2, 3):
            make_point(folder, size, seed, 300 * size**-exponent * (1 + 0.01 * (seed - 2)), **how)
    return folder
