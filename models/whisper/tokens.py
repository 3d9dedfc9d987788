"""Sentences to Whisper's tokens and back.

    tokens = load(weights.tokenizer)            # of the file that came with the weights
    ids = tokens.encode("one two")              # [530, 734]: as spoken text begins, with a space
    tokens.decode(ids), tokens.prefix, tokens.end

Without a file, as with random weights, each byte is a token: `Bytes` uses the byte tokens that the published vocabulary
holds, so that shapes and costs of a step are real ones, though sentences take about four times the tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from features.corpus import text
from models.learner import Decode

END, START, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
ENGLISH, TRANSCRIBE = "<|en|>", "<|transcribe|>"
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How GPT-2's encoding cuts a text before it joins bytes."""
MULTILINGUAL_FROM = 51_865
"""The vocabulary size from which on a model knows several languages, and is told which one it hears."""


class Tokens(Protocol):
    """The interface of a tokenizer. `prefix` stands before every sentence, `end` after it."""

    prefix: tuple[int, ...]
    end: int

    def encode(self, sentence: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


class TokensError(ValueError):
    """A tokenizer that cannot be used."""


def load(path: Path | None, *, vocabulary: int) -> Tokens:
    """Return the tokenizer of a file, for a model of `vocabulary` tokens; that of bytes without a file.

    Raises:
        TokensError: the file cannot be read, or is for another vocabulary; or `tiktoken` is not installed.
    """
    return BytePairs(path, vocabulary=vocabulary) if path else Bytes(vocabulary=vocabulary)


class BytePairs:
    """The published byte-pair encoding, by the library tiktoken, with the ranks of a tokenizer.json."""

    def __init__(self, path: Path, *, vocabulary: int) -> None:
        try:
            import tiktoken
        except ImportError:
            raise TokensError(f"{path}: tiktoken is not here; pip install '.[whisper]'") from None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            special = {each["content"]: each["id"] for each in stored["added_tokens"]}
            letters = {letter: byte for byte, letter in _letters().items()}
            ranks = {
                bytes(letters[letter] for letter in token): number
                for token, number in stored["model"]["vocab"].items()
                if token not in special
            }
            self._encoding = tiktoken.Encoding(path.name, pat_str=WORDS, mergeable_ranks=ranks, special_tokens=special)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokensError(f"{path}: cannot be read as a tokenizer ({error!r:.120})") from None
        english = vocabulary < MULTILINGUAL_FROM
        named = (START, NO_TIMESTAMPS) if english else (START, ENGLISH, TRANSCRIBE, NO_TIMESTAMPS)
        for name in (*named, END):
            if (number := special.get(name)) is None or number >= vocabulary:
                other = "is it another model's?"
                raise TokensError(f"{path}: {name} is {number}; expected a token below {vocabulary:,}: {other}")
        self.prefix: tuple[int, ...] = tuple(special[name] for name in named)
        self.end: int = special[END]

    def encode(self, sentence: str) -> list[int]:
        return self._encoding.encode_ordinary(f" {sentence}") if sentence else []

    def decode(self, ids: Sequence[int]) -> str:
        said = b"".join(self._encoding.decode_tokens_bytes([n for n in ids if n < self.end]))
        return said.decode("utf-8", "replace").strip()


class Bytes:
    """A token for every byte, with the numbers that they have in the published vocabulary."""

    def __init__(self, *, vocabulary: int) -> None:
        english = vocabulary < MULTILINGUAL_FROM
        self.end = 50_256 if english else 50_257
        self.prefix: tuple[int, ...] = (50_257, 50_362) if english else (50_258, 50_259, 50_359, 50_363)
        self._of_number = dict(enumerate(_letters()))
        self._of_byte = {byte: number for number, byte in self._of_number.items()}

    def encode(self, sentence: str) -> list[int]:
        return [self._of_byte[byte] for byte in f" {sentence}".encode()] if sentence else []

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(self._of_number[n] for n in ids if n in self._of_number).decode("utf-8", "replace").strip()


def _letters() -> dict[int, str]:
    """Return the sign that stands for each byte in GPT-2's vocabulary, in the order of their tokens.

    Printable bytes stand for themselves and come first; the others have the signs from U+0100 on.
    """
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return {byte: chr(byte) for byte in printed} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def spelled(tokens: Tokens) -> Decode:
    """Return what turns rows of tokens, each ended by the end token, into sentences of letters alone."""

    def decode(rows: np.ndarray, counts: np.ndarray) -> list[str]:
        said = []
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
            ids = row[:count]
            said.append(text.plain(tokens.decode(ids[: ids.index(tokens.end)] if tokens.end in ids else ids)))
        return said

    return decode
