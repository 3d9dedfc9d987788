"""From a source to a folder in LibriSpeech layout: texts first, then audio, then what was done.

    plan = planned(source, normaliser=Normaliser(), split=Split(), skip_bad=False)
    report = prepared(plan, Path("corpora/mine"), jobs=2)

    OUT/SUBSET/SPEAKER/CHAPTER/ID.flac                      and SPEAKER-CHAPTER.trans.txt
    OUT/prepared.json                                       normaliser, form, counts; `features` takes the normaliser on
    OUT/.prepared.jsonl                                     what is written already: the same command goes on

All texts are read before any audio is decoded: what is wrong with them shows in seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from features.corpus.prepared import NAME as NAME
from features.corpus.roles import ROLES, role
from features.jobs.files import locked, write_whole
from features.jobs.progress import progress
from features.jobs.workers import spawned
from features.prepare.normaliser import Normaliser
from features.prepare.sources import Source
from features.prepare.splits import split
from features.prepare.spoken import SourceError, Spoken
from features.prepare.writing import Copy, Written, write

LOG = ".prepared.jsonl"
SCHEMA = 1
CHAPTER = 500  # utterances
NARROW_HZ = 5000.0
"""Speech of a telephone ends at 3,400 or 4,000 Hz, and what MP3 leaves of a voice no lower than 7,000."""
UNKNOWN = "unknown"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Split:
    """How speakers are shared out where the source names no subsets: shares of dev and test, and the seed."""

    dev: float = 0.1
    test: float = 0.1
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be written: utterances with their final id, subset, speaker and words; and what is left out, and why.

    `shared_speakers` says that subsets were made without knowing who speaks: they may share voices.
    """

    source: Source
    normaliser: Normaliser
    utterances: Sequence[Spoken]
    problems: Sequence[str] = ()
    split: Split | None = None
    shared_speakers: bool = False

    @property
    def subsets(self) -> dict[str, list[Spoken]]:
        """The utterances by subset, training first."""
        found: dict[str, list[Spoken]] = defaultdict(list)
        for each in self.utterances:
            found[each.subset].append(each)
        return dict(sorted(found.items(), key=lambda item: (ROLES.index(role(item[0])), item[0])))


@dataclass
class Report:
    """What was written, by subset, and what was left out."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    utterances: Counter[str] = field(default_factory=Counter)
    narrow: int = 0
    clipped: int = 0
    problems: list[str] = field(default_factory=list)


def planned(source: Source, *, normaliser: Normaliser, sharing: Split, skip_bad: bool, most: int = 10) -> Plan:
    """Read all texts, and decide what becomes of each utterance; nothing is written.

    Raises:
        SourceError: a text cannot be used and `skip_bad` is false (the first `most` are named), or there is nothing.
    """
    found: list[Spoken] = []
    problems: list[str] = []
    for spoken in source.read():
        try:
            if spoken.problem:
                raise ValueError(spoken.problem)
            words = normaliser(spoken.text)
            if not words:
                raise ValueError(f"nothing is left of {spoken.text[:60]!r}; expected words")
        except ValueError as error:
            problems.append(f"{spoken.where}: {' '.join(str(error).split())[:300]}")
            continue
        found.append(replace(spoken, text=words))
    if problems and not skip_bad:
        raise SourceError(_all(problems, most) + "\nmend them, or leave them out with --skip-bad")
    if not found:
        raise SourceError(f"{source.place}: no utterance that can be used" + (f"; {problems[0]}" if problems else ""))
    utterances, used, shared = _in_subsets(found, sharing)
    return Plan(
        source=source,
        normaliser=normaliser,
        utterances=_named(utterances),
        problems=problems,
        split=used,
        shared_speakers=shared,
    )


def _in_subsets(found: Sequence[Spoken], sharing: Split) -> tuple[list[Spoken], Split | None, bool]:
    """Give every utterance a subset: the source's; without dev, some of training's; without any, shares of all.

    Returns the utterances, how they were shared out, and whether subsets may share voices.
    """
    if not any(each.subset for each in found):
        return _shared_out(found, sharing)
    if nameless := [each for each in found if not each.subset]:
        others = ", ".join(sorted({each.subset for each in found if each.subset})[:5])
        raise SourceError(
            f"{nameless[0].where}: {len(nameless):,} of {len(found):,} utterances are in no subset that is called "
            f"train, dev or test, and others are in {others}; expected all or none: rename what they are in, or "
            f"give it alone"
        )
    named = list(found)
    roles = {role(each.subset) for each in named}
    if "dev" in roles or "train" not in roles:
        return named, None, False
    pool = [each for each in named if role(each.subset) == "train"]
    rest = [each for each in named if role(each.subset) != "train"]
    parted, used, shared = _shared_out(pool, replace(sharing, test=0.0 if "test" in roles else sharing.test))
    return rest + parted, used, shared


def _all(problems: Sequence[str], most: int) -> str:
    more = f"\n... and {len(problems) - most:,} more" if len(problems) > most else ""
    return "\n".join(problems[:most]) + more


def _shared_out(pool: Sequence[Spoken], wanted: Split) -> tuple[list[Spoken], Split, bool]:
    """Share out speakers, or utterances if speakers are not known or too few; each keeps its name of a training subset.

    Lengths that are not promised are reckoned by letters, 15 a second: audio is not read yet.
    """
    needed = 1 + (wanted.dev > 0) + (wanted.test > 0)
    speakers = {each.speaker for each in pool}
    shared = "" in speakers or len(speakers) < needed
    seconds: dict[str, float] = defaultdict(float)
    for each in pool:
        seconds[each.where if shared else each.speaker] += each.seconds or len(each.text) / 15
    try:
        subsets = split(seconds, dev=wanted.dev, test=wanted.test, seed=wanted.seed)
    except ValueError as error:
        raise SourceError(str(error)) from None
    parted = []
    for each in pool:
        subset = subsets[each.where if shared else each.speaker]
        parted.append(replace(each, subset=each.subset or subset if subset == "train" else subset))
    return parted, wanted, shared


def _named(utterances: Iterable[Spoken]) -> list[Spoken]:
    """Give each utterance an id that names a file and is its alone, and each speaker a folder's name."""
    taken: set[str] = set()
    found = []
    for each in utterances:
        plain = re.sub(r"[^\w.-]+", "-", each.id).strip("-.")[:150] or "utterance"
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        speaker = re.sub(r"[^\w.-]+", "-", each.speaker).strip("-.")[:60] or UNKNOWN
        found.append(replace(each, id=name, speaker=speaker))
    return found


# --- writing ---------------------------------------------------------------------------------------------------------


def prepared(plan: Plan, out: Path, *, jobs: int, skip_bad: bool, say: Say) -> Report:
    """Write the corpus; what an earlier call of the same plan has written stays.

    Raises:
        SourceError: `out` holds something else, or a recording cannot be used and `skip_bad` is false.
        OSError: it cannot be written, as with a full disk.
    """
    identity = _identity(plan)
    if out.is_dir() and any(out.iterdir()):
        there = _read_log(out / LOG)
        if not there or there[0] != identity:
            raise SourceError(f"{out}: holds something else; expected an empty folder, or one that this command began")
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / ".lock", waiting=lambda: say(f"{out}: another process prepares it; waiting")):
        return _all_written(plan, out, identity, jobs=jobs, skip_bad=skip_bad)


def _identity(plan: Plan) -> dict[str, object]:
    """Return what has to be the same for a command to go on with what another has begun."""
    return {
        "schema": SCHEMA,
        "form": plan.source.form,
        "normaliser": plan.normaliser.label,
        "split": asdict(plan.split) if plan.split else None,
        "utterances": len(plan.utterances),
        "digest": hashlib.blake2b("\n".join(map(repr, plan.utterances)).encode(), digest_size=16).hexdigest(),
    }


def _all_written(plan: Plan, out: Path, identity: dict[str, object], *, jobs: int, skip_bad: bool) -> Report:
    (out / NAME).unlink(missing_ok=True)
    log = out / LOG
    known = {line["id"]: Written(**line) for line in _read_log(log)[1:]}
    copies = list(_copies(plan.utterances, out))
    todo = [
        copy
        for copy in copies
        if (before := known.get(copy.spoken.id)) is None or not Path(f"{copy.path}{before.suffix}").is_file()
    ]
    done = {name: before for name, before in known.items() if not before.problem}
    problems: list[str] = []
    new = not log.exists()
    with log.open("a", encoding="utf-8") as file:
        if new:
            file.write(json.dumps(identity) + "\n")
        with progress("audio", total=len(copies), unit="utterances") as advance:
            advance(len(copies) - len(todo))
            for written in _each(todo, jobs=jobs):
                if written.problem:
                    problems.append(written.problem)
                    if not skip_bad:
                        raise SourceError(f"{written.problem}\nmend it, or leave such out with --skip-bad")
                else:
                    done[written.id] = written
                    file.write(json.dumps(asdict(written)) + "\n")
                    file.flush()
                advance(1)
    usable = [copy for copy in copies if copy.spoken.id in done]
    if not usable:
        raise SourceError(f"{plan.source.place}: no recording that can be used; {problems[0] if problems else ''}")
    report = _report(usable, done, [*plan.problems, *problems])
    _write_transcripts(usable)
    write_whole(out / NAME, json.dumps(_account(plan, report), indent=1))
    return report


def _each(copies: Sequence[Copy], *, jobs: int) -> Iterator[Written]:
    if jobs == 1 or len(copies) < 8 * jobs:  # processes take a second to start
        yield from map(write, copies)
    else:
        yield from spawned(write, copies, jobs=jobs)


def _copies(utterances: Sequence[Spoken], out: Path) -> Iterator[Copy]:
    places: Counter[tuple[str, str]] = Counter()
    for each in utterances:
        key = each.subset, each.speaker
        chapter = places[key] // CHAPTER
        places[key] += 1
        yield Copy(spoken=each, path=out / each.subset / each.speaker / str(chapter) / each.id)


def _write_transcripts(copies: Sequence[Copy]) -> None:
    chapters: dict[Path, list[str]] = defaultdict(list)
    for copy in copies:
        chapters[copy.path.parent].append(f"{copy.spoken.id} {copy.spoken.text}\n")
    for folder, lines in chapters.items():
        write_whole(folder / f"{folder.parent.name}-{folder.name}.trans.txt", "".join(lines))


def _report(copies: Sequence[Copy], done: dict[str, Written], problems: list[str]) -> Report:
    report = Report(problems=problems)
    for copy in copies:
        written = done[copy.spoken.id]
        report.seconds[copy.spoken.subset] += written.seconds
        report.utterances[copy.spoken.subset] += 1
        report.narrow += 0 < written.band_hz < NARROW_HZ
        report.clipped += written.clipped
    return report


def _account(plan: Plan, report: Report) -> dict[str, object]:
    account = plan.normaliser.account
    return {
        "schema": SCHEMA,
        "normaliser": plan.normaliser.label,
        "changed": dict(account.counts),
        "examples": account.examples,
        "form": plan.source.form,
        "split": asdict(plan.split) if plan.split else None,
        "speakers_known": not plan.shared_speakers,
        "subsets": {
            name: {"utterances": count, "hours": round(report.seconds[name] / 3600, 4)}
            for name, count in report.utterances.items()
        },
        "narrow_band": report.narrow,
        "left_out": len(report.problems),
    }


def _read_log(path: Path) -> list[dict]:
    """Return the lines of a log; one that was cut short, and what follows, counts as not there."""
    found = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            found.append(json.loads(line))
    except (OSError, ValueError):
        pass
    return found
