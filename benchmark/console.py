"""The script `speech-tta`, which a pip installation puts on the path: it calls every command by name.

speech-tta bench --platform sys1        # as python -m benchmark, from any folder
speech-tta tta results/*.csv
speech-tta completion bash              # a script that completes commands, options and values
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
    "choose": ("benchmark.choose", "which rig to take for a level, and which to try next"),
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
    "platforms": ("platforms.__main__", "check platform files and say what is in them"),
    "synthesis": ("features.synthesis.__main__", "the embedded corpus"),
}
"""Each command's module, and what it does."""

BELOW = {"rig": "benchmark.rig.__main__"}
"""Commands that have commands of their own, in COMMANDS of a module."""


def main(argv: Sequence[str] | None = None) -> int:
    """Call a command; return its exit status: 2 if there is none of that name."""
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name][0]).main(arguments)
    if name == "completion":
        return _completion(arguments)
    if name == "--version":
        from features.jobs.version import said

        print(said())
        return 0
    listed = {**{name: words for name, (_, words) in COMMANDS.items()}, "completion": "completion for bash and zsh"}
    listing = "\n".join(f"  {name:<10} {words}" for name, words in listed.items())
    asked = name in ("-h", "--help")
    if not asked:
        from features.jobs.wrong import guess

        words = f"no command {name!r}; {guess(name, (*COMMANDS, 'completion'))}speech-tta --help lists all"
        print(f"speech-tta: {words}", file=sys.stderr)
        return 2
    print(f"usage: speech-tta COMMAND ...\n\n{listing}\n\nspeech-tta COMMAND --help says more; --version which it is.")
    return 0


def _completion(argv: Sequence[str]) -> int:
    import argparse

    from features.jobs.streams import parse, reported

    parser = argparse.ArgumentParser(
        prog="speech-tta completion",
        description="Print a script that completes commands, options and values in a shell.",
        epilog=COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh"), metavar="SHELL", help="bash or zsh: the script is for both")
    parse(parser, argv)
    with reported("speech-tta"):
        print(completion(), end="")
    return 0


COMPLETION = """\
bash, once, then in every new shell:
  mkdir -p ~/.local/share/bash-completion/completions
  speech-tta completion bash > ~/.local/share/bash-completion/completions/speech-tta
zsh, in ~/.zshrc:
  source <(speech-tta completion zsh)
In a checkout, for python -m too:
  source <(python -m benchmark.console completion bash)
"""


def completion() -> str:
    """Return the script of `speech-tta completion`, from the parsers of all commands."""
    import platforms
    from benchmark import workloads
    from features.jobs.completion import Command, script
    from features.jobs.streams import parser_of

    found = []
    for name, (module, _) in COMMANDS.items():
        below = importlib.import_module(BELOW[name]).COMMANDS if name in BELOW else {}
        for words, each in [((name,), module), *(((name, word), each) for word, (each, _) in below.items())]:
            typed = module.removesuffix(".__main__")
            found.append(Command(words=words, module=typed, parser=parser_of(importlib.import_module(each).main)))
    export = importlib.import_module(COMMANDS["export"][0])
    named = {
        "platform": platforms.names(),
        "platforms": platforms.names(),
        "workload": workloads.names(),
        "to": [*export.FORMATS, *export.STORES, *export.FORMS],
    }
    return script(found, program="speech-tta", named=named)


if __name__ == "__main__":
    sys.exit(main())
