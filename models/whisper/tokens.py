"""Sentences to Whisper's tokens and back.

    tokens = read(weights.path).tokens          # of the files that came with the weights
    ids = tokens.encode("one two")              # [530, 734]: as spoken text begins, with a space
    tokens.decode(ids), tokens.prefix, tokens.end

Tokens are part of a model: published weights have those of a tokenizer.json, or of vocab.json and merges.txt with the
files of added tokens beside them, and are refused without. What a model is follows from its special tokens, checked
against what its settings state, and never from the size of its vocabulary.

With random weights each byte is a token: `Bytes` uses the byte tokens that the published vocabulary holds, so that
shapes and costs of a step are real ones, though sentences take about four times the tokens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from features.corpus import text
from models.learner import Decode

END, START, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
ENGLISH, TRANSCRIBE = "<|en|>", "<|transcribe|>"
SPECIAL = (START, ENGLISH, TRANSCRIBE, NO_TIMESTAMPS, END)
"""The tokens that stand before and after a sentence; an English model's has neither language nor task before it."""
ENDS = {50_256: False, 50_257: True}
"""Whether a model whose end token has this number is multilingual: OpenAI's two vocabularies."""
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How GPT-2's encoding cuts a text before it joins bytes."""
MULTILINGUAL_FROM = 51_865
"""The vocabulary size from which on random weights get the byte tokens and the prefix of the multilingual models."""
OTHERS = re.compile(r"<\|(?!en\|)[a-z]{2,3}\|>|<\|translate\|>")
"""Tokens of a language other than English, and of another task."""
FILES = "tokenizer.json, or vocab.json and merges.txt"


class Tokens(Protocol):
    """The interface of a tokenizer. `prefix` stands before every sentence, `end` after it."""

    prefix: tuple[int, ...]
    end: int

    def encode(self, sentence: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


class TokensError(ValueError):
    """A tokenizer that cannot be used; the message names the file, what was found and the way out."""


def find(folder: Path) -> Path | None:
    """Return a folder's tokenizer.json or vocab.json; None if it has neither."""
    return next((path for name in ("tokenizer.json", "vocab.json") if (path := folder / name).is_file()), None)


def load(
    path: Path | None, *, beside: Path, vocabulary: int, stated: Mapping[str, int], forced: Sequence[int] = (),
    multilingual: bool | None = None,
) -> BytePairs:  # fmt: skip
    """Return the tokenizer of the weights `beside`, a model of `vocabulary` tokens.

    `stated` are the numbers of special tokens that the weights' settings state, `forced` those that they put before a
    sentence, and `multilingual` whether they say that the model is; None leaves that to the special tokens.

    Raises:
        TokensError: there is no file, it cannot be read, or is another model's; or `tiktoken` is not installed.
    """
    if path is None:
        folder = beside if beside.is_dir() else beside.parent
        raise TokensError(f"{beside}: weights without their tokens; expected {FILES} in {folder}: copy there those of "
                          f"the same model")  # fmt: skip
    return BytePairs(path, vocabulary=vocabulary, stated=stated, forced=forced, multilingual=multilingual)


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a tokenizer's files hold: numbers of byte pairs, of special tokens, and of words that were added."""

    pairs: Mapping[bytes, int]
    special: Mapping[str, int]
    words: Mapping[str, int]


class BytePairs:
    """The published byte-pair encoding, by the library tiktoken, with the ranks of a tokenizer's files."""

    def __init__(
        self, path: Path, *, vocabulary: int, stated: Mapping[str, int], forced: Sequence[int] = (),
        multilingual: bool | None = None,
    ) -> None:  # fmt: skip
        try:
            import tiktoken
        except ImportError:
            raise TokensError(f"{path}: tiktoken is not here; pip install '.[whisper]'") from None
        self._table = table = _table(path)
        self.prefix, self.end = _around(path, table.special, vocabulary=vocabulary, stated=stated, asked=multilingual)
        other = [name for name, number in table.special.items() if number in forced and OTHERS.fullmatch(name)]
        if other and len(self.prefix) > len((START, NO_TIMESTAMPS)):
            raise TokensError(f"{path}: the weights' settings put {other[0]} before a sentence; expected {ENGLISH} and "
                              f"{TRANSCRIBE}: take out forced_decoder_ids to train in English")  # fmt: skip
        own = {**table.words, **table.special}
        if (most := max([*table.pairs.values(), *table.words.values()])) >= vocabulary:
            raise TokensError(f"{path}: a token has number {most:,}; expected less than {vocabulary:,}, which the "
                              f"weights have: is it another model's?")  # fmt: skip
        if len({*table.pairs.values(), *own.values()}) < len(table.pairs) + len(own):
            raise TokensError(f"{path}: two tokens have one number; expected a number for each")
        self._encoding = tiktoken.Encoding(
            path.name, pat_str=WORDS, mergeable_ranks=dict(table.pairs), special_tokens=own
        )
        self._said = {number: said for said, number in table.pairs.items()}
        self._said |= {number: word.encode() for word, number in table.words.items()}

    def encode(self, sentence: str) -> list[int]:
        if not sentence:
            return []
        return self._encoding.encode(f" {sentence}", allowed_special=set(self._table.words), disallowed_special=())

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self._said.get(number, b"") for number in ids).decode("utf-8", "replace").strip()

    def digest(self, *suppressed: Iterable[int]) -> str:
        """Return the SHA-256 of all that a sentence's tokens follow from, and of tokens that are never decoded.

        It is that of the tokens, whatever the files: tokenizer.json and vocab.json of one model have the same. Special
        tokens that no sentence has, as those of time stamps, are no part of it.
        """
        pairs = sorted((number, said.hex()) for said, number in self._table.pairs.items() if said)
        words = sorted((number, word) for word, number in self._table.words.items())
        held = [sorted(set(tokens)) for tokens in suppressed]
        return hashlib.sha256(json.dumps([pairs, words, self.prefix, self.end, held]).encode()).hexdigest()


def _around(
    path: Path, special: Mapping[str, int], *, vocabulary: int, stated: Mapping[str, int], asked: bool | None
) -> tuple[tuple[int, ...], int]:
    """Return the tokens before every sentence and the end token."""
    unclear = ENGLISH in special and TRANSCRIBE in special
    multilingual = asked if asked is not None else ENDS.get(special.get(END, -1), unclear)
    named = SPECIAL[:-1] if multilingual else (START, NO_TIMESTAMPS)
    for name in SPECIAL:
        number, expected = special.get(name), stated.get(name)
        if name in (*named, END) and (number is None or number >= vocabulary):
            raise TokensError(f"{path}: {name} is {number}; expected a token below {vocabulary:,}: is it another "
                              f"model's?")  # fmt: skip
        if None not in (number, expected) and number != expected:
            raise TokensError(f"{path}: {name} is {number}; expected {expected}, as the weights' own files say: is it "
                              f"another model's?")  # fmt: skip
    return tuple(special[name] for name in named), special[END]


# --- files -----------------------------------------------------------------------------------------------------------


def _table(path: Path) -> Table:
    try:
        return _of_json(path) if path.name == "tokenizer.json" else _of_several(path)
    except TokensError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokensError(f"{path}: cannot be read as a tokenizer ({error!r:.120}); expected {FILES}") from None


OTHER = ("continuing_subword_prefix", "end_of_word_suffix", "dropout", "byte_fallback", "ignore_merges")
"""Options of a tokenizer.json's model that Whisper's leaves empty."""
TRIMMED = ("lstrip", "rstrip", "single_word")
"""Options of an added word that change where it is found; it is found wherever it stands."""


def _of_json(path: Path) -> Table:
    stored = json.loads(path.read_text(encoding="utf-8"))
    model, before = stored["model"], stored.get("pre_tokenizer") or {}
    found = {name: model[name] for name in OTHER if model.get(name)}
    found |= {"normalizer": stored["normalizer"]} if stored.get("normalizer") else {}
    found |= {"type": model["type"]} if model.get("type", "BPE") != "BPE" else {}
    if before and (before.get("type"), before.get("use_regex", True)) != ("ByteLevel", True):
        found["pre_tokenizer"] = before
    added = {each["content"]: each for each in stored["added_tokens"]}
    trimmed = [each for each in added.values() if not _named(each["content"])]
    found |= {each["content"]: "not taken as it stands" for each in trimmed if any(each.get(name) for name in TRIMMED)}
    if found:
        raise TokensError(f"{path}: found {found!r:.80}; expected GPT-2's byte pairs, as Whisper has them")
    return _made(
        path,
        numbers=model["vocab"],
        merges=["".join(each.split(" ") if isinstance(each, str) else each) for each in model.get("merges", [])],
        added={name: each["id"] for name, each in added.items()},
        special={name for name, each in added.items() if each.get("special")},
    )


def _of_several(path: Path) -> Table:
    """Read vocab.json, merges.txt, and what there is of added_tokens.json and of Hugging Face's settings."""
    folder, numbers = path.parent, json.loads(path.read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    listed = _optional(folder / "tokenizer_config.json").get("added_tokens_decoder", {})
    added = {each["content"]: int(number) for number, each in listed.items()}
    for name, number in {**_optional(folder / "added_tokens.json"), **_ends(numbers)}.items():
        if added.setdefault(name, number) != number:
            raise TokensError(f"{path}: {name} is {added[name]} in tokenizer_config.json; expected {number}, as in the "
                              f"other files")  # fmt: skip
    given = _optional(folder / "special_tokens_map.json").values()
    special = [each for some in given for each in (some if isinstance(some, list) else [some])]
    return _made(
        path,
        numbers=numbers,
        merges=["".join(line.split()) for line in lines if line and not line.startswith("#version")],
        added=added,
        special={each["content"] if isinstance(each, dict) else each for each in special}
        | {each["content"] for each in listed.values() if each.get("special")},
    )


def _ends(numbers: Mapping[str, int]) -> dict[str, int]:
    return {END: numbers[END]} if END in numbers else {}


def _optional(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _named(token: str) -> bool:
    """Tell whether a token is written as Whisper's special ones are, time stamps among them."""
    return re.fullmatch(r"<\|.*\|>", token) is not None


def _made(
    path: Path, *, numbers: Mapping[str, int], merges: Sequence[str], added: Mapping[str, int], special: set[str]
) -> Table:
    """Return the table. Raises TokensError unless a pair's number says when it is merged, as tiktoken takes it."""
    letters = {letter: byte for byte, letter in _letters().items()}
    spelled = {token: number for token, number in numbers.items() if token not in added}
    pairs = {bytes(letters[letter] for letter in token): number for token, number in spelled.items()}
    joined = [token for token, _ in sorted(spelled.items(), key=lambda each: each[1]) if len(token) > 1]
    merges = list(dict.fromkeys(merges))  # a pair may be merged from several parts, as tiktoken does anyway
    if joined != merges:
        at = next((n for n, (ours, theirs) in enumerate(zip(joined, merges, strict=False)) if ours != theirs), None)
        found = f"{len(merges):,} merges for {len(joined):,} pairs" if at is None else f"merge {at:,} is {merges[at]!r}"
        raise TokensError(f"{path}: {found}; expected a merge for every pair, in the order of their numbers")
    if missing := 256 - sum(len(said) == 1 for said in pairs):
        raise TokensError(f"{path}: {missing} bytes have no token; expected all 256")
    words = {name: number for name, number in added.items() if name not in special and not _named(name)}
    return Table(
        pairs=pairs, special={name: number for name, number in added.items() if name not in words}, words=words
    )


# --- bytes -----------------------------------------------------------------------------------------------------------


class Bytes:
    """A token for every byte, with the numbers that they have in the published vocabulary."""

    def __init__(self, *, vocabulary: int) -> None:
        english = vocabulary < MULTILINGUAL_FROM
        if vocabulary <= (last := 50_362 if english else 50_363):
            raise TokensError(f"a vocabulary of {vocabulary:,}; expected more than {last:,}, the prefix's last token")
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
