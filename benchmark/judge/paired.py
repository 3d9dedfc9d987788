"""Statistics of two systems on the same utterances: the difference of their error rates, and how sure it is.

    counts = Counts(first=edits, second=edits_of_other, units=words)    # int64 [N] each, utterance by utterance
    draws = bootstrap(counts)                   # differences in percent of units, first - second, [10,000]
    interval(draws, len(counts.units))          # (-1.9, -0.3): 95%
    interval(bootstrap(counts.summed(speakers)), number_of_speakers)

    pairs = [pair for each in utterances for pair in segments(reference, hypothesis, other_hypothesis)]
    matched_pairs(pairs).p                      # NIST's test

Utterances are redrawn with both systems' edits, so that what is hard for both cancels (Bisani and Ney, Bootstrap
estimates for confidence intervals in ASR performance evaluation, ICASSP 2004, section 3). Utterances of one speaker are
alike, and speakers are what another test set would have others of: they may be redrawn whole. Intervals are the
percentile ones, expanded for few units (Hesterberg, What teachers should know about the bootstrap, The American
Statistician 69(4), 2015, section 5.3). NIST's matched-pairs sentence-segment word error test is that of Gillick and Cox
(Some statistical issues in the comparison of speech recognition algorithms, ICASSP 1989).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from benchmark.judge.estimates import student_t

if TYPE_CHECKING:
    import numpy as np
else:
    from benchmark.record import arrays as np

DRAWS = 10_000
SEED = 0
AT_ONCE = 500_000  # units drawn in one piece
FEWEST_SPEAKERS = 5  # of which an interval is given
GOOD_WORDS = 2  # that both systems hear rightly between two segments
SHIFT = 2**32  # differences and units are summed in one number
OF_SPEAKER = re.compile(r"([^-]+)-[^-]+-\d+")  # SPEAKER-CHAPTER-NUMBER, as LibriSpeech names utterances


@dataclass(frozen=True, eq=False)
class Counts:
    """The edits of two systems in the same utterances, or speakers, and the units that were said: int64 [N] each."""

    first: np.ndarray
    second: np.ndarray
    units: np.ndarray

    @property
    def difference(self) -> float:
        """The first system's error rate less the second's, in percent of units."""
        return 100 * int((self.first - self.second).sum()) / max(int(self.units.sum()), 1)

    def summed(self, names: Sequence[str]) -> Counts:
        """Return the sums over the utterances of one name, a speaker's, in the order of names."""
        _, place = np.unique(np.array(names), return_inverse=True)
        sums = [np.zeros(place.max() + 1, np.int64) for _ in range(3)]
        for total, values in zip(sums, (self.first, self.second, self.units), strict=True):
            np.add.at(total, place, values)
        return Counts(*sums)


def speakers_of(utterances: Sequence[str]) -> list[str] | None:
    """Return the speaker of each utterance by its id, SPEAKER-CHAPTER-NUMBER; None if any id is of another form."""
    found = [OF_SPEAKER.fullmatch(name) for name in utterances]
    return [match[1] for match in found if match] if all(found) else None


def bootstrap(counts: Counts, *, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Return the difference of error rates in percent, first - second, of redrawn utterances: float64 [draws]."""
    random, size = np.random.default_rng(seed), len(counts.units)
    packed = (counts.first - counts.second).astype(np.int64) * SHIFT + counts.units
    kind = np.uint16 if size <= 2**16 else np.int64
    found = []
    for start in range(0, draws, step := max(1, AT_ONCE // size)):
        places = random.integers(0, size, (min(step, draws - start), size), dtype=kind)
        found.append(packed.take(places).sum(axis=1))
    difference, units = np.divmod(np.concatenate(found), SHIFT)
    return 100 * difference / np.maximum(units, 1)


def interval(draws: np.ndarray, units: int) -> tuple[float, float] | None:
    """Return the 95% interval of redrawn figures, expanded as few units need it; None of a single unit.

    A percentile interval of n units is as narrow as one by the normal distribution with variance / n: both are put
    right as Student's t puts a mean's.
    """
    if units < 2:
        return None
    below = NormalDist().cdf(-math.sqrt(units / (units - 1)) * student_t(units - 1))
    low, high = np.quantile(draws, [below, 1 - below])
    return float(low), float(high)


def share_below_zero(draws: np.ndarray) -> float:
    """Return the share of redrawn differences in which the first system makes fewer errors; ties count half."""
    return float((draws < 0).mean() + (draws == 0).mean() / 2)


# --- matched pairs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MatchedPairs:
    """The result of NIST's test: the segments, and the two-sided p; None where nothing varies.

    The test is of the mean difference of errors a segment, which is near normal from some 50 segments on.
    """

    segments: int
    p: float | None


def matched_pairs(pairs: Sequence[tuple[int, int]]) -> MatchedPairs:
    """Test whether two systems make as many errors, by the (first, second) errors of segments.

    With Z the difference of a segment, W = mean(Z) sqrt(n) / s(Z) is near standard normal (Gillick and Cox, 1989).
    """
    differences = [first - second for first, second in pairs]
    n = len(differences)
    if n < 2:
        return MatchedPairs(segments=n, p=None)
    mean = sum(differences) / n
    variance = sum((each - mean) ** 2 for each in differences) / (n - 1)
    if not variance:
        return MatchedPairs(segments=n, p=None)
    return MatchedPairs(segments=n, p=math.erfc(abs(mean) / math.sqrt(variance / n) / math.sqrt(2)))


def segments(reference: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the (first, second) errors of each segment of one utterance, given as words.

    A segment begins and ends where both systems hear two words rightly that follow one another, or the utterance does.
    """
    open_segment, good = [0, 0], 0
    for place, errors in enumerate(zip(errors_at(reference, first), errors_at(reference, second), strict=True)):
        if any(errors):
            if any(open_segment) and good >= GOOD_WORDS:
                yield open_segment[0], open_segment[1]
                open_segment = [0, 0]
            open_segment = [total + more for total, more in zip(open_segment, errors, strict=True)]
            good = 0
        else:
            good += place % 2  # a word, not what is between two
    if any(open_segment):
        yield open_segment[0], open_segment[1]


def errors_at(reference: Sequence[str], hypothesis: Sequence[str]) -> list[int]:
    """Return the errors at each place of a reference of n words, [2 n + 1]: before a word, at it, ..., after the last.

    The alignment is that of `benchmark.run.evaluate.accuracy`: words inserted stand between two of the reference.
    """
    from rapidfuzz.distance import Levenshtein

    found = [0] * (2 * len(reference) + 1)
    for edit in Levenshtein.editops(reference, hypothesis):
        found[2 * edit.src_pos + (edit.tag != "insert")] += 1
    return found
