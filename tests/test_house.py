"""The house stays easy to see: which package may import which, and who may load TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("features", "models", "platforms", "benchmark")
MAY_IMPORT = {"features": set(), "models": {"features.text"}, "platforms": set()}
WITHOUT_TENSORFLOW = (
    "record.phases",
    "record.journal",
    "record.clocks",
    "record.rows",
    "workloads",
    "run.accuracy",
    "run.monitor",
    "run.decoding",
    "run.view",
    "judge.groups",
    "judge.checks",
    "judge.estimates",
    "judge.factoring",
    "tta",
    "tables",
    "compare",
    "price",
    "export.__main__",
    "report.__main__",
    "speed.__main__",
)


def imports(path: Path) -> set[str]:
    """Every module of ours that a file imports, at any depth, dotted; "a.b" for `from a import b` where it is one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {
                f"{node.module}.{alias.name}" if is_module(f"{node.module}.{alias.name}") else node.module
                for alias in node.names
            }
    return {name for name in found if name.split(".")[0] in PACKAGES}


def is_module(dotted: str) -> bool:
    return (ROOT / dotted.replace(".", "/")).with_suffix(".py").is_file()


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_features_models_and_platforms_are_leaves(package):
    for path in modules(package):
        others = {name for name in imports(path) if name.split(".")[0] != package}
        assert others <= MAY_IMPORT[package], f"{path.name} imports {others}"


def test_only_the_benchmarks_front_door_imports_everything():
    for path in modules("benchmark"):
        if path.name != "__main__.py":
            assert {name for name in imports(path) if name.startswith("benchmark.__main__")} == set(), path.name


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_what_needs_no_tensorflow_does_not_import_it(name):
    check = f"import sys, benchmark.{name}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


def test_every_module_teaches_itself():
    for package in PACKAGES:
        for path in modules(package):
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_nothing_of_one_machine_is_in_the_tree():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout")
    for name in files.stdout.split():
        if name.endswith((".py", ".md", ".toml", ".cfg", ".txt", "Makefile")) and (ROOT / name).is_file():
            text = (ROOT / name).read_text()
            for part in ("home", "root", "work"):
                assert f"/{part}/" not in text, f"{name} holds a path of one machine"
