"""Is the suite's beam search as good as those of others on the logits of trained models, and how fast?

    pip install flashlight-text                 # or '.[peers]'
    python -m tests.trials.search results/RUN [results/RUN ...] --beam-width 256
    python -m tests.trials.search results/RUN --language-model FILE --beam-width 16 64 256

Decodes the dev utterances of every checkpoint of the runs with both, in one process, at the same beam width: with a
dictionary ours and flashlight-text's, at the same threshold; with a language model ours and pyctcdecode's, at the same
weight and word bonus. Lists each sentence that differs with the exact logarithm of what both searches maximise
(models.ctc.search.log_probability; with a language model log_score): ours less theirs is positive if ours is the
better sentence. `--mended` is for models.ctc.peer, which says what pyctcdecode does at the end of a sentence. A run of
`mini` takes a minute; the figures stand in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jiwer import wer

from features.corpus import text
from models.ctc import decoders, peer
from models.ctc import search as beam_search
from models.ctc.language_model import LanguageModel
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


Search = Callable[[np.ndarray], list[str]]
Score = Callable[[np.ndarray, list[str]], float]


def contest(words: Sequence[str], options: argparse.Namespace, *, beam_width: int) -> tuple[Search, Search, Score]:
    """Our search, theirs, and what both look for the most of."""
    if options.language_model is None:
        ours = decoders.dictionary(words, beam_width=beam_width)
        return alone(ours), flashlight(words, beam_width=beam_width), beam_search.log_probability
    usual = decoders.Decoder()
    weights = {"weight": usual.lm_weight, "bonus": usual.word_bonus}
    model = LanguageModel.load(options.language_model, words, **weights)
    theirs = peer.load(options.language_model, words, beam_width=beam_width, **weights, mended=options.mended)
    ours = decoders.with_language_model(model, beam_width=beam_width)
    return alone(ours), alone(theirs), lambda matrix, found: beam_search.log_score(matrix, found, model)


def alone(decode: decoders.Decode) -> Search:
    """A decoder of one utterance at a time."""
    return lambda matrix: decode(matrix[None], np.array([len(matrix)]))[0].split()


@dataclass
class Tally:
    """What both did so far at one beam width."""

    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    gains: list[float] = field(default_factory=list)
    sentences: list[tuple[str, str, str]] = field(default_factory=list)  # reference, ours, theirs

    def line(self, beam_width: int) -> str:
        references, *both = zip(*self.sentences, strict=True)
        ours, theirs = (100 * wer(list(references), list(found)) for found in both)
        worse = sum(gain < 0 for gain in self.gains)
        return (
            f"width {beam_width}: WER {ours:.2f} against {theirs:.2f}; {len(self.gains)} of {len(references)} "
            f"sentences differ, ours is less likely in {worse}; {self.seconds[0]:.2f} s against {self.seconds[1]:.2f} "
            f"s of CPU, {self.seconds[1] / self.seconds[0]:.2f} times as fast"
        )


def trial(options: argparse.Namespace) -> None:
    tallies = {width: Tally() for width in options.beam_width}
    for path in options.runs:
        for step, words, logits in logits_of(path):
            for width, tally in tallies.items():
                *searches, score = contest(words, options, beam_width=width)
                found: list[list[list[str]]] = []
                for n, search in enumerate(searches):
                    search(logits[0][1])  # compiled, or warmed up
                    began_s = time.process_time()
                    found.append([search(matrix) for _, matrix in logits])
                    tally.seconds[n] += time.process_time() - began_s
                for ((name, reference), matrix), mine, theirs in zip(logits, *found, strict=True):
                    tally.sentences.append((reference, " ".join(mine), " ".join(theirs)))
                    if mine != theirs:
                        tally.gains.append(score(matrix, mine) - score(matrix, theirs))
                        print(f"{path} after {step} batches, width {width}, {name}: ours {tally.gains[-1]:+.3f} nats\n"
                              f"    ours   {' '.join(mine)}\n    theirs {' '.join(theirs)}", flush=True)  # fmt: skip
    for width, tally in tallies.items():
        print(tally.line(width))


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("search", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="results/RUN", help="runs with checkpoints")
    parser.add_argument("--beam-width", type=int, nargs="+", default=[256], metavar="N", help="default: 256")
    parser.add_argument("--language-model", type=Path, metavar="FILE", help="an ARPA or KenLM binary file")
    parser.add_argument("--mended", action="store_true", help="pyctcdecode does not score an empty last word")
    return common.run("search", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
