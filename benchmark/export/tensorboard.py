"""A run as event files of TensorBoard, after its end or while it goes on; without TensorFlow and TensorBoard.

    write_events(run, Path("tensorboard/RUN"))          # then: tensorboard --logdir tensorboard
    python -m benchmark.export.tensorboard results/RUN.csv results/RUN/tensorboard --follow

The follower is a process of its own that reads the journal, so that a training does nothing for it. It ends when its
standard input does. An event file is TFRecords of Event messages (tensorflow/core/util/event.proto and
framework/summary.proto): wall_time 1, step 2, file_version 3, summary 5; of its values 1: tag 1, simple_value 2, tensor
8, metadata 9.
"""

from __future__ import annotations

import argparse
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.export.moments import Moment, moments
from benchmark.record import FactsError, JournalError, Run, read_run
from features.shards.tfrecord import Writer, field, varint

VERSION = b"brain.Event:2"
SUFFIX = ".speech-tta"
"""How the names of our files end: a follower that starts again replaces its own, and no others."""

EVERY_S = 2.0
PATIENCE = 20  # reading takes at most this part of the time
DTYPE_STRING = 7


def write_events(run: Run, folder: Path) -> Path:
    """Write the events of a run into a folder, in place of those that we wrote there before; return the file.

    Raises:
        OSError: it cannot be written. FactsError: its run.json cannot be used.
    """
    with Events(run, folder) as events:
        for moment in moments(run):
            events.add(moment)
    return events.path


def to_tensorboard(run: Run, folder: Path) -> str:
    """Write a run's events into a folder of its own there; return what to do next. Raises as `write_events`."""
    write_events(run, folder / Path(run.source).stem)
    return f"tensorboard --logdir {folder}"


class Events:
    """An event file of a run: added to while the run goes on, whole to every reader after each `flush`."""

    def __init__(self, run: Run, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
            earlier.unlink()
        created_s = run.facts.created.timestamp() if run.facts else 0.0
        self.path = folder / f"events.out.tfevents.{round(created_s)}{SUFFIX}"
        self._writer = Writer(self.path)
        self._writer.write(_event(created_s, version=VERSION))
        self._writer.write(_event(created_s, summary=_text("run", about(run))))

    def add(self, moment: Moment) -> None:
        summary = b"".join(_scalar(tag, value) for tag, value in moment.values.items())
        self._writer.write(_event(moment.unix_s, step=moment.step, summary=summary))

    def flush(self) -> None:
        self._writer.flush()

    def __enter__(self) -> Events:
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(*exception)  # type: ignore[arg-type]


def about(run: Run) -> str:
    """Return what a run is, as a table of Markdown."""
    identity = run.identity
    rows = {
        "platform": identity.platform, "devices": identity.devices, "workload": identity.workload,
        "variant": identity.variant, "recipe": identity.recipe, "seed": identity.seed, "batch": identity.batch,
        "precision": identity.precision, "decoder": identity.decoder, "features": identity.features,
        "code": identity.code,
    }  # fmt: skip
    if identity.emulated:
        rows["warning"] = "emulated on CPUs: the times say nothing about the rig"
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value not in ("", None))
    return f"| | |\n|---|---|\n{body}"


def follow(journal: Path, folder: Path, wait: Callable[[float], bool], *, every_s: float = EVERY_S) -> int:
    """Write a run's events as its journal grows; return how many moments there were.

    `wait` waits so many seconds and tells whether it is the end: the journal is then read once more. Where an attempt
    takes back what an earlier one did, the file is written anew.
    """
    events: Events | None = None
    size, written, last, took_s, ends = -1, 0, None, 0.0, False
    while True:
        run = _read(journal)
        with suppress(OSError):
            now = journal.stat().st_size
            if run is not None and (now != size or ends):
                began = time.monotonic()
                found = list(moments(run))
                if events is None or len(found) < written or (written and found[written - 1] != last):
                    events, written = Events(run, folder), 0
                for moment in found[written:]:
                    events.add(moment)
                events.flush()
                size, written, last = now, len(found), found[-1] if found else None
                took_s = time.monotonic() - began
        if ends:
            break
        ends = wait(max(every_s, PATIENCE * took_s))
    if events is not None:
        events.__exit__(None, None, None)
    return written


def _read(journal: Path) -> Run | None:
    """Return a run as far as it is written; None if there is no row yet, or its last one is half there."""
    try:
        run = read_run(journal)
        return run if len(run.record) and run.facts else None
    except (JournalError, FactsError, OSError):
        return None


def _event(unix_s: float, *, step: int = 0, version: bytes = b"", summary: bytes = b"") -> bytes:
    found = bytes([1 << 3 | 1]) + struct.pack("<d", unix_s)
    if step:
        found += bytes([2 << 3]) + varint(step)
    return found + (field(3, version) if version else field(5, summary))


def _scalar(tag: str, value: float) -> bytes:
    return field(1, field(1, tag.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", value))


def _text(tag: str, text: str) -> bytes:
    """Encode a text: a tensor of one string, for the plug-in that shows texts."""
    shape = field(2, field(2, bytes([1 << 3]) + varint(1)))
    tensor = bytes([1 << 3]) + varint(DTYPE_STRING) + shape + field(8, text.encode())
    metadata = field(1, field(1, b"text"))
    return field(1, field(1, tag.encode()) + field(8, tensor) + field(9, metadata))


def _set_at_end(ended: threading.Event) -> None:
    with suppress(OSError):
        sys.stdin.read()
    ended.set()


def main(argv: Sequence[str] | None = None) -> int:
    """Write a journal's events; with --follow until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.export.tensorboard", description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--follow", action="store_true")
    options = parser.parse_args(argv)
    if not options.follow:
        write_events(read_run(options.journal), options.folder)
        return 0
    ended = threading.Event()
    threading.Thread(target=_set_at_end, args=(ended,), daemon=True).start()
    follow(options.journal, options.folder, ended.wait)
    return 0


if __name__ == "__main__":
    sys.exit(main())
