"""Studies of data as they stand on disk, made up for tests.

make_point(folder, 800, 1, 35.0)        # a finished run of 800 utterances, seed 1, WER 35 on test
study(folder)                           # five sizes, three seeds, WER 300 n^-0.35
"""

import csv
import json
from pathlib import Path

from journals import make_run, write

FINAL = ("checkpoint", "subset", "utterances", "wer", "cer", "wer_mean")


def make_point(
    folder: Path, size: int, seed: int, error: float, *, protocol="target", epochs=3, train=5.0, arm="", test=True
) -> None:
    """A run of 10 train rows of 100 utterances an epoch, and its final.csv."""
    name = f"{protocol}-{size}-seed{seed}" + f"+{arm}" * bool(arm)
    run = make_run([error] * epochs, run=name, seed=seed, platform="cpu", batch=16)
    path = Path(write(folder / f"{name}.csv", run))
    own = path.with_suffix("")
    own.mkdir()
    facts = {"schema": 3, "plan": {"targets": {}}, "features": {"trained": {"utterances": size, "hours": size / 1000}}}
    (own / "run.json").write_text(json.dumps(facts))
    (own / "end.json").write_text('{"status": "finished"}')
    with (own / "final.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FINAL)
        for subset, wer in (("dev-x", error + 1), *[("test-x", error)] * test, ("train", train)):
            writer.writerow(["best", subset, 100, wer, wer / 2, wer])


def study(folder: Path, exponent=0.35, **how) -> Path:
    folder.mkdir(exist_ok=True)
    for size in (100, 200, 400, 800, 1600):
        for seed in (1, 2, 3):
            make_point(folder, size, seed, 300 * size**-exponent * (1 + 0.01 * (seed - 2)), **how)
    return folder
