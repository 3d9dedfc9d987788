"""Check platform files and say what is in them.

    python -m platforms ./mine.toml         # a summary, or every mistake with the way out
    python -m platforms                     # the platforms that come with the suite

The exit status is 2 if a file has a mistake.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

import platforms
from features.jobs.streams import one_line, parse, reported, say
from platforms.summary import entry, summary

NAME = "platforms"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 fine, 2 a mistake."""
    options = parse(_parser(), argv)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    with reported(NAME):
        if not options.platforms:
            return _listed(width)
        return max([_checked(each, width, first=not n) for n, each in enumerate(options.platforms)])


def _listed(width: int) -> int:
    for name in platforms.names():
        print("\n".join(entry(name, platforms.load(name).description, width)))
    return 0


def _checked(named: str, width: int, *, first: bool) -> int:
    try:
        platform = platforms.load(named)
    except platforms.PlatformError as error:
        place = str(error).removesuffix(error.mistakes[0]) if len(error.mistakes) == 1 else f"{named}: "
        for mistake in error.mistakes:
            say(f"{NAME}: {one_line(place)}{one_line(mistake)}")
        return 2
    print("\n" * (not first) + "\n".join(summary(platform, named=named, width=width)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m platforms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = "the path of a platform file, or a name; without one, those that come with the suite are listed"
    parser.add_argument("platforms", nargs="*", metavar="PLATFORM", help=words)
    return parser


if __name__ == "__main__":
    sys.exit(main())
