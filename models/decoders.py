"""From logits to sentences: greedy, held to a dictionary, or with a language model.

    decode = dictionary(words, beam_width=256)
    sentences = decode(logits, frames)      # float [B, T', 30], int [B] -> B sentences

A decoder is a function of logits (natural, not normalised) and valid output frames. It looks at each utterance by
itself: what else is in the batch, and padding, change nothing. Everything is computed in logarithms, so that
utterances of 830 frames do not underflow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from features import text

Decode = Callable[[np.ndarray, np.ndarray], list[str]]

NAMES = ("greedy", "dictionary", "language-model")


def load(name: str, *, words: Iterable[str], beam_width: int, language_model: Path | None = None) -> Decode:
    """A decoder by name.

    Raises:
        ValueError: an unknown name, or a language model that is missing or cannot be read.
    """
    if name == "greedy":
        return greedy
    if name == "dictionary":
        return dictionary(words, beam_width=beam_width)
    if name == "language-model":
        return with_language_model(language_model, words, beam_width=beam_width)
    raise ValueError(f"no decoder {name!r}; there are {', '.join(NAMES)}")


def greedy(logits: np.ndarray, frames: np.ndarray) -> list[str]:
    """The likeliest class of every frame, repeats merged, blanks and separators dropped."""
    return [_collapse(best[:count]) for best, count in zip(logits.argmax(-1), frames, strict=True)]


def _collapse(path: np.ndarray) -> str:
    changes = path[np.diff(path, prepend=-1) != 0]
    return text.decode(changes[changes != text.BLANK])


def dictionary(words: Iterable[str], *, beam_width: int) -> Decode:
    """Beam search held to sentences of these words, any number of spaces between them, no language model.

    flashlight-text's lexicon decoder with a language model that scores nothing. Each word is spelled with its
    separators and a trailing space; one frame of certain space is appended, so that a last word can end.
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
    if not vocabulary:
        raise ValueError("the dictionary is empty; expected the words of the training transcripts")
    trie = Trie(text.ALPHABET_SIZE, text.SPACE)
    for number, word in enumerate(vocabulary):
        trie.insert([*text.encode(word), text.SPACE], number, 0.0)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=beam_width,
        beam_size_token=text.ALPHABET_SIZE,
        beam_threshold=1e9,
        lm_weight=0.0,
        word_score=0.0,
        unk_score=-np.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconDecoder(options, trie, ZeroLM(), text.SPACE, text.BLANK, -1, [], False)
    final = np.full((1, text.ALPHABET_SIZE), -1e9, np.float32)
    final[0, text.SPACE] = 0.0

    def decode_one(emissions: np.ndarray) -> str:
        if not len(emissions):
            return ""
        ended = np.ascontiguousarray(np.concatenate([emissions, final]), np.float32)
        best = decoder.decode(ended.ctypes.data, *ended.shape)
        return " ".join(vocabulary[number] for number in best[0].words if number >= 0) if best else ""

    return _one_by_one(decode_one)


def with_language_model(path: Path | None, words: Iterable[str], *, beam_width: int) -> Decode:
    """Beam search scored by a KenLM model (ARPA or binary), by pyctcdecode."""
    if path is None or not Path(path).is_file():
        raise ValueError(
            f"language model {path}: no such file; give an ARPA or KenLM binary file with --language-model"
        )
    try:
        import kenlm  # noqa: F401 - pyctcdecode only warns where it is missing
    except ImportError:
        raise ValueError(
            "language-model decoding needs kenlm, which is compiled on installation: "
            "apt install g++ python3-dev, then make setup"
        ) from None
    import pyctcdecode

    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    decoder = pyctcdecode.build_ctcdecoder(
        [*text.CHARACTERS[: text.SEPARATOR_INDEX], ""], str(path), unigrams=sorted(set(words)) or None
    )

    def decode_one(emissions: np.ndarray) -> str:
        if not len(emissions):
            return ""
        # A language model knows no separators; a blank between doubled letters says the same.
        nothing = np.logaddexp(emissions[:, text.SEPARATOR_INDEX], emissions[:, text.BLANK])
        letters = np.concatenate([emissions[:, : text.SEPARATOR_INDEX], nothing[:, None]], axis=1)
        return " ".join(decoder.decode(letters, beam_width=beam_width).split())

    return _one_by_one(decode_one)


def _one_by_one(decode_one: Callable[[np.ndarray], str]) -> Decode:
    def decode(logits: np.ndarray, frames: np.ndarray) -> list[str]:
        emissions = log_softmax(np.asarray(logits, np.float32), axis=-1)
        return [decode_one(matrix[:count]) for matrix, count in zip(emissions, frames, strict=True)]

    return decode
