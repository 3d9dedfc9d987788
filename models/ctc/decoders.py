"""Decoders turn a model's outputs into sentences: greedy, with a dictionary or a language model; or Whisper's tokens.

    decoder = Decoder(name="dictionary", beam_width=256, words=manifest.words)
    decode = decoder.load()
    sentences = decode(logits, frames)      # float [B, T', C] or tokens int [B, L]; int [B] -> B sentences

A Decoder says which one and with which settings; it is small and can be sent to another process, where `load` builds
it. `load` returns a function of logits (natural, not normalised) and the number of valid output frames. It decodes
each utterance by itself: the rest of the batch and padding change nothing. Everything is computed in logarithms, so
that utterances of 830 frames do not underflow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.corpus import text
from models.learner import Decode

if TYPE_CHECKING:
    import numpy as np

NAMES = ("greedy", "dictionary", "language-model")

WIDTHS = (1, 2)
"""The dictionary searches with these multiples of the beam width, and takes the likelier of the two sentences.

A wider beam is not always better: what it keeps may crowd out what wins in the end. So either finds what the other
lost. With both, none of 750 sentences is less likely than flashlight-text's at the same width: docs/evaluation.md.
"""

MOST_WORDS = 0.9
"""A language model that knows a smaller share of the training words is warned of."""

PRUNED_NATS = 13.0
"""Hypotheses of the dictionary's beam that are less likely than the best one by this factor, exp(13), are dropped.

3.5 times as fast at width 256, and 12 of 750 sentences differ: docs/evaluation.md.
"""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """The choice of a decoder, and all that it needs.

    `words` are the dictionary, and the known words of a language model. `language_model` is an ARPA or KenLM binary
    file; `lm_weight` and `word_bonus` are its weight and the bonus of a word (alpha and beta in pyctcdecode). `own` is
    how a model decodes greedily whose outputs are no logits of letters.
    """

    name: str = "greedy"
    beam_width: int = 256
    words: tuple[str, ...] = ()
    language_model: Path | None = None
    lm_weight: float = 0.5
    word_bonus: float = 1.5
    own: Decode | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"no decoder {self.name!r}; there are {', '.join(NAMES)}")
        if self.beam_width < 1:
            raise ValueError(f"beam_width is {self.beam_width}; expected at least 1")
        if self.name == "dictionary" and not self.words:
            raise ValueError("the dictionary is empty; expected the words of the training transcripts")
        if self.name == "language-model" and not (self.language_model and Path(self.language_model).is_file()):
            raise ValueError(
                f"language model {self.language_model}: no such file; give an ARPA or KenLM binary file with "
                f"--language-model"
            )

    @cached_property
    def language_model_digest(self) -> str | None:
        """Return the SHA-256 of the language model's file: two files may have one name."""
        if self.name != "language-model":
            return None
        with Path(self.language_model).open("rb") as file:
            import hashlib

            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    @property
    def label(self) -> str:
        """Return a short name: "greedy", "dictionary-256", "language-model-256-3-gram.pruned.1e-7-0f1e2d"."""
        parts = [self.name]
        if self.name != "greedy":
            parts.append(str(self.beam_width))
        if self.name == "language-model":
            parts.append(f"{Path(self.language_model).name.removesuffix('.arpa')}-{self.language_model_digest[:6]}")
            usual = Decoder()
            if (self.lm_weight, self.word_bonus) != (usual.lm_weight, usual.word_bonus):
                parts.append(f"{self.lm_weight:g}-{self.word_bonus:g}")
        return "-".join(parts)

    def load(self) -> Decode:
        """Build the decoder. Raises ValueError for a language model that cannot be used."""
        if self.name == "greedy":
            return self.own or greedy
        if self.name == "dictionary":
            return dictionary(self.words, beam_width=self.beam_width)
        return self._searcher().decode

    def check(self) -> str:
        """Build the decoder once, so that errors show before a run; return a warning, or "".

        Raises ValueError for a language model that cannot be used, or that knows none of the words.
        """
        if self.name != "language-model":
            self.load()
            return ""
        share = self._searcher().known_share(self.words)
        if share >= MOST_WORDS:
            return ""
        return (
            f"language model {self.language_model} knows {share:.1%} of the {len(self.words):,} training words; the "
            f"others it takes for unlikely: a model of more text, or of the same spelling, would know more"
        )

    def _searcher(self) -> _WithLanguageModel:
        return _WithLanguageModel.load(
            self.language_model,
            self.words,
            beam_width=self.beam_width,
            lm_weight=self.lm_weight,
            word_bonus=self.word_bonus,
        )


def greedy(logits: np.ndarray, frames: np.ndarray) -> list[str]:
    """Take the likeliest class of every frame, merge repeats, and drop blanks and separators."""
    return [_collapse(best[:count]) for best, count in zip(logits.argmax(-1), frames, strict=True)]


def _collapse(path: np.ndarray) -> str:
    import numpy as np  # here, as below: who only reads NAMES needs none

    changes = path[np.diff(path, prepend=-1) != 0]
    return text.decode(changes[changes != text.BLANK])


def dictionary(words: Iterable[str], *, beam_width: int) -> Decode:
    """Build a beam search restricted to sentences of these words, any number of spaces between them, no language model.

    With a beam wide enough the sentence found is the one whose CTC paths are likeliest together. A last word that no
    hypothesis left in the beam completes is lost.
    """
    import numpy as np

    from models.ctc.search import Lexicon, likeliest, search

    lexicon = Lexicon.of(words)

    def decode_one(logits: np.ndarray) -> str:
        found = [search(logits, lexicon, beam_width=n * beam_width, pruned_nats=PRUNED_NATS) for n in WIDTHS]
        return " ".join(likeliest(logits, found))

    decode_one(np.zeros([1, text.ALPHABET_SIZE]))  # compiled now, or loaded from Numba's cache, and not in a run's time

    def decode(logits: np.ndarray, frames: np.ndarray) -> list[str]:
        return [decode_one(matrix[:count]) for matrix, count in zip(logits, frames, strict=True)]

    return decode


@dataclass(frozen=True)
class _WithLanguageModel:
    """pyctcdecode's beam search, scored by a KenLM model (ARPA or binary)."""

    search: Any  # pyctcdecode.BeamSearchDecoderCTC
    model: Any  # kenlm.Model
    beam_width: int

    @classmethod
    def load(
        cls, path: Path, words: Iterable[str], *, beam_width: int, lm_weight: float, word_bonus: float
    ) -> _WithLanguageModel:
        """Load a model that should know the words. Raises ValueError if it cannot be used, or knows none."""
        try:
            import kenlm
        except ImportError:
            raise ValueError(
                "language-model decoding needs kenlm, which is compiled on installation: "
                "apt install g++ python3-dev, then make setup"
            ) from None
        import pyctcdecode

        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
        words = sorted(set(words))
        try:
            model = kenlm.Model(str(path))
        except (OSError, RuntimeError) as error:
            reason = str(error).rpartition("Exception. ")[2].partition(" Byte:")[0].splitlines()[0]  # without C++ names
            raise ValueError(f"{path}: {reason}; expected an ARPA or KenLM binary file") from None
        if words and not any(word in model for word in words):
            raise ValueError(_knows_none(path, model, words))
        scorer = pyctcdecode.LanguageModel(model, words or None, alpha=lm_weight, beta=word_bonus)
        alphabet = pyctcdecode.Alphabet.build_alphabet([*text.CHARACTERS[: text.SEPARATOR_INDEX], ""])
        return cls(pyctcdecode.BeamSearchDecoderCTC(alphabet, scorer), model, beam_width)

    def known_share(self, words: Iterable[str]) -> float:
        """Return the share of some words that the model knows, 0 to 1; 1 for none."""
        known = [word in self.model for word in words]
        return sum(known) / len(known) if known else 1.0

    def decode(self, logits: np.ndarray, frames: np.ndarray) -> list[str]:
        return [self._decode_one(matrix[:count]) for matrix, count in zip(logits, frames, strict=True)]

    def _decode_one(self, logits: np.ndarray) -> str:
        import numpy as np
        from scipy.special import log_softmax  # here: it takes 0.2 s, which users of NAMES need not wait

        if not len(logits):
            return ""
        emissions = log_softmax(np.ascontiguousarray(logits, np.float32), axis=-1)
        # A language model knows no separators; a blank between doubled letters says the same.
        nothing = np.logaddexp(emissions[:, text.SEPARATOR_INDEX], emissions[:, text.BLANK])
        letters = np.concatenate([emissions[:, : text.SEPARATOR_INDEX], nothing[:, None]], axis=1)
        return " ".join(self.search.decode(letters, beam_width=self.beam_width).split())


def _knows_none(path: Path, model: Any, words: list[str]) -> str:
    found = f"{path}: knows none of the {len(words):,} training words"
    capitals = sum(word.upper() in model for word in words) / len(words)
    if not capitals:
        return f"{found}; expected a model of their language and spelling"
    return (
        f"{found}, and {capitals:.0%} of them in capitals; expected lower case, as the transcripts are. Of an ARPA "
        f"file: tr '[:upper:]' '[:lower:]' < {path} > lower.arpa"
    )
