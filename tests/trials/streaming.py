"""What does it cost to train straight from the audio, and does memory stay constant however large the corpus is?

    python -m tests.trials.streaming CORPUS [--hours 1 100]

Makes corpora of so many hours out of links to the recordings of CORPUS, which has the layout of LibriSpeech. For each a
process of its own looks at the corpus, as a streaming run does before it begins, and reads a whole epoch in batches.
Says how fast both were and the most memory that the process and its workers held. The smallest corpus is extracted too,
so that its records are read for comparison. An hour takes seconds, 100 hours take some minutes and no disk; the figures
stand in docs/speed.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from features.corpus.audio import read_header
from features.corpus.layout import Utterance, read_corpus, role
from features.reading.batches import Buckets, EpochOrder, read_batches
from features.reading.recordings import scan
from features.shards import manifest
from features.shards.extraction import extract_corpus
from tests.trials import common

BATCH, READERS, BUFFER = 16, 2, 8
LOOK_EVERY = 20  # batches


def linked(source: Path, root: Path, *, hours: float) -> None:
    """Make a corpus of so many hours from links to the training recordings of another; its dev set is one of those."""
    recordings = [each for each in read_corpus(source)[0] if role(each.subset) == "train"]
    lasting = [read_header(each.audio).seconds for each in recordings]
    chapter(root / "dev-linked" / "0" / "1", 0, recordings[:1])
    left, turn = 3600 * hours, 1
    while left > 0:
        count = sum(1 for total in itertools.accumulate(lasting) if total <= left) + 1
        chapter(root / "train-linked" / str(turn) / "1", turn, recordings[:count])
        left, turn = left - sum(lasting[:count]), turn + 1


def chapter(folder: Path, speaker: int, recordings: list[Utterance]) -> None:
    folder.mkdir(parents=True)
    lines = []
    for number, each in enumerate(recordings):
        name = f"{speaker}-1-{number:06d}"
        (folder / f"{name}{each.audio.suffix}").symlink_to(each.audio.resolve())
        lines.append(f"{name} {each.sentence.upper()}\n")
    (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))


def epoch(corpus: Path, records: Path | None) -> dict[str, float]:
    """Read an epoch in this process; return what it took."""
    started = time.monotonic()
    if records:
        found, recordings = manifest.load(records), None
    else:
        found, recordings = scan(corpus, settings=manifest.Settings(), jobs=READERS)
    looked_s = time.monotonic() - started
    layout = Buckets.bucketed(found.lengths("train"), batch=BATCH, buckets=10)
    batches = read_batches(
        records, found, "train", layout, readers=READERS, buffer=BUFFER, order=EpochOrder(seed=1, epoch=1),
        recordings=recordings,
    )  # fmt: skip
    before_mib = memory_mib(os.getpid())
    with recordings or nullcontext():
        started, most_mib, count = time.monotonic(), 0.0, 0
        for count, _ in enumerate(batches, start=1):
            if count % LOOK_EVERY == 0:
                most_mib = max(most_mib, sum(memory_mib(pid) for pid in family()))
        read_s = time.monotonic() - started
    return {
        "hours": found.seconds("train") / 3600,
        "utterances": found.utterances("train"),
        "looked_s": looked_s,
        "read_s": read_s,
        "before_mib": before_mib,
        "most_mib": most_mib,
    }


def memory_mib(pid: int) -> float:
    """Return the memory that a process holds and shares with no other (proportional set size), in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def family() -> list[int]:
    """Return this process and its children."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [os.getpid(), *map(int, children)]


def measured(corpus: Path, records: Path | None = None) -> dict[str, float]:
    words = [str(corpus), "--epoch", *(["--records", str(records)] if records else [])]
    done = subprocess.run([sys.executable, "-m", "tests.trials.streaming", *words], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(label: str, found: dict[str, float]) -> None:
    print(
        f"{label:>10} {found['hours']:7.2f} h {found['utterances']:9,.0f} utterances: looked at in "
        f"{found['looked_s']:6.1f} s, an epoch in {found['read_s']:7.1f} s "
        f"({3600 * found['hours'] / found['read_s']:6,.0f} x real time); memory {found['before_mib']:6.0f} MiB before, "
        f"at most {found['most_mib']:6.0f} MiB with the workers",
        flush=True,
    )


def _trial(options: argparse.Namespace) -> None:
    if options.epoch:
        print(json.dumps(epoch(options.corpus, options.records)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for number, hours in enumerate(sorted(options.hours)):
            root = Path(folder) / f"{hours:g}h"
            linked(options.corpus, root, hours=hours)
            if not number:
                records, started = Path(folder) / "records", time.monotonic()
                extract_corpus(root, records)
                seconds, found = time.monotonic() - started, measured(root, records)
                print(f"extraction: {seconds:.1f} s ({3600 * found['hours'] / seconds:,.0f} x real time)")
                show("records", found)
            show("streamed", measured(root))


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("streaming", __doc__)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 100.0], metavar="H", help="default: 1 100")
    parser.add_argument("--epoch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--records", type=Path, help=argparse.SUPPRESS)
    return common.run("streaming", parser, _trial, argv)


if __name__ == "__main__":
    raise SystemExit(main())
