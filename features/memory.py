"""Have the C library keep what is freed: large arrays that are given back are faulted in anew, page by page.

keep_memory()           # in every process that computes, before its threads begin
"""

from __future__ import annotations

import contextlib
import ctypes

MALLOC_OPTIONS = {  # of glibc's malloc.h
    "M_ARENA_MAX": (-8, 1),
    "M_MMAP_MAX": (-4, 0),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
}


def keep_memory() -> None:
    """One arena for all threads, since those of other threads give back whatever is larger than 64 MiB.

    Other C libraries have no such options, and are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in MALLOC_OPTIONS.values():
            mallopt(option, value)
