"""Refuse variables on make's command line that its targets do not take: SEEDS=3 would train seed 1 for minutes.

    python3 .ci/variables.py "bench tta" SEEDS RUNS     prints one line for the first that does not fit, or nothing

The Makefile calls it with its targets and with the names that were given. Which target takes which variables stands in
the Makefile, in the words after ## that make help shows: NAME=. Keeps to the grammar of Python 3.6, as install.py does.
"""

import re
import sys
from difflib import get_close_matches
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"
DEFAULT = "help"
ALWAYS = {"PYTHON"}
MAKES_OWN = {"MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKE", "MAKELEVEL", "MAKEFILES", "MAKEOVERRIDES", "SHELL", "VPATH"}


def taken(makefile):
    """Return the variables of every target."""
    lines = re.findall(r"^([a-z-]+):.*?## (.*)$", makefile, re.MULTILINE)
    return {target: re.findall(r"\b([A-Z]+)=", words) for target, words in lines}


def refusal(makefile, goals, given):
    """Return one line about the first variable that none of the targets takes; empty if all fit."""
    targets = taken(makefile)
    goals = goals or [DEFAULT]
    known = [name for goal in goals for name in targets.get(goal, ())]
    if any(goal not in targets for goal in goals):  # make says so itself
        known = [name for names in targets.values() for name in names]
    for name in given:
        if name in ALWAYS or name in MAKES_OWN or name in known:
            continue
        near = get_close_matches(name.upper(), known, 1, 0.6)
        there = f"; did you mean {near[0]}=?" if near else ""
        takes = ", ".join(dict.fromkeys(known)) or "none"
        options = "; other options of its command go into ARGS=" if "ARGS" in known else ""
        return "{}= is no variable of make {}{} It takes {}{}".format(
            name, " ".join(goals), there or ".", takes, options
        )
    return ""


if __name__ == "__main__":
    said = refusal(MAKEFILE.read_text(), sys.argv[1].split(), sys.argv[2:])
    if said:
        print(said)
