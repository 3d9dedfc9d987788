"""What a command says when its viewer leaves: processes of their own, with the streams that a shell would give them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CASES = {
    "reports": "with streams.reported('x'): print('a result')",
    "reports much": "with streams.reported('x'): print('a result' * 100_000)",
    "helps": "import argparse; streams.parse(argparse.ArgumentParser(prog='x', description='a' * 2000), ['--help'])",
}


def run(code: str, shell: str, **environment: str) -> subprocess.CompletedProcess:
    source = f"from features.jobs import streams; streams.protect('x')\n{code}"
    command = ["bash", "-c", f'"$0" -c "$1" {shell}', sys.executable, source]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


@pytest.mark.parametrize("case", CASES)
def test_a_full_standard_output_is_a_sentence_and_status_2(case):
    done = run(CASES[case], ">/dev/full")
    expected = "x: standard output: No space left on device; expected a place with room for the results\n"
    assert (done.returncode, done.stderr) == (2, expected)


@pytest.mark.parametrize("case", CASES)
def test_a_closed_standard_output_is_no_error(case):
    done = run(CASES[case], ">&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("case", CASES)
def test_a_reader_who_has_seen_enough_is_no_error(case):
    done = run(CASES[case], "| head -c 5; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["2>/dev/full", "2>&-", "2> >(head -c 3 >/dev/null; exit)"])
def test_work_goes_on_whatever_becomes_of_standard_error(shell):
    code = "import time\nfor n in range(2000): streams.say('progress ' * 10)\nprint('done')"
    source = f"from features.jobs import streams\nstreams.protect('x')\n{code}"
    command = ["bash", "-c", f'"$0" -c "$1" {shell}', sys.executable, source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_terminal_of_ascii_alone_gets_the_rest_spelt_out():
    done = run("print('caf\\u00e9'); streams.say('\\u00fcber')", "", PYTHONIOENCODING="ascii")
    assert (done.stdout, done.stderr, done.returncode) == ("caf\\xe9\n", "\\xfcber\n", 0)
