"""Is the suite's beam search as good as flashlight-text's on the logits of trained models, and how fast?

    pip install flashlight-text                 # or '.[peers]'
    python -m tests.trials.search results/RUN [results/RUN ...] --beam-width 256

Decodes the dev utterances of every checkpoint of the runs with both, in one process, at the same beam width and
threshold. Lists each sentence that differs, with the exact logarithm of its probability over all CTC paths
(models.ctc.search.log_probability): ours less theirs is positive if ours is the likelier sentence. A run of `mini`
takes a minute; the figures stand in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from features.corpus import text
from models.ctc import decoders
from models.ctc import search as beam_search
from tests.trials import common
from tests.trials.threshold import logits_of

NEVER = -1e9  # a score instead of minus infinity, which flashlight-text adds up


def flashlight(words: Sequence[str], *, beam_width: int) -> Callable[[np.ndarray], list[str]]:
    """flashlight-text's lexicon decoder with a language model that scores nothing: logits [T', 30] -> words.

    Words are spelled with separators and a trailing space; a frame of certain space is appended, so that a last word
    can end.
    """
    from flashlight.lib.text.decoder import (
        CriterionType,
        LexiconDecoder,
        LexiconDecoderOptions,
        SmearingMode,
        Trie,
        ZeroLM,
    )

    vocabulary = sorted(set(words))
    trie = Trie(text.ALPHABET_SIZE, text.SPACE)
    for number, word in enumerate(vocabulary):
        trie.insert([*text.encode(word), text.SPACE], number, 0.0)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=beam_width, beam_size_token=text.ALPHABET_SIZE, beam_threshold=decoders.PRUNED_NATS, lm_weight=0.0,
        word_score=0.0, unk_score=-np.inf, sil_score=0.0, log_add=True, criterion_type=CriterionType.CTC,
    )  # fmt: skip
    decoder = LexiconDecoder(options, trie, ZeroLM(), text.SPACE, text.BLANK, -1, [], False)
    final = np.full((1, text.ALPHABET_SIZE), NEVER, np.float32)
    final[0, text.SPACE] = 0.0

    def decode(logits: np.ndarray) -> list[str]:
        emissions = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        ended = np.ascontiguousarray(np.concatenate([emissions, final]), np.float32)
        best = decoder.decode(ended.ctypes.data, *ended.shape)
        return [vocabulary[number] for number in best[0].words if number >= 0] if best else []

    return decode


def trial(options: argparse.Namespace) -> None:
    seconds, utterances = [0.0, 0.0], 0
    gains: list[float] = []
    for path in options.runs:
        for step, words, logits in logits_of(path):
            decode = decoders.dictionary(words, beam_width=options.beam_width)

            def ours(matrix: np.ndarray, decode: decoders.Decode = decode) -> list[str]:
                return decode(matrix[None], np.array([len(matrix)]))[0].split()

            searches = ours, flashlight(words, beam_width=options.beam_width)
            found: list[list[list[str]]] = []
            for n, search in enumerate(searches):
                search(logits[0][1])  # compiled, or warmed up
                began_s = time.perf_counter()
                found.append([search(matrix) for _, matrix in logits])
                seconds[n] += time.perf_counter() - began_s
            utterances += len(logits)
            for ((name, _), matrix), mine, theirs in zip(logits, *found, strict=True):
                if mine != theirs:
                    gains.append(
                        beam_search.log_probability(matrix, mine) - beam_search.log_probability(matrix, theirs)
                    )
                    print(f"{path} after {step} batches, {name}: ours {gains[-1]:+.3f} nats\n"
                          f"    ours   {' '.join(mine)}\n    theirs {' '.join(theirs)}", flush=True)  # fmt: skip
    worse = sum(gain < 0 for gain in gains)
    print(f"{len(gains)} of {utterances} sentences differ; ours is less likely in {worse}; "
          f"{seconds[0]:.2f} s against {seconds[1]:.2f} s, {seconds[1] / seconds[0]:.2f} times as fast")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("search", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="results/RUN", help="runs with checkpoints")
    parser.add_argument("--beam-width", type=int, default=256, metavar="N", help="default: %(default)s")
    return common.run("search", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
