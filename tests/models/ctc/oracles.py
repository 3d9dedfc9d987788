"""What a CTC loss is held against: the sum over all alignments, and the variables' equations in float64."""

from itertools import product

import numpy as np


def over_all_paths(logits: np.ndarray, labels: list[int]) -> float:
    """-log of the summed probability of every path that collapses to the labels."""
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    frames, classes = logits.shape
    total = 0.0
    for path in product(range(classes), repeat=frames):
        merged = [c for n, c in enumerate(path) if (n == 0 or c != path[n - 1]) and c != classes - 1]
        if merged == labels:
            total += np.prod([probabilities[t, c] for t, c in enumerate(path)])
    return -np.log(total)


def in_float64(labels, logits):
    """Loss and gradient of one utterance by forward and backward variables over its 2 L + 1 states, blank last."""
    frames, classes = logits.shape
    log_p = logits.astype(float) - np.logaddexp.reduce(logits.astype(float), 1, keepdims=True)
    states = np.full(2 * len(labels) + 1, classes - 1)
    states[1::2] = labels
    may_skip = np.full(len(states), -np.inf)
    may_skip[2:][(states[2:] != states[:-2]) & (states[2:] != classes - 1)] = 0.0

    def moved(values, by):
        return np.concatenate([np.full(by, -np.inf), values[:-by]])[: len(values)]

    forward = np.full([frames, len(states)], -np.inf)
    forward[0, :2] = log_p[0, states[:2]]
    for t in range(1, frames):
        before = forward[t - 1]
        come = np.logaddexp(np.logaddexp(before, moved(before, 1)), moved(before, 2) + may_skip)
        forward[t] = come + log_p[t, states]
    backward = np.full_like(forward, -np.inf)
    backward[-1, -2:] = 0.0
    for t in range(frames - 2, -1, -1):
        after = (backward[t + 1] + log_p[t + 1, states])[::-1]
        skip = moved((backward[t + 1] + log_p[t + 1, states] + may_skip)[::-1], 2)
        backward[t] = np.logaddexp(np.logaddexp(after, moved(after, 1)), skip)[::-1]
    likelihood = np.logaddexp.reduce(forward[-1, -2:])
    gradient = np.exp(log_p)
    for state, label in enumerate(states):
        gradient[:, label] -= np.exp(forward[:, state] + backward[:, state] - likelihood)
    return -likelihood, gradient


def drawn(rng, *, batch, frames, classes, labels, scale):
    """A batch of unlike lengths with repeated labels; the first utterance is the longest, the second just fits."""
    wanted = rng.integers(0, classes - 1, (batch, labels)).astype(np.int32)
    wanted[:, 1::5] = wanted[:, 0::5][:, : wanted[:, 1::5].shape[1]]
    lengths = rng.integers(1, labels + 1, batch).astype(np.int32)
    lengths[0] = labels
    need = [n + int((row[1:n] == row[: n - 1]).sum()) for row, n in zip(wanted, lengths, strict=True)]
    long = np.array([rng.integers(n, frames + 1) for n in need], np.int32)
    long[0], long[1 % batch] = frames, need[1 % batch]
    return wanted, lengths, (scale * rng.standard_normal((batch, frames, classes))).astype(np.float32), long
