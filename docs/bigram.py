"""A bigram language model, Witten-Bell, of a corpus's training transcripts: python docs/bigram.py CORPUS > x.arpa"""

import math
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

sentences = [
    ["<s>", *line.lower().split()[1:], "</s>"]
    for path in sorted(Path(sys.argv[1]).glob("train*/**/*.trans.txt"))
    for line in path.read_text().splitlines()
]
words = Counter(word for sentence in sentences for word in sentence[1:])
pairs = Counter(pair for sentence in sentences for pair in pairwise(sentence))
before, kinds = Counter(), Counter()
for (first, _), count in pairs.items():
    before[first] += count
    kinds[first] += 1
total = sum(words.values()) + 1  # one for <unk>
print(f"\\data\\\nngram 1={len(words) + 2}\nngram 2={len(pairs)}\n\n\\1-grams:")
print(f"{math.log10(1 / total):.6f}\t<unk>")
for word in ["<s>", *words]:
    weight = math.log10(kinds[word] / (before[word] + kinds[word])) if before[word] else 0.0  # Witten-Bell
    print(f"{math.log10(words[word] / total) if word in words else -99:.6f}\t{word}\t{weight:.6f}")
print("\n\\2-grams:")
for (first, second), count in pairs.items():
    share = (count + kinds[first] * words[second] / total) / (before[first] + kinds[first])
    print(f"{math.log10(share):.6f}\t{first} {second}")
print("\n\\end\\")
