"""Part `scaling`, by name only: throughput against batch, length and replicas; cost against the size of the corpus.

Batch and length: the suite's step from a batch in memory, in one interleaved run; the ratio is against the size's own
batch and length. Replicas: 1, 2 and 4 of them EMULATED as logical CPUs, sharing one batch: a check that the code
is right, NOT a speed. Corpus: `--hours` of speech, each extracted whole by `extract_corpus` on all
cores, then read and trained on for a bounded number of batches; seconds an utterance should not grow with the hours.

No more than the least of the hours, and at most one, is really spoken; larger corpora are the same files again under
other names (hard links), each extracted as if it were new.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.speed.contest import Arena, Rounds, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting, Size

BATCHES, LENGTHS, REPLICAS = (0.25, 1, 4), (0.5, 1, 2, 4), (1, 2, 4)  # batches and lengths times the size's own
BYTES_AN_HOUR = 360_000 * 93 * 2 + 80_000_000  # features, and audio at most


def measure(setting: Setting) -> Iterator[Result]:
    """Measure batches, lengths, replicas and hours; return a Result for each."""
    size = setting.small
    yield from _shapes(size, setting)
    yield from _replicas(size, setting)
    with _folder(setting) as folder:
        yield from corpora(setting, folder)


def _shapes(size: Size, setting: Setting) -> list[Result]:
    results = []
    for what, shapes in (
        ("batch", [size.of(batch=max(1, round(size.batch * times))) for times in BATCHES]),
        ("frames", [size.of(frames=max(21, round(size.frames * times))) for times in LENGTHS]),
    ):
        with Arena() as arena:
            turns = {}
            for shape in shapes:
                options: dict[str, Any] = {"size": size.name, "batch": shape.batch, "frames": shape.frames}
                turns[shape] = arena.enter(contender("networks", "ours", precision="float32", **options)).ask
            played = play(turns, rounds=setting.rounds, label=f"scaling, {what}")
        results += [_shape(shape, size, what, played) for shape in shapes]
    return results


def _shape(shape: Size, usual: Size, what: str, played: Rounds) -> Result:
    own, base = played.values(shape), played.values(usual)
    frames, usual_frames = shape.batch * shape.frames, usual.batch * usual.frames
    return Result(
        part=f"scaling, {usual.name}, {what} {getattr(shape, what)}",
        unit="frames/s",
        ours=frames / played.median(shape),
        baseline=usual_frames / played.median(usual),
        ratios=tuple(frames / a / (usual_frames / b) for a, b in zip(own, base, strict=True)),
        note=f"{shape.batch / played.median(shape):,.1f} utterances/s; baseline: {what} {getattr(usual, what)}",
        measured={"answers": played.answers[shape]},
    )


def _replicas(size: Size, setting: Setting) -> list[Result]:
    with Arena() as arena:
        turns = {
            replicas: arena.enter(
                contender(
                    "corpora", "replicas", size=size.name, replicas=replicas, environment={"CUDA_VISIBLE_DEVICES": ""}
                )
            ).ask
            for replicas in REPLICAS
        }
        played = play(turns, rounds=setting.rounds, label="scaling, replicas")
    losses = {replicas: played.answers[replicas][0]["loss"] for replicas in REPLICAS}
    return [
        Result(
            part=f"scaling, {size.name}, EMULATED x {replicas}",
            unit="utterances/s",
            ours=size.batch / played.median(replicas),
            baseline=size.batch / played.median(1),
            ratios=played.ratios(1, replicas),
            note=f"A CORRECTNESS CHECK, NOT A SPEED: the replicas are logical CPUs of one processor. Loss after as "
            f"many steps {losses[replicas]:.4g}, of one replica {losses[1]:.4g} (dropout and batch norm are each "
            f"replica's own)",
            measured={"answers": played.answers[replicas]},
        )
        for replicas in REPLICAS
    ]


def corpora(setting: Setting, folder: Path) -> list[Result]:
    """Return Results for each of the hours: extraction, reading, training; peak memory is in the notes."""
    spoken = min(1.0, *setting.hours)
    _check_space(folder, sum(setting.hours))
    played: dict[str, Rounds] = {}
    with Arena() as arena:
        learners = {}
        for hours in sorted(setting.hours):
            options: dict[str, Any] = {"folder": str(folder), "hours": hours}
            extractor = arena.enter(contender("corpora", "extracted", spoken=spoken, **options))
            label = f"scaling, {hours:g} hours"
            played[f"{hours:g} h extracted"] = play({"extraction": extractor.ask}, rounds=1, label=label)
            arena.leave(extractor)
            learner = arena.enter(contender("corpora", "learnt", size=setting.small.name, **options))
            learners[hours] = learner
        turns = {
            f"{what} {hours:g}": partial(one.ask, what)
            for hours, one in learners.items()
            for what in ("reading", "training")
        }
        learnt = play(turns, rounds=setting.rounds, label="scaling, corpora")
    return list(_corpus_rows(setting, spoken, played, learnt))


def _corpus_rows(setting: Setting, spoken: float, played: dict[str, Rounds], learnt: Rounds) -> Iterator[Result]:
    least = min(setting.hours)
    for hours in sorted(setting.hours):
        own, base = (played[f"{h:g} h extracted"].answers["extraction"][0] for h in (hours, least))
        yield Result(
            part=f"scaling, {hours:g} hours, extraction",
            unit="ms/utterance",
            ours=1000 * own["seconds"],
            baseline=1000 * base["seconds"],
            ratios=(base["seconds"] / own["seconds"],),
            note=f"{own['utterances']:,.0f} utterances, the {spoken:g} hours that were spoken again and again under "
            f"other names; workers started once included; peak memory {own['memory_mib']:,.0f} MiB, of a worker "
            f"{own['worker_mib']:,.0f} MiB",
            measured={"answers": [own]},
        )
        for what in ("reading", "training"):
            name, baseline = f"{what} {hours:g}", f"{what} {least:g}"
            yield Result(
                part=f"scaling, {hours:g} hours, {what}",
                unit="ms/utterance",
                ours=1000 * learnt.median(name),
                baseline=1000 * learnt.median(baseline),
                ratios=learnt.ratios(baseline, name),
                note=f"peak memory {max(learnt.values(name, 'memory_mib')):,.0f} MiB; manifest and layout "
                f"{learnt.answers[name][0]['manifest_s']:.2f} s, once a run",
                measured={"answers": learnt.answers[name]},
            )


@contextmanager
def _folder(setting: Setting) -> Iterator[Path]:
    """Yield the given folder, which stays, or a temporary one."""
    if setting.folder:
        setting.folder.mkdir(parents=True, exist_ok=True)
        yield setting.folder
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _check_space(folder: Path, hours: float) -> None:
    free, wanted = shutil.disk_usage(folder).free, hours * BYTES_AN_HOUR
    if free < wanted:
        raise ValueError(
            f"{folder}: {free / 1e9:.1f} GB free, expected {wanted / 1e9:.1f} GB for {hours:g} hours; give another "
            f"folder with --folder, or fewer with --hours"
        )


def repeat_corpus(spoken: Path, out: Path, *, times: int) -> None:
    """Repeat a corpus's train subset `times` times: copy k has speakers 1000 k higher and hard links to the audio."""
    for transcript in sorted(spoken.glob("train*/*/*/*.trans.txt")):
        subset, speaker, chapter = transcript.parts[-4:-1]
        lines = transcript.read_text(encoding="utf-8").splitlines()
        for copy in range(times):
            other = str(int(speaker) + 1000 * copy)
            folder = out / subset / other / chapter
            folder.mkdir(parents=True, exist_ok=True)
            renamed = []
            for line in lines:
                name, sentence = line.split(" ", 1)
                other_name = name.replace(speaker, other, 1)
                os.link(transcript.with_name(f"{name}.flac"), folder / f"{other_name}.flac")
                renamed.append(f"{other_name} {sentence}\n")
            (folder / f"{other}-{chapter}.trans.txt").write_text("".join(renamed), encoding="utf-8")
