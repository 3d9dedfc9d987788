"""Offline feature extraction: a corpus in; shards of [T, F] features (F = 93, or Whisper's 80) and a manifest out.

    found = extract_corpus(Path("corpus"), Path("data/features/corpus"))        # Manifest

    extract_part(corpus, out, part=Part(3, 16))                                 # on each of 16 machines
    found = merge(corpus, out)                                                  # the manifest, when all are done

Shards that an earlier run finished, with the same settings and the same audio, are kept. The manifest is removed
before the first shard is written and is written after the last: a manifest always describes the shards next to it.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from features.corpus.audio import promised_frames
from features.corpus.layout import CorpusError, Problem, Utterance, read_corpus, role, unused
from features.corpus.listing import Listing
from features.corpus.prepared import normaliser_of
from features.jobs.cluster import ClusterError, clustered
from features.jobs.files import check_name, locked, try_lock
from features.jobs.parts import Part
from features.jobs.progress import progress
from features.jobs.streams import one_line
from features.jobs.workers import WorkerKilled, spawned
from features.shards import manifest
from features.shards.apart import Seen
from features.shards.records import (
    ShardOutcome,
    ShardPlan,
    finished,
    look_at,
    outcome_path,
    remove_unfinished,
    worker_environment,
    write_shard,
)
from platforms.machine import usable_cores

LOOKS, LOOK_S = 10, 0.05
READS_AT_ONCE, SHARDS_AT_ONCE = 16, 4096
SAMPLED_HEADERS = 500
PART_LOCK = ".lock-part-"
SKIP_BAD_HINT = "repair it, or pass --skip-bad to leave such utterances out and list them in the manifest"


def extract_corpus(
    root: Path,
    out: Path,
    *,
    settings: manifest.Settings | None = None,
    skip_bad: bool = False,
    jobs: int | None = None,
    roles: tuple[str, ...] = (),
    scheduler: str = "",
) -> manifest.Manifest:
    """Extract a whole corpus into `out` on all cores; the manifest is written last.

    With `scheduler` the workers of a Dask cluster write the shards: see features/jobs/cluster.py.

    Raises:
        ClusterError: there is no such cluster, or its workers have other versions.
        CorpusError: the tree or an audio file is bad and `skip_bad` is false; the message names the file. Or
            nothing usable is there, or nothing for one of `roles`, or another process is at work in `out`, or the
            disk is clearly too small.
        OSError: something cannot be read or written, as with a full disk.
    """
    check_name(out)
    if scheduler:  # its workers have other working folders
        root, out = root.absolute(), out.absolute()
    plans, problems = _planned(root, out, settings or manifest.Settings(), skip_bad, roles)
    with _alone(out):
        done = _write(plans, out, jobs=jobs or usable_cores(), scheduler=scheduler)
        result = done.manifest(plans, problems, root, unused(root))
        manifest.save(result, out)
        _remove_strangers(out, plans)
    return result


def extract_part(
    root: Path,
    out: Path,
    *,
    part: Part,
    settings: manifest.Settings | None = None,
    skip_bad: bool = False,
    jobs: int | None = None,
) -> int:
    """Write one part of the shards, while others write the rest into the same folder; returns how many it has.

    The shards are those that `extract_corpus` writes, to the byte on machines of one kind. No manifest is written.

    Raises:
        CorpusError, OSError: as `extract_corpus` does; or another process is at work on this part, on all, or on parts
            of another number.
    """
    check_name(out)
    plans, _ = _planned(root, out, settings or manifest.Settings(), skip_bad, ())
    mine = list(part.of(plans))
    with _part_alone(out, part):
        _write(mine, out, jobs=jobs or usable_cores())
    return len(mine)


def merge(
    root: Path,
    out: Path,
    *,
    settings: manifest.Settings | None = None,
    skip_bad: bool = False,
    roles: tuple[str, ...] = (),
) -> manifest.Manifest:
    """Write the manifest of shards that were written in parts, after reading them: all are there, as they were written.

    Raises:
        CorpusError: some are not, or are of other audio or settings, or are damaged by their SHA-256; or a part is
            still being written.
    """
    check_name(out)
    plans, problems = _planned(root, out, settings or manifest.Settings(), skip_bad, roles)
    with _alone(out):
        done = _finished(plans)
        if missing := [plan.path.name for plan in plans if plan not in done]:
            raise CorpusError(
                f"{out}: {len(missing)} of {len(plans)} shards are not there, or not of this audio and these settings "
                f"({missing[0]}{', ...' * (len(missing) > 1)}); give all parts with the same options first: --part 1/N "
                f"to N/N"
            )
        result = done.manifest(plans, problems, root, unused(root))
        if wrong := manifest.damaged(out, result):
            more = f" (and {len(wrong) - 1} more shards)" if len(wrong) > 1 else ""
            raise CorpusError(wrong[0] + more)
        manifest.save(result, out)
        _remove_strangers(out, plans)
    return result


def scan_corpus(
    root: Path, *, settings: manifest.Settings | None = None, skip_bad: bool = False, roles: tuple[str, ...] = ()
) -> tuple[manifest.Manifest, dict[str, list[Utterance]]]:
    """Return the manifest that extraction would write, and the utterances of each shard; write nothing.

    The manifest has the digest that extraction's has, for its shards hold the same utterances in the same order. Only
    headers are read where the audio is FLAC, unless bad recordings are to be skipped.

    Raises:
        CorpusError: as `extract_corpus` does, for what is seen.
    """
    plans, problems = _planned(root, Path(), settings or manifest.Settings(), skip_bad, roles)
    done, used = Gathered(), {}
    try:
        with progress("recordings", total=sum(len(plan.utterances) for plan in plans), unit="utterances") as advance:
            for plan in plans:
                done.add(outcome := look_at(plan))
                lost = {each.where for each in outcome.left_out}
                used[plan.path.name] = [utterance for utterance in plan.utterances if utterance.id not in lost]
                advance(len(plan.utterances))
    except CorpusError:
        raise
    except ValueError as error:
        raise CorpusError(f"{error}; {SKIP_BAD_HINT}") from error
    return done.manifest(plans, problems, root, unused(root)), used


def _planned(
    root: Path, out: Path, settings: manifest.Settings, skip_bad: bool, roles: tuple[str, ...]
) -> tuple[list[ShardPlan], list[Problem]]:
    """Return the shards of a corpus, and what of it cannot be used. Raises CorpusError as `extract_corpus` does."""
    utterances, problems = read_corpus(root)
    if problems and not skip_bad:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise CorpusError(f"{problems[0]}{more}; {SKIP_BAD_HINT}")
    if not utterances:
        raise CorpusError(f"{root}: no usable utterance; {problems[0]}")
    _check_roles(root, utterances.subsets, roles)
    return list(plan_shards(utterances, out, settings=settings, skip_bad=skip_bad)), problems


def _check_roles(root: Path, subsets: list[str], roles: tuple[str, ...]) -> None:
    for missing in (name for name in roles if name not in map(role, subsets)):
        ways_out = {
            "train": "name the folder of the speakers to learn from train-something",
            "dev": "move some speakers, one in twenty or so, into a folder dev-something: a word error rate is of "
            "speakers that were not learnt from",
        }
        raise CorpusError(
            f"{root}: no utterances in a {missing}* folder, there are {', '.join(subsets)}; "
            f"{ways_out.get(missing, f'expected a folder {missing}*')}"
        )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Make the folder and hold its lock: two writers of the same files would make shards that only look whole."""
    _make(out)
    with locked(out / ".lock", waiting=lambda: _refuse(out, "another process extracts features here")):
        for path in out.glob(f"{PART_LOCK}*"):
            if _is_held(path):
                _refuse(out, f"a process extracts part {path.name.removeprefix(PART_LOCK).replace('-of-', '/')} here")
            path.unlink(missing_ok=True)
        yield


@contextmanager
def _part_alone(out: Path, part: Part) -> Iterator[None]:
    """Make the folder and hold the lock of one part; other processes may hold other parts of the same division."""
    _make(out)
    own = out / f"{PART_LOCK}{part.number}-of-{part.count}"
    with locked(own, waiting=lambda: _refuse(out, f"another process extracts part {part} here")):
        if _is_held(out / ".lock"):
            _refuse(out, "another process extracts features here")
        for path in out.glob(f"{PART_LOCK}*"):
            if not path.name.endswith(f"-of-{part.count}") and _is_held(path):
                _refuse(out, f"a process extracts part {path.name.removeprefix(PART_LOCK).replace('-of-', '/')} here")
        yield


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise CorpusError(f"{out}: found a file, expected a folder for the shards; give another name") from None


def _refuse(out: Path, because: str) -> None:
    raise CorpusError(f"{out}: {because}; wait for it, or name another")


def _is_held(path: Path) -> bool:
    """Tell whether another process holds a lock; a process that only checks, as this does, holds it for a moment."""
    for _ in range(LOOKS):
        if lock := try_lock(path):
            lock.release()
            return False
        time.sleep(random.uniform(0.5, 1.5) * LOOK_S)
    return True


def plan_shards(
    utterances: Sequence[Utterance], out: Path, *, settings: manifest.Settings, skip_bad: bool
) -> Iterator[ShardPlan]:
    """Cut every subset into shards, in an order mixed once and for all, so that each shard is a random sample.

    Training then needs only a small shuffle window to see speakers mixed.
    """
    for subset, chosen in _by_subset(utterances):
        order = array("I", np.asarray(chosen, np.uint32).tobytes())
        random.Random(subset).shuffle(order)
        mixed = np.frombuffer(order, np.uint32)  # shards have views of it
        for number, start in enumerate(range(0, len(mixed), settings.shard_utterances)):
            places = mixed[start : start + settings.shard_utterances]
            yield ShardPlan(
                path=out / f"{subset}-{number:05d}.tfrecord",
                subset=subset,
                settings=settings,
                utterances=(
                    utterances.select(places)
                    if isinstance(utterances, Listing)
                    else tuple(utterances[place] for place in places)
                ),
                skip_bad=skip_bad,
            )


def _by_subset(utterances: Sequence[Utterance]) -> Iterator[tuple[str, Sequence[int] | np.ndarray]]:
    """Yield every subset, and the places of its utterances."""
    if isinstance(utterances, Listing):
        yield from ((subset, utterances.of(subset)) for subset in utterances.subsets)
        return
    found: dict[str, list[int]] = {}
    for place, utterance in enumerate(utterances):
        found.setdefault(utterance.subset, []).append(place)
    yield from sorted(found.items())


def _write(plans: list[ShardPlan], out: Path, *, jobs: int, scheduler: str = "") -> Gathered:
    """Write the shards that are not finished yet; a worker's ValueError becomes a CorpusError."""
    done = _finished(plans)
    waiting = [plan for plan in plans if plan not in done]
    if not waiting:
        return done
    _check_room(waiting, out)
    (out / manifest.NAME).unlink(missing_ok=True)  # what it says will no longer be true
    total = sum(len(plan.utterances) for plan in waiting)
    try:
        with progress("features", total=total, unit="utterances") as advance:
            if jobs > 1 or scheduler:
                written = _in_workers(waiting, jobs, scheduler)
            else:
                written = ((plan, write_shard(plan)) for plan in waiting)
            for plan, outcome in written:
                done.add(outcome)
                advance(len(plan.utterances))
    except (CorpusError, ClusterError):
        raise
    except ValueError as error:
        raise CorpusError(f"{error}; {SKIP_BAD_HINT}") from error
    finally:
        remove_unfinished(out, waiting)
    return done


def _finished(plans: Sequence[ShardPlan]) -> Gathered:
    """Return what is known of the plans that are finished already."""
    done = Gathered()
    with ThreadPoolExecutor(READS_AT_ONCE) as readers:  # it is the disk, or the network, that they wait for
        for first in range(0, len(plans), SHARDS_AT_ONCE):
            for outcome in readers.map(finished, plans[first : first + SHARDS_AT_ONCE]):
                if outcome:
                    done.add(outcome)
    return done


def _check_room(plans: list[ShardPlan], out: Path) -> None:
    """Say how much disk the shards will take. Raises CorpusError if that is clearly not there."""
    need = _needed_bytes(plans)
    free = shutil.disk_usage(out).free + sum(plan.path.stat().st_size for plan in plans if plan.path.is_file())
    takes = f"{out}: features of {sum(len(plan.utterances) for plan in plans):,} utterances take about"
    takes += f" {_size(need)} of disk, {_size(free)} are free"
    if need * 0.9 > free:
        raise CorpusError(f"{takes}; make room, or give a folder on another disk")
    print(f"features: {one_line(takes)}", file=sys.stderr, flush=True)


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"


def _needed_bytes(plans: list[ShardPlan]) -> float:
    """Estimate the hours of audio from the headers of at most SAMPLED_HEADERS recordings."""
    settings = plans[0].settings
    ends = np.cumsum([len(plan.utterances) for plan in plans])
    count = int(ends[-1])
    sampled = (
        range(count) if count <= SAMPLED_HEADERS else sorted(random.Random(0).sample(range(count), SAMPLED_HEADERS))
    )
    of_plan = np.searchsorted(ends, sampled, "right")
    paths = [plans[n].utterances[int(each - ends[n])].audio for each, n in zip(sampled, of_plan, strict=True)]
    frames = sum(long for path in paths if (long := promised_frames(path)) <= settings.max_frames)
    shrunk = 0.75 if settings.compression == "gzip" else 1.0
    return frames * settings.kind.size * np.dtype(settings.dtype).itemsize * shrunk * count / len(paths)


def _in_workers(plans: list[ShardPlan], jobs: int, scheduler: str) -> Iterator[tuple[ShardPlan, ShardOutcome]]:
    """Write shards in spawned processes, or in those of a cluster; yield them as they get done."""
    by_file, jobs = {plan.path.name: plan for plan in plans}, min(jobs, len(plans))
    try:
        with worker_environment():
            if scheduler:
                outcomes = clustered(write_shard, plans, address=scheduler, jobs=jobs)
            else:
                outcomes = spawned(write_shard, plans, jobs=jobs)
            for outcome in outcomes:
                yield by_file[outcome.shard.file], outcome
    except WorkerKilled as error:
        raise CorpusError(
            f"{error.item.path.name}: its worker process was killed time and again (out of memory?); "
            f"start again on a machine with more memory, or with smaller --shard-utterances: finished shards are kept"
        ) from None
    except BrokenProcessPool:
        raise CorpusError(
            "a worker process was killed (out of memory?); start again, with fewer --jobs if it repeats: finished "
            "shards are kept"
        ) from None


class Gathered:
    """Sums over the shards that are done: keeping the words of each would take much memory."""

    def __init__(self) -> None:
        self.shards: dict[str, manifest.Shard] = {}
        self._left_out: list[manifest.LeftOut] = []
        self._notes: Counter[str] = Counter()
        self._spoken: dict[str, Counter[str]] = {}
        self._seen = Seen()

    def add(self, outcome: ShardOutcome) -> None:
        self.shards[outcome.shard.file] = outcome.shard
        self._notes.update(outcome.notes)
        if outcome.shard.frames:
            self._seen.add(outcome.shard.subset, outcome.recordings, outcome.speakers)
        self._spoken.setdefault(outcome.shard.subset, Counter()).update(outcome.words)
        self._left_out += outcome.left_out
        if len(self._left_out) > 2 * manifest.MOST_LISTED:
            self._left_out = list(manifest.listed(self._left_out))

    def __contains__(self, plan: ShardPlan) -> bool:
        return plan.path.name in self.shards

    def manifest(
        self, plans: Sequence[ShardPlan], problems: list[Problem], root: Path, strays: Sequence[Problem] = ()
    ) -> manifest.Manifest:
        """Return the manifest of these plans, all of which are done."""
        left_out = [_left_out(each, manifest.BAD_TREE, root) for each in problems]
        left_out += [_left_out(each, manifest.NO_SUBSET, root) for each in strays]
        known = {word for subset, words in self._spoken.items() if role(subset) == "train" for word in words}
        return manifest.Manifest(
            settings=plans[0].settings if plans else manifest.Settings(),
            left_out=manifest.listed(left_out + self._left_out),
            shards=tuple(self.shards[plan.path.name] for plan in plans),
            words=tuple(sorted(known)),
            unknown={
                subset: (sum(count for word, count in words.items() if word not in known), words.total())
                for subset, words in self._spoken.items()
                if role(subset) != "train"
            },
            notes=dict(self._notes),
            shared=self._seen.shared(),
            normaliser=normaliser_of(root),
        )


def _left_out(problem: Problem, kind: str, root: Path) -> manifest.LeftOut:
    return manifest.LeftOut(
        where=problem.where.removeprefix(f"{root}/"),
        subset=problem.subset,
        kind=kind,
        reason=problem.reason.replace(f"{root}/", ""),
        utterances=problem.utterances,
    )


def _remove_strangers(out: Path, plans: list[ShardPlan]) -> None:
    """Delete shards that an earlier extraction finished here and that are not of this one, and nothing else."""
    for path in set(out.glob("*.tfrecord")) - {plan.path for plan in plans}:
        if outcome_path(path).is_file():
            path.unlink()
            outcome_path(path).unlink()
