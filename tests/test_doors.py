"""Which modules a command loads: who asks for its options, or has a small table judged, waits for no others.

It is held by name and not by time: a list of modules is the same on every machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from commands import ROOT
from journals import make_run, write

from benchmark.workloads import load

DOORS = (
    "benchmark",
    "benchmark.tta",
    "benchmark.compare",
    "benchmark.price",
    "benchmark.choose",
    "benchmark.report",
    "benchmark.export",
    "benchmark.ingest",
    "benchmark.final",
    "benchmark.saturation",
    "benchmark.reference",
    "benchmark.speed",
    "benchmark.transcribe",
    "benchmark.rig",
    "benchmark.seal",
    "benchmark.verify",
    "benchmark.rig.estimate",
    "benchmark.gallery",
    "benchmark.rig.tune",
    "benchmark.console",
    "features",
    "features.download",
    "features.prepare",
    "features.synthesis",
    "platforms",
)
HOUSE = {"benchmark", "features", "models", "platforms"}
NETWORK = {"email", "http", "ssl"}
SLOW = {"asyncio", "multiprocessing", "unittest", "xml", "sqlite3", "pydoc", *NETWORK}
"""Parts of the standard library that a command's options should not need."""

MAY_LOAD = {
    "benchmark": NETWORK,  # the names of LibriSpeech's language models
    "benchmark.final": NETWORK,
    "benchmark.speed": {"email"},  # versions of packages, by importlib.metadata
    "benchmark.rig.estimate": NETWORK,  # as a run's
    "benchmark.rig.tune": NETWORK,
    "benchmark.saturation": {"email"},
    "benchmark.transcribe": NETWORK,
    "features": {"email", "multiprocessing"},
    "features.download": NETWORK,
}
"""What a command loads of SLOW before it has read its arguments; the others load nothing of it."""

NEEDLESS = {
    "benchmark.judge.comparison", "benchmark.judge.factoring", "benchmark.judge.merit", "benchmark.judge.profiles",
    "benchmark.judge.paired", "benchmark.record.sentences", "benchmark.report", "benchmark.run", "benchmark.workloads",
    "concurrent", "hashlib", "numpy", "pandas", "scipy", "tempfile", "tomllib",
}  # fmt: skip
"""What takes time and a table of one run needs none of."""

LISTING = """
import json, runpy, sys
before = set(sys.modules)
door, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_module(door, run_name="__main__", alter_sys=True)
finally:
    print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""


def modules(door: str, *arguments: object, options: tuple[str, ...] = ()) -> set[str]:
    """Return the modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, *options, "-c", LISTING, door, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded(door: str, *arguments: object, options: tuple[str, ...] = ()) -> set[str]:
    """Return the packages and the slow parts of the standard library that a command has loaded when it ends."""
    names = {name.partition(".")[0] for name in modules(door, *arguments, options=options)}
    return {name for name in names if not name.startswith("_")} - HOUSE - (set(sys.stdlib_module_names) - SLOW)


@pytest.mark.parametrize("door", DOORS)
def test_a_command_explains_itself_without_any_package(door):
    # -S: without the packages of the environment, so that a command that needs one ends here with its name
    assert loaded(door, "--help", options=("-S",)) <= MAY_LOAD.get(door, set())


@pytest.mark.parametrize("door", ["benchmark.tta", "benchmark.compare", "benchmark.price"])
def test_a_small_table_is_judged_without_any_package_and_without_asyncio(door, tmp_path):
    one = write(tmp_path / "one.csv", make_run([50.0, 40.0, 30.0, 20.0], source="one.csv"))
    other = write(tmp_path / "other.csv", make_run([50.0, 40.0, 30.0, 20.0], run="b", platform="sys2", train_s=90.0))
    again = write(tmp_path / "again.csv", make_run([60.0, 50.0, 40.0, 30.0, 20.0], run="c", seed=2, source="again.csv"))
    given = [f"a={one}", f"b={other}"] if door == "benchmark.compare" else [one, again]
    assert loaded(door, *given, "--level", 30) == set()  # many rigs take NumPy and SciPy, for F and chi-square


def test_a_table_of_one_run_with_its_folder_loads_nothing_that_it_does_not_need(tmp_path):
    one = write(tmp_path / "one.csv", make_run([50.0, 40.0, 30.0, 20.0], source="one.csv"))
    facts = {"schema": 3, "plan": {"targets": {"wer": [30]}}, "workload": load("mini").to_dict()}
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text(json.dumps(facts))
    samples = [f"{n},{90 + n % 7}.0" for n in range(50)]
    (tmp_path / "one" / "utilisation.csv").write_text("\n".join(["seconds,process_cpu_percent", *samples]) + "\n")
    assert modules("benchmark.tta", one) & NEEDLESS == set()
