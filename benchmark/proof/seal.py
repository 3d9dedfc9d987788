"""Seal a run: put what proves it into one file, without what says whose machine it was.

    sealed = seal(Path("results/a"), Path("a.tta.zip"), Wish())
    sealed.size, sealed.left_out, sealed.checkpoints

In it are the journal as it was written, run.json of every attempt and end.json without paths and names, samples of the
machine's use, sentences, the features' manifest, and the weights of the first and the last checkpoint that the run
kept; never audio. With `whole` the checkpoint before the last epoch has the optimiser's state too, three times the
size, so that the last epoch can be trained again; the first epoch begins with a seed, and needs none.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.proof import private, signature
from benchmark.proof.bundle import FOLDER, JOURNAL, MANIFEST, SAID, SEAL, SIGNATURE, Member, write_bundle
from benchmark.proof.claims import claims_of
from benchmark.proof.manifest import seal_of
from benchmark.proof.tensors import TensorsError, cut, read_index, weights_of
from benchmark.record import FactsError, Run, read_run
from benchmark.record.folder import END, WORDS, folder_of, journal_of
from benchmark.record.host_times import NAME as HOSTS
from benchmark.record.hypotheses import NAME as HYPOTHESES
from benchmark.record.sentences import NAME as SENTENCES

TEXTS = (SENTENCES, HYPOTHESES, HOSTS, WORDS)
JSONS = re.compile(r"run(-attempt-\d+)?\.json|end\.json")
USAGES = re.compile(r"utilisation(-rank\d+)?\.csv")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
CHECKPOINTS = ("first", "last")


class SealError(ValueError):
    """A run that cannot be sealed; the message says what was found and what would do."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a run is to be sealed.

    `checkpoints` are words of CHECKPOINTS or numbers of batches; () leaves all out. `whole` adds the optimiser's state
    of the checkpoint before the last epoch. `corpus` is the folder of recordings, for the list of what was said;
    `features` that of the features where run.json's is gone. `key` signs. `keep_names` seals a run and a platform whose
    name is this machine's or user's.
    """

    checkpoints: tuple[str, ...] = CHECKPOINTS
    whole: bool = False
    corpus: Path | None = None
    features: Path | None = None
    key: Path | None = None
    keep_names: bool = False


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What was sealed: bytes, the keys left out by file, the checkpoints, and what is missing and why."""

    path: Path
    size: int
    left_out: Mapping[str, Sequence[str]]
    checkpoints: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass
class _Contents:
    members: dict[str, Member] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> None:
        self.members[name] = Member(name, lambda: io.BytesIO(data))

    def add_file(self, name: str, path: Path) -> None:
        self.members[name] = Member(name, lambda: path.open("rb"))


def seal(place: Path, path: Path, wish: Wish) -> Sealed:
    """Seal the run of a journal or folder into a new file.

    Raises:
        SealError, JournalError, FactsError, TensorsError, SignatureError: the run cannot be sealed.
        BundleError: another file is at `path`.
        OSError: something cannot be read or written.
    """
    journal = place if place.suffix == ".csv" else journal_of(place)
    run, folder = read_run(journal), folder_of(journal)
    _check(run, folder)
    known = _names(run, keep=wish.keep_names)
    contents = _Contents()
    rows = journal.read_bytes()
    contents.add(JOURNAL, rows)
    _add_records(contents, folder, known)
    _add_features(contents, run, wish)
    steps = _add_checkpoints(contents, run, folder / "checkpoints", wish)
    files = {name: member.digest() for name, member in contents.members.items()}
    sealed = seal_of(files, rows, run=run.identity.run, claims=claims_of(run), left_out=contents.left_out)
    contents.add(SEAL, sealed)
    if wish.key:
        contents.add(SIGNATURE, signature.signed(sealed, key=wish.key))
    write_bundle(path, list(contents.members.values()))
    return Sealed(
        path=path,
        size=path.stat().st_size,
        left_out=contents.left_out,
        checkpoints=steps,
        remarks=tuple(contents.remarks),
    )


def _check(run: Run, folder: Path) -> None:
    """Refuse a run that is not over, or not of this suite."""
    if run.facts is None:
        raise SealError(f"{folder}: no run.json there; expected the run's folder beside its journal")
    if run.facts.log is not None:
        raise SealError(f"{run.source}: made of another program's log; expected a run of this suite: what it trained "
                        f"cannot be verified")  # fmt: skip
    if run.is_going or run.end is None:
        raise SealError(f"{run.source}: under way, or interrupted; expected a run that has ended: give its command "
                        f"again, and it goes on")  # fmt: skip
    if run.facts.whole_plan is None:
        raise FactsError(f"{folder}: of an older version, whose run.json has no whole plan; it cannot be sealed")
    if not RUN_NAME.fullmatch(run.identity.run):
        raise SealError(f"{run.source}: the run's name {run.identity.run[:80]!r} cannot name files")


def _names(run: Run, *, keep: bool) -> dict[str, str]:
    """Return the names to take out. Those that are words of the journal stay; of a run or platform only if `keep`."""
    known = private.names()
    for what in ("run", "platform"):
        name = getattr(run.identity, what)
        if not keep and (found := private.named_in(name, known)):
            word = "host" if known[found] == private.HOST else "user"
            raise SealError(
                f"the {what} is called {name!r}, which has this {word}'s name in it, and is in every row of the "
                f"journal: give --keep-names if everybody may know it"
            )
    words = " ".join(str(value) for value in vars(run.identity).values())
    return {name: word for name, word in known.items() if not private.named_in(words, (name,))}


def _add_records(contents: _Contents, folder: Path, known: Mapping[str, str]) -> None:
    for path in sorted(folder.iterdir()):
        name = FOLDER + path.name
        if JSONS.fullmatch(path.name):
            content, left_out = private.cleaned(json.loads(path.read_bytes()), known)
            contents.add(name, (json.dumps(content, indent=1) + "\n").encode())
            if left_out:
                contents.left_out[name] = left_out
        elif path.name in TEXTS or USAGES.fullmatch(path.name):
            contents.add_file(name, path)
    if FOLDER + END not in contents.members:
        raise SealError(f"{folder}: no {END} there; expected how the run ended")
    if FOLDER + HYPOTHESES not in contents.members:
        contents.remarks.append(f"no {HYPOTHESES}: an older version kept no sentences of all utterances, and error "
                                f"rates cannot be counted again")  # fmt: skip


def _add_features(contents: _Contents, run: Run, wish: Wish) -> None:
    """Add the features' manifest, and with a corpus the list of what was said."""
    digest, known = run.facts.features.manifest_sha256, run.facts.features.folder
    folder = wish.features or (Path(known) if known else None)
    path = folder / Path(MANIFEST).name if folder else None
    if path is None or not path.is_file():
        contents.remarks.append("the features are gone, and their manifest with them: name their folder by --features")
        return
    from features.shards.manifest import load

    manifest = load(folder)
    if manifest.digest != digest:
        raise SealError(f"{folder}: has features of digest {manifest.digest[:12]}; expected {str(digest)[:12]}, of the "
                        f"run: name theirs by --features")  # fmt: skip
    contents.add_file(MANIFEST, path)
    if wish.corpus:
        from benchmark.proof.said import listed

        said = listed(wish.corpus, manifest, tuple(run.facts.features.evaluated))
        contents.add(SAID, (json.dumps(said, ensure_ascii=False) + "\n").encode())


# --- checkpoints -----------------------------------------------------------------------------------------------------


def _add_checkpoints(contents: _Contents, run: Run, folder: Path, wish: Wish) -> tuple[int, ...]:
    there = sorted(int(path.stem.removeprefix("ckpt-")) for path in folder.glob("ckpt-*.index"))
    if not there:
        if wish.checkpoints:
            contents.remarks.append("no checkpoints are left: the weights cannot be evaluated again")
        return ()
    whole = _before_last_epoch(run, there) if wish.whole else None
    chosen = sorted({_step(word, there) for word in wish.checkpoints} | ({whole} if whole else set()))
    for step in chosen:
        _add_checkpoint(contents, folder / f"ckpt-{step}", whole=step == whole)
    return tuple(chosen)


def _before_last_epoch(run: Run, there: Sequence[int]) -> int | None:
    last, batches = run.record.evaluated_epoch, run.facts.plan.batches_per_epoch
    step = (last - 1) * batches
    if step and step not in there:
        raise SealError(f"the checkpoint before epoch {last}, after batch {step}, is not there; there are those after "
                        f"{', '.join(map(str, there))}: leave --whole out")  # fmt: skip
    return step or None


def _step(word: str, there: Sequence[int]) -> int:
    if word in CHECKPOINTS:
        return there[0] if word == "first" else there[-1]
    if not word.isdigit() or int(word) not in there:
        raise SealError(f"--checkpoints {word[:40]}: expected first, last or one after "
                        f"{', '.join(map(str, there))} batches")  # fmt: skip
    return int(word)


def _add_checkpoint(contents: _Contents, prefix: Path, *, whole: bool) -> None:
    name = f"{FOLDER}checkpoints/{prefix.name}"
    index = prefix.with_name(f"{prefix.name}.index").read_bytes()
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    try:
        parts = weights_of(read_index(index))
    except TensorsError as error:
        raise SealError(f"{prefix}.index: {error}; expected a checkpoint of this run") from None
    contents.add(f"{name}.index", index)
    if whole:
        contents.add_file(f"{name}.{data.name.partition('.')[2]}", data)
        return

    def opened() -> BinaryIO:
        with data.open("rb") as stream:
            return io.BytesIO(b"".join(cut(stream, parts)))

    contents.members[f"{name}.weights"] = Member(f"{name}.weights", opened)


def usual_path(place: Path) -> Path:
    """Return where a run's bundle goes without -o: beside its journal."""
    journal: Any = place if place.suffix == ".csv" else journal_of(place)
    return journal.with_name(f"{journal.stem}.tta.zip")
