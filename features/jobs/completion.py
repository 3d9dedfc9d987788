"""What a shell completes of a command line: a script for bash, which zsh reads too, made of the commands' own parsers.

    script([Command(words=("tta",), module="benchmark.tta", parser=...), ...], program="speech-tta")

The script knows the options of each command and the values that they may have, as `speech-tta tta --metric` and as
`python -m benchmark.tta --metric`; everything else is completed as a file. It calls nothing, so a key is answered at
once; who adds an option makes it anew.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its words after the program's name, its module, and its parser."""

    words: tuple[str, ...]
    module: str
    parser: ArgumentParser

    @property
    def name(self) -> str:
        return " ".join(self.words)


def script(commands: Sequence[Command], *, program: str, named: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the script. `named` has the names that some destinations take beside files: {"platform": ("cpu",)}."""
    name = program.replace("-", "_")
    options = [f"        {_quoted(each.name)}) echo {_quoted(_options(each.parser))} ;;" for each in commands]
    values = [
        f"        {_quoted(f'{each.name} {option}')}) echo {_quoted(' '.join(words))} ;;"
        for each in commands
        for option, words in _values(each.parser, named or {}).items()
    ]
    modules = [f"        {_quoted(each.module)}) echo {_quoted(each.name)} ;;" for each in commands]
    first = sorted({each.words[0] for each in commands})
    groups = {
        word: [each.words[1] for each in commands if each.words[:1] == (word,) and each.words[1:]] for word in first
    }
    below = [f"        {_quoted(word)}) echo {_quoted(' '.join(words))} ;;" for word, words in groups.items() if words]
    parts = {
        "NAME": name, "PROGRAM": program, "OPTIONS": "\n".join(options), "VALUES": "\n".join(values),
        "MODULES": "\n".join(modules), "BELOW": "\n".join(below), "FIRST": " ".join(first),
        "EVERY_MODULE": " ".join(sorted({each.module for each in commands})),
    }  # fmt: skip
    text = SCRIPT
    for key, value in parts.items():
        text = text.replace(f"@{key}@", value)
    return text


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _options(parser: ArgumentParser) -> str:
    return " ".join(option for action in parser._actions for option in action.option_strings)


def _values(parser: ArgumentParser, named: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the values that each option may have, where they are known; those of words without one are of ""."""
    found: dict[str, list[str]] = {}
    for action in parser._actions:
        words = [str(each) for each in action.choices or named.get(action.dest, ()) if each != []]
        for option in action.option_strings or [""]:
            if words:
                found[option] = words
    return found


SCRIPT = """\
# Completion of @PROGRAM@ and of python -m for bash; zsh reads it too. Made by: @PROGRAM@ completion
if [ -n "${ZSH_VERSION-}" ]; then
    autoload -U +X compinit && compinit -u
    autoload -U +X bashcompinit && bashcompinit
fi

_@NAME@_options() {
    case "$1" in
@OPTIONS@
    esac
}

_@NAME@_values() {
    case "$1" in
@VALUES@
    esac
}

_@NAME@_below() {
    case "$1" in
@BELOW@
    esac
}

_@NAME@_of_module() {
    case "$1" in
@MODULES@
    esac
}

# _@NAME@_reply COMMAND: what may stand at the cursor, as COMPREPLY; nothing leaves it to files.
_@NAME@_reply() {
    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""
    if [ "$word" = "=" ]; then
        word=""
    elif [ "$before" = "=" ]; then
        before="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    case "$before" in
        -*) words=$(_@NAME@_values "$1 $before") ;;
    esac
    case "$word" in
        -*) [ -n "$words" ] || words=$(_@NAME@_options "$1") ;;
        *) [ -n "$words" ] || words=$(_@NAME@_values "$1 ") ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}

_@NAME@() {
    local command="${COMP_WORDS[1]}" below
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "@FIRST@ completion --help --version" -- "$command"))
        return
    fi
    below=$(_@NAME@_below "$command")
    if [ -n "$below" ] && [ "$COMP_CWORD" -eq 2 ]; then
        COMPREPLY=($(compgen -W "$below" -- "${COMP_WORDS[2]}"))
        return
    fi
    [ -z "$below" ] || command="$command ${COMP_WORDS[2]}"
    [ "$command" != completion ] || { COMPREPLY=($(compgen -W "bash zsh" -- "${COMP_WORDS[COMP_CWORD]}")); return; }
    _@NAME@_reply "$command"
}

_@NAME@_python() {
    COMPREPLY=()
    [ "${COMP_WORDS[1]}" = -m ] || return
    if [ "$COMP_CWORD" -eq 2 ]; then
        COMPREPLY=($(compgen -W "@EVERY_MODULE@" -- "${COMP_WORDS[2]}"))
        return
    fi
    local command below
    command=$(_@NAME@_of_module "${COMP_WORDS[2]}")
    [ -n "$command" ] || return
    below=$(_@NAME@_below "$command")
    if [ -n "$below" ] && [ "$COMP_CWORD" -eq 3 ]; then
        COMPREPLY=($(compgen -W "$below" -- "${COMP_WORDS[3]}"))
        return
    fi
    [ -z "$below" ] || command="$command ${COMP_WORDS[3]}"
    _@NAME@_reply "$command"
}

complete -o bashdefault -o default -F _@NAME@ @PROGRAM@
complete -o bashdefault -o default -F _@NAME@_python python python3
"""
