"""Runs for all tests of models that leave the suite, and a process that has TensorFlow and nothing of the suite's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from trained import trained

ELSEWHERE = """
import json, os, sys, traceback
import tensorflow, keras
for line in sys.stdin:
    folder, code = json.loads(line)
    if not (child := os.fork()):
        os.chdir(folder)
        sys.stdout, sys.stderr = open("said", "w"), open("errors", "w")
        try:
            exec(compile(code, "code", "exec"), {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.close()
        sys.stderr.close()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs code in folders: what it prints goes into the file `said` there, errors into `errors`; it answers its status."""


@pytest.fixture(scope="session")
def run_of(tmp_path_factory, tone_corpus, tone_data):
    """A function that gives the folder of a run of a recipe, trained when it is first asked for. Read only.

    Processes among which the tests are shared out have one temporary folder above their own, and share its runs.
    """
    own = tmp_path_factory.getbasetemp()
    place = (own.parent if own.name.startswith("popen-") else own) / "exported-runs"

    def of(recipe: str) -> Path:
        folder = place / recipe
        place.mkdir(exist_ok=True)
        with FileLock(place / f"{recipe}.lock"):
            if not (folder / "results" / recipe / "end.json").is_file():
                trained(folder, tone_corpus, tone_data, recipe=recipe)
        return folder / "results" / recipe

    return of


@pytest.fixture(scope="session")
def opened_of(run_of, tf):
    """A function that gives a run of a recipe as exports open it, with what they are held against. Read only."""
    from benchmark.export.model.opened import open_model
    from benchmark.run.prepare.trained import load_trained

    made = {}

    def of(recipe: str):
        if recipe not in made:
            made[recipe] = open_model(load_trained(run_of(recipe)), checkpoint="best")
        return made[recipe]

    return of


@pytest.fixture(scope="session")
def elsewhere():
    """A function that runs code in a folder, in a process that cannot import the suite; returns what it printed.

    Each is forked from one process that has loaded TensorFlow and nothing else.
    """
    command = [sys.executable, "-I", "-c", ELSEWHERE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

        def run(folder: Path, code: str) -> str:
            process.stdin.write(json.dumps([str(folder), code]) + "\n")
            status = process.stdout.readline()
            assert status, "the process that has TensorFlow alone has ended"
            assert int(status) == 0, (folder / "errors").read_text()
            return (folder / "said").read_text()

        yield run
        process.stdin.close()
