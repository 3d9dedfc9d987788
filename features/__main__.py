"""Offline feature extraction: python -m features CORPUS OUT.

Reads a corpus in LibriSpeech layout, writes shards of 93-dimensional frames and their manifest.json. Shards that
an earlier run finished, with the same settings and the same audio, are kept.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from features import manifest
from features.corpus import CorpusError, Problem, Utterance, read_corpus, role
from features.extract import FRAME_STEP_S
from features.progress import progress
from features.records import ShardOutcome, ShardPlan, finished, outcome_path, worker_environment, write_shard
from features.workers import spawned

SKIP_BAD_HINT = "repair it, or pass --skip-bad to leave such utterances out and list them in the manifest"


def extract_corpus(
    root: Path,
    out: Path,
    *,
    settings: manifest.Settings | None = None,
    skip_bad: bool = False,
    jobs: int | None = None,
) -> manifest.Manifest:
    """Extract a whole corpus into `out` on all cores; the manifest is written last.

    Raises:
        CorpusError: the tree or an audio file is bad and `skip_bad` is false; the message names the file.
    """
    utterances, problems = read_corpus(root)
    if problems and not skip_bad:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise CorpusError(f"{problems[0]}{more}; {SKIP_BAD_HINT}")
    out.mkdir(parents=True, exist_ok=True)
    plans = list(plan_shards(utterances, out, settings=settings or manifest.Settings(), skip_bad=skip_bad))
    outcomes = _write(plans, jobs=jobs or len(os.sched_getaffinity(0)))
    result = _manifest(plans, outcomes, problems, root)
    manifest.save(result, out)
    _remove_strangers(out, plans)
    return result


def plan_shards(
    utterances: list[Utterance], out: Path, *, settings: manifest.Settings, skip_bad: bool
) -> Iterator[ShardPlan]:
    """Cut every subset into shards, in an order mixed once and for all, so that each shard is a random sample.

    Training then needs only a small shuffle window to see speakers mixed.
    """
    for subset in sorted({utterance.subset for utterance in utterances}):
        chosen = [utterance for utterance in utterances if utterance.subset == subset]
        random.Random(subset).shuffle(chosen)
        for number, start in enumerate(range(0, len(chosen), settings.shard_utterances)):
            yield ShardPlan(
                path=out / f"{subset}-{number:05d}.tfrecord",
                subset=subset,
                settings=settings,
                utterances=tuple(chosen[start : start + settings.shard_utterances]),
                skip_bad=skip_bad,
            )


def _write(plans: list[ShardPlan], *, jobs: int) -> dict[Path, ShardOutcome]:
    """Write the shards that are not finished yet; a worker's ValueError becomes a CorpusError."""
    outcomes = {plan.path: done for plan in plans if (done := finished(plan))}
    waiting = [plan for plan in plans if plan.path not in outcomes]
    if not waiting:
        return outcomes
    total = sum(len(plan.utterances) for plan in waiting)
    try:
        with progress("features", total=total, unit="utterances") as advance:
            for plan, outcome in _in_workers(waiting, jobs) if jobs > 1 else ((p, write_shard(p)) for p in waiting):
                outcomes[plan.path] = outcome
                advance(len(plan.utterances))
    except CorpusError:
        raise
    except ValueError as error:
        raise CorpusError(f"{error}; {SKIP_BAD_HINT}") from error
    return outcomes


def _in_workers(plans: list[ShardPlan], jobs: int) -> Iterator[tuple[ShardPlan, ShardOutcome]]:
    """Write shards in spawned processes; yields them as they get done."""
    by_file = {plan.path.name: plan for plan in plans}
    try:
        with worker_environment():
            for outcome in spawned(write_shard, plans, jobs=min(jobs, len(plans))):
                yield by_file[outcome.shard.file], outcome
    except BrokenProcessPool:
        raise CorpusError(
            "a worker process was killed (out of memory?); start again, with fewer --jobs if it repeats: finished "
            "shards are kept"
        ) from None


def _manifest(
    plans: list[ShardPlan], outcomes: dict[Path, ShardOutcome], problems: list[Problem], root: Path
) -> manifest.Manifest:
    ordered = [outcomes[plan.path] for plan in plans]
    dropped = {problem.where.removeprefix(f"{root}/"): problem.reason.replace(f"{root}/", "") for problem in problems}
    notes: Counter[str] = Counter()
    words: set[str] = set()
    for outcome in ordered:
        dropped.update(outcome.dropped | outcome.bad)
        notes.update(outcome.notes)
        if role(outcome.shard.subset) == "train":
            words.update(outcome.words)
    return manifest.Manifest(
        settings=plans[0].settings if plans else manifest.Settings(),
        dropped=dropped,
        shards=tuple(outcome.shard for outcome in ordered),
        words=tuple(sorted(words)),
        notes=dict(notes),
    )


def _remove_strangers(out: Path, plans: list[ShardPlan]) -> None:
    """Delete shards that an earlier extraction finished here and that are no part of this one, and nothing else."""
    for path in set(out.glob("*.tfrecord")) - {plan.path for plan in plans}:
        if outcome_path(path).is_file():
            path.unlink()
            outcome_path(path).unlink()


def describe(result: manifest.Manifest) -> Iterator[str]:
    """Lines that say what the features hold and what was left out."""
    for subset in result.subsets:
        yield (
            f"{subset}: {result.utterances(subset):,} utterances, "
            f"{result.seconds(subset) / 3600:.2f} hours, {len(result.select(subset))} shards"
        )
    for note, count in sorted(result.notes.items()):
        yield f"{count:,} utterances {note}"
    if result.dropped:
        yield f"{len(result.dropped):,} utterances left out (listed in {manifest.NAME}):"
        yield from (f"  {name}: {reason}" for name, reason in list(result.dropped.items())[:5])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m features", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "corpus",
        type=Path,
        metavar="CORPUS",
        help="folder in LibriSpeech layout: SUBSET/SPEAKER/CHAPTER/*.trans.txt with .flac or .wav",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the shards and manifest.json")
    parser.add_argument("--dtype", choices=manifest.DTYPES, default="float16", help="default: %(default)s")
    parser.add_argument(
        "--compression",
        choices=manifest.COMPRESSIONS,
        default="none",
        help="gzip makes shards about a quarter smaller and reading many times slower; default: %(default)s",
    )
    parser.add_argument(
        "--max-seconds",
        type=_seconds,
        default=16.7,
        metavar="S",
        help="leave out longer utterances, as the paper does; default: %(default)s",
    )
    parser.add_argument("--shard-utterances", type=int, default=256, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out utterances with broken audio or transcript, count and list them",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes; default: all cores")
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.11 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text}; expected seconds from 0.11 to 3600")
    return seconds


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = _arguments(argv)
    try:
        settings = manifest.Settings(
            dtype=options.dtype,
            compression=options.compression,
            max_frames=round(options.max_seconds / FRAME_STEP_S),
            shard_utterances=options.shard_utterances,
        )
        result = extract_corpus(
            options.corpus, options.out, settings=settings, skip_bad=options.skip_bad, jobs=options.jobs
        )
    except (ValueError, OSError) as error:
        print(f"features: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("features: interrupted; the same command goes on with the shards that are missing", file=sys.stderr)
        return 130
    print("\n".join(describe(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
