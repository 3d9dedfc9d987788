"""CTC beam search restricted to a dictionary: the suite's own, compiled, and deterministic by construction.

    lexicon = Lexicon.of(["cool", "do", "don't"])
    search(logits, lexicon, beam_width=256)                 # float [T', 30] -> ["do", "cool"]
    log_probability(logits, ["do", "cool"])                 # natural logarithm, exact, over all CTC paths

A hypothesis is a prefix of a sentence: complete words, and the beginning of one more. It has two scores, the
logarithms of the summed probabilities of its CTC paths that end in a blank and that do not (Graves and Jaitly 2014;
Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs").
Any number of spaces may stand between words, before the first and after the last.

The same logits always give the same words, whatever was decoded before, in whichever process:

- A prefix grows out of one other prefix only. So its new score is a sum of two terms, which no order changes.
- Hypotheses are pruned in a total order: by score to a millionth of a nat, then by text. No address, hash or order of
  insertion takes part.
- A frame's scores are used as they are. They need not be normalised, since that shifts all hypotheses alike.

Memory: a dictionary of 200,000 words takes 16 bytes for each node of its tree; a search takes 28 bytes for each frame
and prefix of the width, 6 MB at 830 frames and width 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from features.corpus import text

NOTHING = -np.inf
NO_WORD = NO_PREFIX = NO_SLOT = -1
ROOT = 0  # the node without a letter

SPACE, SEPARATOR, BLANK = text.SPACE, text.SEPARATOR_INDEX, text.BLANK
LABELS = len(text.CHARACTERS)  # without the blank
STEPS_A_NAT = float(2**20)  # scores that agree to a millionth of a nat are equal: rounding errors are far smaller
RESCORED, RESCORED_NATS = 8, 4.0
"""How many sentences of the last beam, within how many nats of the best, are compared by their exact probability."""
ORDER = np.frombuffer(text.CHARACTERS.encode(), np.uint8)
"""The code of each label's character, by which texts are ordered."""


def compiled(function: Callable) -> Callable:
    """Have a function compiled at its first call, and its machine code kept on disk if that is possible."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


NODE = np.dtype([("follow", np.int32), ("child", np.int32), ("word", np.int32), ("label", np.int32)])
"""A node of a dictionary's prefix tree; node 0 is the root, and the children of a node are neighbours.

`follow`: bit c says that label c may follow; bit 0, the space, that a word ends here. `child`: the first child, that of
the lowest label. `word`: the number of the word that ends here, or -1. `label`: what leads here.
"""

PREFIX = np.dtype([(name, np.int32) for name in ("parent", "node", "label", "depth", "slot", "child", "sibling")])
"""A prefix of a sentence; prefix 0 is empty.

`parent`: the prefix without the last label. `node`: the place in the tree, the root between words. `label`: the last
label; `depth`: how many there are. `slot`: the place in the beam, or -1. `child` and `sibling` chain the prefixes that
grew out of one.
"""

HYPOTHESIS = np.dtype(
    [(name, np.int32) for name in ("parent", "added", "prefix", "node")]
    + [(name, np.float64) for name in ("blank", "label", "total", "score")]
)
"""A prefix with its scores after a frame.

`parent` and `added` give the prefix, by the one it grew out of and the label added; `prefix` is its number, or -1 if it
has none yet; `node`: the place in the tree. `blank` and `label` are the scores of the paths that end in a blank and
that do not; `total` of both; `score` is the total rounded, for comparisons.
"""


@dataclass(frozen=True)
class Lexicon:
    """The words that a search is restricted to, in alphabetical order, and their tree, NODE [N]."""

    words: tuple[str, ...]
    tree: np.ndarray

    @classmethod
    def of(cls, words: Iterable[str]) -> Lexicon:
        """Make a lexicon of words; repeated words count once."""
        unique = tuple(sorted({*words} - {""}))
        return cls(unique, _tree([text.encode(word) for word in unique]))


def _tree(spellings: Sequence[Sequence[int]]) -> np.ndarray:
    """Build the tree level by level: the nodes of a level are the different beginnings of that length."""
    lengths = np.array([len(spelling) for spelling in spellings], np.int64)
    letters = np.zeros((len(spellings), max(lengths, default=0)), np.int32)
    for row, spelling in zip(letters, spellings, strict=True):
        row[: len(spelling)] = spelling
    words = np.lexsort(letters.T[::-1]) if len(letters) else np.arange(0)
    reached = np.zeros(len(words), np.int64)  # the node of each word's beginning
    levels, nodes = [_level(1)], 1
    for depth in range(letters.shape[1] + 1):
        above, first = levels[-1], nodes - len(levels[-1])
        ended = lengths[words] == depth
        above["word"][reached[ended] - first] = words[ended]
        above["follow"][reached[ended] - first] |= 1 << SPACE
        words, reached = words[~ended], reached[~ended]
        if not len(words):
            break
        label = letters[words, depth]
        new = np.ones(len(words), bool)
        new[1:] = (reached[1:] != reached[:-1]) | (label[1:] != label[:-1])
        parent, level = reached[new] - first, _level(int(np.count_nonzero(new)))
        level["label"] = label[new]
        np.bitwise_or.at(above["follow"], parent, np.int32(1) << level["label"])
        parents, firsts = np.unique(parent, return_index=True)
        above["child"][parents] = nodes + firsts
        reached = nodes - 1 + np.cumsum(new)
        levels.append(level)
        nodes += len(level)
    return np.concatenate(levels)


def _level(nodes: int) -> np.ndarray:
    level = np.zeros(nodes, NODE)
    level["word"] = NO_WORD
    return level


def search(logits: np.ndarray, lexicon: Lexicon, *, beam_width: int, pruned_nats: float = np.inf) -> list[str]:
    """Return the words of the likeliest sentence: logits float [T', 30], natural, not necessarily normalised.

    At most `beam_width` prefixes are kept after each frame, and none that is less likely than the best one by a
    factor of more than exp(`pruned_nats`). A last word that no kept prefix completes is lost.

    Raises:
        ValueError: a logit is not a number, or infinite; minus infinity says that a label is impossible.
    """
    wrong = ~(logits < np.inf)
    if wrong.any():
        frame, label = np.argwhere(wrong)[0]
        raise ValueError(f"frame {frame} has a logit that is {logits[frame, label]}; expected numbers")
    prefixes = np.empty(1 + len(logits) * beam_width, PREFIX)
    beam = np.empty(beam_width, HYPOTHESIS)
    found = np.empty(beam_width * (1 + LABELS), HYPOTHESIS)
    emissions = np.ascontiguousarray(logits, np.float64)
    numbers = _search(emissions, lexicon.tree, beam_width, float(pruned_nats), prefixes, beam, found)
    return [lexicon.words[number] for number in numbers]


@compiled
def _log_add(a, b):
    """Return log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    if b == NOTHING or a - b > 40.0:  # exp(-40) vanishes next to 1 in double precision
        return a
    return a + math.log1p(math.exp(b - a))


@compiled
def _rounded(score):
    """Return a score on the grid on which scores are compared."""
    return np.rint(score * STEPS_A_NAT) / STEPS_A_NAT


@compiled
def _search(emissions, tree, beam_width, pruned_nats, prefixes, beam, found):
    """Return the numbers of the words found; the last three arrays are its memory."""
    order = np.empty(len(found), np.int32)
    grown = np.empty(beam_width, np.int32)
    root = prefixes[0]
    root.parent = root.child = root.sibling = NO_PREFIX
    root.node = root.depth = root.slot = 0
    root.label = SPACE
    count = 1
    empty = beam[0]
    empty.parent, empty.added, empty.prefix, empty.node = NO_PREFIX, SPACE, 0, ROOT
    empty.blank, empty.label, empty.total, empty.score = 0.0, NOTHING, 0.0, 0.0
    kept = 1
    for frame in emissions:
        best = _stay(frame, prefixes, beam[:kept], found, grown)
        candidates, best = _grow(frame, tree, beam[:kept], found, grown, best, pruned_nats)
        chosen = 0
        for n in range(candidates):
            if found[n].score >= best - pruned_nats and found[n].score > NOTHING:
                order[chosen] = n
                chosen += 1
        if chosen > beam_width:
            _select(order[:chosen], beam_width, found, prefixes)
            chosen = beam_width
        count = _keep(order[:chosen], prefixes, beam, kept, found, count, best)
        kept = chosen
    return _sentence(emissions, tree, prefixes, beam[:kept])


@compiled
def _stay(frame, prefixes, beam, found, grown):
    """Score the beam's own prefixes after a frame; return the best score.

    `grown` gets, for every prefix, bits of the labels that lead from it to prefixes of the beam: what it gives to them
    is counted here.
    """
    best = NOTHING
    grown[: len(beam)] = 0
    for s in range(len(beam)):
        old, new = beam[s], found[s]
        given = old.total if old.node == ROOT else old.label  # a space after a space, or a label said on
        slot = prefixes[old.parent].slot if old.parent != NO_PREFIX else NO_SLOT
        if slot != NO_SLOT:
            parent = beam[slot]
            grown[slot] |= 1 << old.added
            given = _log_add(given, parent.blank if parent.added == old.added else parent.total)
        new.parent, new.added, new.prefix, new.node = old.parent, old.added, old.prefix, old.node
        new.blank, new.label = old.total + frame[BLANK], given + frame[old.added]
        new.total = _log_add(new.blank, new.label)
        new.score = _rounded(new.total)
        best = max(best, new.score)
    return best


@compiled
def _grow(frame, tree, beam, found, grown, best, pruned_nats):
    """Add the prefixes that grow out of the beam's by a label; return how many candidates there are, and the best."""
    candidates = len(beam)
    for s in range(len(beam)):
        old = beam[s]
        node = tree[old.node]
        left, child = node.follow, node.child - 1
        label = -1
        while left:
            label += 1
            follows = left & 1
            left >>= 1
            if not follows:
                continue
            if label != SPACE:
                child += 1
            if grown[s] >> label & 1:
                continue
            total = (old.blank if old.added == label else old.total) + frame[label]
            score = _rounded(total)
            if score < best - pruned_nats or score == NOTHING:
                continue
            best = max(best, score)
            new = found[candidates]
            new.parent, new.added, new.prefix = old.prefix, label, NO_PREFIX
            new.node = ROOT if label == SPACE else child
            new.blank, new.label, new.total, new.score = NOTHING, total, total, score
            candidates += 1
    return candidates, best


@compiled
def _select(order, wanted, found, prefixes):
    """Bring the `wanted` best of `order` to its beginning, by score, then by text (Hoare's quickselect)."""
    low, high = 0, len(order) - 1
    while low < high:
        pivot = found[order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while _before(found[order[i]], pivot, prefixes):
                i += 1
            while _before(pivot, found[order[j]], prefixes):
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if wanted - 1 <= j:
            high = j
        elif wanted - 1 >= i:
            low = i
        else:
            return


@compiled
def _before(a, b, prefixes):
    """Tell whether hypothesis `a` is better than `b`: by score, then by text."""
    if a.score != b.score:
        return a.score > b.score
    return _text_before(a, b, prefixes)


@compiled
def _text_before(a, b, prefixes):
    """Tell whether the text of one hypothesis comes before another's; a text's own beginning comes before it."""
    parent_a, label_a, parent_b, label_b = a.parent, a.added, b.parent, b.added
    if parent_a == NO_PREFIX or parent_b == NO_PREFIX:  # the empty prefix
        return parent_b != NO_PREFIX
    depth_a, depth_b = prefixes[parent_a].depth, prefixes[parent_b].depth
    shorter = depth_a < depth_b
    while depth_a > depth_b:
        label_a, parent_a, depth_a = prefixes[parent_a].label, prefixes[parent_a].parent, depth_a - 1
    while depth_b > depth_a:
        label_b, parent_b, depth_b = prefixes[parent_b].label, prefixes[parent_b].parent, depth_b - 1
    if parent_a == parent_b and label_a == label_b:
        return shorter
    while parent_a != parent_b:
        label_a, parent_a = prefixes[parent_a].label, prefixes[parent_a].parent
        label_b, parent_b = prefixes[parent_b].label, prefixes[parent_b].parent
    doubled = prefixes[parent_a].label  # what a separator stands for
    label_a = doubled if label_a == SEPARATOR else label_a
    label_b = doubled if label_b == SEPARATOR else label_b
    return ORDER[label_a] < ORDER[label_b]


@compiled
def _keep(order, prefixes, beam, kept, found, count, best):
    """Make the chosen hypotheses the beam; return how many prefixes have a number then."""
    for s in range(kept):
        prefixes[beam[s].prefix].slot = NO_SLOT
    for s in range(len(order)):
        new, old = beam[s], found[order[s]]
        prefix = old.prefix
        if prefix == NO_PREFIX:
            prefix = prefixes[old.parent].child
            while prefix != NO_PREFIX and prefixes[prefix].label != old.added:
                prefix = prefixes[prefix].sibling
        if prefix == NO_PREFIX:  # never kept before
            prefix = count
            count += 1
            parent, made = prefixes[old.parent], prefixes[prefix]
            made.parent, made.node, made.label, made.depth = old.parent, old.node, old.added, parent.depth + 1
            made.child, made.sibling = NO_PREFIX, parent.child
            parent.child = prefix
        prefixes[prefix].slot = s
        new.prefix, new.parent, new.added, new.node = prefix, old.parent, old.added, old.node
        # Scores begin again at 0 with each frame's best, so that sums stay small.
        new.blank, new.label, new.total = old.blank - best, old.label - best, old.total - best
    return count


@compiled
def _sentence(emissions, tree, prefixes, beam):
    """Return the numbers of the words of the likeliest sentence in the beam.

    A beam's scores miss the paths that were pruned. So the exact probability decides between the best sentences. If no
    hypothesis has complete words, the best one's complete words are returned.
    """
    best = np.empty(min(len(beam), RESCORED), np.int32)
    count = _best(tree, prefixes, beam, best)
    if count == 0:
        return np.empty(0, np.int32)
    chosen = best[0]
    if count > 1:
        chances = _chances(emissions)
        labels = np.empty(prefixes[beam[best[0]].prefix].depth + 2 + len(emissions), np.int32)
        highest = NOTHING
        for n in range(count):
            score = _rounded(_exact(chances, labels[: _spell(prefixes, beam[best[n]].prefix, labels)]))
            if n == 0 or score > highest:
                highest, chosen = score, best[n]
    return _words(tree, prefixes, beam[chosen])


@compiled
def _best(tree, prefixes, beam, best):
    """Fill `best` with the places of the best sentences, best first; return how many there are, 0 for an empty beam.

    Only sentences count whose words are complete, within RESCORED_NATS of the best; without any, one that is not.
    """
    for s in range(len(beam)):
        beam[s].score = _rounded(beam[s].total)
    for s in range(len(beam)):
        one = beam[s]
        slot = prefixes[one.parent].slot if one.parent != NO_PREFIX else NO_SLOT
        if one.node == ROOT and slot != NO_SLOT:  # the same sentence without the last space: this one stands for both
            one.score = _rounded(_log_add(one.total, beam[slot].total))
            beam[slot].score = NOTHING
    count, incomplete = 0, NO_SLOT
    for s in range(len(beam)):
        one = beam[s]
        if one.node != ROOT and tree[one.node].word == NO_WORD:
            if incomplete == NO_SLOT or _before(one, beam[incomplete], prefixes):
                incomplete = s
            continue
        if one.score == NOTHING:
            continue
        place = min(count, len(best) - 1)
        if count == len(best) and not _before(one, beam[best[place]], prefixes):
            continue
        while place > 0 and _before(one, beam[best[place - 1]], prefixes):
            best[place] = best[place - 1]
            place -= 1
        best[place] = s
        count = min(count + 1, len(best))
    while count > 1 and beam[best[count - 1]].score < beam[best[0]].score - RESCORED_NATS:
        count -= 1
    if count == 0 and incomplete != NO_SLOT:
        best[0], count = incomplete, 1
    return count


@compiled
def _words(tree, prefixes, one):
    """Return the numbers of a hypothesis's complete words, in order."""
    prefix, node = one.prefix, one.node
    words = np.empty(prefixes[prefix].depth + 1, np.int32)
    count = 0
    if node != ROOT and tree[node].word != NO_WORD:
        words[0], count = tree[node].word, 1
    while prefixes[prefix].parent != NO_PREFIX:
        parent = prefixes[prefix].parent
        if prefixes[prefix].node == ROOT:
            words[count] = tree[prefixes[parent].node].word
            count += 1
        prefix = parent
    return words[:count][::-1].copy()


@compiled
def _spell(prefixes, prefix, labels):
    """Write the labels of a sentence, with a space before and after; return how many there are."""
    count = prefixes[prefix].depth + 1
    labels[0] = SPACE
    place = count - 1
    ends_in_space = prefixes[prefix].parent != NO_PREFIX and prefixes[prefix].label == SPACE
    while prefixes[prefix].parent != NO_PREFIX:
        labels[place] = prefixes[prefix].label
        place -= 1
        prefix = prefixes[prefix].parent
    if count > 1 and not ends_in_space:
        labels[count] = SPACE
        count += 1
    return count


@compiled
def _chances(emissions):
    """Return the probability of each label in each frame, float64 [T', 30]."""
    chances = np.empty_like(emissions)
    for t in range(len(emissions)):
        frame = emissions[t]
        highest, total = frame.max(), 0.0
        for c in range(len(frame)):
            chances[t, c] = math.exp(frame[c] - highest)
            total += chances[t, c]
        for c in range(len(frame)):
            chances[t, c] /= total
    return chances


@compiled
def _exact(chances, labels):
    """Return the logarithm of a sentence's probability over all its CTC paths, as `log_probability` does.

    Its labels have a space before and after, which may take no frame or many. Probabilities are scaled to a sum of 1
    after each frame; what falls under 1e-300 of it is lost.
    """
    size = len(labels)
    blank, label = np.zeros(size), np.zeros(size)
    blank[0] = 1.0
    logarithm = 0.0
    for t in range(len(chances)):
        frame = chances[t]
        total = 0.0
        for n in range(size - 1, -1, -1):  # from the last on: each needs the one before as it was
            said = blank[n] + label[n]
            given = said if labels[n] == SPACE else label[n]
            if n > 0:
                given += blank[n - 1] if labels[n - 1] == labels[n] else blank[n - 1] + label[n - 1]
            label[n] = given * frame[labels[n]]
            blank[n] = said * frame[BLANK]
            total += label[n] + blank[n]
        if total == 0.0:
            return NOTHING
        logarithm += math.log(total)
        for n in range(size):
            label[n] /= total
            blank[n] /= total
    ends = blank[size - 1] + label[size - 1]
    if size > 1:
        ends += blank[size - 2] + label[size - 2]
    return logarithm + math.log(ends) if ends > 0.0 else NOTHING


def likeliest(logits: np.ndarray, sentences: Sequence[list[str]]) -> list[str]:
    """Return the sentence of the highest exact probability; of equal ones the first in alphabetical order."""
    different = sorted({tuple(words) for words in sentences})
    if len(different) == 1:
        return list(different[0])
    scores = [round(log_probability(logits, words) * STEPS_A_NAT) for words in different]
    return list(different[scores.index(max(scores))])


def log_probability(logits: np.ndarray, words: Sequence[str]) -> float:
    """Return the logarithm of a sentence's probability, the sum over all of its CTC paths: logits float [T', 30].

    Spaces may stand anywhere but inside a word, as in `search`.
    """
    labels = [SPACE, *(label for word in words for label in (*text.encode(word), SPACE))]
    shifted = np.asarray(logits, np.float64)
    emissions = shifted - np.logaddexp.reduce(shifted, axis=1, keepdims=True)
    blank, label = np.full((2, len(labels)), NOTHING)
    blank[0] = 0.0
    spaces = np.array(labels) == SPACE
    repeated = np.array([False, *(a == b for a, b in zip(labels, labels[1:], strict=False))])
    for frame in emissions:
        total = np.logaddexp(blank, label)
        before = np.concatenate([[NOTHING], np.where(repeated[1:], blank[:-1], total[:-1])])
        label = np.logaddexp(np.where(spaces, total, label), before) + frame[labels]
        blank = total + frame[BLANK]
    ends = np.logaddexp(blank, label)[-2:]  # with the last space and without
    return float(np.logaddexp.reduce(ends))
