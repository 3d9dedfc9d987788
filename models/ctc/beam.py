"""The steps of a beam search over prefixes of sentences, compiled. `models.ctc.search` puts them together.

A hypothesis is a prefix of a sentence: complete words, and the beginning of one more. It has two scores, the
logarithms of the summed probabilities of its CTC paths that end in a blank and that do not (Graves and Jaitly 2014;
Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs"),
and what a language model says of its complete words. Any number of spaces may stand between words, before the first
and after the last.

The same logits always give the same words, whatever was decoded before, in whichever process:

- A prefix grows out of one other prefix only. So its new score is a sum of two terms, which no order changes.
- Hypotheses are pruned in a total order: by score to a millionth of a nat, then by text. No address, hash or order of
  insertion takes part.
- A frame's scores are used as they are. They need not be normalised, since that shifts all hypotheses alike.

A language model cannot be asked from compiled code. So a step that needs a word's score stops and says which; it is
done again when the score is there.

All of it stands in one file: Numba keeps machine code by the file of a function, and would not notice that what it
calls in another file changed.

Memory: a search takes 28 bytes for each frame and prefix of the width, 6 MB at 830 frames and width 256; with a
language model 4 bytes more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np

from features.corpus import text

NOTHING = -np.inf
NO_WORD = NO_PREFIX = NO_SLOT = NO_PLACE = -1
WORDLESS = -2  # instead of a word: there is none, and only the end of the sentence is asked for
ROOT = 0  # the node without a letter
OUTSIDE = -1  # instead of a node: no known word begins so

SPACE, SEPARATOR, BLANK = text.SPACE, text.SEPARATOR_INDEX, text.BLANK
LABELS = len(text.CHARACTERS)  # without the blank
STEPS_A_NAT = float(2**20)  # scores that agree to a millionth of a nat are equal: rounding errors are far smaller
USUAL_LETTERS = 6.0  # a longer unknown word may be several, and is charged so (pyctcdecode's AVG_TOKEN_LEN)
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
"""A node of a prefix tree of words; node 0 is the root, and the children of a node are neighbours.

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
    [(name, np.int32) for name in ("parent", "added", "prefix", "node", "state", "letters")]
    + [(name, np.float64) for name in ("blank", "label", "total", "said", "score")],
    align=True,
)
"""A prefix with its scores after a frame.

`parent` and `added` give the prefix, by the one it grew out of and the label added; `prefix` is its number, or -1 if it
has none yet; `node`: the place in the tree; `letters`: how many the last word has so far. `blank` and `label` are the
scores of the paths that end in a blank and that do not; `total` of both. `said` is the language model's score of the
complete words, and `state` its state after them. `score` is all that together, rounded, for comparisons.
"""

ANSWER = np.dtype([("key", np.int64), ("score", np.float64), ("final", np.float64), ("state", np.int32)], align=True)
"""What a language model says of a word after a state: its score, that of a sentence's end then, and the state then.

Answers stand in a table, ANSWER [a power of two], where `key` leads to them (`place_of`); -1 is a free place.
"""
NO_KEY = -1


@compiled
def log_add(a, b):
    """Return log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    if b == NOTHING or a - b > 40.0:  # exp(-40) vanishes next to 1 in double precision
        return a
    return a + math.log1p(math.exp(b - a))


@compiled
def rounded(score):
    """Return a score on the grid on which scores are compared."""
    return np.rint(score * STEPS_A_NAT) / STEPS_A_NAT


@compiled
def begin(prefixes, beam):
    """Make the empty prefix the beam."""
    root = prefixes[0]
    root.parent = root.child = root.sibling = NO_PREFIX
    root.node = root.depth = root.slot = 0
    root.label = SPACE
    empty = beam[0]
    empty.parent, empty.added, empty.prefix, empty.node, empty.state, empty.letters = NO_PREFIX, SPACE, 0, ROOT, 0, 0
    empty.blank, empty.label, empty.total, empty.said, empty.score = 0.0, NOTHING, 0.0, 0.0, 0.0


@compiled
def advance(
    emissions,
    tree,
    spoken,
    charge,
    bonus,
    beam_width,
    pruned_nats,
    place,
    prefixes,
    beam,
    found,
    numbers,
    answers,
    asked,
):
    """Search on to the last frame, or to one that needs scores; return how many are asked for, 0 at the end.

    `place` is where the search stands: the frame, how many prefixes the beam has, and how many have a number. `spoken`
    says that a language model scores words, of which there are unknown ones; `bonus` is the most that a word can gain,
    `charge` what an unknown word of a usual length costs for certain. `numbers` has the number of the unknown word that
    a prefix ends in, or -1.
    """
    order = np.empty(len(found), np.int32)
    grown = np.empty(beam_width, np.int32)
    while place[0] < len(emissions):
        frame, kept = emissions[place[0]], place[1]
        best = stay(frame, prefixes, beam[:kept], found, grown, charge)
        candidates, best = grow(frame, tree, spoken, charge, beam[:kept], found, grown, best, pruned_nats)
        candidates, best, wanted = end_words(
            frame,
            tree,
            spoken,
            charge,
            bonus,
            beam[:kept],
            found,
            grown,
            candidates,
            best,
            pruned_nats,
            numbers,
            answers,
            asked,
        )
        if wanted:
            return wanted
        chosen = 0
        for n in range(candidates):
            if found[n].score >= best - pruned_nats and found[n].score > NOTHING:
                order[chosen] = n
                chosen += 1
        if chosen > beam_width:
            select(order[:chosen], beam_width, found, prefixes)
            chosen = beam_width
        place[2] = keep(order[:chosen], prefixes, beam, kept, found, place[2], best)
        place[0], place[1] = place[0] + 1, chosen
    return 0


@compiled
def stay(frame, prefixes, beam, found, grown, charge):
    """Score the beam's own prefixes after a frame; return the best score.

    `charge` is what an unknown word of a usual length costs for certain, also before it ends. `grown` gets, for every
    prefix, bits of the labels that lead from it to prefixes of the beam: what it gives to them is counted here.
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
            given = log_add(given, parent.blank if parent.added == old.added else parent.total)
        found[s] = old
        new.blank, new.label = old.total + frame[BLANK], given + frame[old.added]
        new.total = log_add(new.blank, new.label)
        new.score = rounded(new.total + old.said + (due(charge, old.letters) if old.node == OUTSIDE else 0.0))
        best = max(best, new.score)
    return best


@compiled
def grow(frame, tree, spoken, charge, beam, found, grown, best, pruned_nats):
    """Add the prefixes that grow out of the beam's by a letter; return how many candidates there are, and the best."""
    candidates = len(beam)
    labels = loudest_first(frame)
    for s in range(len(beam)):
        old = beam[s]
        follow = tree[old.node].follow if old.node != OUTSIDE else 0
        for label in labels:
            if old.total + old.said + frame[label] < best - pruned_nats - 1e-6:
                break  # nor is any label after it likely enough
            known = follow >> label & 1
            if grown[s] >> label & 1 or not (known or spoken):
                continue
            total = (old.blank if old.added == label else old.total) + frame[label]
            score = rounded(total + old.said + (0.0 if known else due(charge, old.letters + 1)))
            if score < best - pruned_nats or score == NOTHING:
                continue
            best = max(best, score)
            new = found[candidates]
            new.parent, new.added, new.prefix, new.state = old.prefix, label, NO_PREFIX, old.state
            new.letters = old.letters + 1
            new.node = tree[old.node].child + ones(follow & ((1 << label) - 2)) if known else OUTSIDE
            new.blank, new.label, new.total, new.said, new.score = NOTHING, total, total, old.said, score
            candidates += 1
    return candidates, best


@compiled
def due(charge, letters):
    """Return the charge of an unknown word of so many letters, which is certain also before the word ends."""
    return charge * max(1.0, letters / USUAL_LETTERS)


@compiled
def loudest_first(frame):
    """Return the labels but the space, those with the highest scores first."""
    labels = np.empty(LABELS - 1, np.int32)
    for label in range(1, LABELS):
        place = label - 1
        while place > 0 and frame[labels[place - 1]] < frame[label]:
            labels[place] = labels[place - 1]
            place -= 1
        labels[place] = label
    return labels


@compiled
def ones(bits):
    """Return how many of 32 bits are set."""
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@compiled
def end_words(
    frame, tree, spoken, charge, bonus, beam, found, grown, candidates, best, pruned_nats, numbers, answers, asked
):
    """Add the prefixes that grow by a space after a word; return candidates, the best, and how many scores are missing.

    A score is asked for only if the prefix could be kept with it.
    """
    missing = 0
    for s in range(len(beam)):
        old = beam[s]
        if old.node == ROOT or grown[s] & 1:
            continue
        word = tree[old.node].word if old.node != OUTSIDE else NO_WORD
        if word == NO_WORD and not spoken:
            continue
        total, said, state = old.total + frame[SPACE], old.said, old.state
        most = bonus + (due(charge, old.letters) if word == NO_WORD else 0.0)
        if total == NOTHING or rounded(total + said + most) < best - pruned_nats:
            continue
        if spoken:
            place = answered(tree, old, numbers, answers, asked[missing])
            if place == NO_PLACE:
                missing += 1
                continue
            said, state = said + answers[place].score, answers[place].state
        score = rounded(total + said)
        if score < best - pruned_nats:
            continue
        best = max(best, score)
        new = found[candidates]
        new.parent, new.added, new.prefix, new.node, new.state = old.prefix, SPACE, NO_PREFIX, ROOT, state
        new.letters = 0
        new.blank, new.label, new.total, new.said, new.score = NOTHING, total, total, said, score
        candidates += 1
    return candidates, best, missing


@compiled
def answered(tree, one, numbers, answers, asked):
    """Return the place of the answer for a hypothesis's last word; if it is missing, ask and return NO_PLACE.

    Asked are the prefix, the state before its last word, and the word's number: -1 if that is not known either.
    """
    word = WORDLESS
    if one.node != ROOT:
        word = tree[one.node].word if one.node != OUTSIDE else NO_WORD
        if word == NO_WORD:
            word = numbers[one.prefix]
        if word == NO_WORD:
            asked[0], asked[1], asked[2] = one.prefix, one.state, NO_WORD
            return NO_PLACE
    place = place_of(answers, one.state, word)
    if answers[place].key == NO_KEY:
        asked[0], asked[1], asked[2] = one.prefix, one.state, word
        return NO_PLACE
    return place


@compiled
def key_of(state, word):
    """Return the key of a word's answer after a state."""
    return (np.int64(state) << 32) + np.int64(word) - WORDLESS


@compiled
def place_of(answers, state, word):
    """Return the place of an answer in the table, or the free one where it belongs."""
    key = key_of(state, word)
    mixed = key * np.int64(0x9E3779B97F4A7C1)  # spreads neighbouring keys
    last = len(answers) - 1
    place = (mixed ^ (mixed >> 29)) & last
    while answers[place].key != NO_KEY and answers[place].key != key:
        place = (place + 1) & last
    return place


@compiled
def moved(answers, larger):
    """Move the answers of a table into a larger, empty one; return that."""
    for n in range(len(answers)):
        key = answers[n].key
        if key != NO_KEY:
            larger[place_of(larger, key >> 32, (key & 0xFFFFFFFF) + WORDLESS)] = answers[n]
    return larger


@compiled
def select(order, wanted, found, prefixes):
    """Bring the `wanted` best of `order` to its beginning, by score, then by text (Hoare's quickselect)."""
    low, high = 0, len(order) - 1
    while low < high:
        pivot = found[order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while before(found[order[i]], pivot, prefixes):
                i += 1
            while before(pivot, found[order[j]], prefixes):
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
def before(a, b, prefixes):
    """Tell whether hypothesis `a` is better than `b`: by score, then by text."""
    if a.score != b.score:
        return a.score > b.score
    return text_before(a, b, prefixes)


@compiled
def text_before(a, b, prefixes):
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
def keep(order, prefixes, beam, kept, found, count, best):
    """Make the chosen hypotheses the beam; return how many prefixes have a number then."""
    for s in range(kept):
        prefixes[beam[s].prefix].slot = NO_SLOT
    for s in range(len(order)):
        old = found[order[s]]
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
        beam[s] = old
        new = beam[s]
        new.prefix = prefix
        # Scores begin again at 0 with each frame's best, so that sums stay small.
        new.blank, new.label, new.total = old.blank - best, old.label - best, old.total - best
    return count


@compiled
def finish(tree, spoken, beam, numbers, answers, asked):
    """Score the beam's prefixes as whole sentences; return how many scores are asked for, 0 when all are there.

    A dictionary's sentences have complete words only: the score of others is minus infinity.
    """
    missing = 0
    for s in range(len(beam) if spoken else 0):
        if answered(tree, beam[s], numbers, answers, asked[missing]) == NO_PLACE:
            missing += 1
    for s in range(0 if missing else len(beam)):
        one = beam[s]
        complete = spoken or one.node == ROOT or tree[one.node].word != NO_WORD
        if spoken:
            answer = answers[answered(tree, one, numbers, answers, asked[0])]
            one.said += answer.score + answer.final
        one.score = rounded(one.total + one.said) if complete else NOTHING
    return missing


@compiled
def merge(prefixes, beam):
    """Let a sentence with a last space stand for the same one without it, too."""
    for s in range(len(beam)):
        one = beam[s]
        slot = prefixes[one.parent].slot if one.parent != NO_PREFIX else NO_SLOT
        if one.node == ROOT and slot != NO_SLOT:
            one.score = rounded(log_add(one.total, beam[slot].total) + one.said)
            beam[slot].score = NOTHING


@compiled
def choose(emissions, prefixes, beam):
    """Return the place of the likeliest sentence in the beam, after `finish`; if none is complete, the best beginning.

    A beam's scores miss the paths that were pruned. So the exact probability decides between the best sentences.
    """
    best = np.empty(min(len(beam), RESCORED), np.int32)
    count = foremost(prefixes, beam, best)
    if count == 0:
        for s in range(len(beam)):
            beam[s].score = rounded(beam[s].total + beam[s].said)
        count = min(foremost(prefixes, beam, best), 1)
    chosen = best[0]
    if count > 1:
        shares = chances(emissions)
        labels = np.empty(prefixes[beam[best[0]].prefix].depth + 2 + len(emissions), np.int32)
        highest = NOTHING
        for n in range(count):
            one = beam[best[n]]
            score = rounded(exact(shares, labels[: spell(prefixes, one.prefix, labels)]) + one.said)
            if n == 0 or score > highest:
                highest, chosen = score, best[n]
    return chosen


@compiled
def foremost(prefixes, beam, best):
    """Fill `best` with the places of the best sentences, best first; return how many there are, 0 for none.

    They lie within RESCORED_NATS of the best.
    """
    count = 0
    for s in range(len(beam)):
        one = beam[s]
        if one.score == NOTHING:
            continue
        place = min(count, len(best) - 1)
        if count == len(best) and not before(one, beam[best[place]], prefixes):
            continue
        while place > 0 and before(one, beam[best[place - 1]], prefixes):
            best[place] = best[place - 1]
            place -= 1
        best[place] = s
        count = min(count + 1, len(best))
    while count > 1 and beam[best[count - 1]].score < beam[best[0]].score - RESCORED_NATS:
        count -= 1
    return count


@compiled
def spell(prefixes, prefix, labels):
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
def chances(emissions):
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
def exact(chances, labels):
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
