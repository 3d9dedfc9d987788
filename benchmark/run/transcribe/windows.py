"""A long recording as windows that overlap, as a model hears no more at a time than it was trained on.

    spans = windows(frames=9000, longest=1500, overlap=300)         # (start, end) in frames of 10 ms
    kept = kept_outputs(spans, counts)                              # of a model with an output for some frames each
    cuts = cuts_at_silence(quiet, longest=500, least=10, always=20) # where its outputs are cut for decoding
    words = joined(["the cat sat"], ["cat sat on"], most=8)         # of a model that gives only words

Half of each overlap is kept from the window before and half from the one after: at its edges a window lacks context.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Span = tuple[int, int]


def windows(frames: int, *, longest: int, overlap: int) -> list[Span]:
    """Return the windows of a recording, (start, end) in frames; the last one is as long as the others.

    Raises:
        ValueError: the overlap is as long as the window.
    """
    if not 0 <= overlap < longest:
        raise ValueError(f"an overlap of {overlap} frames in windows of {longest}; expected less")
    if frames <= longest:
        return [(0, frames)]
    hop = longest - overlap
    starts = list(range(0, frames - longest, hop))
    return [(start, start + longest) for start in [*starts, frames - longest]]


def kept_outputs(spans: Sequence[Span], counts: Sequence[int]) -> list[Span]:
    """Return which outputs of each window are kept, (first, end): up to the middle of the overlap or from there on."""
    kept = []
    for place, ((start, end), count) in enumerate(zip(spans, counts, strict=True)):
        first = start if place == 0 else (start + spans[place - 1][1]) / 2
        last = end if place == len(spans) - 1 else (spans[place + 1][0] + end) / 2
        step = (end - start) / max(count, 1)
        kept.append((round((first - start) / step), round((last - start) / step) if last < end else count))
    return kept


def cuts_at_silence(quiet: np.ndarray, *, longest: int, least: int, always: int) -> list[Span]:
    """Cut outputs into pieces of at most `longest`: in every silence of at least `always` outputs, or, where that is
    not enough, in others of at least `least`.

    Of those the longest between a third and the whole of the longest piece is taken, else any, else none: then a piece
    ends where it must. Pieces cover all outputs.

    Args:
        quiet: bool [T'], outputs in which nothing is said.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    runs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= least]
    middles = [(a + b) // 2 for a, b in runs if b - a >= always and a > 0 and b < len(quiet)]
    pieces, start = [], 0
    for end in [*middles, len(quiet)]:
        while end - start > longest:
            found = [(b - a, (a + b) // 2) for a, b in runs if start < (a + b) // 2 <= start + longest]
            late = [each for each in found if each[1] >= start + longest // 3]
            cut = max(late or found, default=(0, start + longest))[1]
            pieces.append((start, cut))
            start = cut
        pieces.append((start, end))
        start = end
    return pieces


def joined(before: Sequence[str], after: Sequence[str], *, most: int) -> tuple[list[str], list[str]]:
    """Return the words of two windows that overlap so that none is there twice: those kept of each.

    The longest run of words that the last `most` before and the first `most` after have in common, of equal ones the
    last of those before, is where one ends and the other goes on; without any, both are kept whole.
    """
    tail, head = list(before[-most:]), list(after[:most])
    runs = (
        (size, first, -place)
        for first in range(len(tail))
        for place in range(len(head))
        for size in range(1, min(len(tail) - first, len(head) - place) + 1)
        if tail[first : first + size] == head[place : place + size]
    )
    size, first, place = max(runs, default=(0, len(tail), 0))
    return list(before[: len(before) - len(tail) + first + size]), list(after[size - place :])
