"""What was heard, as text, JSON or subtitles.

FORMATS["srt"]([heard])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from benchmark.run.transcribe.pieces import Heard, Piece

LONGEST_LINE = 84
"""Characters of a subtitle: two lines of 42, as broadcasters have them."""


def as_text(heard: Sequence[Heard], about: Mapping[str, object]) -> str:  # noqa: ARG001 - all formats are called alike
    """Return a line for each recording; of several each begins with its name and a tab."""
    return "\n".join(f"{each.name}\t{each.text}" if len(heard) > 1 else each.text for each in heard)


def as_json(heard: Sequence[Heard], about: Mapping[str, object]) -> str:
    """Return an object: what is known `about` the run; each recording with its pieces and words. Times are seconds."""
    recordings = [{**asdict(each), "text": each.text} for each in heard]
    return json.dumps({**about, "recordings": recordings}, indent=1)


def as_srt(heard: Sequence[Heard], about: Mapping[str, object]) -> str:  # noqa: ARG001
    """Return SubRip subtitles of one recording. Raises ValueError for several: each has times of its own."""
    if len(heard) != 1:
        raise ValueError(f"{len(heard)} recordings in one file of subtitles; expected one: give a folder with -o")
    lines = []
    for number, (start_s, end_s, said) in enumerate(_subtitles(heard[0].pieces), start=1):
        lines += [str(number), f"{_clock(start_s)} --> {_clock(end_s)}", said, ""]
    return "\n".join(lines)


FORMATS: Mapping[str, Callable[[Sequence[Heard], Mapping[str, object]], str]] = {
    "txt": as_text,
    "json": as_json,
    "srt": as_srt,
}


def _subtitles(pieces: Iterable[Piece]) -> Iterable[tuple[float, float, str]]:
    """Yield start, end and text of each subtitle: a long piece is cut between words, if their times are known."""
    for piece in pieces:
        if not piece.words or len(piece.text) <= LONGEST_LINE:
            yield piece.start_s, piece.end_s, piece.text
            continue
        held: list = []
        for word in piece.words:
            if held and len(" ".join([*(each.text for each in held), word.text])) > LONGEST_LINE:
                yield held[0].start_s, held[-1].end_s, " ".join(each.text for each in held)
                held = []
            held.append(word)
        yield held[0].start_s, held[-1].end_s, " ".join(each.text for each in held)


def _clock(seconds: float) -> str:
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"
