"""Set-up of a process that computes: TensorFlow without its log lines, memory that is kept.

tf = import_tensorflow()    # without the lines that its native libraries write to standard error while they load
keep_memory()               # in every process that computes, before its threads begin
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

MALLOC_OPTIONS = {  # of glibc's malloc.h
    "M_ARENA_MAX": (-8, 1),
    "M_MMAP_MAX": (-4, 0),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
}

OPTIONAL = ("matplotlib", "pandas", "sklearn")
"""What Keras imports if it is there, for plots, data frames and wrappers that the suite does not use.

They are a third of the time that TensorFlow's import takes: docs/speed.md, "The start".
"""


def import_tensorflow() -> ModuleType:
    """Import TensorFlow and look for its devices, quietly. Cheap when it is imported already.

    Its native libraries write lines before any log level applies, so they are held back at the file descriptor. If the
    import fails they are shown: they may say why.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_standard_error(), _as_if_absent(OPTIONAL), _uncollected():
        import tensorflow as tf

        tf.config.list_physical_devices()
    return tf


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for reference cycles neither while a block runs nor ever after among what is there at its end.

    For imports: they make half a million objects that stay, and a fifth of their time went into looking through these.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


class _Absent(MetaPathFinder):
    """Finds packages missing, for the thread that made it: others may import them meanwhile."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.thread = names, threading.get_ident()

    def find_spec(self, name: str, *_: object) -> None:
        if name in self.names and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def _as_if_absent(names: Sequence[str]) -> Iterator[None]:
    """Import as where these packages are not installed; what is imported already stays."""
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Hold back what Python and native code write to standard error; write it out if the block raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def keep_memory() -> None:
    """Have the C library keep what is freed: large arrays that are given back are faulted in again, page by page.

    There is one arena for all threads, since arenas of other threads give back whatever is larger than 64 MiB.

    Other C libraries have no such options, and are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in MALLOC_OPTIONS.values():
            mallopt(option, value)
