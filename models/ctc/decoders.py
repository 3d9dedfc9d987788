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

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from features.corpus import text
from models.learner import Decode

if TYPE_CHECKING:
    import numpy as np

    from models.ctc.language_model import LanguageModel

SPOKEN = {"language-model": "lm", "pyctcdecode": "pyctcdecode"}
"""The decoders that need a language model, with what their labels begin with.

Before the suite had a search of its own, "language-model" was pyctcdecode's, and labels began so: a label that begins
with "lm" is of ours (`benchmark.record.columns` reads the old ones).
"""

NAMES = ("greedy", "dictionary", *SPOKEN)

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

SPOKEN_WIDTHS, SPOKEN_PRUNED_NATS = 2, 12.0
"""With a language model the beam is twice as wide as said, and its threshold this.

So none of 400 sentences is less likely than pyctcdecode's at the same width; at once the width 1 is, at 10 nats 2 are:
docs/evaluation.md.
"""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """The choice of a decoder, and all that it needs.

    `words` are the dictionary, and the known words of a language model. `language_model` is an ARPA or KenLM binary
    file; `lm_weight` and `word_bonus` are its weight, 0 or more, and the bonus of a word (alpha and beta in
    pyctcdecode). `own` is how a model decodes greedily whose outputs are no logits of letters.
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
        if not 0 <= self.lm_weight < math.inf or not abs(self.word_bonus) < math.inf:
            raise ValueError(
                f"the language model has weight {self.lm_weight:g} and word bonus {self.word_bonus:g}; expected a "
                f"weight of 0 or more, and numbers"
            )
        if self.spoken and not (self.language_model and Path(self.language_model).is_file()):
            raise ValueError(
                f"language model {self.language_model}: no such file; give an ARPA or KenLM binary file with "
                f"--language-model"
            )

    @property
    def spoken(self) -> bool:
        """Whether it needs a language model."""
        return self.name in SPOKEN

    @cached_property
    def language_model_digest(self) -> str | None:
        """Return the SHA-256 of the language model's file: two files may have one name."""
        if not self.spoken:
            return None
        with Path(self.language_model).open("rb") as file:
            import hashlib

            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    @property
    def label(self) -> str:
        """Return a short name: "greedy", "dictionary-256", "lm-256-3-gram.pruned.1e-7-0f1e2d"."""
        parts = [SPOKEN.get(self.name, self.name)]
        if self.name != "greedy":
            parts.append(str(self.beam_width))
        if self.spoken:
            parts.append(f"{Path(self.language_model).name.removesuffix('.arpa')}-{self.language_model_digest[:6]}")
            usual = Decoder()
            if (self.lm_weight, self.word_bonus) != (usual.lm_weight, usual.word_bonus):
                parts.append(f"{self.lm_weight:g}-{self.word_bonus:g}")
        return "-".join(parts)

    def load(self) -> Decode:
        """Build the decoder. Raises ValueError for a language model that cannot be used, or a missing package."""
        if self.name == "greedy":
            return self.own or greedy
        if self.name == "dictionary":
            return dictionary(self.words, beam_width=self.beam_width)
        if self.name == "pyctcdecode":
            from models.ctc import peer

            return peer.load(
                self.language_model,
                self.words,
                beam_width=self.beam_width,
                weight=self.lm_weight,
                bonus=self.word_bonus,
            )
        return with_language_model(self._model(), beam_width=self.beam_width)

    def check(self) -> str:
        """Build the decoder once, so that errors show before a run; return a warning, or "".

        Raises ValueError as `load` does, also for a language model that knows none of the words.
        """
        self.load()
        if not self.spoken:
            return ""
        share = self._model().known_share(self.words)
        if share >= MOST_WORDS:
            return ""
        return (
            f"language model {self.language_model} knows {share:.1%} of the {len(self.words):,} training words; the "
            f"others it takes for unlikely: a model of more text, or of the same spelling, would know more"
        )

    def _model(self) -> LanguageModel:
        from models.ctc.language_model import LanguageModel

        return LanguageModel.load(self.language_model, self.words, weight=self.lm_weight, bonus=self.word_bonus)


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

    from models.ctc.lexicon import Lexicon
    from models.ctc.search import likeliest, search

    lexicon = Lexicon.of(words)

    def decode_one(logits: np.ndarray) -> str:
        found = [search(logits, lexicon, beam_width=n * beam_width, pruned_nats=PRUNED_NATS) for n in WIDTHS]
        return " ".join(likeliest(logits, found))

    decode_one(np.zeros([1, text.ALPHABET_SIZE]))  # compiled now, or loaded from Numba's cache, and not in a run's time

    def decode(logits: np.ndarray, frames: np.ndarray) -> list[str]:
        return [decode_one(matrix[:count]) for matrix, count in zip(logits, frames, strict=True)]

    return decode


def with_language_model(model: LanguageModel, *, beam_width: int) -> Decode:
    """Build a beam search of any words, which a language model scores (`models.ctc.language_model` has the formula).

    With a beam wide enough the sentence found is the one with the highest `models.ctc.search.log_score`.
    """
    import numpy as np

    from models.ctc.search import spoken_search

    def decode_one(logits: np.ndarray) -> str:
        model.tidy()
        width = SPOKEN_WIDTHS * beam_width
        return " ".join(spoken_search(logits, model, beam_width=width, pruned_nats=SPOKEN_PRUNED_NATS))

    decode_one(np.zeros([1, text.ALPHABET_SIZE]))  # compiled now, as above

    def decode(logits: np.ndarray, frames: np.ndarray) -> list[str]:
        return [decode_one(matrix[:count]) for matrix, count in zip(logits, frames, strict=True)]

    return decode
