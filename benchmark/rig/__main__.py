"""Know a rig before days are spent on it.

    python -m benchmark.rig doctor          # is anything wrong with it: seconds; --level 2 a minute; --long

Each command's --help says more.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "doctor": ("benchmark.rig.doctor", "check drivers, GPUs, links, kernels, disk and system"),
}
"""Each command's module, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Call a command; return its exit status: 2 if there is none of that name."""
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name][0]).main(arguments)
    listing = "\n".join(f"  {name:<8} {words}" for name, (_, words) in COMMANDS.items())
    asked = name in ("-h", "--help")
    start = "" if asked else f"benchmark.rig: no command {name!r}\n"
    text = f"{start}usage: python -m benchmark.rig COMMAND ...\n\n{listing}\n\nCOMMAND --help says more."
    print(text, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
