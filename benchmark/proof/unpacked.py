"""A bundle's parts as a run on disk, in a folder that is gone afterwards.

    with unpacked(bundle, content) as place:
        place.run, place.checkpoint(21)         # Run; ckpt-21 in the run's folder, as TensorFlow reads it

Only names of ours are written: those of members were checked when the bundle was opened, and the run's is a plain word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.proof.bundle import CHECKPOINT, FOLDER, JOURNAL, SEAL, SIGNATURE, Bundle, BundleError
from benchmark.proof.seal import RUN_NAME
from benchmark.proof.tensors import TensorsError, read_index, restored, weights_of
from benchmark.proof.verdict import BYTES, Refuted
from benchmark.record import FactsError, JournalError, Run, read_run
from benchmark.record.folder import journal_of


@dataclass(frozen=True)
class Place:
    """Where a bundle is unpacked: `folder` is the run's, beside its journal."""

    bundle: Bundle
    folder: Path
    run: Run

    def told(self, text: str) -> str:
        """Return a sentence without the path of the folder that will be gone."""
        return text.replace(f"{self.folder}/", "").replace(f"{self.folder.parent}/", "")

    def checkpoint(self, step: int) -> Path:
        """Unpack a checkpoint and return its prefix, as TensorFlow takes it. Raises Refuted, BundleError."""
        prefix = self.folder / "checkpoints" / f"ckpt-{step}"
        index = prefix.with_name(f"{prefix.name}.index")
        name = f"{FOLDER}checkpoints/{prefix.name}"
        data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
        if index.exists():
            return prefix
        if f"{name}.index" not in self.bundle:
            raise Refuted(BYTES, f"the checkpoint after batch {step} has no index")
        self.bundle.unpack(f"{name}.index", index)
        if self.bundle.checkpoints[step]:
            self.bundle.unpack(f"{name}.{data.name.partition('.')[2]}", data)
            return prefix
        cut = prefix.with_name(f"{prefix.name}.weights")
        self.bundle.unpack(f"{name}.weights", cut)
        try:
            tensors = read_index(index.read_bytes())
            with cut.open("rb") as stream, data.open("xb") as whole:
                for piece in restored(stream, tensors, weights_of(tensors)):
                    whole.write(piece)
        except TensorsError as error:
            raise Refuted(BYTES, f"the checkpoint after batch {step}: {error}") from None
        cut.unlink()
        return prefix


@contextmanager
def unpacked(bundle: Bundle, content: Mapping[str, Any]) -> Iterator[Place]:
    """Unpack all but the checkpoints and read the run.

    Raises:
        BundleError: it is no run of this suite, or has no name that a file can have.
        Refuted: its journal cannot be read, or rows are missing from it.
    """
    name = content["run"]
    if not RUN_NAME.fullmatch(name):
        raise BundleError(f"{bundle.path}: its run is called {name[:80]!r}, which cannot name files")
    with TemporaryDirectory(prefix="verify-") as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        for member in bundle.names:
            if CHECKPOINT.fullmatch(member) or member in (SEAL, SIGNATURE):
                continue
            if member == JOURNAL:
                bundle.unpack(member, journal_of(folder))
            elif member.startswith(FOLDER):
                bundle.unpack(member, folder / member.removeprefix(FOLDER))
            else:
                bundle.unpack(member, folder.parent / member)
        yield Place(bundle, folder, _read(bundle, folder, name))


def _read(bundle: Bundle, folder: Path, name: str) -> Run:
    try:
        run = read_run(journal_of(folder))
        if not len(run.record):
            raise Refuted(BYTES, "the journal has no rows")
        if run.facts is not None and run.facts.log is not None:
            raise BundleError(f"{bundle.path}: made of another program's log, which cannot be verified")
    except (JournalError, FactsError) as error:
        told = re.sub(re.escape(f"{folder.parent}/"), "", str(error))
        raise Refuted(BYTES, told) from None
    if run.identity.run != name:
        raise Refuted(BYTES, f"the run is {run.identity.run!r} in the journal, and {name!r} in {SEAL}")
    return run
