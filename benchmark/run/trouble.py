"""What went wrong in TensorFlow, in a sentence for the user with the way out.

with explained(job, data):
    ...                         # tf.errors.OpError becomes ValueError: "out of memory with a batch of 24 ..."
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmark.run.machines.channel import SILENCE_S
from benchmark.run.prepare.job import Job
from models.kernels import reason

if TYPE_CHECKING:
    from benchmark.run.prepare.data import Data

OUT_OF_MEMORY = re.compile(r"out.of.memory|\bOOM\b|_STATUS_ALLOC_FAILED|failed to allocate", re.IGNORECASE)
PERHAPS_OUT_OF_MEMORY = re.compile(r"Failed to call DoRnn|No algorithm worked|scratch space|_EXECUTION_FAILED")
"""What cuDNN's kernels say on a GPU without memory for their workspace, among other reasons; all as Internal errors."""


@contextmanager
def explained(job: Job, data: Data) -> Iterator[None]:
    """Turn TensorFlow's errors into sentences. Raises ValueError."""
    from benchmark.run.prepare.devices import tf

    try:
        yield
    except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter: a message with raw bytes
        if (sentence := out_of_memory(job, error)) is not None:
            raise ValueError(sentence) from error
        own = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, UnicodeDecodeError)
        if job.hosts and not isinstance(error, own):
            time.sleep(SILENCE_S + 2)  # if another host is lost, the channel names it meanwhile and ends this process
        raise ValueError(_other(data, error)) from error


def out_of_memory(job: Job, error: Any) -> str | None:
    """Return a sentence about an error that memory is, or may be, the reason for; None if it is not.

    Memory that runs out inside cuDNN comes as an internal error of the call that needed it, without the word.
    """
    from benchmark.run.prepare.devices import tf

    said = str(getattr(error, "message", error))
    if isinstance(error, tf.errors.ResourceExhaustedError) or OUT_OF_MEMORY.search(said):
        beginning = "out of memory"
    elif PERHAPS_OUT_OF_MEMORY.search(said):
        beginning = "a GPU's kernel failed, as it does without memory for its work,"
    else:
        return None
    platform, pieces = job.platform, 2 * job.platform.input.accumulation
    half = platform.replicas * max(1, platform.batch_per_replica // 2)
    same = "" if platform.batch_per_replica % pieces else f", or this one in pieces: --accumulation {pieces}"
    return (
        f"{beginning} with a batch of {platform.batch_per_replica} utterances a replica "
        f"({reason(error)[:100]}); give a smaller batch: {job.command.changed(batch=half)}{same}"
    )


def _other(data: Data, error: Exception) -> str:
    """Return what else went wrong. TensorFlow does not name a shard that it cannot read, so all are checked."""
    if bad := data.damage():
        return bad[0] + (f" (and {len(bad) - 1} more like it)" if len(bad) > 1 else "")
    why = str(error) if isinstance(error, UnicodeDecodeError) else reason(error)
    if data.recordings is not None:
        if why.startswith("BrokenProcessPool"):
            return "a process that makes features was killed, possibly out of memory; --readers starts fewer"
        if (said := why.removeprefix("ValueError: ")) != why:
            return f"{said}; repair it, or give --skip-bad, which decodes all beforehand and leaves such ones out"
    return f"TensorFlow gave up: {why}"
