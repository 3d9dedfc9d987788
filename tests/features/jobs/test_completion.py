"""What a shell completes, as bash itself says: the script is sourced and asked with the words of a line."""

import re
import shutil
import subprocess

import pytest
from commands import ROOT

from benchmark import console
from features.jobs.streams import parser_of

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "speech-tta"
    path.write_text(console.completion())
    return path


def completed(script, line: str, function: str = "_speech_tta") -> list[str]:
    """Return what bash offers at the end of a line; "=" is a word of its own there."""
    words = [each for word in line.split(" ") for each in (re.split("(=)", word) if "=" in word else [word])]
    array = " ".join(f"'{word}'" for word in words)
    source = f"source {script}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; {function}; "
    done = subprocess.run(["bash", "-c", source + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("speech-tta com", ["compare", "completion"]),
        ("speech-tta rig d", ["detect", "doctor"]),
        ("speech-tta rig doctor --l", ["--level", "--long", "--list"]),
        ("speech-tta rig doctor --level ", ["1", "2"]),
        ("speech-tta tta --bri", ["--brief"]),
        ("speech-tta tta --metric w", ["wer", "wer_mean"]),
        ("speech-tta tta --metric=c", ["cer", "cer_paper"]),
        ("speech-tta bench --platform rent", ["rented-8xh100", "rented-a100"]),
        ("speech-tta bench --platform=", ["cpu", "rented-8xh100", "rented-a100", "sys1", "sys10", "sys2"]),
        ("speech-tta platforms sys1", ["sys1", "sys10"]),
        ("speech-tta export --to save", ["savedmodel"]),
        ("speech-tta completion z", ["zsh"]),
        ("speech-tta tta results/", []),  # left to files
        ("speech-tta tta --reference ", []),
    ],
)
def test_commands_options_and_values_are_offered(script, line, offered):
    assert completed(script, line) == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("python -m benchmark.ti", []),
        ("python -m benchmark.tt", ["benchmark.tta"]),
        ("python -m benchmark.tta --bri", ["--brief"]),
        ("python -m benchmark --workload libri", ["librispeech"]),
        ("python -m benchmark.rig det", ["detect"]),
        ("python -m benchmark.rig detect --s", ["--seconds"]),
        ("python -m somebody.elses --bri", []),
        ("python script.py --bri", []),
    ],
)
def test_a_checkouts_modules_are_completed_too_and_others_left_alone(script, line, offered):
    assert completed(script, line, "_speech_tta_python") == offered


@pytest.mark.parametrize("name", console.COMMANDS)
def test_every_option_of_every_command_is_offered(script, name):
    import importlib

    options = parser_of(importlib.import_module(console.COMMANDS[name][0]).main)._option_string_actions
    offered = completed(script, f"speech-tta {name} -") if name not in console.BELOW else ["-h", "--help", "--version"]
    assert set(offered) == set(options) and "--version" in offered


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not here")
def test_zsh_reads_the_script(script):
    source = f"source {script}; COMP_WORDS=(speech-tta tta --bri); COMP_CWORD=2; whence _speech_tta"
    done = subprocess.run(["zsh", "-f", "-c", source], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "_speech_tta"), done.stderr


def test_the_command_prints_the_script_and_refuses_other_shells(script, capsys):
    assert console.main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == script.read_text()
    with pytest.raises(SystemExit) as stopped:
        console.main(["completion", "fish"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "speech-tta completion: SHELL 'fish'; expected one of bash, zsh\n"
    assert str(ROOT) not in script.read_text()  # nothing of this machine
