"""The suite as pip installs it: its packages in a folder on the path, called from a folder with names like theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import console

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmark", "features", "models", "platforms")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A site-packages with the suite in it."""
    folder = tmp_path_factory.mktemp("site")
    for name in PACKAGES:
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def users_folder(tmp_path) -> Path:
    """A folder in which a user keeps packages and folders of names that are ours too."""
    for name in ("models", "features", "platforms"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the user's own {name}')\n")
    return tmp_path


def call(folder: Path, site: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(site), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("module", ["benchmark", "benchmark.tta", "benchmark.price", "benchmark.speed"])
def test_modules_find_their_own_packages_whatever_the_folder_holds(site, users_folder, module):
    done = call(users_folder, site, "-m", module, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_decoder_and_the_sampler_are_the_suites_too(site, users_folder):
    code = "import benchmark, models.ctc.decoders, features.corpus.text; "
    code += "from benchmark.run.watch import monitor; print(monitor.ROOT)"
    done = call(users_folder, site, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", list(console.COMMANDS))
def test_the_script_calls_every_command_from_any_folder(site, users_folder, command):
    script = f"import sys; sys.path.pop(0); from benchmark.console import main; sys.exit(main([{command!r}, '--help']))"
    done = call(users_folder, site, "-c", script)  # a script's first folder is its own, and not the user's
    assert done.returncode == 0 and "usage:" in done.stdout, done.stderr


def test_the_script_lists_its_commands(capsys):
    assert console.main([]) == 0
    assert "usage: speech-tta COMMAND" in capsys.readouterr().out
    assert console.main(["bensh"]) == 2
    assert "no command 'bensh'" in capsys.readouterr().err
