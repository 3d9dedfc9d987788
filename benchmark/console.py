"""The script `speech-tta`, which a pip installation puts on the path: it calls every command by name.

speech-tta bench --platform sys1        # as python -m benchmark, from any folder
speech-tta tta results/*.csv
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "bench": ("benchmark.__main__", "train and judge"),
    "rig": ("benchmark.rig.__main__", "what this machine is, and whether anything is wrong with it"),
    "tta": ("benchmark.tta", "times to accuracy of runs"),
    "compare": ("benchmark.compare", "which rig is faster, by how much, and is that more than chance"),
    "price": ("benchmark.price", "what a training costs"),
    "final": ("benchmark.final", "evaluate a run's checkpoints on every dev and test subset"),
    "transcribe": ("benchmark.transcribe", "what a run hears in any recording"),
    "report": ("benchmark.report.__main__", "one HTML page about runs"),
    "seal": ("benchmark.seal", "a run in one file, for anyone to check"),
    "verify": ("benchmark.verify", "is a sealed run true?"),
    "gallery": ("benchmark.gallery", "static pages of sealed runs"),
    "export": ("benchmark.export.__main__", "runs in the formats of others"),
    "ingest": ("benchmark.ingest.__main__", "logs of others as runs"),
    "saturation": ("benchmark.saturation", "how much data is enough"),
    "reference": ("benchmark.reference", "how honest runs converge, which epochs to a level are held against"),
    "speed": ("benchmark.speed.__main__", "how fast each part of the suite is"),
    "features": ("features.__main__", "extract features from a corpus"),
    "prepare": ("features.prepare.__main__", "make a corpus of speech as people have it"),
    "download": ("features.download", "LibriSpeech and its language models"),
    "synthesis": ("features.synthesis.__main__", "the embedded corpus"),
}
"""Each command's module, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Call a command; return its exit status: 2 if there is none of that name."""
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name][0]).main(arguments)
    listing = "\n".join(f"  {name:<10} {words}" for name, (_, words) in COMMANDS.items())
    asked = name in ("-h", "--help")
    start = "" if asked else f"speech-tta: no command {name!r}\n"
    print(
        f"{start}usage: speech-tta COMMAND ...\n\n{listing}\n\nspeech-tta COMMAND --help says more.",
        file=sys.stdout if asked else sys.stderr,
    )
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
