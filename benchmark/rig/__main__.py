"""Know a rig before days are spent on it.

    python -m benchmark.rig detect mine     # platforms/mine.toml from what this machine is
    python -m benchmark.rig doctor          # is anything wrong with it: seconds; --level 2 a minute; --long
    python -m benchmark.rig tune --platform mine    # which batch, readers, buffer
    python -m benchmark.rig estimate        # what a run would take, from a minute of timed pieces

Each command's --help says more.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from features.jobs.streams import parse

BAD_INPUT = 2
COMMANDS = {
    "detect": ("benchmark.rig.detect", "write a platform file from what this machine is"),
    "doctor": ("benchmark.rig.doctor", "check drivers, GPUs, links, kernels, disk and system"),
    "tune": ("benchmark.rig.tune.__main__", "find batch, readers and buffer by trying, and write them into its file"),
    "estimate": ("benchmark.rig.estimate.__main__", "say what a run would take and cost, before it is made"),
}
"""Each command's module, whose `main` takes the arguments and returns the exit status, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Call a command; return its exit status: 2 if there is none of that name."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] and given[0] in COMMANDS:
        return importlib.import_module(COMMANDS[given[0]][0]).main(given[1:])
    listing = "\n".join(f"  {name:<8} {words}" for name, (_, words) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.rig",
        usage="python -m benchmark.rig COMMAND ...",
        description=f"Know a rig before days are spent on it.\n\n{listing}\n\nCOMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS)
    parse(parser, given or ["--help"])
    return BAD_INPUT  # not reached: it has no such command


if __name__ == "__main__":
    sys.exit(main())
