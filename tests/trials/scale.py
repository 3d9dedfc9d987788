"""Do planning, merging and opening hold at 30 million utterances, some 100,000 hours?

    python -m tests.trials.scale [--utterances 30000000]

Makes utterances, outcomes of shards and a manifest up, without audio: plans their shards as `python -m features --part`
does, after the transcripts are read; adds the outcomes up and writes the manifest, as --merge does, after the files are
looked at; opens it, takes its digest, and lays an epoch out as training does. Each in a process of its own, with its
time and the most memory that it took; then what looking at files adds, from a folder of as many as --files. It takes
about seven minutes on two cores; the figures stand in docs/machines.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

OF_CHAPTER, OF_SHARD, WORDS_OF_SHARD, VOCABULARY = 50, 256, 900, 1_000_000
BATCH, BUCKETS = 2048, 10
ROOT = Path(__file__).parents[2]


def chapters(count: int) -> Iterator[tuple[str, Path, list]]:
    """Chapters of 50 made-up utterances, with ids as LibriSpeech's."""
    from features.corpus.listing import Utterance

    sentence = "he hoped there would be stew for dinner turnips and carrots and bruised potatoes and fat mutton pieces"
    for number in range(-(-count // OF_CHAPTER)):
        subset = "dev-made" if number % 1000 == 0 else "train-made"
        speaker = str(10_000 + number // 5 % 90_000)
        name = f"{speaker}-{100_000 + number}"
        folder = Path(f"/corpus/{subset}/{speaker}/{100_000 + number}")
        yield subset, folder, [
            Utterance(id=f"{name}-{n:04d}", subset=subset, speaker=speaker, audio=_audio(folder, name, n),
                      sentence=sentence)
            for n in range(min(OF_CHAPTER, count - number * OF_CHAPTER))
        ]  # fmt: skip


class _Recording:
    """What a listing asks of an audio path: its name. A path would take longer to make than to list."""

    def __init__(self, name: str) -> None:
        self.name = name


def _audio(folder: Path, name: str, number: int) -> Any:
    return _Recording(f"{name}-{number:04d}.flac")


def plan(count: int, folder: Path) -> dict[str, Any]:
    from features.corpus import listing
    from features.shards.extraction import plan_shards
    from features.shards.manifest import Settings

    listing.KEPT = 0  # the others of 30 million would be in memory for nothing here
    found = listing.Listing(lambda subset, place: [])
    for each in chapters(count):
        found.add(*each)
    assert not list(found.sort())
    plans = list(plan_shards(found, folder, settings=Settings(), skip_bad=False))
    return {"utterances": len(found), "shards": len(plans), "brief": plans[-1].brief[:8]}


def outcomes(count: int) -> Iterator[Any]:
    """Outcomes of shards: lengths as of LibriSpeech, and one utterance in a hundred too long."""
    import numpy as np

    from features.shards import manifest
    from features.shards.records import ShardOutcome

    rng = np.random.default_rng(1)
    content = hashlib.sha256(b"made up").hexdigest()
    for number in range(-(-count // OF_SHARD)):
        subset = "dev-made" if number % 1000 == 0 else "train-made"
        frames = rng.integers(150, 1670, min(OF_SHARD, count - number * OF_SHARD)).tolist()
        shard = manifest.Shard(
            file=f"{subset}-{number:06d}.tfrecord", subset=subset, frames=frames, content=content, sha256=content,
            bytes=1,
        )  # fmt: skip
        drawn = (rng.zipf(1.3, WORDS_OF_SHARD) % VOCABULARY).tolist()
        left_out = tuple(
            manifest.LeftOut(where=f"{number}-{n}", subset=subset, kind=manifest.TOO_LONG, reason="long", seconds=20.0)
            for n in range(3)
        )
        words = {f"w{each}": 1 for each in drawn}
        yield ShardOutcome(key=content, brief=content, stamp="", shard=shard, words=words, left_out=left_out, notes={})


def merge(count: int, folder: Path) -> dict[str, Any]:
    from types import SimpleNamespace

    from features.shards import manifest
    from features.shards.extraction import Gathered
    from features.shards.records import ShardOutcome

    done = Gathered()
    for each in outcomes(count):  # as they are read: from the text of a shard's .json
        text = json.dumps(
            {**vars(each), "shard": each.shard.to_dict(), "left_out": [vars(lost) for lost in each.left_out]}
        )
        done.add(ShardOutcome.from_json(text))
    plans = [SimpleNamespace(path=Path(file), settings=manifest.Settings()) for file in done.shards]
    found = done.manifest(plans, [], folder)
    manifest.save(found, folder)
    return {"megabytes": round((folder / manifest.NAME).stat().st_size / 1e6), "words": len(found.words)}


def open_manifest(count: int, folder: Path) -> dict[str, Any]:
    import numpy as np

    from features.reading.batches import Buckets
    from features.shards import manifest

    found = manifest.load(folder)
    opened_s = time.perf_counter() - STARTED
    lengths, digest = np.asarray(found.lengths("train")), found.digest
    layout = Buckets.bucketed(lengths, batch=BATCH, buckets=BUCKETS)
    layout.assign(lengths, np.random.default_rng(1))
    return {"opened_s": round(opened_s, 1), "digest": digest[:8], "batches": layout.batches(lengths)}


def look(count: int, folder: Path) -> dict[str, Any]:
    """Read a corpus of empty recordings from this disk, and look at every file as a merge does."""
    from features.corpus import layout as corpus
    from features.corpus.layout import read_corpus

    for number in range(count // OF_CHAPTER):
        place = folder / "train-made" / str(number // 100) / str(number)
        place.mkdir(parents=True)
        names = [f"{number // 100}-{number}-{n:04d}" for n in range(OF_CHAPTER)]
        (place / f"{number // 100}-{number}.trans.txt").write_text("".join(f"{name} HE HOPED\n" for name in names))
        for name in names:
            (place / f"{name}.flac").touch()
    seconds = []
    for corpus.MANY_CHAPTERS in (count, 0):
        started = time.perf_counter()
        found, _ = read_corpus(folder)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    for path in found.select(range(len(found))).audio:
        os.stat(path)
    stat_s = time.perf_counter() - started
    alone, together, stat = (round(1e6 * each / len(found), 1) for each in (*seconds, stat_s))
    return {"us_to_read_in_one_process": alone, "in_one_a_core": together, "us_to_look_at_a_file": stat}


STARTED = time.perf_counter()
PARTS: dict[str, Callable[[int, Path], dict[str, Any]]] = {
    "plan": plan, "merge": merge, "open": open_manifest, "look": look
}  # fmt: skip


def _trial(options: argparse.Namespace) -> None:
    counts = {name: options.files if name == "look" else options.utterances for name in PARTS}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in counts.items():
            place = Path(folder) / ("look" if name == "look" else "made")
            place.mkdir(exist_ok=True)
            words = [sys.executable, "-m", "tests.trials.scale", "--part", name, str(count), str(place)]
            done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=ROOT)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{name} {count:,}: " + ", ".join(f"{key} {value}" for key, value in found.items()), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    from tests.trials import common

    parser = common.parser_of("scale", __doc__)
    parser.add_argument("--utterances", type=int, default=30_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--files", type=int, default=200_000, metavar="N", help="default: %(default)s")
    return common.run("scale", parser, _trial, argv)


def part(name: str, count: int, folder: Path) -> int:
    found = PARTS[name](count, folder)
    seconds, most = time.perf_counter() - STARTED, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": round(seconds, 1), "GiB": round(most, 2), **found}))
    return 0


if __name__ == "__main__":
    asked = sys.argv[1:]
    raise SystemExit(part(asked[1], int(asked[2]), Path(asked[3])) if asked[:1] == ["--part"] else main(asked))
