"""A Python without the suite's packages: judging needs NumPy alone, and what needs more says so in one line."""

import subprocess
import sys

import pytest
from commands import ROOT
from journals import make_run, write

BARE = """
import sys

class Nothing:  # a finder that comes first and finds only the standard library, ours and what is allowed
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {allowed!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Nothing())
"""
OURS = ("benchmark", "features", "models", "platforms")


def bare(tmp_path, *command: str, allowed=("numpy",)) -> subprocess.CompletedProcess:
    """Run `python -m` where nothing but the standard library and `allowed` is installed."""
    (tmp_path / "sitecustomize.py").write_text(BARE.format(allowed=(*OURS, *allowed)))
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("module", ["tta", "compare", "price", "ingest", "export"])
def test_what_judges_begins_with_numpy_alone(tmp_path, module):
    done = bare(tmp_path, f"benchmark.{module}", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: python -m benchmark.")


def test_a_run_is_judged_with_numpy_alone(tmp_path):
    journal = write(tmp_path / "a.csv", make_run([90, 50, 40, 30, 20]))
    done = bare(tmp_path, "benchmark.tta", journal, "--level", "50")
    assert done.returncode == 0 and "WER 50" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    ("module", "arguments", "allowed", "missing"),
    [
        ("benchmark", ("--sentences", "9", "--data", "data", "--results", "results"), ("numpy",), "librosa"),
        ("benchmark.report", ("a.csv", "-o", "page.html"), ("numpy",), "scipy"),
        ("features", ("corpus", "out"), ("numpy",), "librosa"),
    ],
)
def test_a_missing_package_is_one_line_with_the_way_out_and_status_2(tmp_path, module, arguments, allowed, missing):
    write(tmp_path / "a.csv", make_run([90, 50, 40, 30, 20]))
    (tmp_path / "corpus" / "train-a" / "1" / "1").mkdir(parents=True)
    done = bare(tmp_path, module, *arguments, allowed=allowed)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{missing} is not installed for {sys.executable}; expected")
    assert "type `. .venv/bin/activate`, after `make setup` if there is no .venv yet" in done.stderr


def test_a_program_that_imports_us_gets_the_error_itself(tmp_path):
    (tmp_path / "theirs.py").write_text("import benchmark.tta\nfrom benchmark.record import arrays\narrays.zeros(1)\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    (tmp_path / "sitecustomize.py").write_text(BARE.format(allowed=(*OURS, "theirs")))
    done = subprocess.run([sys.executable, "theirs.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr and "No module named 'numpy'" in done.stderr
