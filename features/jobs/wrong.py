"""What is wrong with a command line, in one line: what was given, what was expected, and the way out.

    options = parsed(parser, argv)          # argparse's errors read as below, without its usage

    benchmark: --seed 'abc'; expected a whole number, such as 1
    benchmark: no option --precison; did you mean --precision? python -m benchmark --help lists all
    benchmark.tta: --metric 'wre'; did you mean 'wer'? expected one of wer, cer

The exit status is 2. An option's `type` may be any function: what it says in an ArgumentTypeError is kept.
"""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from features.jobs.streams import say

BAD = 2
LONGEST = 60  # characters of a value that is shown
OPTIONS_NEAR = 0.75  # of many options some one is always a little like a word: --region is no guess for --precison
NUMBERS = {int: "a whole number, such as 1", float: "a number, such as 0.5"}
"""What the types that argparse knows take."""


def parsed(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """Parse a command line; say what is wrong with it in one line. Raises SystemExit with status 2."""
    explain(parser)
    check_options(parser, argv)
    options, others = parser.parse_known_args(argv)
    if others:
        refuse(parser, unknown(parser, others[0]))
    return options


def explain(parser: ArgumentParser) -> None:
    """Have a parser say what is wrong in one line, and guess what was meant."""
    for action in parser._actions:
        if action.choices is not None or action.type in NUMBERS:
            choices = None if action.choices is None else [each for each in action.choices if each != []]  # [] of a "*"
            kind: Any = action.type or str
            action.type = _checked(kind, choices)
    parser.error = lambda message: refuse(parser, _words(parser, message))  # type: ignore[method-assign]


def refuse(parser: ArgumentParser, words: str) -> NoReturn:
    """Print one line that begins with the command's name, and exit with status 2."""
    say(f"{name_of(parser)}: {words}")
    raise SystemExit(BAD)


def name_of(parser: ArgumentParser) -> str:
    """Return a command's name as its messages begin: "benchmark.tta"."""
    return parser.prog.removeprefix("python -m ")


def check_options(parser: ArgumentParser, argv: Sequence[str]) -> None:
    """Refuse the first option that the command does not have: before one that is missing, which may be that one."""
    known = _known(parser)
    for word in argv:
        if word == "--":
            return
        option = word.partition("=")[0]
        if word[:2] == "--" and " " not in word and not any(each.startswith(option) for each in known):
            refuse(parser, unknown(parser, option))


def unknown(parser: ArgumentParser, word: str) -> str:
    """Return the words about an option or a word that the command does not take."""
    if word[:1] != "-" or " " in word:
        return f"{_shown(word)} is one word too many; {_help(parser)} says what it takes"
    meant = guess(word.partition("=")[0], _known(parser), near=OPTIONS_NEAR)
    return f"no option {word.partition('=')[0]:.60}; {meant}{_help(parser)} lists all"


def guess(word: str, known: Iterable[str], *, near: float = 0.6) -> str:
    """Return "did you mean 'wer'? ", or nothing if no known word is `near`, a share of common letters."""
    by_letters = {each.lower().lstrip("-"): each for each in known}
    close = get_close_matches(word.lower().lstrip("-"), by_letters, n=1, cutoff=near)
    found = by_letters[close[0]] if close else ""
    return f"did you mean {found if found[:1] == '-' else repr(found)}? " if found else ""


def _known(parser: ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


def _help(parser: ArgumentParser) -> str:
    return f"{parser.prog} --help"


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def _checked(kind: Callable[[str], Any], choices: Iterable[Any] | None) -> Callable[[str], Any]:
    """Return a type that says what was expected of a value."""

    def check(text: str) -> Any:
        try:
            value = kind(text)
        except (ValueError, TypeError):
            if kind not in NUMBERS:
                raise
            raise ArgumentTypeError(f"{_shown(text)}; expected {_number(kind, text)}") from None
        if choices is not None and value not in choices:
            listed = ", ".join(map(str, choices))
            raise ArgumentTypeError(f"{_shown(text)}; {guess(text, map(str, choices))}expected one of {listed}")
        return value

    return check


def _number(kind: Any, text: str) -> str:
    """Return what a number looks like: of a decimal comma, as it would be with a point."""
    pointed = text.replace(",", ".")
    if kind is float and re.fullmatch(r"-?\d*[.]\d+", pointed):
        return f"a number with a point: {pointed}"
    whole = re.fullmatch(r"(-?\d+)[.]0*|(\d{1,3}(?:[,_' ]\d{3})+)", text)
    if whole:
        return f"a whole number: {whole[1] or re.sub('[^0-9]', '', text)}"
    return NUMBERS[kind]


def _words(parser: ArgumentParser, message: str) -> str:
    """Return argparse's message in the words of this suite's."""
    about, text = re.fullmatch(r"(?:argument ([^:]+): )?(.*)", message, re.DOTALL).groups()
    if missing := re.fullmatch(r"the following arguments are required: (.*)", text):
        verb = "are" if ", " in missing[1] else "is"
        return f"{missing[1]} {verb} missing; {_purposes(parser, missing[1].split(', '))}{_help(parser)} says more"
    if about is None:
        return text
    option = about.rpartition("/")[2] if about[:1] == "-" else about
    if ignored := re.fullmatch(r"ignored explicit argument (.*)", text):
        return f"{option} takes no value, and has {ignored[1]}; leave it out"
    if text.startswith("expected ") and " argument" in text:
        action = next((each for each in parser._actions if option in each.option_strings), None)
        return f"{option} is without a value; expected {_metavar(action)} after it{_purpose(action)}"
    return f"{option} {text}" if text[:1] in "'\"" else f"{option}: {text}"


def _metavar(action: Action | None) -> str:
    if action is None:
        return "one"
    if action.metavar is None and action.choices is not None:
        return f"one of {', '.join(map(str, action.choices))}"
    return str(action.metavar or action.dest.upper())


def _purpose(action: Action | None) -> str:
    words = action.help.partition(";")[0].replace("%%", "%") if action is not None and action.help else ""
    return f": {words}" if words and "%(" not in words else ""


def _purposes(parser: ArgumentParser, names: Sequence[str]) -> str:
    """Return "expected RUN: a run's folder; " for what is missing, of one thing alone."""
    called = {each.metavar or each.dest: each for each in parser._actions}
    called |= {"/".join(each.option_strings): each for each in parser._actions if each.option_strings}
    action = called.get(names[0]) if len(names) == 1 else None
    if action is None or not action.help:
        return ""
    option = f"{names[0]} {_metavar(action)}" if action.option_strings else names[0]
    return f"expected {option}{_purpose(action)}; "
