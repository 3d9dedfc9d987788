"""The workflow that a fork can use: its commands are run here as they stand there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sealed import bundle, run_files

ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ROOT / ".github" / "workflows" / "gallery.yml"


def commands() -> list[str]:
    """The scripts of the steps, but for that which installs packages."""
    yaml = pytest.importorskip("yaml")
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["verify"]["steps"]
    return [step["run"] for step in steps if "run" in step and "pip install" not in step["run"]]


def run(folder: Path) -> list[int]:
    """The exit status of each script up to the first that fails, run as the runner does: bash -e."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = []
    for script in commands():
        env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
        found.append(subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=env, capture_output=True).returncode)
        if found[-1]:
            break
    return found


@pytest.mark.slow
def test_what_verifies_is_built_and_what_does_not_fails_the_check(tmp_path):
    (tmp_path / "gallery").mkdir()
    files = run_files(tmp_path / "run")
    bundle(tmp_path / "gallery" / "a.tta.zip", files)
    assert run(tmp_path) == [0, 0] and (tmp_path / "site" / "index.html").is_file()
    rows = files["journal.csv"].replace(b",50.0,", b",20.0,", 1)
    assert rows != files["journal.csv"]
    bundle(tmp_path / "gallery" / "b.tta.zip", {**files, "journal.csv": rows})
    assert run(tmp_path) == [1]
