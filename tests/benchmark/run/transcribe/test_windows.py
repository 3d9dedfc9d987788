import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.run.transcribe.windows import cuts_at_silence, joined, kept_outputs, windows


def test_windows_overlap_and_the_last_is_as_long():
    """Windows of 15 s every 12 s; 31 s need two more, the last from 16 to 31."""
    assert windows(3100, longest=1500, overlap=300) == [(0, 1500), (1200, 2700), (1600, 3100)]
    assert windows(1500, longest=1500, overlap=300) == [(0, 1500)]
    assert windows(7, longest=1500, overlap=300) == [(0, 7)]
    with pytest.raises(ValueError, match="expected less"):
        windows(10, longest=5, overlap=5)


def test_half_of_each_overlap_is_kept_of_either_window():
    """An output for every 3 frames: of the first up to frame 1,350, its 450th output; of the second from there."""
    assert kept_outputs([(0, 1500), (1200, 2700)], [500, 500]) == [(0, 450), (50, 500)]
    assert kept_outputs([(0, 900)], [296]) == [(0, 296)]


@given(st.integers(1, 9000), st.integers(30, 1500), st.integers(0, 29), st.sampled_from([2, 3, 4]))
def test_every_moment_is_kept_once(frames, longest, overlap, stride):
    spans = windows(frames, longest=longest, overlap=overlap)
    counts = [-(-(end - start) // stride) for start, end in spans]
    kept = kept_outputs(spans, counts)
    assert all(0 <= first <= last <= count for (first, last), count in zip(kept, counts, strict=True))
    total = sum(last - first for first, last in kept)
    assert abs(total - frames / stride) <= 1.5 * len(spans) + 1  # rounded at each edge


def test_pieces_end_in_the_longest_silence_that_is_late_enough():
    quiet = np.zeros(100, bool)
    quiet[[*range(10, 20), *range(30, 34), *range(70, 80)]] = True
    assert cuts_at_silence(quiet, longest=60, least=3, always=99) == [(0, 32), (32, 75), (75, 100)]
    assert cuts_at_silence(quiet, longest=60, least=5, always=99) == [(0, 15), (15, 75), (75, 100)]
    assert cuts_at_silence(quiet, longest=60, least=3, always=5) == [(0, 15), (15, 75), (75, 100)]
    assert cuts_at_silence(np.zeros(25, bool), longest=10, least=3, always=5) == [(0, 10), (10, 20), (20, 25)]


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9))
def test_pieces_cover_all_outputs(quiet, longest, least, always):
    pieces = cuts_at_silence(np.array(quiet, bool), longest=longest, least=least, always=always)
    assert [first for first, _ in pieces] == [0, *(end for _, end in pieces)][:-1] and pieces[-1][1] == len(quiet)
    assert all(end - first <= longest for first, end in pieces)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("the cat sat on", "cat sat on the mat", "the cat sat on the mat"),
        ("the cat sat onn", "sat on the mat", "the cat sat on the mat"),
        ("the cat", "went home", "the cat went home"),
        ("", "went home", "went home"),
        ("a b a b", "a b c", "a b a b c"),
    ],
)
def test_words_of_windows_are_joined_where_they_repeat(before, after, text):
    kept, rest = joined(before.split(), after.split(), most=6)
    assert " ".join([*kept, *rest]) == text
