"""What does a language model bring? A bigram model (Witten-Bell) of a corpus's training transcripts, as ARPA text.

    python -m tests.trials.bigram CORPUS > bigram.arpa

Then `python -m benchmark.final results/RUN --decoder language-model --language-model bigram.arpa` measures it; the
figures stand in docs/evaluation.md. It takes a second.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.trials import common


def arpa(sentences: Sequence[Sequence[str]]) -> str:
    """The model of some sentences, each a list of words, in ARPA's format."""
    framed = [["<s>", *sentence, "</s>"] for sentence in sentences]
    words = Counter(word for sentence in framed for word in sentence[1:])
    pairs = Counter(pair for sentence in framed for pair in pairwise(sentence))
    before, kinds = Counter[str](), Counter[str]()
    for (first, _), count in pairs.items():
        before[first] += count
        kinds[first] += 1
    total = sum(words.values()) + 1  # one for <unk>
    lines = [f"\\data\\\nngram 1={len(words) + 2}\nngram 2={len(pairs)}\n\n\\1-grams:"]
    lines.append(f"{math.log10(1 / total):.6f}\t<unk>")
    for word in ["<s>", *words]:
        weight = math.log10(kinds[word] / (before[word] + kinds[word])) if before[word] else 0.0  # Witten-Bell
        lines.append(f"{math.log10(words[word] / total) if word in words else -99:.6f}\t{word}\t{weight:.6f}")
    lines.append("\n\\2-grams:")
    for (first, second), count in pairs.items():
        share = (count + kinds[first] * words[second] / total) / (before[first] + kinds[first])
        lines.append(f"{math.log10(share):.6f}\t{first} {second}")
    return "\n".join([*lines, "\n\\end\\"])


def trial(options: argparse.Namespace) -> None:
    sentences = [
        line.lower().split()[1:]
        for path in sorted(options.corpus.glob("train*/**/*.trans.txt"))
        for line in path.read_text().splitlines()
    ]
    if not sentences:
        raise ValueError(f"{options.corpus}: no transcripts; expected a corpus with train*/SPEAKER/CHAPTER/*.trans.txt")
    print(arpa(sentences))


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser_of("bigram", __doc__)
    parser.add_argument("corpus", type=Path, metavar="CORPUS", help="a corpus in LibriSpeech layout")
    return common.run("bigram", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
